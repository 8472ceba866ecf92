"""Workers of our own on this machine, as long as a command runs."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import dask
from distributed import LocalCluster

from geoseg.cluster.quiet import LOGS
from geoseg.errors import ClusterError
from geoseg.locks import lock

THREADS_A_PROCESS = 4
"""Beyond this many threads, Python's lock costs more than another process."""
_ATTEMPTS, _PAUSE_SECONDS, _END_SECONDS = 5, 1.0, 20
_LOST_SECONDS = 10
_PREFIX, _LOCK = "geoseg-cluster-", "lock"
_NEW_SECONDS = 60
"""A folder that is younger may not have its lock yet."""
_UNGUARDED = "unguarded"
"""A file that workers leave in their folder if they run the script that starts them."""
_FOLDER = "GEOSEG_CLUSTER_FOLDER"
"""Tells workers their folder."""


def shared_out(threads: int | None, processes: int | None = None) -> tuple[int, int]:
    """Share threads among processes.

    Parameters
    ----------
    threads
        In all; None for as many as this process may use.
    processes
        How many processes; None for two or more of at most `THREADS_A_PROCESS` threads.

    Returns
    -------
    Number of processes, and threads of each.
    """
    if threads is None:
        affinity = getattr(os, "sched_getaffinity", None)
        threads = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    if processes is None:
        processes = min(threads, max(2, -(-threads // THREADS_A_PROCESS)))
    return processes, max(1, threads // processes)


@contextmanager
def local_workers(processes: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Start worker processes, one task at a time in each, and end them on leaving.

    Yields the scheduler's address, and a function to be called now and then while workers are
    missing. Those that are killed are started again.

    Raises
    ------
    ClusterError
        They could not be started.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # This process is to be a worker, and imports the script that started it.
        with suppress(KeyError, OSError):
            (Path(os.environ[_FOLDER]) / _UNGUARDED).touch()
        os._exit(1)
    with (
        _folder() as folder,
        dask.config.set(
            {
                "logging": dict.fromkeys(LOGS, "critical"),
                # A worker that was killed while it was started is not started again by dask.
                "distributed.deploy.lost-worker-timeout": f"{_LOST_SECONDS}s",
                "temporary-directory": folder,
                "distributed.worker.preload": ["geoseg.cluster.quiet"],
            }
        ),
        _told(folder),
        _ended(
            lambda **options: _started(folder, **options),
            n_workers=processes,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,  # what tasks hold is bounded by themselves
            silence_logs=logging.CRITICAL,
            local_directory=folder,
        ) as cluster,
    ):
        yield str(cluster.scheduler_address), lambda: cluster.scale(processes)


def _started(folder: str, **options: Any) -> Any:
    """Start workers."""
    start: Any = LocalCluster
    try:
        return start(**options)
    except (OSError, RuntimeError) as error:
        if _appears(Path(folder) / _UNGUARDED):
            raise ClusterError(
                "no workers could be started here: each of them runs this script from its top; put"
                ' what it does below  if __name__ == "__main__":'
            ) from None
        cause = error.__cause__ or error  # dask says what failed, its cause why
        raise ClusterError(f"no workers could be started here: {cause}") from error


@contextmanager
def _told(folder: str) -> Iterator[None]:
    """Tell workers their folder.

    Not by dask's settings: what this process was told itself would go first.
    """
    before = os.environ.get(_FOLDER)
    os.environ[_FOLDER] = folder
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_FOLDER, None)
        else:
            os.environ[_FOLDER] = before


def _appears(path: Path) -> bool:
    """Tell whether a file is there, or will be in a moment: another process writes it."""
    for _ in range(30):
        if path.exists():
            return True
        time.sleep(0.1)
    return False


@contextmanager
def _folder() -> Iterator[str]:
    """Give workers a folder, removed on leaving; also those of commands that were killed."""
    _remove_abandoned()
    with (
        TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder,
        lock(Path(folder) / _LOCK, "wb"),
    ):
        yield folder


def _remove_abandoned() -> None:
    """Remove folders of our own that no living process holds."""
    for folder in Path(gettempdir()).glob(f"{_PREFIX}*"):
        # It is in use, of somebody else, or removed at the same moment.
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime < _NEW_SECONDS:
                continue
            lock(folder / _LOCK, "r+b").close()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ended(start: Callable[..., Any], **options: Any) -> Iterator[Any]:
    """Start a cluster and end it, in the middle of a worker's restart as well."""
    cluster = start(**options)
    try:
        yield cluster
    finally:
        for _ in range(_ATTEMPTS):
            try:
                cluster.close(timeout=_END_SECONDS)
                break
            except Exception:
                # A worker that is just being started cannot be ended; a moment later it can.
                time.sleep(_PAUSE_SECONDS)
