"""Compiled loops that put the rings of finished components together from arcs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

RING = 4
"""Heading of an arc that is a ring."""


@compiled("int64(int64[::1], int64)", inline=True)
def _first_at(keys: NDArray[np.int64], key: int) -> int:
    """Return the place of the first key that is not less."""
    low, high = 0, keys.size
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled("boolean(int32[:, ::1], int64, int64)", inline=True)
def _before(corners: NDArray[np.int32], one: int, other: int) -> bool:
    if corners[one, 0] != corners[other, 0]:
        return bool(corners[one, 0] < corners[other, 0])
    return bool(corners[one, 1] < corners[other, 1])


@compiled(
    "Tuple((int64[::1], int64[::1]))"
    "(int64, uint8[:, ::1], int64[::1], int32[::1], int32[:, ::1], int64, int64[::1])"
)
def _sorted_entries(
    head: int,
    headings: NDArray[np.uint8],
    firsts: NDArray[np.int64],
    sizes: NDArray[np.int32],
    corners: NDArray[np.int32],
    cols: int,
    following: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a component's arcs by where they begin and in which heading, and the keys of that."""
    count, entry = 0, head
    while entry >= 0:
        count += 1
        entry = following[entry]
    entries, keys = np.empty(count, np.int64), np.empty(count, np.int64)
    entry = head
    for k in range(count):
        arc, back = entry >> 1, entry & 1
        at, depart = firsts[arc], headings[arc, 0] & 3
        if back and headings[arc, 0] != RING:
            at, depart = at + sizes[arc] - 1, (headings[arc, 1] + 2) & 3
        entries[k], keys[k] = entry, (corners[at, 0] * cols + corners[at, 1]) * 4 + depart
        entry = following[entry]
    if count > 1:
        order = np.argsort(keys, kind="mergesort")
        entries, keys = entries[order], keys[order]
    return entries, keys


@compiled(
    "Tuple((int64, int64))(int64[::1], int64[::1], uint8[:, ::1], int64[::1], int32[::1],"
    " int32[:, ::1], int64, int32[:, ::1], int64, int64[:, ::1])"
)
def _follow(
    entries: NDArray[np.int64],
    keys: NDArray[np.int64],
    headings: NDArray[np.uint8],
    firsts: NDArray[np.int64],
    sizes: NDArray[np.int32],
    corners: NDArray[np.int32],
    cols: int,
    room: NDArray[np.int32],
    place: int,
    rings: NDArray[np.int64],
) -> tuple[int, int]:
    """Write one component's rings to `room` from `place` on; return how many, and the new place.

    In `rings` go, for each, its begin, its end, its least corner, and whether it is a hole.
    """
    used = np.zeros(entries.size, np.bool_)
    found = 0
    for start in range(entries.size):
        if used[start]:
            continue
        begin, k = place, start
        while not used[k]:
            used[k] = True
            arc, back = entries[k] >> 1, entries[k] & 1
            first, size = firsts[arc], sizes[arc]
            is_ring = headings[arc, 0] == RING
            # The last corner is the first of the next arc; a ring does not repeat its own.
            for i in range(size if is_ring else size - 1):
                room[place] = corners[first + size - 1 - i if back else first + i]
                place += 1
            if is_ring:
                break
            at = first if back else first + size - 1
            arrive = (headings[arc, 0] + 2) & 3 if back else headings[arc, 1]
            key = (corners[at, 0] * cols + corners[at, 1]) * 4
            k = _first_at(keys, key)
            # A component that touches itself here goes on to the right, around what is not its own:
            # so both sides of the touch become rings of their own, and no ring meets itself.
            if k + 1 < keys.size and keys[k + 1] < key + 4:
                k = _first_at(keys, key + ((arrive + 1) & 3))
        least, area = begin, np.int64(0)
        for i in range(begin, place):
            j = i + 1 if i + 1 < place else begin
            area += np.int64(room[i, 1]) * room[j, 0] - np.int64(room[j, 1]) * room[i, 0]
            if _before(room, i, least):
                least = i
        rings[found, 0], rings[found, 1] = begin, place
        rings[found, 2], rings[found, 3] = least, 1 if area > 0 else 0
        found += 1
    return found, place


