"""Training, validation and test patches that share no ground.

The ground is cut into rectangular blocks, each block is given to one split, and a patch belongs to
a split only where all the ground that it touches does. So no piece of ground is ever in two splits,
not through overlapping patches and not through overlapping scenes. Patches that touch ground of two
splits are lost; blocks are chosen so that few are. Knows neither files nor pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRADDLES = -1
"""In place of a split: the patch touches ground of two."""

# Sides of blocks to try, in patches.
_SIDES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64)
_MOST_BLOCKS = 1024
_TRIALS = 48
# What one patch lost in ten is worth in closeness of blocks, and in their fewness; see `_cost`.
_WEIGHT_OF_CLOSENESS = 0.1
_WEIGHT_OF_FEWNESS = 0.1


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where patches lie, for splitting; one row a patch.

    Patches of different frames never share ground (photographs, say); within a frame all have one
    system of coordinates.
    """

    frame: NDArray[np.int64]
    """Number of each patch's frame, from 0."""
    box: NDArray[np.float64]
    """(patches, 4): first row and column, last ones; in pixels of the frame's first scene."""
    expected: NDArray[np.bool_]
    """Whether the patch is expected to be kept (it has data and labels); only those are counted."""


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """What became of the patches."""

    split: NDArray[np.int64]
    """Place of each patch's split among the wanted shares, or `STRADDLES`."""
    blocks: int
    """Number of blocks with patches."""
    block_shape: tuple[int | None, int | None]
    """Rows and columns of a block in patches; None where blocks reach from border to border."""
    empty: tuple[int, ...]
    """Splits that were wanted and are expected to get no patch: too few blocks."""


def split_ground(
    ground: Ground,
    shares: Sequence[float],
    *,
    size: float,
    seed: int,
    block: int | None = None,
) -> Splitting:
    """Give each patch a split.

    Parameters
    ----------
    ground
        Where the patches lie.
    shares
        Wanted share of each split; they sum to 1. Every non-zero one gets a patch if there are as
        many blocks as non-zero shares.
    size
        Side of a patch in the units of `ground`.
    seed
        Chooses among the many ways to give blocks to splits.
    block
        Side of a block in patches; None tries several sides, squares and strips, and takes the one
        that loses few patches, comes near to the shares, and yet has splits that are far from each
        other (large blocks) and from many places (many blocks).
    """
    wanted = [i for i, share in enumerate(shares) if share > 0]
    if len(wanted) == 1:
        split = np.full(len(ground.frame), wanted[0], np.int64)
        return Splitting(split=split, blocks=1, block_shape=(None, None), empty=())
    shapes: list[tuple[int | None, int | None]]
    if block is not None:
        shapes = [(block, block)]
    else:
        shapes = [(n, n) for n in _SIDES]
        shapes += itertools.chain.from_iterable(((n, None), (None, n)) for n in _SIDES)
        shapes.append((None, None))
    best: tuple[float, _Lattice, NDArray[np.int64]] | None = None
    seen: set[tuple[Any, ...]] = set()
    for shape in shapes:
        cuts = _cuts(ground, size, shape)
        # Sides beyond the scene all give the same lattice: one block.
        if cuts in seen:
            continue
        seen.add(cuts)
        # A lattice of too many blocks is passed over unless nothing else is left.
        count = sum((len(rows) + 1) * (len(cols) + 1) for rows, cols in cuts)
        if best is not None and count > _MOST_BLOCKS and block is None:
            continue
        lattice = _Lattice(ground, cuts, shape)
        cost, owner = _assign(lattice, shares, wanted, seed)
        if best is None or cost < best[0] or best[1].blocks > _MOST_BLOCKS:
            best = cost, lattice, owner
    if best is None:
        raise ValueError("no shape of blocks was tried")
    _, lattice, owner = best
    split = lattice.split(owner)
    kept = np.bincount(split[ground.expected & (split >= 0)], minlength=len(shares))
    return Splitting(
        split=split,
        blocks=int(np.count_nonzero(lattice.weight)),
        block_shape=lattice.shape,
        empty=tuple(i for i in wanted if not kept[i]),
    )


