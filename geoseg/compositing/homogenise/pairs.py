"""Which images of a group overlap, and which only lie side by side.

Knows grids; reads no pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.raster.cover.footprints import boxes_in, outlines
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window

Kind = Literal["overlap", "border"]

_MOST_GAP = 1
"""Pixels between the lines of two images that lie side by side."""
_SAME = 1e-6
"""Sizes and directions that differ by less, relatively, are the same."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two images that can be compared, on the pixels of one of them."""

    first: int
    """Position in the group of the image whose pixels they are compared on: of the two the one with
    larger pixels."""
    second: int
    """Position of the other."""
    kind: Kind
    """"overlap" where they share ground; "border" where a line of one lies beside one of the other,
    at most a pixel apart."""
    grid: Grid
    """Pixels of the first that both cover; of a border, the two lines and what is between them."""
    along: Literal["rows", "cols"] | None = None
    """Of a border, what it runs along: its lines are columns of `grid` ("rows", for they go from
    row to row) or rows of it ("cols")."""
    second_leads: bool = False
    """Of a border, whether the second image's line is the first line of `grid`."""


def find_pairs(grids: Sequence[Grid]) -> list[Pair]:
    """Find all pairs of images that overlap or lie side by side, in the order of the images.

    Images without a coordinate system are in no pair. Images that only meet at a corner are none,
    and neither are those that would lie side by side in different coordinate systems.
    """
    found = []
    for one, other in _near(grids):
        try:
            pair = _compare(one, other, grids)
        except GridError:  # the place of one does not exist in the other's coordinate system
            continue
        if pair is not None:
            found.append(pair)
    return found


def _near(grids: Sequence[Grid]) -> Iterator[tuple[int, int]]:
    """Pairs of images whose bounds, widened by some pixels, meet in one coordinate system."""
    placed = [i for i, grid in enumerate(grids) if grid.crs is not None]
    if len(placed) < 2:
        return
    boxes = np.array([_bounds(grids[i], grids[placed[0]]) for i in placed])
    order = np.argsort(boxes[:, 0], kind="stable")
    lows, found = boxes[order, 0], []
    for place, k in enumerate(order):
        # Only those that begin before this one ends, from west to east.
        others = order[place + 1 : np.searchsorted(lows, boxes[k, 2], side="right")]
        meets = (boxes[others, 1] <= boxes[k, 3]) & (boxes[others, 3] >= boxes[k, 1])
        found += [(min(k, m), max(k, m)) for m in others[meets].tolist()]
    for one, other in sorted(found):
        yield placed[int(one)], placed[int(other)]


def _bounds(grid: Grid, lead: Grid) -> tuple[float, float, float, float]:
    """Bounds in the coordinate system of `lead`; all the plane where they cannot be known."""
    whole = np.array([[0, 0, grid.height, grid.width]], np.int64)
    try:
        x, y = outlines(grid, whole, lead.crs)[0].T
    except GridError:
        return -math.inf, -math.inf, math.inf, math.inf
    # Two pixels of a square image; more of a long one, which costs a closer look and no more.
    pad = 2 * max(np.ptp(x), np.ptp(y)) / min(grid.height, grid.width)
    return x.min() - pad, y.min() - pad, x.max() + pad, y.max() + pad


def _compare(one: int, other: int, grids: Sequence[Grid]) -> Pair | None:
    box = _box(grids[other], grids[one])
    pixel = (box[2] - box[0]) * (box[3] - box[1]) / (grids[other].height * grids[other].width)
    if pixel > 1 + _SAME:
        one, other = other, one
        box = _box(grids[other], grids[one])
    first, second = grids[one], grids[other]
    # Pixels of the first whose centres lie in the second, in rows and in columns.
    top, left, bottom, right = (math.ceil(value - 0.5) for value in box)
    rows = max(top, 0), min(bottom, first.height)
    cols = max(left, 0), min(right, first.width)
    tall, wide = rows[1] > rows[0], cols[1] > cols[0]
    if tall and wide:
        window = Window(rows[0], cols[0], rows[1] - rows[0], cols[1] - cols[0])
        return Pair(first=one, second=other, kind="overlap", grid=first.crop(window))
    if not (tall or wide) or not _parallel(first, second):
        return None
    if tall:
        lines = _lines(left, right, first.width)
        if lines is None:
            return None
        window = Window(rows[0], lines[0], rows[1] - rows[0], lines[1] - lines[0])
    else:
        lines = _lines(top, bottom, first.height)
        if lines is None:
            return None
        window = Window(lines[0], cols[0], lines[1] - lines[0], cols[1] - cols[0])
    return Pair(
        first=one,
        second=other,
        kind="border",
        grid=first.crop(window),
        along="rows" if tall else "cols",
        second_leads=lines[0] < 0,
    )


def _box(grid: Grid, on: Grid) -> NDArray[np.float64]:
    whole = np.array([[0, 0, grid.height, grid.width]], np.int64)
    found: NDArray[np.float64] = boxes_in(grid, whole, on)[0]
    return found


def _lines(start: int, stop: int, length: int) -> tuple[int, int] | None:
    """Lines from the last of the one image to the first of the other, if they are near enough."""
    if start >= length:
        return (length - 1, start + 1) if start - length <= _MOST_GAP else None
    return (stop - 1, 1) if -stop <= _MOST_GAP else None


def _parallel(one: Grid, other: Grid) -> bool:
    """Whether rows of both run in one direction in one coordinate system."""
    if one.crs != other.crs:
        return False
    a, b = one.transform, other.transform
    inverse = ~a
    across = inverse.a * b.b + inverse.b * b.e
    down = inverse.d * b.a + inverse.e * b.d
    straight = abs(inverse.a * b.a + inverse.b * b.d), abs(inverse.d * b.b + inverse.e * b.e)
    return bool(max(abs(across), abs(down)) <= _SAME * min(straight))
