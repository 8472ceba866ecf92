"""k-fold cross-validation on ground that is kept apart.

The patches of chosen splits are shared out over k folds in spatial blocks, each patch to exactly
one, so that each is validated on exactly once. A model of a fold learns from the patches of the
other folds that share no ground with a patch of its own: with overlapping patches, those along the
borders of blocks are left out of its training, and of its training alone.

Scenes without a coordinate system (photographs) share no ground, and go to the folds whole where
there are at least as many of them as folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import DatasetError, OptionError
from geoseg.patches.dataset import PatchArrays, PatchDataset
from geoseg.patches.splits import Ground, split_ground
from geoseg.patches.subset import Part, SubsetDataset

MOST_FOLDS = 1000
# Ways to share out blocks that are tried, for classes that are in every fold.
_TRIALS = 8
# Patches looked at together, and pairs of them.
_CHUNK = 512
_MOST_PAIRS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where patches lie; one row a patch."""

    frame: NDArray[np.int64]
    """What is one system of coordinates: 0 for all of Earth, else the number of a photograph."""
    box: NDArray[np.float64]
    """(patches, 4): first row and column, last ones (exclusive); in pixels of the first scene."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One of k ways to learn from most patches and validate on the others."""

    number: int
    """From 1."""
    count: int
    """Number of folds."""
    train: tuple[Part, ...]
    """Patches to learn from: splits of the data set, and places in them."""
    val: tuple[Part, ...]
    """Patches to validate on."""
    left_out: int
    """Patches of other folds that share ground with `val` and so are not learned from."""

    def of(self, dataset: PatchDataset) -> PatchDataset:
        """Return the data set with this fold's ``train`` and ``val``, and its ``test`` if any."""
        selection = {"train": self.train, "val": self.val}
        taken = {split for split, _ in (*self.train, *self.val)}
        tested = dataset.splits.get("test", 0)
        if tested and "test" not in taken:
            selection["test"] = (("test", np.arange(tested, dtype=np.int64)),)
        return SubsetDataset(dataset, selection)


def make_folds(
    dataset: PatchDataset,
    count: int,
    *,
    seed: int = 0,
    splits: Sequence[str] = ("train", "val"),
) -> tuple[Fold, ...]:
    """Share the patches of some splits out over folds.

    Parameters
    ----------
    dataset
        With labels, and the ``index.gpkg`` that `geoseg tile` wrote.
    count
        Number of folds, from 2.
    seed
        Chooses among the many ways to do it; of several, the one in which each class is most evenly
        shared out is taken.
    splits
        Splits whose patches are shared out; those that are not there are passed over.

    Returns
    -------
    folds
        Each with at least one patch to learn from and one to validate on.

    Raises
    ------
    OptionError
        There is no such number of folds.
    DatasetError
        The set does not say where its patches lie, or they lie too close together for so many
        folds.
    """
    if not 2 <= count <= MOST_FOLDS:
        raise OptionError(f"--folds must be from 2 to {MOST_FOLDS}, not {count}")
    there = [name for name in splits if dataset.splits.get(name)]
    lengths = [dataset.splits[name] for name in there]
    if sum(lengths) < count:
        raise DatasetError(
            f"{dataset.folder} has {sum(lengths)} patches to share out over {count} folds: use"
            " fewer folds"
        )
    parts = [places_of(dataset, name) for name in there]
    places = Places(
        frame=np.concatenate([p.frame for p in parts]), box=np.concatenate([p.box for p in parts])
    )
    known = [held for name in there if (held := _held(dataset.split(name))) is not None]
    held = np.concatenate(known) if known else np.zeros((sum(lengths), 0), np.int64)
    fold_of = share_out(places, count, size=dataset.size, seed=seed, class_pixels=held)
    starts = np.cumsum([0, *lengths])

    def parts_of(mask: NDArray[np.bool_]) -> tuple[Part, ...]:
        found = [
            (name, np.flatnonzero(mask[start : start + length]).astype(np.int64))
            for name, start, length in zip(there, starts, lengths, strict=False)
        ]
        return tuple((name, patches) for name, patches in found if len(patches))

    folds = []
    for number in range(count):
        val = fold_of == number
        near = np.zeros(len(val), bool)
        near[~val] = shares_ground(places, np.flatnonzero(~val), np.flatnonzero(val))
        train = ~val & ~near
        if not val.any() or not train.any():
            raise DatasetError(
                f"the patches of {dataset.folder} lie too close together for {count} folds without"
                " shared ground: use fewer folds, or tile with a larger --stride or smaller patches"
            )
        folds.append(
            Fold(
                number=number + 1,
                count=count,
                train=parts_of(train),
                val=parts_of(val),
                left_out=int(near.sum()),
            )
        )
    return tuple(folds)


