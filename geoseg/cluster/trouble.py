"""What dask raises when a scheduler is gone, in our words."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any

from geoseg.errors import ClusterError

_GONE = (CancelledError, asyncio.CancelledError, ConnectionError)
"""What tells by itself that a scheduler is gone."""


class InWords:
    """Says in geoseg's words that a scheduler is gone; timeouts are for who set them.

    Whatever else is raised is let through as it is: it has another cause.
    """

    def __init__(self, named: str, client: Any) -> None:
        self._named = named
        self._client = client

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._tells_that_it_is_gone(error):
            why = " ".join(str(error).split()) or type(error).__name__
            raise ClusterError(
                f"{self._named} is gone ({why}): see that its scheduler runs, and begin again"
            ) from error

    def _tells_that_it_is_gone(self, error: BaseException) -> bool:
        from distributed.comm.core import CommClosedError  # noqa: PLC0415 — brings dask

        if isinstance(error, TimeoutError):
            return False
        if isinstance(error, (*_GONE, CommClosedError)):
            return True
        # Also raised for a file that is not there, say; dask knows whether it is connected.
        return isinstance(error, OSError | RuntimeError) and self._client.status != "running"
