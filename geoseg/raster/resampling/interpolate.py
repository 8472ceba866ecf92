"""Values between the pixels of a source: bilinear and cubic, from valid readings alone.

Knows positions and readings; knows neither files nor map projections.

A pixel of the target is valid where the pixel of the source in which its centre lies is, as by
nearest neighbour: no reading is invented where there is none, and none is lost. Its value is the
weighted mean of the readings around the centre. Bilinear: the 2 × 2 nearest, those that are invalid
left out and the weights of the others made to sum to 1. Cubic: the 4 × 4 nearest by Keys' kernel
with a = −0.5, whose weights partly are negative and so cannot be left out one by one; where one of
the readings is missing the pixel is bilinear. No reading that is masked ever enters.

Each pixel is computed by itself, in double precision, so results do not depend on windows. Onto
pixels much larger than the source's both kinds pick readings at the centres; they do not average.

Sources
-------
R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on
Acoustics, Speech, and Signal Processing 29 (6), 1981, equation 15. GDAL has the same kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled
from geoseg.raster.resampling.lookup import TIE, Lookup
from geoseg.raster.window import Window

Mask = NDArray[np.bool_]
Read = Callable[[Window], tuple[NDArray[Any], Mask]]
"""Reads a window of the source: (bands, rows, cols) of the result's type, C-contiguous, and (rows,
cols), True where every band has a reading."""

_TAPS: dict[str, int] = {"bilinear": 2, "cubic": 4}
_MOST_AT_ONCE = 1 << 22
"""Source pixels read at once; a fine raster under a coarse grid is read in parts."""


def interpolate(
    read: Read, lookup: Lookup, window: Window, out: NDArray[Any], resampling: str
) -> Mask:
    """Interpolate a window of the lookup's target.

    Parameters
    ----------
    read
        Reads the source; called with windows that lie in it.
    lookup
        Where the target's pixels lie in the source.
    window
        Rows and columns of the target, inside it.
    out
        (bands, rows, cols), float32 or float64, to write into; 0 where there is nothing.
    resampling
        "bilinear" or "cubic".

    Returns
    -------
    (rows, cols), True where the source's pixel around the centre is valid in all bands.
    """
    valid = np.zeros((window.height, window.width), bool)
    for part in lookup.parts(window):
        at = part.slices(row_origin=window.row, col_origin=window.col)
        rows, cols = lookup.positions(part)
        size = (lookup.source.height, lookup.source.width)
        _fetch(read, rows, cols, size, _TAPS[resampling], out[(slice(None), *at)], valid[at])
    return valid


def _fetch(
    read: Read,
    rows: NDArray[np.floating[Any]],
    cols: NDArray[np.floating[Any]],
    size: tuple[int, int],
    taps: int,
    out: NDArray[Any],
    valid: Mask,
) -> None:
    """Interpolate at positions, into views of the result."""
    with np.errstate(invalid="ignore"):  # NaN, where a place has no coordinates in the source
        inside = (rows + TIE >= 0) & (cols + TIE >= 0)
        inside &= (rows + TIE < size[0]) & (cols + TIE < size[1])
    if not inside.any():
        out[...] = 0
        return
    r, c = rows[inside], cols[inside]
    top, left = (max(0, math.floor(v.min() - 0.5) - taps // 2 + 1) for v in (r, c))
    bottom, right = (
        min(limit, math.floor(v.max() - 0.5) + taps // 2 + 1)
        for v, limit in zip((r, c), size, strict=True)
    )
    # A centre on the outer border lies in the last pixel, and half of what is around it nowhere.
    top, left = min(top, size[0] - 1), min(left, size[1] - 1)
    box = Window(top, left, max(bottom, top + 1) - top, max(right, left + 1) - left)
    if box.area > _MOST_AT_ONCE and inside.size > 1:
        axis = int(inside.shape[1] > inside.shape[0])
        half = inside.shape[axis] // 2
        for side in (slice(half), slice(half, None)):
            at = (slice(None), side) if axis else (side, slice(None))
            _fetch(read, rows[at], cols[at], size, taps, out[(slice(None), *at)], valid[at])
        return
    data, there = read(box)
    if not there.any():
        out[...] = 0
        return
    _between(
        np.ascontiguousarray(data),
        np.ascontiguousarray(there),
        np.where(inside, rows, np.nan),
        np.where(inside, cols, np.nan),
        top,
        left,
        taps,
        out,
        valid,
    )


@compiled("void(float64, int64, float64[::1])", inline=True)
def _weights(f: float, taps: int, out: NDArray[np.float64]) -> None:
    """Weights of the readings around a place that lies `f` behind the second of 4, first of 2."""
    if taps == 2:
        out[0] = 1.0 - f
        out[1] = f
        return
    g = 1.0 - f
    out[0] = -0.5 * f * g * g
    out[1] = 1.0 + f * f * (1.5 * f - 2.5)
    out[2] = 1.0 + g * g * (1.5 * g - 2.5)
    out[3] = -0.5 * g * f * f


@compiled(
    "float64(float32[:,:,::1], boolean[:,::1], float64, float64, int64, float64[::1],"
    " float64[::1], float64[::1])",
    "float64(float64[:,:,::1], boolean[:,::1], float64, float64, int64, float64[::1],"
    " float64[::1], float64[::1])",
    inline=True,
)
def _around(
    data: NDArray[Any],
    there: Mask,
    row: float,
    col: float,
    taps: int,
    down: NDArray[np.float64],
    across: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> float:
    """Sum up each band's weighted readings around a place between their centres.

    Returns the sum of the weights; 0 for cubic where a reading is missing.
    """
    bands, height, width = data.shape
    first_row, first_col = math.floor(row), math.floor(col)
    _weights(row - first_row, taps, down)
    _weights(col - first_col, taps, across)
    first_row -= taps // 2 - 1
    first_col -= taps // 2 - 1
    total = 0.0
    sums[:] = 0.0
    for a in range(taps):
        for b in range(taps):
            weight = down[a] * across[b]
            if weight == 0.0:
                continue
            r, c = first_row + a, first_col + b
            if 0 <= r < height and 0 <= c < width and there[r, c]:
                total += weight
                for k in range(bands):
                    sums[k] += weight * data[k, r, c]
            elif taps > 2:
                return 0.0
    return total


@compiled(
    "void(float32[:,:,::1], boolean[:,::1], float64[:,::1], float64[:,::1], int64, int64, int64,"
    " float32[:,:,:], boolean[:,:])",
    "void(float64[:,:,::1], boolean[:,::1], float64[:,::1], float64[:,::1], int64, int64, int64,"
    " float64[:,:,:], boolean[:,:])",
)
def _between(
    data: NDArray[Any],
    there: Mask,
    rows: NDArray[np.float64],
    cols: NDArray[np.float64],
    top: int,
    left: int,
    taps: int,
    out: NDArray[Any],
    valid: Mask,
) -> None:
    """Interpolate; `data` and `there` begin at row `top`, column `left` of the source."""
    bands = len(data)
    down, across, sums = np.empty(4), np.empty(4), np.empty(bands)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            row, col = rows[i, j], cols[i, j]
            # A comparison with NaN is false.
            if row + TIE >= top and col + TIE >= left:
                valid[i, j] = there[math.floor(row + TIE) - top, math.floor(col + TIE) - left]
            else:
                valid[i, j] = False
            if not valid[i, j]:
                for k in range(bands):
                    out[k, i, j] = 0
                continue
            # Whole numbers are taken off without rounding, so windows make no difference.
            row, col = row - top - 0.5, col - left - 0.5
            total = _around(data, there, row, col, taps, down, across, sums)
            if total == 0.0:
                total = _around(data, there, row, col, 2, down, across, sums)
            for k in range(bands):
                out[k, i, j] = sums[k] / total
