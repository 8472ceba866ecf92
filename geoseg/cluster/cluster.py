"""Workers that compute items of a list, here or on many machines."""

from __future__ import annotations

import pickle
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from geoseg.cluster.quiet import quiet_log
from geoseg.cluster.trouble import InWords
from geoseg.errors import ClusterError, OptionError

if TYPE_CHECKING:
    from geoseg.cluster.worker import Kept

Value = TypeVar("Value")
Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL = "local"
"""The address of workers of our own."""

PATIENCE_SECONDS = 60.0
"""How long a cluster may be without a worker."""
_CONNECT_SECONDS = 20.0
_LOOK_SECONDS = 1.0
_ATTEMPTS = 3
"""How often an item is given to dask, which itself gives it to some workers before it gives up."""


@dataclass
class _Asked:
    """An item under way."""

    item: Any
    future: Any
    """None when its answer is here."""
    attempts: int = 1
    answer: Any = None


class Cluster:
    """Worker processes that compute; a context manager.

    Attributes
    ----------
    address
        As the user gave it.
    """

    def __init__(self, address: str, client: Any, workers: int | None, stack: ExitStack) -> None:
        self.address = address
        self._client = client
        self._workers = workers
        self._stack = stack

    @classmethod
    def open(
        cls,
        address: str,
        *,
        workers: int | None = None,
        processes: int | None = None,
        packages: Sequence[str] = (),
        patience: float = PATIENCE_SECONDS,
    ) -> Self:
        """Reach the workers of a scheduler, or start some on this machine.

        Parameters
        ----------
        address
            A dask scheduler, ``tcp://HOST:PORT`` or ``tls://HOST:PORT`` (whose certificates dask's
            own settings name), or ``local``.
        workers
            Threads that tasks use: of each worker of a scheduler, by default as many as that was
            given; of ``local`` in all, by default one a processor.
        processes
            How many ``local`` starts; by default so many that each has at most four threads, and
            two at least.
        packages
            Names of packages whose release must be the same everywhere, besides geoseg and Python.
        patience
            Seconds that may pass without a single worker.

        Raises
        ------
        OptionError
            An address that is none, or dask is not installed.
        ClusterError
            Nobody answers, no worker joins in time, or one is of another release.
        """
        if address != LOCAL and not address.startswith(("tcp://", "tls://", "ucx://")):
            raise OptionError(
                f"--cluster {address} is no address; write tcp://HOST:PORT of a dask scheduler, or"
                " local"
            )
        try:
            from geoseg.cluster import local  # noqa: PLC0415 — imports dask
        except ImportError as error:
            raise OptionError(
                "--cluster needs dask.distributed: pip install 'geoseg[cluster]'"
            ) from error
        with ExitStack() as stack:
            stack.enter_context(quiet_log())
            if address == LOCAL:
                processes, workers = local.shared_out(workers, processes)
                try:
                    where, refill = stack.enter_context(local.local_workers(processes))
                except (OSError, RuntimeError) as error:
                    raise ClusterError(f"no workers could be started here: {error}") from error
            else:
                where, processes, refill = address, 1, None
            client = _reach(where)
            stack.callback(_leave, client)
            cluster = cls(address, client, workers, stack)
            cluster._wait_for_workers(processes, patience)
            cluster._check_releases(packages)
            cluster._patience, cluster._refill, cluster._processes = patience, refill, processes
            cluster._stack = stack.pop_all()
            return cluster

    _patience = PATIENCE_SECONDS
    _processes = 1
    _refill: Callable[[], None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def is_local(self) -> bool:
        """Whether its workers are this machine's."""
        return self.address == LOCAL

    @property
    def slots(self) -> int:
        """How many items the workers that are there compute at a time; 0 if none is."""
        return sum(self._threads().values())

    @property
    def at_once(self) -> int:
        """The same, 1 at least: what work is cut for, as workers may still join."""
        return max(1, self.slots)

    def keep(self, value: Value) -> Kept[Value]:
        """Send a value once to each worker, those that join later included.

        What is given back stands for the value: sent along, as a part of what tasks share, it
        costs nothing, and its `get` gives tasks the one object that there is in their process.
        """
        from geoseg.cluster import worker  # noqa: PLC0415 — imports dask

        kept = worker.Kept[Value](f"geoseg-{uuid.uuid4().hex}", self._workers)
        with self._trouble_in_words():
            content = pickle.dumps(value)
            self._client.register_plugin(worker.Shared(kept.name, content))
        return kept

    def let_go(self, kept: Kept[Any]) -> None:
        """Have the workers forget a value."""
        with suppress(Exception):  # they may be gone, and it with them
            self._client.unregister_worker_plugin(kept.name)

    def ordered(
        self,
        task: Callable[[Value, Item], Result],
        shared: Value,
        items: Iterable[Item],
        *,
        ahead: int | None = None,
    ) -> Generator[Result, None, None]:
        """Compute items at the workers and give the results in the order of the items.

        An item whose worker is lost is computed by another; those whose results are here are not.

        Parameters
        ----------
        task
            A function of a module that workers can import; called as ``task(shared, item)``, by
            several threads of one process at a time if dask gave its workers several. How many
            threads it should use itself, `geoseg.cluster.worker.task_threads` tells it.
        shared
            What all items need. It is pickled, sent once to each worker, those that join later
            included, and made there once: all tasks of a process are given the same object, so
            what that keeps to itself is kept.
        items
            Asked for as they are needed.
        ahead
            How many items may be under way or wait for earlier ones; by default twice as many as
            are computed at a time.

        Raises
        ------
        GeosegError
            What a task raised, as it is.
        ClusterError
            The scheduler or all workers are gone, or an item ends each worker that computes it.
        """
        from geoseg.cluster import worker  # noqa: PLC0415 — imports dask

        kept = self.keep(shared)

        def ask(item: Item) -> Any:
            call = pickle.dumps((task, item))
            with self._trouble_in_words(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # about the size of an item
                return self._client.submit(worker.answer, kept, call, worker.release(), pure=False)

        try:
            with closing(self._in_order(iter(items), ask, ahead)) as results:
                yield from results
        finally:
            self.let_go(kept)

    def _in_order(
        self, items: Iterator[Any], ask: Callable[[Any], Any], ahead: int | None
    ) -> Generator[Any, None, None]:
        asked: deque[_Asked] = deque()
        more = True
        try:
            while True:
                most = ahead if ahead is not None else 2 * self.at_once
                while more and len(asked) < max(1, most):
                    try:
                        item = next(items)
                    except StopIteration:
                        more = False
                    else:
                        asked.append(_Asked(item, ask(item)))
                if not asked:
                    return
                self._collect(asked, ask)
                while asked and asked[0].future is None:
                    yield _value(asked.popleft().answer)
        finally:
            futures = [one.future for one in asked if one.future is not None]
            if futures:
                with suppress(Exception):
                    self._client.cancel(futures)

    def _collect(self, asked: Iterable[_Asked], ask: Callable[[Any], Any]) -> None:
        """Wait until the first item is through, and take in whatever else is by then."""
        dask = _dask()
        alone_since: float | None = None
        first, *_ = asked
        while first.future is not None:
            running = [one.future for one in asked if one.future is not None]
            with (
                suppress(TimeoutError),
                self._trouble_in_words(),
                self._client.as_current(),
            ):
                dask.wait(running, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
            through = [one for one in asked if one.future is not None and one.future.done()]
            for one in through:
                self._take(one, ask)
            slots = self.slots
            if slots < self._processes and self._refill is not None:
                self._refill()
            if through or slots:
                alone_since = None
                continue
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > self._patience:
                raise ClusterError(
                    f"{self._named} has had no worker for {self._patience:.0f} s: start some"
                    " (dask worker), and begin again"
                )

    def _take(self, one: _Asked, ask: Callable[[Any], Any]) -> None:
        """Take in the answer of an item that is through."""
        if one.future is None:
            return
        try:
            with self._trouble_in_words():
                found = one.future.result(timeout=self._patience)
        except _dask().KilledWorker as error:
            if one.attempts == _ATTEMPTS:
                raise ClusterError(
                    f"{one.item}: every worker that computes it is killed, the last one was"
                    f" {error.last_worker.address}; it may need more memory than they have (see"
                    " the workers' own logs)"
                ) from None
            one.future, one.attempts = ask(one.item), one.attempts + 1
            return
        one.answer, one.future = found, None

    @property
    def _named(self) -> str:
        return "the cluster" if self.address == LOCAL else f"the cluster at {self.address}"

    def _threads(self) -> dict[str, int]:
        with self._trouble_in_words():
            found: dict[str, int] = dict(self._client.nthreads())
        return found

    def _trouble_in_words(self) -> InWords:
        return InWords(self._named)

    def _wait_for_workers(self, number: int, patience: float) -> None:
        try:
            with self._trouble_in_words():
                self._client.wait_for_workers(number, timeout=patience)
        except TimeoutError:
            raise ClusterError(
                f"no worker joined {self._named} within {patience:.0f} s: start some (dask worker"
                f" {self.address})"
            ) from None

    def _check_releases(self, packages: Sequence[str]) -> None:
        """Refuse workers of other releases than ours."""
        wanted = ("geoseg", "distributed", *packages)
        with self._trouble_in_words():
            found = self._client.get_versions(packages=list(wanted))
        ours = found["client"]["packages"]
        for address, theirs in found["workers"].items():
            there = theirs["packages"] if isinstance(theirs, dict) else {}
            told = [
                f"{name} {there.get(name) or 'not at all'}, here {ours[name]}"
                for name in wanted
                if there.get(name) != ours[name]
            ]
            if _python(there) != _python(ours):
                told.insert(0, f"Python {_python(there)}, here {_python(ours)}")
            if told:
                raise ClusterError(
                    f"the worker {address} has {'; '.join(told)}: install the same there"
                )


def _value(answer: Any) -> Any:
    """Return what a task returned, or raise what it raised."""
    if answer.error is not None:
        answer.error.add_note(answer.trace)
        raise answer.error
    return answer.value


def _dask() -> Any:
    """Return dask.distributed, which is imported when it is needed."""
    import distributed  # noqa: PLC0415

    return distributed


def _reach(address: str) -> Any:
    """Connect to a scheduler."""
    try:
        with warnings.catch_warnings():
            # Other releases are told in our own words.
            warnings.simplefilter("ignore")
            return _dask().Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ClusterError(
            f"no dask scheduler answers at {address}: start one (dask scheduler), and check the"
            f" address ({why})"
        ) from error


def _leave(client: Any) -> None:
    with suppress(Exception):
        client.close(timeout=5)


def _python(packages: dict[str, Any]) -> str:
    """Return the release of Python without its last number."""
    return ".".join(str(packages.get("python", "?")).split(".")[:2])
