"""Which workers have not been heard of for long: frozen, or cut off without anybody being told.

dask's scheduler gives up on such a worker after minutes, by a setting of its own. Here they are
known sooner, by the moments at which the scheduler heard of them last; what those moments are on
its clock does not matter, only whether they change on ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

_LOOK_SECONDS = 5.0
"""The scheduler is asked no more often."""
_SILENT_SECONDS = 60.0
"""Workers tell that they live every half second; of many workers each does so less often."""
_SECONDS_A_WORKER = 0.02


class Heard:
    """What is known of workers' last signs of life.

    Parameters
    ----------
    last_seen
        Gives the moment at which the scheduler heard of each worker last, by their addresses.
    """

    def __init__(self, last_seen: Callable[[], Mapping[str, float]]) -> None:
        self._last_seen = last_seen
        self._looked = float("-inf")
        self._since: dict[str, tuple[float, float]] = {}
        """The moment that was told, and since when it is told."""

    def silent(self) -> set[str]:
        """Return the addresses of workers that have not been heard of for long."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            told = self._last_seen()
            now = self._looked = time.monotonic()
            before = self._since
            self._since = {
                address: before[address]
                if address in before and before[address][0] == seen
                else (seen, now)
                for address, seen in told.items()
            }
        long = _SILENT_SECONDS + _SECONDS_A_WORKER * len(self._since)
        return {address for address, (_, since) in self._since.items() if now - since > long}
