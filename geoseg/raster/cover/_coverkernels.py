"""Compiled loops that share pixels out among cells and polygons, exactly.

Amounts go to slots: `counts` in pixels and `areas` in square metres. Of a class raster, a pixel
belongs to the slot that `slots` gives its code; of probabilities, every slot but the last two gets
the pixel's value, the last but one the pixel itself, and the last one pixels without a reading.

Areas of pixels come at nodes along a row, every ``1 << shift`` columns, and run straight between
(`geoseg.raster.cover.ellipsoid`).

The share of a pixel within polygons is summed from their edges, walked from pixel to pixel: an edge
covers what lies to its right, with the sign of its direction (the signed areas of font rasterisers;
the shares are those of `exactextract`, Baston 2018).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

_SURE = 1e-12
"""So near to none or all of a pixel, a sum of covers is that: only rounding is in between."""


@compiled("float64(float64[:, ::1], int64, int64, int64)", inline=True)
def _area(nodes: NDArray[np.float64], shift: int, row: int, col: int) -> float:
    place = col >> shift
    low: float = nodes[row, place]
    along = (col - (place << shift)) / float(1 << shift)
    area: float = low + (nodes[row, place + 1] - low) * along
    return area


@compiled(
    "void(uint8[:, ::1], uint8[::1], int64, float64[:, ::1], int64, int64[::1], int64[::1],"
    " float64[::1], float64[:, ::1], float64[:, ::1])"
)
def share_row(
    codes: NDArray[np.uint8],
    slots: NDArray[np.uint8],
    row: int,
    nodes: NDArray[np.float64],
    shift: int,
    cols: NDArray[np.int64],
    cells: NDArray[np.int64],
    lengths: NDArray[np.float64],
    counts: NDArray[np.float64],
    areas: NDArray[np.float64],
) -> None:
    """Share one row of classes out among the cells along it; `counts`, `areas` (cells, slots)."""
    counts[:] = 0
    areas[:] = 0
    for piece in range(cols.size):
        col, cell, length = cols[piece], cells[piece], lengths[piece]
        slot = slots[codes[row, col]]
        counts[cell, slot] += length
        areas[cell, slot] += length * _area(nodes, shift, row, col)


@compiled(
    "void(float32[:, :, ::1], boolean[:, ::1], int64, float64[:, ::1], int64, int64[::1],"
    " int64[::1], float64[::1], float64[:, ::1], float64[:, ::1])"
)
def share_values(
    values: NDArray[np.float32],
    valid: NDArray[np.bool_],
    row: int,
    nodes: NDArray[np.float64],
    shift: int,
    cols: NDArray[np.int64],
    cells: NDArray[np.int64],
    lengths: NDArray[np.float64],
    counts: NDArray[np.float64],
    areas: NDArray[np.float64],
) -> None:
    """Share one row of probabilities (bands, rows, cols) out among the cells along it."""
    counts[:] = 0
    areas[:] = 0
    bands = values.shape[0]
    for piece in range(cols.size):
        col, cell, length = cols[piece], cells[piece], lengths[piece]
        area = length * _area(nodes, shift, row, col)
        if not valid[row, col]:
            counts[cell, bands + 1] += length
            areas[cell, bands + 1] += area
            continue
        counts[cell, bands] += length
        areas[cell, bands] += area
        for band in range(bands):
            value = float(values[band, row, col])
            counts[cell, band] += length * value
            areas[cell, band] += area * value


@compiled("void(float64[:, ::1], int64, float64, float64, float64, float64)", inline=True)
def _step(
    cover: NDArray[np.float64], row: int, x0: float, x1: float, height: float, left: float
) -> None:
    """Lay one piece of an edge within a row of pixels, from x0 to x1, `height` rows high (signed).

    `cover` holds by how much the covered share grows from one pixel to the next: a piece within a
    pixel covers of it what is right of the piece, and all of the pixels that follow.
    """
    low, high = (x0, x1) if x0 <= x1 else (x1, x0)
    low, high = low - left, high - left
    col = math.floor(low)
    if high <= col + 1:
        middle = (low + high) / 2 - col
        cover[row, col] += height * (1 - middle)
        cover[row, col + 1] += height * middle
        return
    by_length = height / (high - low)
    here = low
    while here < high:
        there = min(high, col + 1.0)
        part = by_length * (there - here)
        middle = (here + there) / 2 - col
        cover[row, col] += part * (1 - middle)
        cover[row, col + 1] += part * middle
        here = there
        col += 1


@compiled("void(float64[:, ::1], int64, int64, int64, int64, int64, float64[:, ::1])")
def _lay(
    edges: NDArray[np.float64],
    first: int,
    stop: int,
    row: int,
    rows: int,
    left: int,
    cover: NDArray[np.float64],
) -> None:
    """Lay edges (x0, y0, x1, y1, direction), y0 < y1, on the rows `row` to ``row + rows``."""
    for edge in range(first, stop):
        x0, y0, x1, y1 = edges[edge, 0], edges[edge, 1], edges[edge, 2], edges[edge, 3]
        if y1 <= row or y0 >= row + rows:
            continue
        slope = (x1 - x0) / (y1 - y0)
        low, high = min(x0, x1), max(x0, x1)
        top = max(y0, float(row))
        end = min(y1, float(row + rows))
        x = x0 if top == y0 else min(max(x0 + (top - y0) * slope, low), high)
        line = min(math.floor(top), row + rows - 1)
        while top < end:
            below = min(end, line + 1.0)
            x_below = x1 if below == y1 else min(max(x0 + (below - y0) * slope, low), high)
            _step(cover, line - row, x, x_below, edges[edge, 4] * (below - top), float(left))
            top, x = below, x_below
            line += 1


@compiled(
    "void(float64[:, ::1], int64, int64, int64, int64, int64, int64, uint8[:, ::1], uint8[::1],"
    " int64, int64, float64[:, ::1], int64, float64[::1], float64[::1], float64[:, ::1])"
)
def share_polygons(
    edges: NDArray[np.float64],
    first: int,
    stop: int,
    row: int,
    rows: int,
    left: int,
    right: int,
    codes: NDArray[np.uint8],
    slots: NDArray[np.uint8],
    top: int,
    side: int,
    nodes: NDArray[np.float64],
    shift: int,
    counts: NDArray[np.float64],
    areas: NDArray[np.float64],
    cover: NDArray[np.float64],
) -> None:
    """Add the classes within the polygons of some edges, on rows `row` to ``row + rows``.

    `codes` begin at row `top` and column `side` of the grid, `nodes` at row `top` and column 0; the
    polygons lie within the columns `left` to `right`. `cover` is room for (rows, right − left + 2).
    """
    cover[:rows, : right - left + 2] = 0
    _lay(edges, first, stop, row, rows, left, cover)
    for r in range(rows):
        within = 0.0
        line = row - top + r
        for c in range(right - left):
            within += cover[r, c]
            if within <= _SURE:
                continue
            share = 1.0 if within >= 1 - _SURE else within
            col = left + c
            slot = slots[codes[line, col - side]]
            counts[slot] += share
            areas[slot] += share * _area(nodes, shift, line, col)


@compiled(
    "void(float64[:, ::1], int64, int64, int64, int64, int64, int64, float32[:, :, ::1],"
    " boolean[:, ::1], int64, int64, float64[:, ::1], int64, float64[::1], float64[::1],"
    " float64[:, ::1])"
)
def share_polygon_values(
    edges: NDArray[np.float64],
    first: int,
    stop: int,
    row: int,
    rows: int,
    left: int,
    right: int,
    values: NDArray[np.float32],
    valid: NDArray[np.bool_],
    top: int,
    side: int,
    nodes: NDArray[np.float64],
    shift: int,
    counts: NDArray[np.float64],
    areas: NDArray[np.float64],
    cover: NDArray[np.float64],
) -> None:
    """Add the probabilities within the polygons; as `share_polygons`."""
    cover[:rows, : right - left + 2] = 0
    _lay(edges, first, stop, row, rows, left, cover)
    bands = values.shape[0]
    for r in range(rows):
        within = 0.0
        line = row - top + r
        for c in range(right - left):
            within += cover[r, c]
            if within <= _SURE:
                continue
            share = 1.0 if within >= 1 - _SURE else within
            col = left + c
            area = share * _area(nodes, shift, line, col)
            if not valid[line, col - side]:
                counts[bands + 1] += share
                areas[bands + 1] += area
                continue
            counts[bands] += share
            areas[bands] += area
            for band in range(bands):
                value = float(values[band, line, col - side])
                counts[band] += share * value
                areas[band] += area * value
