"""Workers of our own on this machine, as long as a command runs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import dask
from distributed import LocalCluster

from geoseg.cluster.quiet import LOGS

THREADS_A_PROCESS = 4
"""Beyond this many threads, Python's lock costs more than another process."""
_ATTEMPTS, _PAUSE_SECONDS, _END_SECONDS = 5, 1.0, 20
_LOST_SECONDS = 10


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
    """
    with (
        TemporaryDirectory(prefix="geoseg-cluster-", ignore_cleanup_errors=True) as folder,
        dask.config.set(
            {
                "logging": dict.fromkeys(LOGS, "critical"),
                # A worker that was killed while it was started is not started again by dask.
                "distributed.deploy.lost-worker-timeout": f"{_LOST_SECONDS}s",
                "temporary-directory": folder,
                "distributed.worker.preload": ["geoseg.cluster.quiet"],
            }
        ),
        _ended(
            LocalCluster,
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
