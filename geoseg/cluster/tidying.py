"""A scheduler is taught to forget what commands had sent to workers, once they are gone.

A command that is killed cannot tell anyone itself.
"""

from __future__ import annotations

from typing import Any

from distributed import SchedulerPlugin

PREFIX = "geoseg-"
"""How the names of all that is sent begin; they end with ``@`` and the client's own."""


class Tidying(SchedulerPlugin):
    """Forgets what belongs to clients that are gone, from now on and at once."""

    name = "geoseg-tidying"
    idempotent = True

    def add_client(self, scheduler: Any, client: str) -> None:
        """Look when a client comes."""
        del client
        self._tidy(scheduler)

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Look when a client has gone, or its connection has ended."""
        del client
        self._tidy(scheduler)

    def _tidy(self, scheduler: Any) -> None:
        for name in list(scheduler.worker_plugins):
            if name.startswith(PREFIX) and name.rpartition("@")[2] not in scheduler.clients:
                del scheduler.worker_plugins[name]
                scheduler.loop.add_callback(
                    scheduler.broadcast,
                    msg={"op": "plugin-remove", "name": name},
                    on_error="ignore",
                )
