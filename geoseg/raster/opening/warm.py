"""A thread that opens files for others.

In each thread PROJ reads its database anew when the first raster is opened there, which takes ten
times as long as all else of opening it, and no other thread runs meanwhile. Here it is read once a
process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["warmly"]

_Opened = TypeVar("_Opened")


class _Opener:
    """The thread; a forked process gets one of its own."""

    process = 0
    pool: ThreadPoolExecutor

    @classmethod
    def get(cls) -> ThreadPoolExecutor:
        # Two threads may both make one: each works, and the one that nobody keeps ends.
        process = os.getpid()
        if cls.process != process:
            cls.pool = ThreadPoolExecutor(1, "geoseg-open")
            cls.process = process
        return cls.pool


def warmly(task: Callable[[], _Opened]) -> _Opened:
    """Do a task in the thread, which must not ask for it in turn; return or raise what it does."""
    try:
        found = _Opener.get().submit(task)
    except RuntimeError:  # there is no thread any more: the interpreter is about to end
        return task()
    return found.result()
