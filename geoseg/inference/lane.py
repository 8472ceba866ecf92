"""Work done one after the other beside the caller."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

_PENDING = 2


class Lane:
    """Tasks done one after the other in a thread of their own, a few of them waiting at most."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._waiting: deque[Future[None]] = deque()

    def __call__(self, task: Callable[[], None]) -> None:
        """Take on a task; raises what an earlier one raised."""
        while len(self._waiting) >= _PENDING:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(task))

    def drain(self) -> None:
        """Wait until all is done; raises what a task raised."""
        while self._waiting:
            self._waiting.popleft().result()


@contextmanager
def lane(name: str) -> Iterator[Lane]:
    """Open a lane whose thread has a name; on leaving, what has not begun is dropped."""
    pool = ThreadPoolExecutor(1, name)
    try:
        yield Lane(pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
