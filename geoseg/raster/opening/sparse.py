"""Which blocks of a TIFF are not in the file: those that nobody wrote, of a sparse one.

GDAL makes such a block anew for every reader, in its cache, band by band, and copies it out; who
knows that it is not there need not ask.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.window import Window

__all__ = ["Blocks", "known_missing", "missing_blocks"]

_WIDTH, _HEIGHT, _BANDS, _STRIP_ROWS, _PLANAR = 256, 257, 277, 278, 284
_STRIP_SIZES, _TILE_WIDTH, _TILE_HEIGHT, _TILE_SIZES = 279, 322, 323, 325
_NUMBERS = {3: "u2", 4: "u4", 16: "u8"}
_MOST_BLOCKS = 1 << 24
"""A file of more is read as any other."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of a raster that are not in its file."""

    rows: int
    """Of a block."""
    cols: int
    missing: NDArray[np.bool_]
    """(planes, down, across); one plane for all bands, or one a band."""

    def has_none(self, window: Window) -> bool:
        """Tell whether no block of a window is in the file, of any band."""
        down = slice(window.row // self.rows, -(-window.row_stop // self.rows))
        across = slice(window.col // self.cols, -(-window.col_stop // self.cols))
        return bool(self.missing[:, down, across].all())


def missing_blocks(path: str | Path) -> Blocks | None:
    """Find the blocks of a TIFF that are not in it.

    Returns
    -------
    None where all are there, or where it is not known: of other formats, and of damaged files.
    """
    try:
        with Path(path).open("rb") as file:
            fields = _first_directory(file)
            if fields is None:
                return None
            return _blocks(fields)
    except (OSError, struct.error, KeyError, ValueError, IndexError, OverflowError):
        return None


def known_missing(path: str) -> Blocks | None:
    """Return what `missing_blocks` does, as it was found before of a file that is the same."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _known(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1024)
def _known(path: str, changed_ns: int, size: int) -> Blocks | None:
    del changed_ns, size  # they tell files of one name apart
    return missing_blocks(path)


def _blocks(fields: dict[int, NDArray[Any]]) -> Blocks | None:
    height, width = int(fields[_HEIGHT][0]), int(fields[_WIDTH][0])
    if _TILE_SIZES in fields:
        sizes = fields[_TILE_SIZES]
        rows, cols = int(fields[_TILE_HEIGHT][0]), int(fields[_TILE_WIDTH][0])
    else:
        sizes = fields[_STRIP_SIZES]
        rows, cols = int(fields[_STRIP_ROWS][0]), width
    rows = min(rows, height)
    if (sizes != 0).all():
        return None
    down, across = -(-height // rows), -(-width // cols)
    apart = _PLANAR in fields and int(fields[_PLANAR][0]) == 2
    planes = int(fields[_BANDS][0]) if apart and _BANDS in fields else 1
    return Blocks(rows, cols, (sizes == 0).reshape(planes, down, across))


def _first_directory(file: BinaryIO) -> dict[int, NDArray[Any]] | None:
    """Read the whole numbers of the first directory by their tags; None of what is no TIFF."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return None
    (version,) = struct.unpack_from(f"{order}H", head, 2)
    if version not in (42, 43):
        return None
    big = version == 43
    pointer, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    inline = 8 if big else 4
    (place,) = struct.unpack_from(f"{order}{pointer}", head, 8 if big else 4)
    file.seek(place)
    (entries,) = struct.unpack(f"{order}{count}", file.read(struct.calcsize(count)))
    raw = file.read(entries * entry)
    found: dict[int, NDArray[Any]] = {}
    for at in range(0, len(raw), entry):
        tag, kind = struct.unpack_from(f"{order}HH", raw, at)
        (number,) = struct.unpack_from(f"{order}{pointer}", raw, at + 4)
        if kind not in _NUMBERS or number > _MOST_BLOCKS:
            continue
        dtype = np.dtype(order + _NUMBERS[kind])
        start, size = at + 4 + inline, number * dtype.itemsize
        if size <= inline:
            values = raw[start : start + size]
        else:
            file.seek(struct.unpack_from(f"{order}{pointer}", raw, start)[0])
            values = file.read(size)
        found[tag] = np.frombuffer(values, dtype, number)
    return found
