"""Writes a run's checkpoint: in time, and when somebody wants the run to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from geoseg.training.checkpoint import Progress
from geoseg.training.interrupt import StopRequest
from geoseg.training.loop import Tally

SECONDS_BETWEEN_CHECKPOINTS = 60.0

T = TypeVar("T")


class Kept(Protocol):
    """A run as its keeper sees it."""

    progress: Progress

    def save(self, path: Path) -> None:
        """Write the state of the run to a file."""


class Keeper:
    """Keeps what a run has done.

    Parameters
    ----------
    run
        Whose progress is kept.
    path
        The checkpoint.
    stop
        Whether somebody wants the run to stop.
    seconds
        Write no more often than this.
    """

    def __init__(self, run: Kept, path: Path, stop: StopRequest, seconds: float) -> None:
        self._run, self._path, self._stop, self._every = run, path, stop, seconds
        self._before = run.progress.seconds
        self._began = self._saved = time.monotonic()

    def seconds(self) -> float:
        """Time spent on the run, interruptions left out."""
        return self._before + time.monotonic() - self._began

    def after_step(self, tally: Tally) -> None:
        """Look at clock and wishes after the weights changed.

        Raises
        ------
        KeyboardInterrupt
            The run shall stop; the checkpoint is written.
        OutputError
            It cannot be written.
        """
        self._look(lambda: tally)

    def after_epoch(self) -> None:
        """Do the same after an epoch; raises as `after_step` does."""
        self._look(None)

    def watch(self, made: Iterable[T]) -> Iterator[T]:
        """Pass on batches that change nothing; raises as `after_step` does when asked to stop."""
        for batch in made:
            yield batch
            if self._stop.made:
                self._save()

    def _look(self, tally: Callable[[], Tally] | None) -> None:
        if self._stop.made or time.monotonic() - self._saved >= self._every:
            if tally is not None:
                self._run.progress.tally = tally().to_json()
            self._save()

    def _save(self) -> None:
        self._run.progress.seconds = self.seconds()
        self._run.save(self._path)
        self._saved = time.monotonic()
        if self._stop.made:
            raise KeyboardInterrupt