@compiled(
    "Tuple((int32[:, ::1], int64[::1], int64[::1]))(int64[::1], uint8[:, ::1], int64[::1],"
    " int32[::1], int32[:, ::1], int64, int64[::1], uint8[::1])"
)
def put_together(
    heads: NDArray[np.int64],
    headings: NDArray[np.uint8],
    firsts: NDArray[np.int64],
    sizes: NDArray[np.int32],
    corners: NDArray[np.int32],
    cols: int,
    following: NDArray[np.int64],
    waiting: NDArray[np.uint8],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Put the polygons of components together.

    Parameters
    ----------
    heads
        (components,) first entry of each one's list of arcs.
    headings
        (arcs, 2) headings in which an arc begins and ends; `RING` for rings.
    firsts, sizes
        (arcs,) where each one's corners begin, and how many there are.
    corners
        (corners, 2) rows and columns.
    cols
        Columns of corners: one more than there are of pixels.
    following
        (2 × arcs,) the next entry of a list; −1 ends it.
    waiting
        (arcs,) how many components still need each arc; counted down.

    Returns
    -------
    points
        (points, 2) columns and rows of corners, ring by ring; each closed, from its least corner
        on. A component lies to the left of its rings, on a map with its first row at the top.
    ring_ends, polygon_ends
        (rings + 1,) and (components + 1,) places in `points` and in `ring_ends`: those of polygon k
        are from entry k to entry k + 1. The first ring of each is its outer one.
    """
    size, most, longest, arcs = 0, 0, 0, 0
    for k in range(heads.size):
        begin, entry, count = size, heads[k], 0
        while entry >= 0:
            size += sizes[entry >> 1]
            count += 1
            entry = following[entry]
        most, longest, arcs = max(most, count), max(longest, size - begin), arcs + count
    room, rings = np.empty((longest, 2), np.int32), np.empty((most, 4), np.int64)
    points = np.empty((size + arcs, 2), np.int32)
    ring_ends, polygon_ends = np.zeros(arcs + 1, np.int64), np.zeros(heads.size + 1, np.int64)
    size, count = 0, 0
    for k in range(heads.size):
        entries, keys = _sorted_entries(heads[k], headings, firsts, sizes, corners, cols, following)
        found, _ = _follow(entries, keys, headings, firsts, sizes, corners, cols, room, 0, rings)
        order = np.empty(found, np.int64)
        for ring in range(found):
            # The outer ring first, then by the least corner.
            at = rings[ring, 2]
            order[ring] = room[at, 0] * cols + room[at, 1] if rings[ring, 3] else np.int64(-1)
        if found > 1:
            order = np.argsort(order, kind="mergesort")
        else:
            order[0] = 0
        for nth in range(found):
            ring = order[nth]
            begin, end, least = rings[ring, 0], rings[ring, 1], rings[ring, 2]
            for i in range(end - begin + 1):
                at = least + i
                at = at - (end - begin) if at >= end else at
                points[size, 0], points[size, 1] = room[at, 1], room[at, 0]
                size += 1
            count += 1
            ring_ends[count] = size
        polygon_ends[k + 1] = count
        for entry in entries:
            waiting[entry >> 1] -= 1
    return points[:size], ring_ends[: count + 1], polygon_ends


@compiled(
    "Tuple((int64, int64))(uint8[:, ::1], int64[::1], int32[::1], int32[:, ::1], int64[::1],"
    " uint8[::1], int64[:, ::1], int64)"
)
def drop_arcs(
    headings: NDArray[np.uint8],
    firsts: NDArray[np.int64],
    sizes: NDArray[np.int32],
    corners: NDArray[np.int32],
    following: NDArray[np.int64],
    waiting: NDArray[np.uint8],
    lists: NDArray[np.int64],
    arcs: int,
) -> tuple[int, int]:
    """Move the arcs that a component still waits for to the front of all arrays.

    `lists` (components, 2) are first and last entries of those that wait. Returns how many arcs and
    how many corners there are afterwards.
    """
    # What is done may lead to one beyond the last; nobody goes there.
    places = np.zeros(arcs + 1, np.int64)
    count, size = 0, 0
    for arc in range(arcs):
        places[arc] = count
        if waiting[arc]:
            first = firsts[arc]
            firsts[count], sizes[count] = size, sizes[arc]
            headings[count], waiting[count] = headings[arc], waiting[arc]
            for k in range(sizes[count]):
                corners[size] = corners[first + k]
                size += 1
            for side in range(2):
                following[2 * count + side] = following[2 * arc + side]
            count += 1
    for entry in range(2 * count):
        # Entries of components that are done lead nowhere, and nobody follows them.
        if following[entry] >= 0:
            following[entry] = 2 * places[following[entry] >> 1] + (following[entry] & 1)
    for one in range(lists.shape[0]):
        for end in range(2):
            if lists[one, end] >= 0:
                lists[one, end] = 2 * places[lists[one, end] >> 1] + (lists[one, end] & 1)
    return count, size


@compiled("void(int64[::1], int64[::1], uint8[::1])")
def pass_over(
    heads: NDArray[np.int64], following: NDArray[np.int64], waiting: NDArray[np.uint8]
) -> None:
    """Let go of the arcs of components of which no polygon is wanted; see `put_together`."""
    for k in range(heads.size):
        entry = heads[k]
        while entry >= 0:
            waiting[entry >> 1] -= 1
            entry = following[entry]
