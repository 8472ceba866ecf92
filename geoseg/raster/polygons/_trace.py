"""Compiled loops for one band of rows: its components, and the borders between them.

Knows neither files nor other bands; `stream` joins what the bands found.

*Corners* of pixels are (row, column) with (0, 0) the outer corner of the scene's first pixel. A
*border* runs along pixel edges between pixels of different values, outside and nodata being a value
as well. A *node* is a corner where three or four edges of borders meet. A *piece* is a stretch of
border without nodes but at its ends, as far as the band knows it: it ends at a node (`NODE`), on
the upper or lower line of the band where a vertical edge crosses it (`TOP`, `BOTTOM`), or nowhere,
because it is a ring (`CLOSED`). Headings: 0 east, 1 south, 2 west, 3 north.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

NODATA = 255
NODE, TOP, BOTTOM, CLOSED = 0, 1, 2, 3
RING = 4
"""Heading of a ring."""
NOTHING = -1
"""Side of a border on which there is no component: nodata, or outside."""


@compiled("int32(int32[::1], int32)", inline=True)
def _root(parents: NDArray[np.int32], label: int) -> int:
    while parents[label] != label:
        parents[label] = parents[parents[label]]
        label = parents[label]
    return label


@compiled("int64(uint8[:, ::1], int32[:, ::1], int32[::1])")
def _label_loosely(
    band: NDArray[np.uint8], labels: NDArray[np.int32], parents: NDArray[np.int32]
) -> int:
    """Label pixels so that labels with the same root in `parents` are one; return their number."""
    count = 0
    for row in range(labels.shape[0]):
        pixels, own = band[row + 1], labels[row]
        for col in range(labels.shape[1]):
            value = pixels[col]
            if value == NODATA:
                own[col] = NOTHING
                continue
            above = row > 0 and band[row, col] == value
            if col > 0 and pixels[col - 1] == value:
                own[col] = own[col - 1]
                # Where the pixel above left is alike, both were united there already.
                if above and band[row, col - 1] != value:
                    one, other = _root(parents, own[col]), _root(parents, labels[row - 1, col])
                    parents[max(one, other)] = min(one, other)
            elif above:
                own[col] = labels[row - 1, col]
            else:
                parents[count] = count
                own[col] = count
                count += 1
    return count


@compiled("Tuple((int32[:, ::1], int64))(uint8[:, ::1])")
def label_band(band: NDArray[np.uint8]) -> tuple[NDArray[np.int32], int]:
    """Give the 4-connected components of a band numbers, in the order of their first pixels.

    Parameters
    ----------
    band
        (1 + rows, cols): the last row above the band, then the band.

    Returns
    -------
    (rows, cols) labels, `NOTHING` for nodata; and how many there are.
    """
    rows, cols = band.shape[0] - 1, band.shape[1]
    labels = np.empty((rows, cols), np.int32)
    parents = np.empty(rows * cols, np.int32)
    found = 0
    for label in range(_label_loosely(band, labels, parents)):
        # Parents come first, so they have their numbers already.
        if parents[label] == label:
            parents[label] = found
            found += 1
        else:
            parents[label] = parents[parents[label]]
    for row in range(rows):
        own = labels[row]
        for col in range(cols):
            if own[col] >= 0:
                own[col] = parents[own[col]]
    return labels, found


@compiled("void(int32[:, ::1], int64[:, ::1], int64, int64, int64[:, ::1])")
def measure_band(
    labels: NDArray[np.int32],
    areas: NDArray[np.int64],
    block: int,
    first_row: int,
    found: NDArray[np.int64],
) -> None:
    """Measure the components of a band.

    Parameters
    ----------
    labels
        (rows, cols) as from `label_band`.
    areas
        (rows, blocks) area of a pixel, in any unit; a block is `block` columns.
    first_row
        The band's first row in the scene.
    found
        (components, 4) to be filled: pixels, area, last row, and first pixel (row × cols + column).
    """
    rows, cols = labels.shape
    found[:, :2] = 0
    found[:, 3] = -1
    for row in range(rows):
        own = labels[row]
        for place in range(areas.shape[1]):
            begin, end = place * block, min((place + 1) * block, cols)
            while begin < end:
                label = own[begin]
                stop = begin + 1
                while stop < end and own[stop] == label:
                    stop += 1
                if label >= 0:
                    found[label, 0] += stop - begin
                    found[label, 1] += (stop - begin) * areas[row, place]
                    found[label, 2] = first_row + row
                    if found[label, 3] < 0:
                        found[label, 3] = (first_row + row) * cols + begin
                begin = stop


@compiled("Tuple((uint8[:, ::1], int64, int64))(uint8[:, ::1])")
def find_edges(band: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, int]:
    """Find which edges of borders meet at each corner of a band (1 + rows, cols).

    Returns
    -------
    edges
        (rows + 1, cols + 1): bit h is set where an edge leaves in heading h. Of the last line only
        what comes from above is known.
    turns, ends
        How many corners merely turn, and how many edges end at nodes or on the outer lines.
    """
    rows, cols = band.shape[0] - 1, band.shape[1]
    edges = np.zeros((rows + 1, cols + 1), np.uint8)
    turns, ends = 0, 0
    for line in range(rows + 1):
        above = band[line]
        below = band[min(line + 1, rows)]
        is_last = line == rows
        own = edges[line]
        north_west, south_west = np.uint8(NODATA), np.uint8(NODATA)
        for col in range(cols + 1):
            north_east = above[col] if col < cols else np.uint8(NODATA)
            south_east = below[col] if col < cols else np.uint8(NODATA)
            bits = 0
            if north_west != north_east:
                bits |= 8
            if not is_last:
                bits |= (north_east != south_east) * 1
                bits |= (south_west != south_east) * 2
                bits |= (north_west != south_west) * 4
            if bits:
                own[col] = bits
                if bits not in (5, 10):
                    count = (bits & 1) + (bits >> 1 & 1) + (bits >> 2 & 1) + (bits >> 3)
                    turns += count == 2
                    ends += 4 if count > 2 else 0
            north_west, south_west = north_east, south_east
            if bits & 8 and (is_last or line == 0):
                ends += 2
    return edges, turns, ends


@compiled("boolean(uint8)", inline=True)
def _is_node(bits: int) -> bool:
    return bits in (7, 11, 13, 14, 15)


@compiled("int64(uint8[:, ::1], int64, int64)", inline=True)
def _kind(edges: NDArray[np.uint8], line: int, col: int) -> int:
    """Tell what a piece does at a corner: it ends there in some way, or (`CLOSED`) it does not."""
    if line == edges.shape[0] - 1:
        return BOTTOM
    if _is_node(edges[line, col]):
        return NODE
    return TOP if line == 0 and edges[0, col] & 8 else CLOSED


@compiled(
    "Tuple((int64, int64, int64))(uint8[:, ::1], uint8[:, ::1], int64, int64, int64, int64,"
    " int32[:, ::1], int64)"
)
def _walk(
    edges: NDArray[np.uint8],
    left: NDArray[np.uint8],
    line: int,
    start: int,
    heading: int,
    first_row: int,
    corners: NDArray[np.int32],
    place: int,
) -> tuple[int, int, int]:
    """Follow a piece from a corner on, writing its corners from `place` on.

    `left` holds the edges that no piece has; those of this one go. Returns the new place, how the
    piece ends, and the heading of its last edge.
    """
    row, col, kind = line, start, CLOSED
    corners[place, 0], corners[place, 1] = first_row + row, col
    place += 1
    while True:
        left[row, col] &= ~(1 << heading) & 15
        row += int(heading == 1) - int(heading == 3)
        col += int(heading == 0) - int(heading == 2)
        back = 1 << ((heading + 2) & 3)
        left[row, col] &= ~back & 15
        kind = _kind(edges, row, col)
        if kind != CLOSED:
            corners[place, 0], corners[place, 1] = first_row + row, col
            return place + 1, kind, heading
        if row == line and col == start:
            return place, kind, heading
        bits = edges[row, col] & ~back & 15
        following = int(bits > 1) + int(bits > 2) + int(bits > 4)
        if following != heading:
            corners[place, 0], corners[place, 1] = first_row + row, col
            place += 1
            heading = following


@compiled("Tuple((int32, int32))(uint8[:, ::1], int32[:, ::1], int64, int64, int64)", inline=True)
def _sides(
    band: NDArray[np.uint8], labels: NDArray[np.int32], line: int, col: int, heading: int
) -> tuple[int, int]:
    """Return labels to the left and right of the edge that leaves a corner.

    Of a pixel above the band it is −2 − column, unless that is nodata.
    """
    # The pixel north-west of the corner has the row `line − 1` of the band.
    if heading == 0:
        rows, cols = (line - 1, line), (col, col)
    elif heading == 1:
        rows, cols = (line, line), (col, col - 1)
    elif heading == 2:
        rows, cols = (line, line - 1), (col - 1, col - 1)
    else:
        rows, cols = (line - 1, line - 1), (col - 1, col)
    left, right = NOTHING, NOTHING
    if 0 <= cols[0] < labels.shape[1] and band[rows[0] + 1, cols[0]] != NODATA:
        left = labels[rows[0], cols[0]] if rows[0] >= 0 else -2 - cols[0]
    if 0 <= cols[1] < labels.shape[1] and band[rows[1] + 1, cols[1]] != NODATA:
        right = labels[rows[1], cols[1]] if rows[1] >= 0 else -2 - cols[1]
    return left, right


@compiled(
    "Tuple((uint8[:, ::1], uint8[:, ::1], int32[:, ::1], int64[::1], int32[:, ::1]))"
    "(uint8[:, ::1], int32[:, ::1], uint8[:, ::1], int64, int64, int64)"
)
def trace_band(
    band: NDArray[np.uint8],
    labels: NDArray[np.int32],
    edges: NDArray[np.uint8],
    turns: int,
    ends: int,
    first_row: int,
) -> tuple[
    NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]
]:
    """Follow the borders of a band.

    Parameters
    ----------
    band, labels, edges, turns, ends
        The band, and what `label_band` and `find_edges` found.
    first_row
        The band's first row in the scene.

    Returns
    -------
    kinds
        (pieces, 2) how each begins and ends.
    headings
        (pieces, 2) of its first edge and of its last, in the direction of the piece.
    sides
        (pieces, 2) label on the left and on the right; of a pixel above the band, −2 − column.
    firsts
        (pieces + 1,) where the corners of each begin.
    corners
        (corners, 2) row and column in the scene: both ends and every turn. A ring begins with its
        first corner, row by row, goes east, and does not repeat it.
    """
    rows, cols = labels.shape
    room = ends + turns // 4 + 1
    kinds, headings = np.empty((room, 2), np.uint8), np.empty((room, 2), np.uint8)
    sides, firsts = np.empty((room, 2), np.int32), np.zeros(room + 1, np.int64)
    corners = np.empty((turns + ends + 1, 2), np.int32)
    left = edges.copy()
    for col in range(cols + 1):
        left[0, col] &= 7  # what leads up from the first line belongs to the band above
    count, place = 0, 0
    for rings in (False, True):
        for line in range(rows + 1):
            for col in range(cols + 1):
                if not left[line, col]:
                    continue
                kind = _kind(edges, line, col)
                if not rings and kind == CLOSED:
                    continue
                for heading in range(4):
                    if not left[line, col] >> heading & 1:
                        continue
                    kinds[count, 0], headings[count, 0] = kind, heading
                    left_label, right_label = _sides(band, labels, line, col, heading)
                    sides[count, 0], sides[count, 1] = left_label, right_label
                    place, kinds[count, 1], headings[count, 1] = _walk(
                        edges, left, line, col, heading, first_row, corners, place
                    )
                    if kind == CLOSED:
                        headings[count, 0], headings[count, 1] = RING, RING
                    count += 1
                    firsts[count] = place
    return kinds[:count], headings[:count], sides[:count], firsts[: count + 1], corners[:place]
