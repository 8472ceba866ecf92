"""Workers that compute items of a list, here or on many machines."""

from __future__ import annotations

import pickle
import uuid
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from geoseg.cluster.asking import Asking
from geoseg.cluster.quiet import quiet_log
from geoseg.cluster.reached import PATIENCE_SECONDS, Reached, reach
from geoseg.cluster.releases import ALWAYS, releases
from geoseg.errors import OptionError

if TYPE_CHECKING:
    from geoseg.cluster.worker import Kept

Value = TypeVar("Value")
Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL = "local"
"""The address of workers of our own."""

WAITING_BYTES = 1 << 30
"""What results that wait here for earlier ones may take."""


class Cluster:
    """Worker processes that compute; a context manager.

    Attributes
    ----------
    address
        As the user gave it.
    """

    def __init__(
        self, reached: Reached, workers: int | None, packages: tuple[str, ...], stack: ExitStack
    ) -> None:
        self.address = reached.address
        self._reached = reached
        self._workers = workers
        self._packages = packages
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
            What must be of the same release everywhere, besides geoseg and Python; see
            `geoseg.cluster.releases.releases`.
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
            from geoseg.cluster import local, tidying  # noqa: PLC0415 — dask is imported
        except ImportError as error:
            raise OptionError(
                "--cluster needs dask.distributed: pip install 'geoseg[cluster]'"
            ) from error
        with ExitStack() as stack:
            stack.enter_context(quiet_log())
            where, refill, is_local = address, None, address == LOCAL
            if is_local:
                processes, workers = local.shared_out(workers, processes)
                where, refill = stack.enter_context(local.local_workers(processes))
            reached = reach(
                address, where, named="the cluster" if is_local else f"the cluster at {address}"
            )
            stack.callback(reached.leave)
            reached.patience, reached.refill, reached.processes = patience, refill, processes or 1
            if not is_local:
                reached.teach(tidying.Tidying())
            reached.wait_for_workers()
            reached.check_releases(packages)
            return cls(reached, workers, (*ALWAYS, *packages), stack.pop_all())

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
        return sum(self._reached.threads().values())

    @property
    def at_once(self) -> int:
        """The same, 1 at least: what work is cut for, as workers may still join."""
        return max(1, self.slots)

    def keep(self, value: Value) -> Kept[Value]:
        """Send a value once to each worker, those that join later included.

        What is given back stands for the value: sent along, as a part of what tasks share, it
        costs nothing, and its `get` gives tasks the one object that there is in their process.
        """
        from geoseg.cluster import tidying, worker  # noqa: PLC0415 — dask is imported

        client = self._reached.client
        name = f"{tidying.PREFIX}{uuid.uuid4().hex}@{client.id}"
        kept = worker.Kept[Value](name, self._workers)
        shared = worker.Shared(name, pickle.dumps(value))
        self._reached.despite_silent(lambda: client.register_plugin(shared) or True)
        return kept

    def let_go(self, kept: Kept[Any]) -> None:
        """Have the workers forget a value."""
        self._reached.forget(kept.name)

    def ordered(
        self,
        task: Callable[[Value, Item], Result],
        shared: Value,
        items: Iterable[Item],
        *,
        ahead: int | None = None,
        result_bytes: int = 0,
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
        result_bytes
            About how large a result is. Where they are large, fewer are ahead, one more than are
            computed at a time at least, and they wait at their workers: those that wait here take
            `WAITING_BYTES` at most, or are one.

        Raises
        ------
        GeosegError
            What a task raised, as it is.
        ClusterError
            The scheduler or all workers are gone, or an item ends each worker that computes it.
        """
        from geoseg.cluster import worker  # noqa: PLC0415 — imports dask

        kept, ours = self.keep(shared), releases(self._packages)
        reached = self._reached

        def submit(item: Item, workers: Sequence[str] | None) -> Any:
            call = pickle.dumps((task, item))
            with reached.in_words(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # about the size of an item
                return reached.client.submit(
                    worker.answer,
                    kept,
                    call,
                    ours,
                    pure=False,
                    workers=workers,
                    # Rather one of them; whoever there is when they are gone.
                    allow_other_workers=workers is not None,
                )

        room = max(1, WAITING_BYTES // max(1, result_bytes))

        def most() -> int:
            at_once = self.at_once
            return ahead if ahead is not None else max(at_once + 1, min(2 * at_once, room))

        try:
            with closing(Asking(reached, submit, room).in_order(iter(items), most)) as answers:
                for answer in answers:
                    yield _value(answer)
        finally:
            self.let_go(kept)


def _value(answer: Any) -> Any:
    """Return what a task returned, or raise what it raised."""
    if answer.error is not None:
        answer.error.add_note(answer.trace)
        raise answer.error
    return answer.value
