"""Threads that nobody has to wait for. Knows neither requests nor files."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

J = TypeVar("J")

GRACE = 3.0
"""Seconds that work under way has to end in, after a failure or an interruption."""
_LOOK = 0.5
"""Seconds after which the caller looks up: not every system interrupts a wait without end."""


def work_off(
    jobs: Iterable[J], do: Callable[[J], None], *, workers: int, stop: threading.Event
) -> None:
    """Do all jobs, several at once, begun in their order.

    An answer of a server may take minutes. After a failure, or when the caller is interrupted, work
    under way has `GRACE` seconds; what lasts longer is left to itself, and ends with the process.

    Parameters
    ----------
    jobs
        What to do.
    do
        Does one.
    workers
        Threads.
    stop
        Set after a failure or an interruption, for who waits in `do`.

    Raises
    ------
    Exception
        The first that a job raised.
    """
    left = deque(jobs)
    change = threading.Condition()
    failures: list[BaseException] = []
    alive = min(workers, len(left))

    def work() -> None:
        nonlocal alive
        try:
            while True:
                with change:
                    if not left or failures:
                        return
                    job = left.popleft()
                do(job)
        except BaseException as error:  # the caller's to judge
            with change:
                failures.append(error)
        finally:
            with change:
                alive -= 1
                change.notify_all()

    for number in range(alive):
        threading.Thread(target=work, name=f"geoseg-earthengine-{number}", daemon=True).start()
    try:
        with change:
            while alive and not failures:
                change.wait(_LOOK)
            if failures:
                raise failures[0]
    except BaseException:
        stop.set()
        with change:
            left.clear()
            until = time.monotonic() + GRACE
            while alive and (rest := until - time.monotonic()) > 0:
                change.wait(rest)
        raise
