"""Small files far away: read whole, in few requests, by the first who asks for more than a corner.

Many small requests are slower than a few large ones. What is decoded stays, for the process, until
others need the room.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from geoseg.raster.far.absent import blocks_found, check_present
from geoseg.raster.opening.handles import Handles, is_remote

SMALL_BYTES = 32 << 20
"""Decoded size up to which a file is small."""
KEPT_BYTES = 64 << 20
"""Room for such files, decoded."""
_CORNER = 16
"""One part in so many of a file is a corner: it is read alone."""
_IDLE_SECONDS = 10.0
"""After this time nobody is expected to ask for a file's rest."""
_AT_ONCE = 8 << 20
"""Decoded bytes of a read; of much more, GDAL asks for each block alone."""


@dataclass(eq=False)
class _File:
    """A small file."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: int = 0
    """Bytes that were asked for until now."""
    used: float = 0.0
    """When it was asked for."""
    bands: dict[int, NDArray[Any]] = field(default_factory=dict)
    """Pixels of the bands that were read whole, each (rows, cols)."""
    room: int = 0
    """Bytes that they take."""
    apart: bool = False
    """Whether it is not small, or failed when it was read whole."""

    def is_done(self, now: float) -> bool:
        """Tell whether its room may go to others."""
        idle = self.asked >= self.room or now - self.used > _IDLE_SECONDS
        return idle and not self.lock.locked()


_LOCK = threading.Lock()
_FILES: OrderedDict[str, _File] = OrderedDict()
_MOST_FILES = 1024


def _begin_anew() -> None:
    """Let a forked process take no lock that a thread of its parent held."""
    global _LOCK  # noqa: PLW0603 — one for the process, as are the files
    _LOCK = threading.Lock()
    _FILES.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def read_small(
    handles: Handles, path: str, indexes: Sequence[int], place: RasterioWindow
) -> NDArray[Any] | None:
    """Return a window of some bands, (bands, rows, cols), or None where it is to be read as usual.

    Parameters
    ----------
    handles
        By which the file is opened.
    path
        The file; only a remote one is read here.
    indexes
        Numbers of its bands, from 1.
    place
        Rows and columns of it.

    Raises
    ------
    RasterReadError
        The file cannot be opened.
    """
    if not is_remote(path):
        return None
    file = _file(path)
    if file.apart:
        return None
    with file.lock:
        file.used = time.monotonic()
        bands = file.bands
        if not all(index in bands for index in indexes):
            bands = _load(file, handles, path, indexes, place)
        if not all(index in bands for index in indexes):
            return None
        pixels = int(place.height) * int(place.width)
        file.asked += sum(pixels * bands[index].itemsize for index in indexes)
    top, left = int(place.row_off), int(place.col_off)
    rows, cols = slice(top, top + int(place.height)), slice(left, left + int(place.width))
    return np.stack([bands[index][rows, cols] for index in indexes])


def _file(path: str) -> _File:
    with _LOCK:
        file = _FILES.setdefault(path, _File())
        _FILES.move_to_end(path)
        while len(_FILES) > _MOST_FILES:
            _FILES.popitem(last=False)
        return file


def _has_room(wanting: _File, nbytes: int) -> bool:
    """Make room for a file, if others that are done with leave enough of it.

    So files that are read side by side never drive out one another, to be read again and again.
    """
    now = time.monotonic()
    with _LOCK:
        free = KEPT_BYTES - sum(file.room for file in _FILES.values())
        for file in list(_FILES.values()):
            if free >= nbytes:
                break
            if file.room and file is not wanting and file.is_done(now):
                free += file.room
                file.bands, file.room, file.asked = {}, 0, 0
        if free < nbytes:
            return False
        wanting.room += nbytes
        return True


def _load(
    file: _File, handles: Handles, path: str, indexes: Sequence[int], place: RasterioWindow
) -> dict[int, NDArray[Any]]:
    """Read a file whole if it is small and more than a corner is wanted; return what is there."""
    if file.apart:
        return {}
    try:
        with handles.borrow(path) as dataset:
            if len(set(dataset.dtypes)) > 1 or _decoded(dataset) > SMALL_BYTES:
                file.apart = True
                return {}
            band = _decoded(dataset) // dataset.count
            share = int(place.height) * int(place.width) / (dataset.height * dataset.width)
            together = str(dataset.profile.get("interleave", "")).lower() == "pixel"
            wanted = sorted({*(dataset.indexes if together else indexes)} - {*file.bands})
            asked = file.asked + round(share * band * len(indexes))
            if asked * _CORNER <= band * len(wanted) or not _has_room(file, band * len(wanted)):
                file.asked = asked
                return {}
            file.bands = file.bands | _whole(dataset, path, wanted)
    except RasterioError:
        # Read as usual, what fails is repeated in parts.
        file.apart, file.bands, file.room = True, {}, 0
        handles.forget(path)
    return file.bands


def _decoded(dataset: DatasetReader) -> int:
    pixel: int = np.dtype(dataset.dtypes[0]).itemsize
    return int(dataset.height) * int(dataset.width) * int(dataset.count) * pixel


def _whole(dataset: DatasetReader, path: str, indexes: Sequence[int]) -> dict[int, NDArray[Any]]:
    """Read bands whole, some rows of blocks at a time."""
    height, width = int(dataset.height), int(dataset.width)
    pixels = np.empty((len(indexes), height, width), dataset.dtypes[0])
    rows = int(dataset.block_shapes[0][0])
    step = rows * max(1, _AT_ONCE // max(1, rows * pixels[:, 0].nbytes))
    for top in range(0, height, step):
        count = min(step, height - top)
        window = RasterioWindow(0, top, width, count)
        with blocks_found(path):
            dataset.read(list(indexes), window=window, out=pixels[:, top : top + count])
        check_present(dataset, path, indexes, window)
    return dict(zip(indexes, pixels, strict=True))
