"""Compiled loops over the sides of polygons: which pixels they pass through, and which are near."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled


@compiled("void(float64[:, ::1], int64, int64, boolean[:, ::1])")
def mark_passed(sides: NDArray[np.float64], row: int, col: int, found: NDArray[np.bool_]) -> None:
    """Mark the pixels through whose inside a side passes; `found` begins at `row`, `col`."""
    height, width = found.shape
    for k in range(sides.shape[0]):
        x0, y0, x1, y1 = sides[k, 0] - col, sides[k, 1] - row, sides[k, 2] - col, sides[k, 3] - row
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        level = y0 == y1
        if level and y0 == math.floor(y0):
            continue  # along a border of pixels
        first = max(0, math.floor(max(y0, -1.0)))
        stop = min(height, math.ceil(min(y1, height + 1.0)))
        if level:
            stop = min(height, first + 1) if y0 >= 0 else 0
        for r in range(first, stop):
            if level:
                left, right = x0, x1
            else:
                by_row = (x1 - x0) / (y1 - y0)
                left = x0 if y0 >= r else x0 + (r - y0) * by_row
                right = x1 if y1 <= r + 1 else x0 + (r + 1 - y0) * by_row
            if left > right:
                left, right = right, left
            begin = math.floor(max(left, -1.0))
            end = math.ceil(min(right, width + 1.0))
            for c in range(max(0, begin), min(width, end)):
                found[r, c] = True


@compiled("void(float64[:, ::1], float64, float64, float64, int64, int64, boolean[:, ::1])")
def mark_near(
    sides: NDArray[np.float64],
    reach: float,
    wide: float,
    high: float,
    row: int,
    col: int,
    found: NDArray[np.bool_],
) -> None:
    """Mark the pixels whose centres are no farther than `reach` from a side.

    A pixel is `wide` by `high`, in the units of `reach`. Within a row of centres, what is near a
    side is one run of columns: what is near its ends, and what is near between them.
    """
    height, width = found.shape
    for k in range(sides.shape[0]):
        ax, ay = (sides[k, 0] - col) * wide, (sides[k, 1] - row) * high
        bx, by = (sides[k, 2] - col) * wide, (sides[k, 3] - row) * high
        dx, dy = bx - ax, by - ay
        length = math.sqrt(dx * dx + dy * dy)
        low, most = min(ay, by) - reach, max(ay, by) + reach
        first = max(0, math.ceil(max(low / high - 0.5, -1.0)))
        last = min(height - 1, math.floor(min(most / high - 0.5, height + 1.0)))
        for r in range(first, last + 1):
            y = (r + 0.5) * high
            left, right = math.inf, -math.inf
            for end in range(2):
                x, off = (ax, y - ay) if end == 0 else (bx, y - by)
                if abs(off) <= reach:
                    half = math.sqrt(reach * reach - off * off)
                    left, right = min(left, x - half), max(right, x + half)
            if length > 0:
                # Between the ends: 0 ≤ along ≤ length², and across no farther than the reach.
                begin, stop = -math.inf, math.inf
                empty = False
                for line in range(2):
                    if line == 0:
                        by_x, at, low, most = dx, (y - ay) * dy - ax * dx, 0.0, length * length
                    else:
                        by_x, at = dy, -(y - ay) * dx - ax * dy
                        low, most = -reach * length, reach * length
                    if by_x == 0:
                        empty = empty or at < low or at > most
                        continue
                    one, other = (low - at) / by_x, (most - at) / by_x
                    begin = max(begin, min(one, other))
                    stop = min(stop, max(one, other))
                if not empty and begin <= stop:
                    left, right = min(left, begin), max(right, stop)
            if left > right:
                continue
            first_col = max(0, math.ceil(max(left / wide - 0.5, -1.0)))
            last_col = min(width - 1, math.floor(min(right / wide - 0.5, width + 1.0)))
            for c in range(first_col, last_col + 1):
                found[r, c] = True
