"""Compiled loops that join bands: pieces of borders to arcs, components to components.

An *arc* is a whole stretch of border between two nodes, or a ring without nodes. It has the form of
a piece (`_trace.trace_band`). So that it does not depend on the bands, an arc begins at the lesser
of its nodes, row by row; one that returns to its node with the lesser heading; and a ring with its
first corner, going east.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

NODE, TOP, BOTTOM, CLOSED, RING = (
    0,
    1,
    2,
    3,
    4,
)  # as in `_trace`: compiled loops see constants of their own file

_Pieces = tuple[
    NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]
]


@compiled(
    "Tuple((uint8[:, ::1], uint8[:, ::1], int32[:, ::1], int64[::1], int32[:, ::1]))"
    "(uint8[:, ::1], uint8[:, ::1], int32[:, ::1], int64[::1], int32[:, ::1], boolean[::1])"
)
def take_pieces(
    kinds: NDArray[np.uint8],
    headings: NDArray[np.uint8],
    sides: NDArray[np.int32],
    firsts: NDArray[np.int64],
    corners: NDArray[np.int32],
    wanted: NDArray[np.bool_],
) -> _Pieces:
    """Return the pieces that are wanted (pieces,)."""
    count, size = 0, 0
    for piece in range(wanted.size):
        if wanted[piece]:
            count += 1
            size += firsts[piece + 1] - firsts[piece]
    new_kinds, new_headings = np.empty((count, 2), np.uint8), np.empty((count, 2), np.uint8)
    new_sides, new_firsts = np.empty((count, 2), np.int32), np.zeros(count + 1, np.int64)
    new_corners = np.empty((size, 2), np.int32)
    count, size = 0, 0
    for piece in range(wanted.size):
        if wanted[piece]:
            new_kinds[count], new_headings[count] = kinds[piece], headings[piece]
            new_sides[count] = sides[piece]
            for k in range(firsts[piece], firsts[piece + 1]):
                new_corners[size] = corners[k]
                size += 1
            count += 1
            new_firsts[count] = size
    return new_kinds, new_headings, new_sides, new_firsts, new_corners


@compiled("void(int32[:, ::1], int64, int64)")
def _reverse(corners: NDArray[np.int32], begin: int, end: int) -> None:
    end -= 1
    while begin < end:
        for axis in range(2):
            corners[begin, axis], corners[end, axis] = corners[end, axis], corners[begin, axis]
        begin += 1
        end -= 1


@compiled("boolean(int32[:, ::1], int64, int64)", inline=True)
def _before(corners: NDArray[np.int32], one: int, other: int) -> bool:
    if corners[one, 0] != corners[other, 0]:
        return bool(corners[one, 0] < corners[other, 0])
    return bool(corners[one, 1] < corners[other, 1])


@compiled("int64(int32[:, ::1], int64, int64, boolean)")
def _settle_ring(corners: NDArray[np.int32], begin: int, end: int, is_straight: bool) -> int:
    """Let a ring that repeats its first corner begin with its least; return where it ends."""
    end -= 1
    if is_straight:  # the first corner is none
        end -= 1
        for k in range(begin, end):
            corners[k] = corners[k + 1]
    least = begin
    for k in range(begin + 1, end):
        if _before(corners, k, least):
            least = k
    _reverse(corners, begin, least)
    _reverse(corners, least, end)
    _reverse(corners, begin, end)
    return end


@compiled("int64[::1](uint8[:, ::1], int64[::1], int32[:, ::1], int64, int64)")
def _find_mates(
    kinds: NDArray[np.uint8],
    firsts: NDArray[np.int64],
    corners: NDArray[np.int32],
    olds: int,
    cols: int,
) -> NDArray[np.int64]:
    """Find which ends of pieces meet: end e of piece p is 2 p + e, −1 is none; see `chain_pieces`.

    Lower ends of earlier pieces that meet none become nodes in `kinds`.
    """
    below = np.full(cols + 1, -1, np.int64)
    mates = np.full(2 * kinds.shape[0], -1, np.int64)
    for terminal in range(2 * olds, mates.size):
        piece, end = terminal >> 1, terminal & 1
        if kinds[piece, end] == TOP:
            below[corners[firsts[piece + 1] - 1 if end else firsts[piece], 1]] = terminal
    for terminal in range(2 * olds):
        piece, end = terminal >> 1, terminal & 1
        if kinds[piece, end] == BOTTOM:
            mate = below[corners[firsts[piece + 1] - 1 if end else firsts[piece], 1]]
            if mate >= 0:
                mates[terminal], mates[mate] = mate, terminal
            else:
                kinds[piece, end] = NODE
    return mates


@compiled(
    "Tuple((int64, int64, int64, int64))(int64, uint8[:, ::1], int64[::1], int32[:, ::1],"
    " int64[::1], boolean[::1], int32[:, ::1], int64)"
)
def _walk_chain(
    terminal: int,
    headings: NDArray[np.uint8],
    firsts: NDArray[np.int64],
    corners: NDArray[np.int32],
    mates: NDArray[np.int64],
    seen: NDArray[np.bool_],
    new_corners: NDArray[np.int32],
    size: int,
) -> tuple[int, int, int, int]:
    """Write the corners of a chain from `size` on, from the end `terminal` of a piece.

    Returns the new size, the headings in which the chain departs and arrives, and its last end.
    """
    depart, arrive, last = -1, -1, terminal
    while terminal >= 0 and not seen[terminal >> 1]:
        piece, end = terminal >> 1, terminal & 1
        seen[piece] = True
        begin, count = firsts[piece], firsts[piece + 1] - firsts[piece]
        ahead = int((headings[piece, 1] + 2) & 3 if end else headings[piece, 0])
        skip = 1
        if depart < 0:
            depart, skip = ahead, 0
        elif arrive == ahead:
            size -= 1  # where two pieces meet, a corner stays only if they turn there
        for k in range(skip, count):
            new_corners[size] = corners[begin + count - 1 - k if end else begin + k]
            size += 1
        arrive = int((headings[piece, 0] + 2) & 3 if end else headings[piece, 1])
        last = 2 * piece + 1 - end
        terminal = mates[last]
    return size, depart, arrive, last


@compiled(
    "Tuple((uint8[:, ::1], uint8[:, ::1], int32[:, ::1], int64[::1], int32[:, ::1]))"
    "(uint8[:, ::1], uint8[:, ::1], int32[:, ::1], int64[::1], int32[:, ::1], int64, int64)"
)
def chain_pieces(
    kinds: NDArray[np.uint8],
    headings: NDArray[np.uint8],
    sides: NDArray[np.int32],
    firsts: NDArray[np.int64],
    corners: NDArray[np.int32],
    olds: int,
    cols: int,
) -> _Pieces:
    """Join the pieces of earlier bands (the first `olds`) with those of a new one, end to end.

    Ends of the earlier ones that no new piece goes on from have turned out to be nodes.
    """
    pieces = kinds.shape[0]
    mates = _find_mates(kinds, firsts, corners, olds, cols)
    seen = np.zeros(pieces, np.bool_)
    new_kinds, new_headings = np.empty((pieces, 2), np.uint8), np.empty((pieces, 2), np.uint8)
    new_sides, new_firsts = np.empty((pieces, 2), np.int32), np.zeros(pieces + 1, np.int64)
    new_corners = np.empty_like(corners)
    count, size = 0, 0
    for rings in (False, True):
        for start in range(pieces):
            if seen[start] or not (rings or mates[2 * start] < 0 or mates[2 * start + 1] < 0):
                continue
            end = 0 if rings or mates[2 * start] < 0 else 1
            begin, terminal = size, 2 * start + end
            size, depart, arrive, last = _walk_chain(
                terminal, headings, firsts, corners, mates, seen, new_corners, size
            )
            if rings:
                size = _settle_ring(new_corners, begin, size, depart == arrive)
                turned = new_corners[begin, 0] != new_corners[begin + 1, 0]
                if turned:
                    _reverse(new_corners, begin + 1, size)
                new_kinds[count], new_headings[count] = CLOSED, RING
            else:
                new_kinds[count, 0] = kinds[start, end]
                new_kinds[count, 1] = kinds[last >> 1, last & 1]
                new_headings[count, 0], new_headings[count, 1] = depart, arrive
                back = (arrive + 2) & 3
                turned = new_kinds[count, 0] == NODE and new_kinds[count, 1] == NODE
                if turned and not _before(new_corners, size - 1, begin):
                    turned = not _before(new_corners, begin, size - 1) and back < depart
                if turned:
                    _reverse(new_corners, begin, size)
                    new_headings[count, 0], new_headings[count, 1] = back, (depart + 2) & 3
            left, right = sides[start, end], sides[start, 1 - end]
            new_sides[count, 0] = right if turned else left
            new_sides[count, 1] = left if turned else right
            count += 1
            new_firsts[count] = size
    return (
        new_kinds[:count],
        new_headings[:count],
        new_sides[:count],
        new_firsts[: count + 1],
        new_corners[:size],
    )


@compiled("int64(int32[::1], int64)", inline=True)
def _root(parents: NDArray[np.int32], one: int) -> int:
    while parents[one] != one:
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one


@compiled("int32[::1](uint8[::1], int32[::1], uint8[::1], int32[::1], int64, int64)")
def unite(
    values_above: NDArray[np.uint8],
    row_above: NDArray[np.int32],
    values: NDArray[np.uint8],
    row: NDArray[np.int32],
    opens: int,
    labels: int,
) -> NDArray[np.int32]:
    """Unite the components that go on from one band to the next.

    Parameters
    ----------
    values_above, row_above
        (cols,) pixels of the last row above the band, and the numbers of their components, of which
        there are `opens`; `NOTHING` for nodata.
    values, row
        (cols,) the same of the band's first row; its `labels` components are numbered after those.

    Returns
    -------
    (opens + labels,) the least component that each is one with.
    """
    parents = np.arange(opens + labels).astype(np.int32)
    for col in range(row.size):
        if row[col] >= 0 and values_above[col] == values[col]:
            one, other = _root(parents, row_above[col]), _root(parents, opens + row[col])
            parents[max(one, other)] = min(one, other)
    for one in range(parents.size):
        parents[one] = parents[parents[one]]
    return parents


@compiled("void(int32[::1], int64[:, ::1], int64[:, ::1], int64[::1])")
def merge(
    parents: NDArray[np.int32],
    found: NDArray[np.int64],
    lists: NDArray[np.int64],
    following: NDArray[np.int64],
) -> None:
    """Add up what is known of components that are one.

    Parameters
    ----------
    parents
        (components,) as from `unite`.
    found
        (components, 4) as from `_trace.measure_band`, summed into the least of those that are one.
    lists
        (components, 2) first and last entry of each one's list of arcs, −1 for none; likewise.
    following
        (entries,) the next entry of a list, −1 for none.
    """
    for one in range(parents.size):
        root = parents[one]
        if root == one:
            continue
        found[root, 0] += found[one, 0]
        found[root, 1] += found[one, 1]
        found[root, 2] = max(found[root, 2], found[one, 2])
        found[root, 3] = min(found[root, 3], found[one, 3])
        if lists[one, 0] >= 0:
            if lists[root, 0] < 0:
                lists[root, 0] = lists[one, 0]
            else:
                following[lists[root, 1]] = lists[one, 0]
            lists[root, 1] = lists[one, 1]


@compiled("void(int32[:, ::1], int64, int64[:, ::1], int64[::1], uint8[::1])")
def list_arcs(
    sides: NDArray[np.int32],
    first: int,
    lists: NDArray[np.int64],
    following: NDArray[np.int64],
    waiting: NDArray[np.uint8],
) -> None:
    """Add arcs, numbered from `first` on, to the lists of the components on their sides.

    Entry 2 a of a list is arc a, of which the component is on the left; 2 a + 1, on the right. How
    many components each arc waits for goes into `waiting` (arcs,).
    """
    for k in range(sides.shape[0]):
        waiting[first + k] = 0
        for side in range(2):
            one, entry = sides[k, side], 2 * (first + k) + side
            following[entry] = -1
            if one >= 0:
                if lists[one, 0] < 0:
                    lists[one, 0] = entry
                else:
                    following[lists[one, 1]] = entry
                lists[one, 1] = entry
                waiting[first + k] += 1
