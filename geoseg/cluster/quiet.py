"""dask's own log, kept off the terminal; what matters in it is raised.

Also loaded by dask in workers of our own.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

LOGS = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")
"""Loggers that have levels of their own."""


@contextmanager
def quiet_log() -> Iterator[None]:
    """Keep dask's log off the terminal while the context lasts."""
    before = {name: logging.getLogger(name).level for name in LOGS}
    _silence()
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def dask_setup(_worker: object) -> None:
    """Make a worker quiet; dask calls this when it starts.

    Interrupts from the keyboard are for the command that started it, and that ends it.
    """
    _silence()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _silence() -> None:
    for name in LOGS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
