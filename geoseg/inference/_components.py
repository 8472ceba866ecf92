"""Compiled loops for connected components: the runs of a band in, tables of its components out.

Knows neither files nor threads; `cleanup` does. Every function releases the interpreter lock.

A *run* is a longest stretch of equal pixels in a row. A *node* is what the whole scene has to know
of a component of one band. Nodes are numbered in the order of their first pixels, row by row. So
the smaller number wins a tie: in a band and, with the nodes of all bands above counted before it,
in the scene.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

# What a pixel value means, in tables of 256 roles.
CHANGEABLE, KEPT, NODATA = 0, 1, 2


@compiled("int64(int32[::1], int64)", inline=True)
def _root(parents: NDArray[np.int32], item: int) -> int:
    while parents[item] != item:
        parents[item] = parents[parents[item]]
        item = parents[item]
    return item


@compiled("void(int32[::1], int64, int64)", inline=True)
def _join(parents: NDArray[np.int32], one: int, other: int) -> None:
    """Unite two sets; the smallest item is always the root."""
    one, other = _root(parents, one), _root(parents, other)
    parents[max(one, other)] = min(one, other)


@compiled("Tuple((int32[::1], int64))(int32[::1], int64[::1], uint8[::1], uint8[::1], int64)")
def _label_runs(
    begins: NDArray[np.int32],
    first: NDArray[np.int64],
    values: NDArray[np.uint8],
    roles: NDArray[np.uint8],
    width: int,
) -> tuple[NDArray[np.int32], int]:
    """Return the component of every run (by first pixels; −1 for nodata), and how many they are."""
    labels = np.arange(values.size).astype(np.int32)
    for row in range(1, first.size - 1):
        above, below = first[row - 1], first[row]
        while above < first[row] and below < first[row + 1]:
            if values[above] == values[below]:
                _join(labels, above, below)
            ahead = begins[above + 1] + width - begins[below + 1]
            above += ahead <= 0
            below += ahead >= 0
    count = 0
    for run in range(values.size):
        # A parent comes before its child, so what stands there is a number already.
        if labels[run] != run:
            labels[run] = labels[labels[run]]
        elif roles[values[run]] == NODATA:
            labels[run] = -1
        else:
            labels[run] = count
            count += 1
    return labels, count


@compiled("int32[:, ::1](int32[::1], int64[::1], int32[::1], int64, int64)")
def _find_contacts(
    begins: NDArray[np.int32],
    first: NDArray[np.int64],
    labels: NDArray[np.int32],
    width: int,
    halo: int,
) -> NDArray[np.int32]:
    """Return the components (contacts, 2) that touch, again and again, in the order of the runs."""
    # At most two contacts upwards and one to the left for each run; memory is used as it is filled.
    contacts = np.empty((3 * labels.size + 1, 2), np.int32)
    count = 0
    for row in range(first.size - 1):
        if row > 0:
            above, below = first[row - 1], first[row]
            while above < first[row] and below < first[row + 1]:
                one, other = labels[above], labels[below]
                contacts[count, 0], contacts[count, 1] = one, other
                count += (one != other) & (one >= 0) & (other >= 0)
                ahead = begins[above + 1] + width - begins[below + 1]
                above += ahead <= 0
                below += ahead >= 0
        if row >= halo:
            for run in range(first[row] + 1, first[row + 1]):
                one, other = labels[run - 1], labels[run]
                contacts[count, 0], contacts[count, 1] = one, other
                count += (one >= 0) & (other >= 0)
    return contacts[:count]


@compiled("Tuple((int32[:, ::1], int32[::1]))(int32[:, ::1], boolean[::1])")
def _thin_out(
    contacts: NDArray[np.int32], fixed: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Reduce contacts (which are overwritten) to those that may matter.

    Returns
    -------
    pairs
        (pairs, 2) components that touch, without those that are both fixed; the first is not fixed.
        A pair may come again.
    only
        The only neighbour of each component that is not fixed; −1 for none and −2 for several.
    """
    latest = np.full(fixed.size, -1, np.int32)
    only = np.full(fixed.size, -1, np.int32)
    count = 0
    for k in range(contacts.shape[0]):
        one, other = contacts[k, 0], contacts[k, 1]
        if fixed[one]:
            one, other = other, one
        if not (fixed[one] or latest[one] == other or latest[other] == one):
            latest[one] = other
            only[one] = other if only[one] == -1 or only[one] == other else -2
            if not fixed[other]:
                latest[other] = one
                only[other] = one if only[other] == -1 or only[other] == one else -2
            contacts[count, 0], contacts[count, 1] = one, other
            count += 1
    return contacts[:count], only


