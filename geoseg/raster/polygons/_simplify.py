"""Compiled loops that make arcs simpler without letting any two of them meet.

A corner B between A and C goes if the triangle ABC holds no other corner, on its rim or within,
that is left of this arc or was ever one of another. Taking it away then lets nothing cross: a line
that did would have an end in the triangle. As corners of others count whether or not they are still
there, it makes no difference which arc comes first, or on which thread.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

CLOSED = 3  # as in `_trace`
_MOST = 1 << 26
"""Corners of an arc that is looked at; longer ones stay as they are."""


@compiled("int64(int64, int64)", inline=True)
def _slot(row: int, col: int) -> int:
    return int((row * 73856093) ^ (col * 19349663))


@compiled("boolean(int32[::1], int64, int64, int64)")
def _holds(table: NDArray[np.int32], mask: int, row: int, col: int) -> bool:
    """Tell whether a corner is in a table of corners: pairs, −1 where empty."""
    at = _slot(row, col) & mask
    while table[2 * at] >= 0:
        if table[2 * at] == row and table[2 * at + 1] == col:
            return True
        at = (at + 1) & mask
    return False


@compiled("void(int32[::1], int64, int64, int64)")
def _put(table: NDArray[np.int32], mask: int, row: int, col: int) -> None:
    at = _slot(row, col) & mask
    while table[2 * at] >= 0:
        at = (at + 1) & mask
    table[2 * at], table[2 * at + 1] = row, col


@compiled("int64(int32[:, ::1], int64, int64, int64)", inline=True)
def _doubled(corners: NDArray[np.int32], a: int, b: int, c: int) -> int:
    """Return twice the area of a triangle."""
    one = np.int64(corners[b, 0] - corners[a, 0]) * (corners[c, 1] - corners[a, 1])
    other = np.int64(corners[b, 1] - corners[a, 1]) * (corners[c, 0] - corners[a, 0])
    return int(abs(one - other))


@compiled("boolean(int32[:, ::1], int64, int64, int64, uint8[:, ::1], int64, int32[::1], int64)")
def _is_free(
    corners: NDArray[np.int32],
    a: int,
    b: int,
    c: int,
    bits: NDArray[np.uint8],
    first_line: int,
    gone: NDArray[np.int32],
    mask: int,
) -> bool:
    """Tell whether a triangle holds no corner that counts, but its own three."""
    at = (a, b, c)
    top, bottom = corners[a, 0], corners[a, 0]
    for k in at:
        top, bottom = min(top, corners[k, 0]), max(bottom, corners[k, 0])
    for line in range(top, bottom + 1):
        low, high = np.int64(2**31), np.int64(-1)
        for k in range(3):
            p, q = at[k], at[(k + 1) % 3]
            if corners[p, 0] > corners[q, 0]:
                p, q = q, p
            up, down = np.int64(corners[p, 0]), np.int64(corners[q, 0])
            if not up <= line <= down:
                continue
            left, right = np.int64(corners[p, 1]), np.int64(corners[q, 1])
            if up == down:
                low, high = min(low, left, right), max(high, left, right)
            else:
                along = (right - left) * (line - up)
                low = min(low, left - (-along) // (down - up))
                high = max(high, left + along // (down - up))
        own = bits[line - first_line]
        col = low
        while col <= high:
            byte = own[col >> 3]
            if not byte:
                col = (col | 7) + 1
                continue
            if byte & (128 >> (col & 7)):
                is_own = False
                for k in at:
                    is_own |= corners[k, 0] == line and corners[k, 1] == col
                if not is_own and not _holds(gone, mask, line, int(col)):
                    return False
            col += 1
    return True


@compiled("boolean(int32[:, ::1], int64, int64, int64, int64, float64[::1], float64)")
def _is_near(
    corners: NDArray[np.int32],
    first: int,
    size: int,
    a: int,
    c: int,
    metric: NDArray[np.float64],
    most: float,
) -> bool:
    """Tell whether all corners between two of an arc lie near the straight line between those.

    `metric` brings (columns, rows) to the plane in which distances count; `most` is squared.
    """
    across, down = corners[c, 1] - corners[a, 1], corners[c, 0] - corners[a, 0]
    x, y = metric[0] * across + metric[1] * down, metric[2] * across + metric[3] * down
    length = x * x + y * y
    k = a + 1
    while k != c:
        if k == first + size:  # around the end of a ring
            k = first
            if k == c:
                break
        across, down = corners[k, 1] - corners[a, 1], corners[k, 0] - corners[a, 0]
        u, v = metric[0] * across + metric[1] * down, metric[2] * across + metric[3] * down
        share = min(max((u * x + v * y) / length, 0.0), 1.0)
        u, v = u - share * x, v - share * y
        if u * u + v * v > most:
            return False
        k += 1
    return True


@compiled("int64(int64, int64)", inline=True)
def _rank(doubled: int, place: int) -> int:
    """Return what corners are taken by, the least first: area, then every other one, then place.

    Along a straight staircase all areas are alike; from one end to the other, each step would look
    at all before it.
    """
    zeros = 0
    while zeros < 30 and not place >> zeros & 1:
        zeros += 1
    return (min(doubled, 2**31 - 1) << 31 | zeros << 26) + place


@compiled("int64(int64)", inline=True)
def _room(size: int) -> int:
    """Return the slots of a table that is half empty: a power of two."""
    room = 4
    while room < 2 * size:
        room *= 2
    return room


@compiled(
    "void(int64, int64, boolean, int64, int32[:, ::1], uint8[:, ::1], int64, float64[::1], float64,"
    " int64, int64, int64[:, ::1], int32[::1], boolean[::1])"
)
def _keep_of_arc(
    first: int,
    size: int,
    is_ring: bool,
    least: int,
    corners: NDArray[np.int32],
    bits: NDArray[np.uint8],
    first_line: int,
    metric: NDArray[np.float64],
    most: float,
    rows: int,
    cols: int,
    chain: NDArray[np.int64],
    gone: NDArray[np.int32],
    keep: NDArray[np.bool_],
) -> None:
    """Take corners away from one arc, of which `least` stay; `chain` and `gone` are room."""
    before, after, ranks = chain[0], chain[1], chain[2]
    room = _room(size)
    gone[: 2 * room] = -1
    heap = [np.int64(0) for _ in range(0)]
    last = size if is_ring else size - 1
    for k in range(size):
        before[k], after[k] = (k - 1) % size, (k + 1) % size
    for k in range(1, last):
        row, col = corners[first + k, 0], corners[first + k, 1]
        if (row in (0, rows)) and (col in (0, cols)):
            ranks[k] = -1
            continue
        ranks[k] = _rank(_doubled(corners, first + k - 1, first + k, first + after[k]), k)
        heap.append(ranks[k])
    heapq.heapify(heap)
    left = size
    while len(heap) > 0 and left > least:
        rank = int(heapq.heappop(heap))
        k = rank & (_MOST - 1)
        if ranks[k] != rank or not keep[first + k]:
            continue
        a, b, c = first + before[k], first + k, first + after[k]
        if not _is_near(corners, first, size, a, c, metric, most):
            continue
        if not _is_free(corners, a, b, c, bits, first_line, gone, room - 1):
            continue
        keep[b] = False
        left -= 1
        _put(gone, room - 1, corners[b, 0], corners[b, 1])
        after[before[k]], before[after[k]] = after[k], before[k]
        for near in (before[k], after[k]):
            if 0 < near < last and ranks[near] >= 0:
                doubled = _doubled(corners, first + before[near], first + near, first + after[near])
                ranks[near] = _rank(doubled, near)
                heapq.heappush(heap, ranks[near])


@compiled(
    "boolean[::1](uint8[:, ::1], int64[::1], int32[:, ::1], uint8[:, ::1], int64, float64[::1],"
    " float64, int64, int64)"
)
def keep_corners(
    kinds: NDArray[np.uint8],
    firsts: NDArray[np.int64],
    corners: NDArray[np.int32],
    bits: NDArray[np.uint8],
    first_line: int,
    metric: NDArray[np.float64],
    tolerance: float,
    rows: int,
    cols: int,
) -> NDArray[np.bool_]:
    """Choose the corners that arcs keep.

    Of each arc, the corner goes first that has the smallest triangle with its neighbours (after
    Visvalingam and Whyatt 1993), as long as no corner that went is farther than `tolerance` from
    what is left. An arc that was bent stays bent: so no two between the same nodes become one. A
    ring keeps three corners, and so does an arc that returns to its node. The corners of the raster
    stay.

    Parameters
    ----------
    kinds, firsts, corners
        Arcs, as from `_trace.trace_band`.
    bits
        (lines, bytes) which corners are vertices of any arc, eight columns a byte, from
        `first_line` on; all lines on which the arcs lie.
    metric
        (4,) x of a column and of a row, y of a column and of a row, in the units of `tolerance`.
    rows, cols
        Size of the raster.

    Returns
    -------
    (corners,) True for those that stay.
    """
    keep = np.ones(corners.shape[0], np.bool_)
    most = tolerance * tolerance * (1 + 1e-9)
    longest = 0
    for arc in range(kinds.shape[0]):
        longest = max(longest, firsts[arc + 1] - firsts[arc])
    chain = np.empty((3, longest), np.int64)
    gone = np.empty(2 * _room(longest), np.int32)
    for arc in range(kinds.shape[0]):
        first, size = firsts[arc], firsts[arc + 1] - firsts[arc]
        last = first + size - 1
        is_ring = kinds[arc, 0] == CLOSED
        returns = corners[first, 0] == corners[last, 0] and corners[first, 1] == corners[last, 1]
        least = 4 if returns and not is_ring else 3
        if least < size <= _MOST:
            _keep_of_arc(
                first,
                size,
                is_ring,
                least,
                corners,
                bits,
                first_line,
                metric,
                most,
                rows,
                cols,
                chain,
                gone,
                keep,
            )
    return keep


@compiled("Tuple((int64[::1], int32[:, ::1]))(int64[::1], int32[:, ::1], boolean[::1])")
def drop_corners(
    firsts: NDArray[np.int64], corners: NDArray[np.int32], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return arcs with the corners that are kept: where each begins, and the corners."""
    found = np.empty((np.count_nonzero(keep), 2), np.int32)
    begins = np.zeros_like(firsts)
    size = 0
    for arc in range(firsts.size - 1):
        for k in range(firsts[arc], firsts[arc + 1]):
            if keep[k]:
                found[size] = corners[k]
                size += 1
        begins[arc + 1] = size
    return begins, found
