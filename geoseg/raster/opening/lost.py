"""What GDAL lost of a file's head, which it says in its log and nowhere else.

Of a TIFF whose head comes in part, it leaves out the tags that it could not read: nodata, the
place on Earth, names and scales of bands. The file opens, and is another one.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["losses"]

_SAYS = logging.getLogger("rasterio._env")
"""Where rasterio writes what GDAL says."""
_LOST = re.compile(r"IO error during reading of|GeoTIFF tags apparently corrupt")
_LOCAL = threading.local()


class _Ear(logging.Handler):
    """Notes what is lost, for the thread that opens a file."""

    def emit(self, record: logging.LogRecord) -> None:
        heard: list[str] | None = getattr(_LOCAL, "heard", None)
        if heard is not None:
            said = record.getMessage()
            if _LOST.search(said):
                heard.append(said)


_EAR = _Ear(logging.WARNING)


@contextmanager
def losses() -> Iterator[list[str]]:
    """Hear what is lost of files that this thread opens while the context lasts.

    Yields
    ------
    What GDAL said of it, as it is said.
    """
    _SAYS.addHandler(_EAR)  # once: the same is not added again
    before = getattr(_LOCAL, "heard", None)
    heard: list[str] = []
    _LOCAL.heard = heard
    try:
        yield heard
    finally:
        _LOCAL.heard = before