_Cuts = tuple[tuple[float, ...], tuple[float, ...]]


def _cuts(ground: Ground, size: float, shape: tuple[int | None, int | None]) -> tuple[_Cuts, ...]:
    """Where rows and columns of blocks meet, by frame.

    Counted from the first patch of the frame's first scene, so that blocks hold whole patches
    there. A block at the border is never narrower than half of the others or than a patch: it is
    joined to its neighbour.
    """
    found = []
    order = np.argsort(ground.frame, kind="stable")
    edges = np.flatnonzero(np.diff(ground.frame[order])) + 1
    for members in np.split(order, edges):
        box = ground.box[members]
        axes: list[tuple[float, ...]] = []
        for axis, n in enumerate(shape):
            low, high = box[:, axis].min(), box[:, axis + 2].max()
            if n is None:
                axes.append(())
                continue
            side = n * size
            anchor = box[0, axis]
            first = int(np.ceil((low + max(size, side / 2) - anchor) / side))
            last = int(np.floor((high - max(size, side / 2) - anchor) / side))
            axes.append(tuple(float(anchor + k * side) for k in range(first, last + 1)))
        found.append((axes[0], axes[1]))
    return tuple(found)


class _Lattice:
    """Blocks, and which of them each patch touches.

    Patches that touch the same blocks are one group: scenes have few groups, however many patches.
    """

    def __init__(
        self, ground: Ground, cuts: tuple[_Cuts, ...], shape: tuple[int | None, int | None]
    ) -> None:
        self.shape = shape
        touched = np.empty((len(ground.frame), 5), np.int64)
        touched[:, 0] = ground.frame
        offsets, self.blocks = [], 0
        order = np.argsort(ground.frame, kind="stable")
        edges = np.flatnonzero(np.diff(ground.frame[order])) + 1
        for members, (rows, cols) in zip(np.split(order, edges), cuts, strict=True):
            box = ground.box[members]
            for axis, axis_cuts in ((0, rows), (1, cols)):
                touched[members, 1 + axis] = np.searchsorted(axis_cuts, box[:, axis], "right")
                touched[members, 3 + axis] = np.searchsorted(axis_cuts, box[:, axis + 2], "left")
            offsets.append((self.blocks, len(cols) + 1))
            self.blocks += (len(rows) + 1) * (len(cols) + 1)
        groups, self.group = _distinct(touched)
        self.count = np.bincount(
            self.group, weights=ground.expected.astype(np.float64), minlength=len(groups)
        )
        members_of: list[list[int]] = []
        for frame, row, col, last_row, last_col in groups.tolist():
            first, width = offsets[frame]
            members_of.append(
                [
                    first + r * width + c
                    for r in range(row, last_row + 1)
                    for c in range(col, last_col + 1)
                ]
            )
        self._members = np.array(list(itertools.chain.from_iterable(members_of)), np.int64)
        lengths = np.array([len(m) for m in members_of], np.int64)
        self._first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.weight = np.zeros(self.blocks)
        whole = lengths == 1
        np.add.at(self.weight, self._members[self._first[whole]], self.count[whole])

    def groups(self, owner: NDArray[np.int64]) -> NDArray[np.int64]:
        """Split of each group, `STRADDLES` where its blocks belong to several."""
        owners = owner[self._members]
        low = np.minimum.reduceat(owners, self._first)
        high = np.maximum.reduceat(owners, self._first)
        return np.where(low == high, low, STRADDLES)

    def split(self, owner: NDArray[np.int64]) -> NDArray[np.int64]:
        """Split of each patch, `STRADDLES` where its blocks belong to several."""
        return self.groups(owner)[self.group]


