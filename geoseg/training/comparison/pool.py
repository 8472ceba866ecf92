"""Jobs of a comparison done one after the other in this process, or several at a time in others.

Other processes are started anew, not forked: torch's threads do not survive a fork. Each has its
share of the processors. They are stopped by closing their input, not by a signal: a terminal's
Ctrl-C would reach them twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import geoseg
from geoseg import errors
from geoseg.errors import GeosegError
from geoseg.training.comparison.job import INTERRUPTED, Job, run_job
from geoseg.training.records import EpochRecord

Told = Callable[[int, EpochRecord], None]
"""Called with the number of a job (from 0) and the record of an epoch done."""


def run_jobs(
    work: Sequence[Job],
    *,
    at_once: int,
    on_start: Callable[[int], None],
    on_epoch: Told,
) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """Do jobs and yield outcomes as they come, each with the number of its job, from 0.

    Parameters
    ----------
    work
        The jobs, in the order in which they are begun.
    at_once
        How many are done at a time; 1 does them in this process.
    on_start, on_epoch
        Called with the number of a job that begins, and after each epoch; from other threads, one
        call at a time, where several are done at once.

    Raises
    ------
    KeyboardInterrupt
        Somebody pressed Ctrl-C; checkpoints are written.
    GeosegError
        A job failed; those beside it are stopped with a checkpoint each.
    """
    if at_once == 1:
        for number, job in enumerate(work):
            on_start(number)
            yield number, run_job(job, on_epoch=lambda r, n=number: on_epoch(n, r))  # type: ignore[misc]
        return
    crew = _Crew(on_start, on_epoch)
    shared = [_with_threads(job, at_once) for job in work]
    with ThreadPoolExecutor(at_once, "geoseg-compare") as pool:
        waiting: dict[Future[dict[str, Any] | None], int] = {
            pool.submit(crew.run, number, job): number for number, job in enumerate(shared)
        }
        try:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    number, outcome = waiting.pop(future), future.result()
                    if outcome is None:
                        raise KeyboardInterrupt
                    yield number, outcome
        finally:
            for future in waiting:
                future.cancel()
            crew.stop()


def _with_threads(job: Job, at_once: int) -> Job:
    """Give a job its share of the processors."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return replace(job, threads=max(1, (job.threads or there or 1) // at_once))


class _Crew:
    """The processes at work."""

    def __init__(self, on_start: Callable[[int], None], on_epoch: Told) -> None:
        self._on_start, self._on_epoch = on_start, on_epoch
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, number: int, job: Job) -> dict[str, Any] | None:
        """Do a job in a process of its own; None where it was stopped."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as noise:
            process = self._start(number, job, noise)
            if process is None:
                return None
            try:
                outcome = self._listen(number, job, process)
                status = process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None and not pipe.closed:
                        pipe.close()
                process.wait()
            if outcome is not None:
                return outcome
            if self._stopped or status == INTERRUPTED:
                return None
            noise.seek(0)
            said = [line for line in noise.read().splitlines() if line.strip()]
            raise GeosegError(
                f"the process that trained {job.model.name} ended with status {status}:"
                f" {said[-1].strip() if said else 'it said nothing; was its memory too small?'}"
            )

    def stop(self) -> None:
        """Ask all processes to stop; their threads wait for them."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                if process.stdin is not None and not process.stdin.closed:
                    process.stdin.close()

    def _start(self, number: int, job: Job, noise: Any) -> subprocess.Popen[str] | None:
        threads = str(job.threads)
        # This very geoseg, wherever it was imported from.
        places = [str(Path(geoseg.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = dict(
            os.environ,
            OMP_NUM_THREADS=threads,
            NUMBA_NUM_THREADS=threads,
            PYTHONPATH=os.pathsep.join(filter(None, places)),
        )
        with self._lock:
            if self._stopped:
                return None
            self._on_start(number)
            process = subprocess.Popen(
                [sys.executable, "-m", "geoseg.training.comparison.job"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=noise,
                text=True,
                encoding="utf-8",
                env=environment,
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def _listen(
        self, number: int, job: Job, process: subprocess.Popen[str]
    ) -> dict[str, Any] | None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process was started without pipes")
        try:
            process.stdin.write(json.dumps(job.to_json()) + "\n")
            process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return None  # it ended, or was stopped, before it could be told
        for line in process.stdout:
            said = json.loads(line)
            if "epoch" in said:
                with self._lock:
                    self._on_epoch(number, EpochRecord.from_json(said["epoch"]))
            elif "error" in said:
                raise _error(said["error"])
            else:
                outcome: dict[str, Any] = said["outcome"]
                return outcome
        return None


def _error(said: dict[str, str]) -> GeosegError:
    """Return the error of another process; of its own type where that is in the tree."""
    kind = getattr(errors, said["type"], GeosegError)
    made: GeosegError = kind(said["message"])
    return made