@compiled("Tuple((int32[::1], int32[::1]))(int32[:, ::1], int32[::1], boolean[::1], int64)")
def _neighbour_lists(
    pairs: NDArray[np.int32], nodes: NDArray[np.int32], fixed: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Turn pairs of components into lists of neighbouring nodes, end to end, and where they end.

    Lists of fixed nodes stay empty: who touches them has them in its own. A leaf shares the node of
    its neighbour, so its pairs are those of a node with itself, and they are left out.
    """
    ends = np.zeros(count, np.int32)
    for k in range(pairs.shape[0]):
        one, other = nodes[pairs[k, 0]], nodes[pairs[k, 1]]
        if one != other:
            ends[one] += 1
            if not fixed[pairs[k, 1]]:
                ends[other] += 1
    total = 0
    for node in range(count):
        total += ends[node]
        ends[node] = total - ends[node]
    neighbours = np.empty(total, np.int32)
    for k in range(pairs.shape[0]):
        one, other = nodes[pairs[k, 0]], nodes[pairs[k, 1]]
        if one != other:
            neighbours[ends[one]] = other
            ends[one] += 1
            if not fixed[pairs[k, 1]]:
                neighbours[ends[other]] = one
                ends[other] += 1
    return ends, neighbours


@compiled(
    "Tuple((int32[::1], uint8[::1], boolean[::1]))"
    "(int32[::1], int64[::1], uint8[::1], int32[::1], int64, int64)"
)
def _describe(
    begins: NDArray[np.int32],
    first: NDArray[np.int64],
    values: NDArray[np.uint8],
    labels: NDArray[np.int32],
    count: int,
    halo: int,
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.bool_]]:
    """Return each component's area without the halo, its class, and whether it may go on elsewhere.

    What touches the last row of the scene counts as going on, which does no harm.
    """
    areas = np.zeros(count, np.int32)
    classes = np.empty(count, np.uint8)
    is_open = np.zeros(count, np.bool_)
    for run in range(values.size):
        label = labels[run]
        if label >= 0:
            classes[label] = values[run]
            if run >= first[halo]:
                areas[label] += begins[run + 1] - begins[run]
            if run < first[halo] or run >= first[first.size - 2]:
                is_open[label] = True
    return areas, classes, is_open


@compiled("Tuple((int32[::1], int32[::1]))(int32[::1], boolean[::1], boolean[::1], int32[::1])")
def _number_nodes(
    areas: NDArray[np.int32],
    is_open: NDArray[np.bool_],
    fixed: NDArray[np.bool_],
    only: NDArray[np.int32],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the node of every component (and a last −1, for nodata), and every node's component.

    Most specks touch a single component, lie wholly inside the band and are smaller than what they
    touch. By every clause of the rule such a *leaf* ends as its neighbour ends, so it shares its
    neighbour's node. (The neighbour is no leaf: it would have to be smaller than its own leaf.)
    """
    nodes = np.empty(areas.size + 1, np.int32)
    nodes[areas.size] = -1
    components = np.empty(areas.size, np.int32)
    count = 0
    for label in range(areas.size):
        host = only[label]
        may_be_leaf = not fixed[label] and not is_open[label] and host >= 0
        if may_be_leaf and (fixed[host] or areas[label] < areas[host]):
            nodes[label] = -1
        else:
            nodes[label] = count
            components[count] = label
            count += 1
    for label in range(areas.size):
        if nodes[label] < 0:
            nodes[label] = nodes[only[label]]
    return nodes, components[:count]


@compiled("int32[:, ::1](int32[::1], int32[::1], int32[::1], boolean[::1], int64, int64)")
def _list_changes(
    begins: NDArray[np.int32],
    labels: NDArray[np.int32],
    nodes: NDArray[np.int32],
    fixed: NDArray[np.bool_],
    start: int,
    offset: int,
) -> NDArray[np.int32]:
    """Return where runs begin that may change, less `offset`, and their nodes; from run `start`."""
    count = 0
    for run in range(start, labels.size):
        count += labels[run] >= 0 and not fixed[labels[run]]
    changes = np.empty((count, 2), np.int32)
    count = 0
    for run in range(start, labels.size):
        if labels[run] >= 0 and not fixed[labels[run]]:
            changes[count, 0] = begins[run] - offset
            changes[count, 1] = nodes[labels[run]]
            count += 1
    return changes


@compiled(
    "Tuple((int32[:, ::1], int32[::1], uint8[::1], int32[::1], int32[::1], int32[::1], int32[::1]))"
    "(int32[::1], uint8[::1], int64[::1], int64, int64, int64, uint8[::1])"
)
def label_band(
    begins: NDArray[np.int32],
    values: NDArray[np.uint8],
    first: NDArray[np.int64],
    width: int,
    halo: int,
    min_area: int,
    roles: NDArray[np.uint8],
) -> tuple[
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.uint8],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
]:
    """Find the components of a band of rows.

    Parameters
    ----------
    begins, values, first
        The band's runs, as `find_runs` returns them.
    width
        Columns of the band.
    halo
        1 if the first row is the last row of the band above, else 0. It ties the bands together and
        counts in no area.
    min_area
        Area in pixels from which on a component stands.
    roles
        (256,) what each pixel value means: `CHANGEABLE`, `KEPT` or `NODATA`.

    Returns
    -------
    changes
        (runs, 2) where runs begin that may change (counted without the halo), and their nodes.
    areas, classes
        (nodes,) pixels in this band, and class.
    ends, neighbours
        (nodes,) end of each node's list in `neighbours`: the nodes it touches (they may repeat).
    top, bottom
        Nodes of the runs of the first and of the last row; −1 for nodata.
    """
    labels, count = _label_runs(begins, first, values, roles, width)
    areas, classes, is_open = _describe(begins, first, values, labels, count, halo)
    # Fixed: known to stand, whatever the other bands hold.
    fixed = np.empty(count, np.bool_)
    for label in range(count):
        fixed[label] = areas[label] >= min_area or roles[classes[label]] == KEPT
    pairs, only = _thin_out(_find_contacts(begins, first, labels, width, halo), fixed)
    nodes, components = _number_nodes(areas, is_open, fixed, only)
    ends, neighbours = _neighbour_lists(pairs, nodes, fixed, components.size)
    changes = _list_changes(begins, labels, nodes, fixed, first[halo], halo * width)
    top, bottom = nodes[labels[: first[1]]], nodes[labels[first[first.size - 2] :]]
    return changes, areas[components], classes[components], ends, neighbours, top, bottom


@compiled("void(int32[:, ::1], int64[::1], int32[::1], int32[::1])")
def merge_bands(
    links: NDArray[np.int32],
    areas: NDArray[np.int64],
    parents: NDArray[np.int32],
    parts: NDArray[np.int32],
) -> None:
    """Unite the nodes that are one component of the scene.

    Parameters
    ----------
    links
        (links, 2) nodes of the same runs, seen from the band above and from the band below.
    areas
        (nodes,) areas in the bands; afterwards, for roots, those in the scene.
    parents, parts
        (nodes,) to be filled: the root (its first node) of every node; and chains through all nodes
        of each root, from the root on, that end with −1.
    """
    for node in range(parents.size):
        parents[node] = node
        parts[node] = -1
    for k in range(links.shape[0]):
        _join(parents, links[k, 0], links[k, 1])
    for node in range(parents.size):
        if parents[node] != node:
            # Parents come first, so this one's points at its root already.
            root = parents[parents[node]]
            parents[node] = root
            areas[root] += areas[node]
            parts[node] = parts[root]
            parts[root] = node