def _distinct(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct rows of a table and, for each row, which of them it is."""
    # One number a row: sorting those is many times faster than sorting rows.
    code = np.zeros(len(rows), np.int64)
    for column, base in zip(rows.T, (None, None, None, 1, 2), strict=True):
        values = column - (rows[:, base] if base is not None else 0)
        code = code * (int(values.max()) + 1) + values
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    return rows[first], which.reshape(-1)


def _assign(
    lattice: _Lattice, shares: Sequence[float], wanted: Sequence[int], seed: int
) -> tuple[float, NDArray[np.int64]]:
    """Give blocks to splits: the best of many random ways; its cost and the owner of each block."""
    rng = np.random.default_rng(seed)
    filled = np.flatnonzero(lattice.weight)
    total = float(lattice.weight.sum())
    largest = max(wanted, key=lambda i: shares[i])
    smaller = sorted((i for i in wanted if i != largest), key=lambda i: shares[i])
    # With fewer blocks than splits, the larger shares are served.
    smaller = smaller[max(0, len(wanted) - len(filled)) :]
    best_cost, best = np.inf, np.full(lattice.blocks, largest, np.int64)
    for trial in range(_TRIALS):
        # Every other way takes neighbours after each other, so that splits are in few pieces.
        order = rng.permutation(filled) if trial % 2 else np.roll(filled, rng.integers(1 << 30))
        owner = np.full(lattice.blocks, largest, np.int64)
        left = order.tolist()
        for place, i in enumerate(smaller):
            left = _fill(lattice, owner, left, i, shares[i] * total, len(smaller) - place)
        cost = _cost(lattice, owner, shares, wanted)
        if cost < best_cost:
            best_cost, best = cost, owner
        if not smaller:
            break
    return best_cost, best


def _fill(
    lattice: _Lattice,
    owner: NDArray[np.int64],
    blocks: list[int],
    split: int,
    target: float,
    reserve: int,
) -> list[int]:
    """Give a split blocks in their order while that brings it nearer to its share.

    At least one, and at least `reserve` are left over for the splits to come. Returns what is left.
    """
    left: list[int] = []
    have = 0.0
    weights = lattice.weight[blocks].tolist()
    smallest = min(weights, default=0.0)
    for place, (block, weight) in enumerate(zip(blocks, weights, strict=True)):
        # No block is small enough to bring it nearer, or none may be taken.
        enough = 2 * (target - have) <= smallest or len(blocks) - place + len(left) <= reserve
        if have > 0 and enough:
            return left + blocks[place:]
        if have == 0 or abs(have + weight - target) < abs(have - target):
            owner[block] = split
            have += weight
        else:
            left.append(block)
    return left


def _cost(
    lattice: _Lattice,
    owner: NDArray[np.int64],
    shares: Sequence[float],
    wanted: Sequence[int],
) -> float:
    """Return what is wrong with a way to split; 0 is perfect.

    The share of patches lost, plus how far the shares of those kept are from the wanted ones, plus
    a little for small blocks (patches of different splits are near each other and so alike) and a
    little for splits from few places (they tell little about the whole).
    """
    split = lattice.groups(owner)
    kept = np.bincount(split + 1, weights=lattice.count, minlength=len(shares) + 1)
    lost, kept = float(kept[0]), kept[1:]
    total = float(kept.sum())
    if total == 0:
        return float(len(wanted)) + 2
    deviation = float(np.abs(kept / total - np.asarray(shares)).sum())
    empty = sum(1 for i in wanted if not kept[i])
    closeness = sum(1 / n for n in lattice.shape if n is not None)
    places = np.bincount(owner[lattice.weight > 0], minlength=len(shares))
    fewness = sum(1 / max(1, int(places[i])) for i in wanted) / len(wanted)
    return (
        lost / (lost + total)
        + deviation
        + empty
        + _WEIGHT_OF_CLOSENESS * closeness
        + _WEIGHT_OF_FEWNESS * fewness
    )
