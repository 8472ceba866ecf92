"""Jobs done ahead of whoever needs their results. Knows nothing of what they are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Runs jobs in threads, some ahead of whoever iterates, and gives their results in order.

    At any time at most ``ahead + workers`` results are there or being made. An exception of a job
    reaches the iterating thread in its turn, and no further job is begun. `close` stops the
    threads; leaving the iteration early without it would leave threads waiting.

    Parameters
    ----------
    jobs
        Each gives one result.
    ahead
        How many results may wait, beside one in each thread's hands.
    workers
        Number of threads.
    """

    def __init__(
        self, jobs: Sequence[Callable[[], T]], *, ahead: int = 2, workers: int = 1
    ) -> None:
        self._jobs = jobs
        self._room = ahead + workers
        self._begun = 0
        self._taken = 0
        self._stopped = False
        self._done: dict[int, T | BaseException] = {}
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name="geoseg-batches", daemon=True)
            for _ in range(min(workers, len(jobs)))
        ]
        for thread in self._threads:
            thread.start()

    def _next(self) -> int | None:
        """Wait for room and take the next job; None when there is nothing more to do."""
        with self._changed:
            while not self._stopped and self._begun < len(self._jobs):
                if self._begun - self._taken < self._room:
                    self._begun += 1
                    return self._begun - 1
                self._changed.wait()
        return None

    def _work(self) -> None:
        while (number := self._next()) is not None:
            try:
                result: T | BaseException = self._jobs[number]()
            except BaseException as error:
                result = error
            with self._changed:
                self._done[number] = result
                self._stopped = self._stopped or isinstance(result, BaseException)
                self._changed.notify_all()
            del result  # or it would be held while the next is waited for

    def __iter__(self) -> Iterator[T]:
        for number in range(self._taken, len(self._jobs)):
            with self._changed:
                self._changed.wait_for(lambda: number in self._done)  # noqa: B023 — called at once
                result = self._done.pop(number)
                self._taken += 1
                self._changed.notify_all()
            if isinstance(result, BaseException):
                raise result
            yield result

    def close(self) -> None:
        """Stop the threads and wait for them."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
