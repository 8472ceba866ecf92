"""What dask raises when a scheduler is gone, in our words."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from types import TracebackType

from geoseg.errors import ClusterError

_GONE = (CancelledError, asyncio.CancelledError, OSError, RuntimeError)


class InWords:
    """Says in geoseg's words that a scheduler is gone; timeouts are for who set them."""

    def __init__(self, named: str) -> None:
        self._named = named

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, _GONE) and not isinstance(error, TimeoutError):
            why = " ".join(str(error).split()) or type(error).__name__
            raise ClusterError(
                f"{self._named} is gone ({why}): see that its scheduler runs, and begin again"
            ) from error
