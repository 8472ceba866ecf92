"""What GDAL lost of a file, which it says in its log and nowhere else.

Of a TIFF whose head comes in part, it leaves out the tags that it could not read: nodata, the
place on Earth, names and scales of bands. The file opens, and is another one. Of the index that
tells where blocks lie, it takes what it could not read for blocks that are not in the file.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["blocks_lost", "losses"]

_SAYS = logging.getLogger("rasterio._env")
"""Where rasterio writes what GDAL says."""
_LOST = re.compile(r"IO error during reading of|GeoTIFF tags apparently corrupt")
_SIGNALS = logging.getLogger("rasterio._err")
"""Where rasterio writes what GDAL signals and goes on after, as news that hardly anybody hears."""
_UNREAD = re.compile(r"Cannot read offset/size for strile")
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


class _Signals(logging.Filter):
    """Notes what is lost of an index; lets through what would have come through without it."""

    def filter(self, record: logging.LogRecord) -> bool:
        unread: list[str] | None = getattr(_LOCAL, "unread", None)
        if unread is not None:
            said = record.getMessage()
            if _UNREAD.search(said):
                unread.append(said)
        above = _SIGNALS.parent
        return above is None or record.levelno >= above.getEffectiveLevel()


_FILTER = _Signals()


@contextmanager
def blocks_lost() -> Iterator[list[str]]:
    """Hear of blocks whose places could not be read, while the context lasts, in this thread.

    It holds for masks, overviews and the parts of a VRT as well.

    Yields
    ------
    What GDAL said of it, as it is said.
    """
    _SIGNALS.addFilter(_FILTER)  # once: the same is not added again
    if _SIGNALS.getEffectiveLevel() > logging.INFO:
        _SIGNALS.setLevel(logging.INFO)
    before = getattr(_LOCAL, "unread", None)
    unread: list[str] = []
    _LOCAL.unread = unread
    try:
        yield unread
    finally:
        _LOCAL.unread = before
