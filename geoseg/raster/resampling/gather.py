"""Reading single pixels of a scene's files: those in which another grid's centres lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.pieces import Mask, Pieces
from geoseg.raster.resampling.lookup import Lookup
from geoseg.raster.window import Window

MOST_AT_ONCE = 1 << 22
"""Source pixels read at once; a fine raster under a coarse grid is read in parts."""


def gather(pieces: Pieces, lookup: Lookup, window: Window, out: NDArray[Any]) -> Mask:
    """Read a window of the lookup's target into (bands, rows, cols); 0 outside the source.

    Each pixel as the lookup's resampling says: that in which its centre lies, or interpolated.

    Returns
    -------
    (rows, cols), True where every band has a reading.

    Raises
    ------
    RasterReadError
        A file cannot be read there.
    """
    if lookup.resampling != "nearest":
        return _interpolated(pieces, lookup, window, out)
    valid = np.zeros((window.height, window.width), bool)
    for part in lookup.parts(window):
        at = part.slices(row_origin=window.row, col_origin=window.col)
        _fetch(pieces, *lookup.pixels(part), out[(slice(None), *at)], valid[at])
    return valid


def _interpolated(pieces: Pieces, lookup: Lookup, window: Window, out: NDArray[Any]) -> Mask:
    from geoseg.raster.resampling.interpolate import interpolate  # noqa: PLC0415 — imports numba

    def read(box: Window) -> tuple[NDArray[Any], Mask]:
        data = np.empty((len(out), box.height, box.width), pieces.dtype)
        valid = pieces.read(box, data)
        return data.astype(out.dtype, copy=False), valid

    return interpolate(read, lookup, window, out, lookup.resampling)


def _fetch(
    pieces: Pieces,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    inside: Mask,
    out: NDArray[Any],
    valid: Mask,
) -> None:
    """Fetch single pixels, by row and column in the files, into views of the result."""
    if not inside.any():
        out[...] = 0
        return
    whole = bool(inside.all())
    r, c = (rows, cols) if whole else (rows[inside], cols[inside])
    top, left = int(r.min()), int(c.min())
    box = Window(top, left, int(r.max()) - top + 1, int(c.max()) - left + 1)
    if box.area > MOST_AT_ONCE and inside.size > 1:
        axis = int(inside.shape[1] > inside.shape[0])
        half = inside.shape[axis] // 2
        for side in (slice(half), slice(half, None)):
            at = (slice(None), side) if axis else (side, slice(None))
            _fetch(pieces, rows[at], cols[at], inside[at], out[(slice(None), *at)], valid[at])
        return
    found = np.empty((len(out), box.height, box.width), pieces.dtype)
    found_valid = pieces.read(box, found)
    r, c = r - top, c - left
    if whole:
        for band, source in zip(out, found, strict=True):
            band[...] = source[r, c]
        valid[...] = found_valid[r, c]
        return
    out[...] = 0
    for band, source in zip(out, found, strict=True):
        band[inside] = source[r, c]
    valid[inside] = found_valid[r, c]