def _held(arrays: PatchArrays) -> NDArray[np.int64] | None:
    """(patches, classes): pixels of each class; 1 for each present where patches have labels."""
    if arrays.class_pixels is None and arrays.presence is not None:
        present: NDArray[np.int64] = (arrays.presence == 1).astype(np.int64)
        return present
    return arrays.class_pixels


def places_of(dataset: PatchDataset, split: str) -> Places:
    """Say where the patches of a split lie, in their order.

    Raises
    ------
    DatasetError
        The index is missing or does not agree with the data set.
    """
    if isinstance(dataset, SubsetDataset):
        parts = [
            (places_of(dataset.source, name), patches) for name, patches in dataset.selection[split]
        ]
        return Places(
            frame=np.concatenate([p.frame[patches] for p, patches in parts]),
            box=np.concatenate([p.box[patches] for p, patches in parts]),
        )
    # Imported here: patches that are arrays are read without rasterio.
    from geoseg.raster.cover.footprints import boxes_in  # noqa: PLC0415
    from geoseg.raster.patchindex import described_grid, read_columns  # noqa: PLC0415

    path = dataset.folder / "index.gpkg"
    columns = ("scene", "row", "col", "split", "position")
    rows = [r for r in read_columns(path, "patches", columns) if r[3] == split and r[4] >= 0]
    rows.sort(key=lambda row: int(row[4]))
    scenes = {scene["name"]: n for n, scene in enumerate(dataset.metadata.get("scenes", ()))}
    count = dataset.splits.get(split, 0)
    if [int(r[4]) for r in rows] != list(range(count)) or not all(r[0] in scenes for r in rows):
        raise DatasetError(f"{path} does not agree with dataset.json: tile the scenes again")
    grids = [
        described_grid(s["crs"], s["transform"], height=s["height"], width=s["width"])
        for s in dataset.metadata.get("scenes", ())
    ]
    number = np.array([scenes[r[0]] for r in rows], np.int64)
    corner = np.array([r[1:3] for r in rows], np.int64).reshape(-1, 2)
    box = np.zeros((count, 4))
    frame = np.zeros(count, np.int64)
    for scene, grid in enumerate(grids):
        here = np.flatnonzero(number == scene)
        windows = np.full((len(here), 4), dataset.size, np.int64)
        windows[:, :2] = corner[here]
        # What sticks out of the scene is padding and no ground.
        extent = np.array([grid.height, grid.width])
        windows[:, 2:] = np.minimum(windows[:, 2:], extent - windows[:, :2])
        box[here] = boxes_in(grid, windows, grid if grid.crs is None else grids[0])
        frame[here] = scene if grid.crs is None else 0
    return Places(frame=frame, box=box)


