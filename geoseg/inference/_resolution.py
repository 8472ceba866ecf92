"""Compiled loops that decide what becomes of small components, on tables of the whole scene.

The rule is `cleanup`'s. A *node* is what `_components.label_band` found of a component in one band;
a *root* is the first node of a component of the scene, and `_components.merge_bands` tells which is
which. All arrays are (nodes,), but for `neighbours`, which holds the nodes' lists end to end.

areas
    Pixels in the scene, at roots.
ends
    Where each node's list in `neighbours` ends. Lists of what stands may be empty: what touches it
    has it in its own.
parents, parts
    Every node's root; and chains through all nodes of a root, from the root on, that end with −1.
targets
    At roots, the root of the component that this one is given to; itself if it stands; −1 as yet.
stages
    At roots, `UNRESOLVED` or `STANDING` or 1 + round % 3: neighbours are resolved at most one round
    apart, so three marks tell this round from those before and after it.
queue
    Roots in the order in which they were resolved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.inference._components import KEPT
from geoseg.jit import compiled

UNRESOLVED, STANDING = 0, 4


@compiled("boolean(int64, int64, int64, int64)", inline=True)
def _wins(area: int, root: int, best_area: int, best: int) -> bool:
    """Tell whether a root is larger than the best one yet, or as large and comes first."""
    return area > best_area or (area == best_area and root < best)


@compiled(
    "int64(int64, uint8[::1], uint8[::1], int64[::1], int64[::1], int32[::1], int32[::1],"
    " int32[::1], int32[::1], uint8[::1], int32[::1])"
)
def first_round(
    min_area: int,
    roles: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    areas: NDArray[np.int64],
    ends: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    parents: NDArray[np.int32],
    parts: NDArray[np.int32],
    targets: NDArray[np.int32],
    stages: NDArray[np.uint8],
    queue: NDArray[np.int32],
) -> int:
    """Find what stands, resolve what touches it, and return how many were resolved."""
    for root in range(parents.size):
        if parents[root] == root:
            stands = areas[root] >= min_area or roles[classes[root]] == KEPT
            stages[root] = STANDING if stands else UNRESOLVED
            targets[root] = root if stands else -1
    resolved = 0
    for root in range(parents.size):
        if parents[root] == root and stages[root] == UNRESOLVED:
            best, best_area = -1, -1
            part = root
            while part >= 0:
                for k in range(ends[part - 1] if part else 0, ends[part]):
                    other = parents[neighbours[k]]
                    if stages[other] == STANDING and _wins(areas[other], other, best_area, best):
                        best, best_area = other, areas[other]
                part = parts[part]
            if best >= 0:
                targets[root] = best
                stages[root] = 1 + 1 % 3
                queue[resolved] = root
                resolved += 1
    return resolved


@compiled(
    "void(int64, int64[::1], int64[::1], int32[::1], int32[::1], int32[::1], int32[::1],"
    " uint8[::1], int32[::1])"
)
def further_rounds(
    resolved: int,
    areas: NDArray[np.int64],
    ends: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    parents: NDArray[np.int32],
    parts: NDArray[np.int32],
    targets: NDArray[np.int32],
    stages: NDArray[np.uint8],
    queue: NDArray[np.int32],
) -> None:
    """Resolve all that what was `resolved` in the first round can reach."""
    head, tail = 0, resolved
    turn = 1
    while head < tail:
        stop = tail
        turn += 1
        mark = 1 + turn % 3
        for place in range(head, stop):
            root = queue[place]
            part = root
            while part >= 0:
                for k in range(ends[part - 1] if part else 0, ends[part]):
                    other = parents[neighbours[k]]
                    if stages[other] == UNRESOLVED:
                        stages[other] = mark
                        targets[other] = targets[root]
                        queue[tail] = other
                        tail += 1
                    elif stages[other] == mark and _wins(
                        areas[targets[root]], targets[root], areas[targets[other]], targets[other]
                    ):
                        targets[other] = targets[root]
                part = parts[part]
        head = stop


@compiled(
    "void(int64[::1], int64[::1], int32[::1], int32[::1], int32[::1], int32[::1],"
    " uint8[::1], int32[::1])"
)
def islands(
    areas: NDArray[np.int64],
    ends: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    parents: NDArray[np.int32],
    parts: NDArray[np.int32],
    targets: NDArray[np.int32],
    stages: NDArray[np.uint8],
    queue: NDArray[np.int32],
) -> None:
    """Give all that is still unresolved to the largest component of its island."""
    for start in range(parents.size):
        if parents[start] == start and stages[start] == UNRESOLVED:
            stages[start] = 1
            queue[0] = start
            head, tail = 0, 1
            best = start
            while head < tail:
                root = queue[head]
                head += 1
                if _wins(areas[root], root, areas[best], best):
                    best = root
                part = root
                while part >= 0:
                    for k in range(ends[part - 1] if part else 0, ends[part]):
                        other = parents[neighbours[k]]
                        if stages[other] == UNRESOLVED:
                            stages[other] = 1
                            queue[tail] = other
                            tail += 1
                    part = parts[part]
            for place in range(tail):
                targets[queue[place]] = best


@compiled("void(int32[::1], int32[::1], uint8[::1])")
def take_classes(
    parents: NDArray[np.int32], targets: NDArray[np.int32], classes: NDArray[np.uint8]
) -> None:
    """Replace every node's class by that of the component that its own was given to."""
    for node in range(parents.size):
        # The class of a target stays as it is, so the order of writing does not matter.
        classes[node] = classes[targets[parents[node]]]
