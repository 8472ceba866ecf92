"""Items that workers are asked to compute, and what comes of them, in order.

An item may be lost with its worker, be computed by one that ends of it, or be or lie finished at
one that does not answer any more; then others are asked for it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from geoseg.cluster.reached import Reached
from geoseg.errors import ClusterError

_LOOK_SECONDS = 1.0
_FETCH_SECONDS = 60.0
"""How long a finished result may take to get here; the second time it has twice as long, and so
on."""
_ATTEMPTS = 3
"""How often an item is given to dask, which itself gives it to some workers before it gives up."""

Submit = Callable[[Any, Sequence[str] | None], Any]
"""Asks for an item: of any worker, or rather of some, by their addresses."""


@dataclass
class _Asked:
    """An item under way."""

    item: Any
    future: Any
    """None when its answer is here."""
    attempts: int = 1
    fetches: int = 0
    """How often its result was waited for in vain."""
    answer: Any = None
    earlier: list[tuple[Any, str]] = field(default_factory=list)
    """What was asked for it before, and of which workers, that have fallen silent: they may be
    heard of again, and through first."""


class Asking:
    """One list of items, asked for at the workers.

    Parameters
    ----------
    reached
        The workers.
    submit
        Asks for an item.
    room
        How many results may be here at most.
    """

    def __init__(self, reached: Reached, submit: Submit, room: int) -> None:
        self._reached = reached
        self._submit = submit
        self._room = room
        self._asked: deque[_Asked] = deque()
        self._refused: set[str] = set()
        """Addresses of workers that did not give a result that they have."""

    def in_order(self, items: Iterator[Any], most: Callable[[], int]) -> Generator[Any, None, None]:
        """Give the answers in the order of the items.

        Parameters
        ----------
        items
            Asked for as they are needed.
        most
            How many may be under way or wait for earlier ones.

        Raises
        ------
        ClusterError
            The scheduler or all workers are gone, an item ends each worker that computes it, or its
            result cannot be had.
        """
        asked, more = self._asked, True
        try:
            while True:
                bound = max(1, most())
                while more and len(asked) < bound:
                    try:
                        item = next(items)
                    except StopIteration:
                        more = False
                    else:
                        asked.append(_Asked(item, self._submit(item, self._others())))
                if not asked:
                    return
                self._collect()
                while asked and asked[0].future is None:
                    yield asked.popleft().answer
        finally:
            futures = [one.future for one in asked if one.future is not None]
            futures += [future for one in asked for future, _ in one.earlier]
            if futures:
                with suppress(Exception):
                    self._reached.client.cancel(futures)

    def _others(self) -> list[str] | None:
        """Return the workers that answer, if there are both such and others; None means all."""
        silent = self._silent
        if not silent:
            return None
        return [one for one in self._reached.threads() if one not in silent] or None

    @property
    def _silent(self) -> set[str]:
        """Addresses of workers that do not answer."""
        return self._refused | self._reached.heard.silent()

    def _collect(self) -> None:
        """Wait until the first item is through; take in what else is by then and has room here."""
        reached = self._reached
        alone_since: float | None = None
        first = self._asked[0]
        while first.future is not None:
            here = sum(one.future is None for one in self._asked)
            free = self._room - 1 - here  # but for the first
            wanted = [one for one in self._asked if one.future is not None] if free > 0 else [first]
            running = [one.future for one in wanted]
            running += [some for one in wanted for some, _ in one.earlier if not some.done()]
            with suppress(TimeoutError), reached.in_words(), reached.client.as_current():
                _dask().wait(running, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
            self._look_back(wanted)
            through = [one for one in wanted if one.future.done()]
            for one in through[: max(1, free)]:
                known = len(self._refused)
                self._take(one)
                if len(self._refused) > known:
                    break  # others are asked first for what else it has
            # Each time: dask may hand a silent worker on what another was to compute.
            self._ask_others()
            slots = sum(reached.threads().values())
            if slots < reached.processes and reached.refill is not None:
                reached.refill()
            if through or slots:
                alone_since = None
                continue
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > reached.patience:
                raise ClusterError(
                    f"{reached.named} has had no worker for {reached.patience:.0f} s: start some"
                    " (dask worker), and begin again"
                )

    def _take(self, one: _Asked) -> None:
        """Take in the answer of an item that is through."""
        if not one.future.done():
            return  # asked for again meanwhile
        try:
            with self._reached.in_words():
                found = self._reached.fetched(one.future, _FETCH_SECONDS * (one.fetches + 1))
        except _dask().KilledWorker as error:
            if one.attempts == _ATTEMPTS:
                raise ClusterError(
                    f"{one.item}: every worker that computes it is killed, the last one was"
                    f" {error.last_worker.address}; it may need more memory than they have (see"
                    " the workers' own logs)"
                ) from None
            one.future = self._submit(one.item, self._others())
            one.attempts += 1
        except TimeoutError:
            self._not_given(one)
        else:
            one.answer, one.future = found, None
            one.earlier.clear()  # which tells dask that nobody wants it any more

    def _not_given(self, one: _Asked) -> None:
        """See why a result does not come, and ask elsewhere if its worker does not answer."""
        holders = self._reached.holders([one.future]).get(one.future.key, set())
        if not (holders and one.future.done()):
            return  # lost with its worker, and being computed again
        one.fetches += 1
        if one.fetches == _ATTEMPTS:
            raise ClusterError(
                f"{one.item}: it is computed, and the result does not come from the worker"
                f" {' or '.join(sorted(holders))} within {_ATTEMPTS * _FETCH_SECONDS:.0f} s; end"
                " that worker if it hangs, or see how fast the network is"
            )
        self._refused |= holders

    def _look_back(self, wanted: Sequence[_Asked]) -> None:
        """Take what workers have made that were silent and are heard of again."""
        if not any(one.earlier for one in wanted):
            return
        there, silent = self._reached.threads(), self._silent
        for one in wanted:
            one.earlier = [(some, worker) for some, worker in one.earlier if worker in there]
            made = [
                some
                for some, worker in one.earlier
                if worker not in silent and some.status == "finished"
            ]
            if made and not one.future.done():
                one.future = made[0]

    def _ask_others(self) -> None:
        """Ask others, if there are any, for all that silent workers have or are at."""
        if not self._others():
            return
        silent = self._silent
        running = {one.future.key: one for one in self._asked if one.future is not None}
        held = self._reached.holders(one.future for one in running.values())
        at = self._reached.under_way(silent)
        for key, one in running.items():
            holders = held.get(key)
            if key in at or (holders and holders <= silent):
                one.earlier.append((one.future, at.get(key) or min(holders or {""})))
                one.future = self._submit(one.item, self._others())


def _dask() -> Any:
    """Return dask.distributed, which is imported when it is needed."""
    import distributed  # noqa: PLC0415

    return distributed
