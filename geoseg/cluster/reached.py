"""Workers that were reached: what is asked of their scheduler."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

from geoseg.cluster.heard import Heard
from geoseg.cluster.releases import ALWAYS, as_dask_tells, differences
from geoseg.cluster.trouble import InWords
from geoseg.errors import ClusterError

Answer = TypeVar("Answer")

PATIENCE_SECONDS = 60.0
"""How long a cluster may be without a worker."""
_CONNECT_SECONDS = 30.0
_KNOCK_SECONDS = 6.0
"""How long to try where nothing listens."""
_BUSY_SECONDS = 30.0
"""How long to wait for the greeting of what listens: of a scheduler that is busy, say."""
_CERTIFICATES = ", ".join(
    f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")
)
_LEAVE_SECONDS = 5.0
_LEAVE_SILENT_SECONDS = 0.5
"""The same where not all would answer."""
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 3.0
"""How long workers that live may take longer to answer than it takes to find others silent."""


@dataclass
class Reached:
    """Workers, by the client of their scheduler."""

    client: Any
    """Of dask."""
    address: str
    """As the user gave it."""
    named: str
    """What the cluster is called in messages."""
    patience: float = PATIENCE_SECONDS
    """Seconds that may pass without a single worker."""
    processes: int = 1
    """How many there should be."""
    refill: Callable[[], None] | None = None
    """Starts those that are missing, if they are ours."""

    def __post_init__(self) -> None:
        self.heard = Heard(self.last_seen)
        self._silent_since: float | None = None

    def in_words(self) -> InWords:
        """Say in words that the scheduler is gone."""
        return InWords(self.named, self.client)

    def threads(self) -> dict[str, int]:
        """Return how many items each worker that is there computes at a time."""
        with self.in_words():
            found: dict[str, int] = dict(self.client.nthreads())
        return found

    def wait_for_workers(self) -> None:
        """Wait until as many workers are there as there should be."""
        try:
            with self.in_words():
                self.client.wait_for_workers(self.processes, timeout=self.patience)
        except TimeoutError:
            raise ClusterError(
                f"no worker joined {self.named} within {self.patience:.0f} s: start some (dask"
                f" worker {self.address})"
            ) from None

    def teach(self, plugin: Any) -> None:
        """Have the scheduler do something of its own from now on; one that must not, does not."""
        with suppress(Exception):
            self.client.register_plugin(plugin)

    def check_releases(self, packages: Sequence[str]) -> None:
        """Refuse workers of other releases than ours, as far as packages' own names tell."""
        names = [name for name in dict.fromkeys((*ALWAYS, *packages)) if ":" not in name]
        found = self.despite_silent(lambda: self.client.get_versions(packages=names))
        if found is None:
            return  # each task looks as well
        ours = as_dask_tells(found["client"]["packages"], names)
        # A scheduler looks into what it hands on, and computes nothing.
        told = differences(
            as_dask_tells(found["scheduler"]["packages"], ["geoseg"]), {"geoseg": ours["geoseg"]}
        )
        if told:
            raise ClusterError(f"the scheduler of {self.named} has {told}: install the same there")
        for address, theirs in found["workers"].items():
            there = theirs["packages"] if isinstance(theirs, dict) else {}
            told = differences(as_dask_tells(there, names), ours)
            if told:
                raise ClusterError(f"the worker {address} has {told}: install the same there")

    def despite_silent(self, ask: Callable[[], Answer]) -> Answer | None:
        """Ask something of all workers, and wait for those that live.

        Returns
        -------
        The answer; None where workers owe it that have not been heard of for long. It reaches those
        that live even so.
        """

        def left() -> bool:
            now = time.monotonic()
            self._silent_since = (self._silent_since or now) if self.heard.silent() else None
            return self._silent_since is not None and now - self._silent_since > _GRACE_SECONDS

        return self._answer(ask, left)

    def fetched(self, future: Any, seconds: float) -> Any:
        """Return the result of an item that is through.

        Raises
        ------
        TimeoutError
            It does not come in time, or is held by workers alone that have fallen silent.
        """

        def left() -> bool:
            silent = self.heard.silent()
            return bool(silent) and self.holders([future]).get(future.key, {""}) <= silent

        found = self._answer(lambda: future.result(timeout=seconds), left)
        if found is None:
            raise TimeoutError
        return found

    def _answer(self, ask: Callable[[], Answer], left: Callable[[], bool]) -> Answer | None:
        """Wait for an answer, or until it is known that some will not give it; then it is None."""
        found: list[Answer] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                found.append(ask())
            except BaseException as error:  # for who waits
                failed.append(error)

        # A thread, for dask waits for all workers until it gives one up, minutes later.
        thread = Thread(target=run, name="geoseg-ask", daemon=True)
        thread.start()
        while True:
            thread.join(_LOOK_SECONDS)
            if failed:
                with self.in_words():
                    raise failed[0]
            if found:
                return found[0]
            if left():
                return None

    def forget(self, name: str) -> None:
        """Have the workers forget what they were sent by a name."""
        with suppress(Exception):  # they may be gone, and it with them; or one does not answer
            seconds = _LEAVE_SILENT_SECONDS if self.heard.silent() else _LEAVE_SECONDS
            self.client.sync(
                self.client.scheduler.unregister_worker_plugin, name=name, callback_timeout=seconds
            )

    def holders(self, futures: Iterable[Any]) -> dict[str, set[str]]:
        """Return the addresses of the workers that hold results, by their keys."""
        with self.in_words():
            found = self.client.who_has(list(futures))
        return {key: set(addresses) for key, addresses in found.items()}

    def under_way(self, workers: Iterable[str]) -> dict[str, str]:
        """Return the keys of what workers are at, and who is."""
        with self.in_words():
            found = self.client.processing(list(workers))
        return {str(key): str(worker) for worker, keys in found.items() for key in keys}

    def last_seen(self) -> dict[str, float]:
        """Return when the scheduler heard of each worker last, on its clock, by their addresses."""
        with self.in_words():
            found = self.client.scheduler_info(n_workers=-1)
        return {address: float(one["last_seen"]) for address, one in found["workers"].items()}

    def leave(self) -> None:
        """Let go of the scheduler."""
        with suppress(Exception):
            self.client.close(timeout=_LEAVE_SECONDS)


def reach(address: str, where: str, *, named: str) -> Reached:
    """Connect to a scheduler.

    Parameters
    ----------
    address
        As the user gave it.
    where
        The scheduler's.
    named
        What the cluster is called in messages.

    Raises
    ------
    ClusterError
        Nobody answers.
    """
    import distributed  # noqa: PLC0415 — not before it is needed

    from geoseg.cluster.knocking import knock  # noqa: PLC0415 — likewise

    start: Any = distributed.Client

    try:
        with warnings.catch_warnings():
            # Other releases are told in our own words.
            warnings.simplefilter("ignore")
            if where == address:
                knock(where, _KNOCK_SECONDS, _BUSY_SECONDS)
            client = start(where, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        advice = "start one (dask scheduler), and check the address"
        if where.startswith("tls://"):
            advice += f", and the certificates that dask's settings name here: {_CERTIFICATES}"
        raise ClusterError(f"no dask scheduler answers at {where}: {advice} ({why})") from error
    return Reached(client, address, named)