def share_out(
    places: Places, count: int, *, size: float, seed: int, class_pixels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give each patch a fold.

    Parameters
    ----------
    places
        Where they lie.
    count
        Number of folds.
    size
        Side of a patch in the units of `places`.
    seed
        See `make_folds`.
    class_pixels
        (patches, classes): pixels of each class, or 1 where a patch holds it.

    Returns
    -------
    fold
        (patches,), from 0.
    """
    photographs = np.unique(places.frame)
    best: tuple[float, NDArray[np.int64]] | None = None
    for trial in range(_TRIALS):
        number = seed * _TRIALS + trial
        fold = (
            _by_frame(places.frame, count, number)
            if len(photographs) >= count
            else _by_block(places, count, size, number)
        )
        unevenness = _unevenness(fold, count, class_pixels)
        if best is None or unevenness < best[0]:
            best = unevenness, fold
    if best is None:
        raise ValueError("no way to share patches out was tried")
    return best[1]


def shares_ground(
    places: Places, patches: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which of some patches share ground with any of some others.

    Patches that merely touch share none.

    Parameters
    ----------
    places
        Where patches lie.
    patches, others
        Numbers of patches.

    Returns
    -------
    shared
        One a patch of `patches`.
    """
    shared = np.zeros(len(patches), bool)
    for frame in np.unique(places.frame[patches]):
        mine = np.flatnonzero(places.frame[patches] == frame)
        theirs = others[places.frame[others] == frame]
        if not len(theirs):
            continue
        # Both by their first row: a few patches meet only a band of the others.
        mine = mine[np.argsort(places.box[patches[mine], 0], kind="stable")]
        box = places.box[theirs]
        box = box[np.argsort(box[:, 0], kind="stable")]
        tallest = float((box[:, 2] - box[:, 0]).max())
        for start in range(0, len(mine), _CHUNK):
            chunk = mine[start : start + _CHUNK]
            a = places.box[patches[chunk]]
            low = np.searchsorted(box[:, 0], a[0, 0] - tallest, "left")
            high = np.searchsorted(box[:, 0], a[:, 2].max(), "left")
            b = box[low:high]
            first = np.maximum(a[:, None, :2], b[None, :, :2])
            last = np.minimum(a[:, None, 2:], b[None, :, 2:])
            shared[chunk] = (first < last).all(axis=2).any(axis=1)
    return shared


def _by_frame(frame: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Photographs whole, the largest first, each to the fold that has fewest patches so far."""
    names, which, held = np.unique(frame, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-held[order], kind="stable")]
    filled = np.zeros(count, np.int64)
    fold_of = np.zeros(len(names), np.int64)
    for photograph in order:
        fold = int(filled.argmin())
        fold_of[photograph] = fold
        filled[fold] += held[photograph]
    return fold_of[which.reshape(-1)]


def _by_block(places: Places, count: int, size: float, seed: int) -> NDArray[np.int64]:
    """Blocks of ground, as for splits; a patch between two goes where its nearest neighbour is."""
    ground = Ground(frame=places.frame, box=places.box, expected=np.ones(len(places.frame), bool))
    fold = split_ground(ground, [1 / count] * count, size=size, seed=seed).split.copy()
    middle = (places.box[:, :2] + places.box[:, 2:]) / 2
    settled = fold >= 0
    for frame in np.unique(places.frame[~settled]):
        here = places.frame == frame
        known = np.flatnonzero(here & settled)
        lost = np.flatnonzero(here & ~settled)
        if not len(known):
            fold[lost] = 0
            continue
        step = max(1, _MOST_PAIRS // len(known))
        for start in range(0, len(lost), step):
            chunk = lost[start : start + step]
            away = np.abs(middle[chunk][:, None] - middle[known][None]).sum(axis=2)
            fold[chunk] = fold[known[away.argmin(axis=1)]]
    return fold


def _unevenness(fold: NDArray[np.int64], count: int, class_pixels: NDArray[np.int64]) -> float:
    """Return how far folds are from even shares of the patches and of each class; 0 is even.

    Half the sum over folds of how far their share is from 1/count, for the patches and, on average,
    for the classes.
    """
    even = 1 / count
    patches = np.bincount(fold, minlength=count) / len(fold)
    of_patches = float(np.abs(patches - even).sum() / 2)
    present = class_pixels[:, class_pixels.any(axis=0)].astype(np.float64)
    if not present.shape[1]:
        return of_patches
    held = np.zeros((count, present.shape[1]))
    np.add.at(held, fold, present)
    shares = held / held.sum(axis=0)
    return of_patches + float(np.abs(shares - even).sum(axis=0).mean() / 2)
