"""Writes a run's checkpoint: in time, and when somebody wants the run to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from geoseg.training.checkpoint import Progress
from geoseg.training.distributed import Processes
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

    Several processes stop together, after the same step: a signal reaches them at different
    moments, and one that went on alone would wait for the others for ever.

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
    processes
        Who else works on the run.
    """

    def __init__(
        self,
        run: Kept,
        path: Path,
        stop: StopRequest,
        seconds: float,
        processes: Processes,
    ) -> None:
        self._run, self._path, self._stop, self._every = run, path, stop, seconds
        self._processes = processes
        self._before = run.progress.seconds
        self._began = self._saved = time.monotonic()
        self._nothing_kept = True

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
        """Do the same after an epoch, and keep the first one at once; raises as `after_step`."""
        if self._nothing_kept:
            self._saved = -math.inf
        self._look(None)

    def watch(self, made: Iterable[T]) -> Iterator[T]:
        """Pass on batches that change nothing; raises as `after_step` does when asked to stop."""
        for batch in made:
            yield batch
            # Parts of several processes may differ in their number of batches.
            if self._processes.count == 1 and self._stop.made:
                self._save(stop=True)

    def _look(self, tally: Callable[[], Tally] | None) -> None:
        stop = self._processes.any(self._stop.made)
        if stop or time.monotonic() - self._saved >= self._every:
            if tally is not None:
                self._run.progress.tally = tally().to_json()
            self._save(stop=stop)

    def _save(self, *, stop: bool) -> None:
        self._run.progress.seconds = self.seconds()
        self._run.save(self._path)
        self._saved = time.monotonic()
        self._nothing_kept = False
        if stop:
            raise KeyboardInterrupt
