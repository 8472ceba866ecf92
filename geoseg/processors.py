"""How many threads work where nobody says."""

from __future__ import annotations

import os

from geoseg.errors import OptionError


def thread_count(workers: int | None) -> int:
    """Return how many threads to use: as asked, else one a processor this process may use.

    Raises
    ------
    OptionError
        None is asked for, or less.
    """
    if workers is not None:
        if workers < 1:
            raise OptionError(f"workers is a number of threads, 1 or more, not {workers}")
        return workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
