"""Compiled loop over the pixels that two images share.

Sums are added pixel by pixel in the order of rows and columns, so that they do not depend on the
strips that an overlap is read by.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

KINDS = ("uint8", "uint16", "int16", "float32", "float64")
"""Types of readings that the loop takes."""

_SIGNATURE = (
    "int64({0}[:, :, :], {0}[:, :, :], boolean[:, ::1], int64, int64, int64, float64, float64,"
    " float64[:, ::1], float64[:, ::1], float64[:, :, :, ::1], int64[:, ::1])"
)


@compiled(*(_SIGNATURE.format(kind) for kind in KINDS))
def add_pixels(  # noqa: PLR0912 — one loop for all that is summed
    a: NDArray[np.generic],
    b: NDArray[np.generic],
    valid: NDArray[np.bool_],
    row: int,
    tall: int,
    wide: int,
    low: float,
    high: float,
    shifts: NDArray[np.float64],
    sums: NDArray[np.float64],
    cells: NDArray[np.float64],
    filled: NDArray[np.int64],
) -> int:
    """Add the pixels of some rows to the sums of a pair; return how many are valid.

    Parameters
    ----------
    a, b
        (bands, rows, cols) readings of both images.
    valid
        (rows, cols), True where both have one.
    row
        First of the rows, in the pair's.
    tall, wide
        Rows and columns of a cell; 0 for no cells.
    low, high
        Readings at or beyond these may have been clipped: such pixels enter no cell.
    shifts
        (bands, 2): taken off the readings of a and b before they are squared.
    sums
        (bands, 6): of a, a², b, b² (shifted), of |a − b| and of a − b (not shifted).
    cells
        (rows of cells, columns of cells, bands, 2): sums of a and b, shifted.
    filled
        (rows of cells, columns of cells) pixels in each.
    """
    bands, rows, cols = a.shape
    number = 0
    for r in range(rows):
        for c in range(cols):
            if valid[r, c]:
                number += 1
    for band in range(bands):
        shift_a, shift_b = shifts[band, 0], shifts[band, 1]
        s0, s1, s2 = sums[band, 0], sums[band, 1], sums[band, 2]
        s3, s4, s5 = sums[band, 3], sums[band, 4], sums[band, 5]
        for r in range(rows):
            for c in range(cols):
                if valid[r, c]:
                    x, y = np.float64(a[band, r, c]), np.float64(b[band, r, c])
                    difference = x - y
                    x -= shift_a
                    y -= shift_b
                    s0 += x
                    s1 += x * x
                    s2 += y
                    s3 += y * y
                    s4 += abs(difference)
                    s5 += difference
        sums[band, 0], sums[band, 1], sums[band, 2] = s0, s1, s2
        sums[band, 3], sums[band, 4], sums[band, 5] = s3, s4, s5
    if tall == 0:
        return number
    for r in range(rows):
        cell_row = (row + r) // tall
        for c in range(cols):
            if not valid[r, c]:
                continue
            whole = True
            for band in range(bands):
                x, y = np.float64(a[band, r, c]), np.float64(b[band, r, c])
                if x <= low or x >= high or y <= low or y >= high:
                    whole = False
            if whole:
                cell_col = c // wide
                filled[cell_row, cell_col] += 1
                for band in range(bands):
                    cells[cell_row, cell_col, band, 0] += (
                        np.float64(a[band, r, c]) - shifts[band, 0]
                    )
                    cells[cell_row, cell_col, band, 1] += (
                        np.float64(b[band, r, c]) - shifts[band, 1]
                    )
    return number
