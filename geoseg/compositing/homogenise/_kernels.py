"""Compiled loops over the readings of one band: sums over squares of pixels, and other colours.

They hold no lock, so that several threads run them. Arithmetic is in float64, and what a pixel
becomes does not depend on its neighbours in the call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

KEEP, LINE, CURVE = range(3)
"""Kinds of change."""

KINDS = ("uint8", "uint16", "int16", "float32", "float64")
"""Types of readings that loops are compiled for."""

_SUMS = (
    "void({0}[:, ::1], boolean[:, ::1], int64, int64, int64, float64, float64[:, ::1],"
    " float64[:, ::1], float64[:, ::1])"
)
_CHANGE = (
    "int64({0}[:, ::1], boolean[:, ::1], int64, float64[::1], float64[::1], float64[::1],"
    " int16[::1], int16[::1], boolean, float64[::1], int64[::1], float64[::1], float64[:, ::1],"
    " float64[:, ::1], float64[::1], boolean)"
)


@compiled(*(_SUMS.format(kind) for kind in KINDS))
def add_sums(
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    row: int,
    col: int,
    cell: int,
    shift: float,
    counts: NDArray[np.float64],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
) -> None:
    """Add count, sum and sum of squares of ``value − shift`` to the square each pixel lies in.

    Sums are of a row of a square first and then of its rows, each in order: so they are the same
    whatever rows come together in one call.

    Parameters
    ----------
    values, valid
        (rows, cols) of one band, and where there is a reading.
    row, col
        Place of the first pixel in the image.
    cell
        Side of a square.
    shift
        Something near the mean, so that nothing cancels.
    counts, first, second
        (rows, cols) of squares.
    """
    for i in range(values.shape[0]):
        down = (row + i) // cell
        start = 0
        while start < values.shape[1]:
            across = (col + start) // cell
            stop = min((across + 1) * cell - col, values.shape[1])
            number, one, two = 0, 0.0, 0.0
            for j in range(start, stop):
                if valid[i, j]:
                    x = np.float64(values[i, j]) - shift
                    number += 1
                    one += x
                    two += x * x
            counts[down, across] += number
            first[down, across] += one
            second[down, across] += two
            start = stop


@compiled("void(float64[::1], float64[::1], float64[::1], int16[::1], int16[::1])", inline=True)
def bend(
    line: NDArray[np.float64],
    knots: NDArray[np.float64],
    becomes: NDArray[np.float64],
    least: NDArray[np.int16],
    most: NDArray[np.int16],
) -> None:
    """Bring a row of readings along a curve; see `change`."""
    last = knots.size - 1
    first, final = knots[0], knots[last]
    parts = least.size
    per = parts / (final - first)
    for j in range(line.size):
        x = line[j]
        if not x > first:
            line[j] = becomes[0] + (x - first)
        elif x >= final:
            line[j] = becomes[last] + (x - final)
        else:
            place = (x - first) * per
            part = np.int64(place) if place < parts else np.int64(parts - 1)
            low, high = np.int64(least[part]), np.int64(most[part])
            while low < high:
                middle = (low + high + 1) // 2
                if knots[middle] <= x:
                    low = middle
                else:
                    high = middle - 1
            share = (x - knots[low]) / (knots[low + 1] - knots[low])
            y = becomes[low] + share * (becomes[low + 1] - becomes[low])
            line[j] = min(y, becomes[low + 1])  # no further than the knot, whatever rounding does


@compiled(
    "void(float64[::1], float64[::1], int64[::1], float64[::1], float64[::1], float64[::1])",
    inline=True,
)
def even_out(
    line: NDArray[np.float64],
    wallis: NDArray[np.float64],
    left: NDArray[np.int64],
    between: NDArray[np.float64],
    means: NDArray[np.float64],
    deviations: NDArray[np.float64],
) -> None:
    """Apply Wallis' adjustment to a row of readings; see `change`."""
    b, c, mean, deviation, limit = wallis[0], wallis[1], wallis[2], wallis[3], wallis[4]
    for j in range(line.size):
        k = left[j]
        t = between[j]
        m = means[k] + t * (means[k + 1] - means[k])
        s = deviations[k] + t * (deviations[k + 1] - deviations[k])
        over = c * deviation
        under = c * s + (1 - c) * deviation
        factor = over / under if over < limit * under else limit
        line[j] = (line[j] - m) * factor + b * mean + (1 - b) * m


@compiled(*(_CHANGE.format(kind) for kind in KINDS))
def change(
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    kind: int,
    line: NDArray[np.float64],
    knots: NDArray[np.float64],
    becomes: NDArray[np.float64],
    least: NDArray[np.int16],
    most: NDArray[np.int16],
    locally: bool,
    wallis: NDArray[np.float64],
    left: NDArray[np.int64],
    between: NDArray[np.float64],
    means: NDArray[np.float64],
    deviations: NDArray[np.float64],
    limits: NDArray[np.float64],
    integral: bool,
) -> int:
    """Change the valid readings of one band in place; return how many did not fit into the type.

    Curves by `bend`, the local adjustment by `even_out`.

    Parameters
    ----------
    values, valid
        (rows, cols), and where there is a reading.
    kind, line
        What to do first; gain and offset of `LINE`.
    knots, becomes, least, most
        Of `CURVE`: readings, what they become, and for each of equal parts of the readings' range
        the first and last knot that may be the next one below.
    locally, wallis
        Whether Wallis' adjustment follows; brightness, contrast, mean and deviation of the image,
        and the most that contrast may be raised by.
    left, between
        For each column the local mean to its left and the way from that to the next, 0 to 1.
    means, deviations
        (rows, local columns).
    limits
        Least and greatest of the type; the value to be avoided, NaN for none, and what readings
        that would become it become instead, from above and from below.
    integral
        Whether to round, half to even.
    """
    rows, cols = values.shape
    buffer = np.empty(cols)
    lowest, highest = limits[0], limits[1]
    avoid, above, below = limits[2], limits[3], limits[4]
    clipped = 0
    for i in range(rows):
        if kind == 1:
            gain, offset = line[0], line[1]
            for j in range(cols):
                buffer[j] = np.float64(values[i, j]) * gain + offset
        else:
            for j in range(cols):
                buffer[j] = np.float64(values[i, j])
        if kind == 2:
            bend(buffer, knots, becomes, least, most)
        if locally:
            even_out(buffer, wallis, left, between, means[i], deviations[i])
        for j in range(cols):
            y = buffer[j]
            z = np.rint(y) if integral else y
            outside = (z < lowest) | (z > highest)
            z = min(max(z, lowest), highest)
            new = values.dtype.type(z)
            if np.float64(new) == avoid:
                new = values.dtype.type(above if y >= avoid else below)
            if valid[i, j]:
                values[i, j] = new
                clipped += outside
    return clipped
