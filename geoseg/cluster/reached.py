"""Workers that were reached: what is asked of their scheduler."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from geoseg.cluster.releases import ALWAYS, as_dask_tells, differences
from geoseg.cluster.trouble import InWords
from geoseg.errors import ClusterError

PATIENCE_SECONDS = 60.0
"""How long a cluster may be without a worker."""
_CONNECT_SECONDS = 20.0
_KNOCK_SECONDS = 6.0
"""A scheduler that lives greets within one."""
_LEAVE_SECONDS = 5.0


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
        with self.in_words():
            found = self.client.get_versions(packages=names)
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

    def forget(self, name: str) -> None:
        """Have the workers forget what they were sent by a name."""
        with suppress(Exception):  # they may be gone, and it with them; or one does not answer
            self.client.sync(
                self.client.scheduler.unregister_worker_plugin,
                name=name,
                callback_timeout=_LEAVE_SECONDS,
            )

    def holders(self, futures: Iterable[Any]) -> dict[str, set[str]]:
        """Return the addresses of the workers that hold results, by their keys."""
        with self.in_words():
            found = self.client.who_has(list(futures))
        return {key: set(addresses) for key, addresses in found.items()}

    def under_way(self, workers: Iterable[str]) -> set[str]:
        """Return the keys of what workers are at."""
        with self.in_words():
            found = self.client.processing(list(workers))
        return {str(key) for keys in found.values() for key in keys}

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
                knock(where, _KNOCK_SECONDS)
            client = start(where, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ClusterError(
            f"no dask scheduler answers at {where}: start one (dask scheduler), and check the"
            f" address ({why})"
        ) from error
    return Reached(client, address, named)
