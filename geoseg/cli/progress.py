"""Progress on standard error: rate, remaining time and memory, and nothing where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from geoseg.cli.launch import is_first
from geoseg.cli.options import verbosity


class Progress(Protocol):
    """What a long task reports to."""

    def update(self, n: int, /) -> None:
        """Count `n` more units as done."""


class _Silent:
    def update(self, n: int, /) -> None:
        del n


class _Bar:
    def __init__(self, total: int | None, description: str, unit: str) -> None:
        from tqdm import tqdm  # noqa: PLC0415 — only where a bar is drawn

        self.bar = tqdm(
            total=total,
            desc=description,
            unit=unit,
            unit_scale=True,
            delay=1.0,  # nothing for what is done within a second
            dynamic_ncols=True,
            file=sys.stderr,
        )

    def update(self, n: int, /) -> None:
        self.bar.set_postfix_str(_memory(), refresh=False)
        self.bar.update(n)


def _memory() -> str:
    """Peak memory of this process, where the system tells."""
    try:
        import resource  # noqa: PLC0415 — Unix only
    except ModuleNotFoundError:
        return ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kibibytes on Linux, bytes on macOS.
    return f"peak {peak * (1 if sys.platform == 'darwin' else 1024) / 1e9:.1f} GB"


@contextmanager
def progress(total: int | None, description: str, unit: str = "px") -> Iterator[Progress]:
    """Draw a progress bar on standard error if it is a terminal and the user did not ask for quiet.

    Of several processes that a launcher started, the first alone draws.

    Parameters
    ----------
    total
        Units in all; None where it is not known.
    description
        What is being done, a word or two.
    unit
        What is counted.
    """
    if verbosity() < 0 or not sys.stderr.isatty() or not is_first():
        yield _Silent()
        return
    bar = _Bar(total, description, unit)
    try:
        yield bar
    finally:
        bar.bar.close()
