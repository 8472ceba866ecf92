"""Compiled loops over class indices; 255 is no class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

TRUE, UNPREDICTED, PREDICTED, CORRECT = range(4)
"""Places of what is counted of a class in a block."""

_NOTHING = 255


@compiled("void(uint8[:, ::1], uint8[:, ::1], int64[::1], int64[::1], int64[:, :, :, ::1])")
def count_blocks(
    truth: NDArray[np.uint8],
    found: NDArray[np.uint8],
    block_row: NDArray[np.int64],
    block_col: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Add pixels to (block rows, block columns, 4, classes): true, unpredicted, predicted, right.

    `block_row` and `block_col` say in which block each row and column lies.
    """
    rows, cols = truth.shape
    for row in range(rows):
        down = block_row[row]
        for col in range(cols):
            one = truth[row, col]
            if one == _NOTHING:
                continue
            across = block_col[col]
            other = found[row, col]
            if other == _NOTHING:
                out[down, across, 1, one] += 1
                continue
            out[down, across, 0, one] += 1
            out[down, across, 2, other] += 1
            if one == other:
                out[down, across, 3, one] += 1


@compiled("void(uint8[:, ::1], int64, uint8[:, ::1])")
def distance_along_rows(classes: NDArray[np.uint8], reach: int, out: NDArray[np.uint8]) -> None:
    """Distance of each pixel to the nearest one of another class in its row; at most reach + 1."""
    rows, cols = classes.shape
    for row in range(rows):
        for back in range(2):
            # The class met last, where, and where the last pixel of any other class was.
            last = _NOTHING
            here = other = -(1 << 30)
            for step in range(cols):
                col = cols - 1 - step if back else step
                one = classes[row, col]
                if not back:
                    out[row, col] = reach + 1
                if one == _NOTHING:
                    continue
                if one != last:
                    other = here
                    last = one
                here = step
                out[row, col] = min(out[row, col], step - other)


@compiled("boolean(uint8[::1], int64, uint8, int64, float64)", inline=True)
def _other_beside(line: NDArray[np.uint8], col: int, one: int, reach: int, square: float) -> bool:
    """Whether another class than `one` lies in a row, no farther along than what is left."""
    for side in range(1, reach + 1):
        if side * side > square:
            return False
        for place in (col - side, col + side):
            if 0 <= place < line.size and line[place] != _NOTHING and line[place] != one:
                return True
    return False


@compiled(
    "void(uint8[:, ::1], uint8[:, ::1], int64, int64, int64, float64, boolean[:, ::1])",
)
def near_other(
    classes: NDArray[np.uint8],
    along: NDArray[np.uint8],
    first: int,
    stop: int,
    reach: int,
    square: float,
    out: NDArray[np.bool_],
) -> None:
    """Whether a pixel of another class lies within a distance, whose square is given.

    Exact: of each row within reach, the nearest pixel of another class is that of the column
    itself, or `distance_along_rows` away; from a pixel without a class it is looked for.
    """
    rows, cols = classes.shape
    for row in range(first, stop):
        for col in range(cols):
            one = classes[row, col]
            hit = False
            if one != _NOTHING:
                for step in range(2 * reach + 1):
                    down = (step + 1) // 2 * (1 if step % 2 else -1)
                    place = row + down
                    if place < 0 or place >= rows or down * down > square:
                        continue
                    other = classes[place, col]
                    if other == one:
                        side = along[place, col]
                        hit = side <= reach and down * down + side * side <= square
                    elif other != _NOTHING:
                        hit = True
                    else:
                        hit = _other_beside(classes[place], col, one, reach, square - down * down)
                    if hit:
                        break
            out[row - first, col] = hit


@compiled(
    "void(uint8[:, ::1], boolean[:, ::1], uint8[:, ::1], boolean[:, ::1], int64, int64,"
    " int64[:, ::1], int64[:, ::1])"
)
def match_edges(
    classes: NDArray[np.uint8],
    edges: NDArray[np.bool_],
    other: NDArray[np.uint8],
    other_edges: NDArray[np.bool_],
    first: int,
    stop: int,
    offsets: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Count edge pixels of each class (row 0 of `out`), and those with one of the other (row 1).

    `offsets` (n, 2) are the rows and columns to look at, the nearest first.
    """
    rows, cols = classes.shape
    for row in range(first, stop):
        for col in range(cols):
            if not edges[row, col]:
                continue
            one = classes[row, col]
            out[0, one] += 1
            for n in range(offsets.shape[0]):
                y, x = row + offsets[n, 0], col + offsets[n, 1]
                if 0 <= y < rows and 0 <= x < cols and other_edges[y, x] and other[y, x] == one:
                    out[1, one] += 1
                    break


@compiled(
    "void(uint8[:, ::1], uint8[:, ::1], boolean[:, ::1], boolean[:, ::1], int64, int64[:, ::1])"
)
def count_bands(
    truth: NDArray[np.uint8],
    found: NDArray[np.uint8],
    truth_near: NDArray[np.bool_],
    found_near: NDArray[np.bool_],
    first: int,
    out: NDArray[np.int64],
) -> None:
    """Count pixels of each class near borders, into the rows of `out` (6, 256).

    0, 1, 2: near a border of the truth's, of the prediction's, and both with the class in both.
    3, 4, 5: near a border of the truth's: true, predicted, right (the trimap).
    """
    rows, cols = truth_near.shape
    for row in range(rows):
        for col in range(cols):
            one, other = truth[first + row, col], found[first + row, col]
            if found_near[row, col]:
                out[1, other] += 1
            if not truth_near[row, col]:
                continue
            out[0, one] += 1
            out[3, one] += 1
            if other != _NOTHING:
                out[4, other] += 1
            if one == other:
                out[5, one] += 1
                if found_near[row, col]:
                    out[2, one] += 1


@compiled("void(uint8[:, ::1], int64[::1], int64[:, ::1], int64[:, ::1])")
def count_changes(
    classes: NDArray[np.uint8],
    above: NDArray[np.int64],
    right: NDArray[np.int64],
    down: NDArray[np.int64],
) -> None:
    """Count neighbouring pixels with a class, and those of two classes.

    `classes` begins with the row above the first new one, if `above` (1,) says so. `right`
    (2, cols) is of each column and the one before it, `down` (2, rows) of each row and the one
    before it.
    """
    rows, cols = classes.shape
    first = above[0]
    for row in range(first, rows):
        for col in range(cols):
            one = classes[row, col]
            if one == _NOTHING:
                continue
            if col > 0 and classes[row, col - 1] != _NOTHING:
                right[0, col] += 1
                if classes[row, col - 1] != one:
                    right[1, col] += 1
            if row > 0 and classes[row - 1, col] != _NOTHING:
                down[0, row] += 1
                if classes[row - 1, col] != one:
                    down[1, row] += 1
