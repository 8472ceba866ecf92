"""Other splits of the same patches: a view of a data set that copies no pixel.

For folds, for learning curves, for a training split with validation patches in it. Pixels are read
where they lie. Statistics, and so the normalisation, stay those of the whole data set, taken over
its training patches: models of different subsets are then fed alike, and no fold needs another pass
over the pixels. What a fold's validation patches add to a mean over all of them is next to nothing.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import DatasetError
from geoseg.patches.dataset import ArrayLike, PatchArrays, PatchDataset

Part = tuple[str, NDArray[np.int64]]
"""Name of a split and places of patches in it."""


class SubsetDataset(PatchDataset):
    """Chosen patches of a data set under new splits.

    Parameters
    ----------
    source
        The data set, or a subset of one.
    selection
        New split → the parts it is put together of, in order: a split of `source` and the places of
        patches in it, from 0. A split of the source that is not named is not there.

    Raises
    ------
    DatasetError
        A part names a split that is not there, or patches beyond its end.
    """

    def __init__(self, source: PatchDataset, selection: Mapping[str, Sequence[Part]]) -> None:
        self.source = source
        self.selection: dict[str, tuple[Part, ...]] = {
            name: tuple(_checked(source, split, places) for split, places in parts)
            for name, parts in selection.items()
        }
        splits = {n: sum(len(p) for _, p in parts) for n, parts in self.selection.items()}
        known = {name: self._known(name) for name in self.selection}
        super().__init__(
            source.folder,
            {
                **source.metadata,
                "splits": splits,
                "class_pixels": {
                    n: k[0].sum(axis=0).tolist() for n, k in known.items() if k[0] is not None
                },
                "patches_with_class": {
                    n: (k[1] == 1).sum(axis=0).tolist()
                    for n, k in known.items()
                    if k[1] is not None
                },
            },
        )

    def split(self, name: str) -> PatchArrays:
        """Pixels of a split, read where they lie when indexed.

        Raises
        ------
        DatasetError
            There is no such split, or its files are missing or damaged.
        """
        if name not in self.selection:
            raise DatasetError(
                f"this subset of {self.folder} has no split {name!r}; it has"
                f" {', '.join(self.selection) or 'none'}"
            )
        opened = [(self.source.split(split), places) for split, places in self.selection[name]]
        shape = (0, len(self.bands), self.size, self.size)
        one_a_pixel = ((0, self.size, self.size), np.dtype(np.uint8))
        labels: ArrayLike | None = None
        if self.labelling == "pixels":
            held = [(a.labels, p) for a, p in opened if a.labels is not None]
            labels = _joined(held, *one_a_pixel)
        confidence: ArrayLike | None = None
        if self.has_confidence:
            held = [(a.confidence, p) for a, p in opened if a.confidence is not None]
            confidence = _joined(held, *one_a_pixel)
        class_pixels, presence = self._known(name)
        return PatchArrays(
            split=name,
            images=_joined([(a.images, p) for a, p in opened], shape, self.dtype),
            labels=labels,
            class_pixels=class_pixels,
            presence=presence,
            confidence=confidence,
        )

    def hash(self) -> str:
        """Fingerprint of the set and of which patches are chosen, 32 hexadecimal digits."""
        digest = hashlib.blake2b(self.source.hash().encode(), digest_size=16)
        for name, parts in self.selection.items():
            # Lengths as well, so that no two selections give the same bytes.
            digest.update(json.dumps([name, [[s, len(p)] for s, p in parts]]).encode())
            for _, places in parts:
                digest.update(places.astype("<i8").tobytes())
        return digest.hexdigest()

    def _known(self, name: str) -> tuple[NDArray[np.int64] | None, NDArray[np.uint8] | None]:
        """Pixels of each class, and which classes are present, of the patches of a new split."""
        legend = self.source.legend
        if legend is None:
            return None, None
        counts = [np.empty((0, len(legend)), np.int64)]
        presence = [np.empty((0, len(legend)), np.uint8)]
        for split, places in self.selection[name]:
            arrays = self.source.split(split)
            if arrays.class_pixels is not None:
                counts.append(arrays.class_pixels[places])
            if arrays.presence is not None:
                presence.append(arrays.presence[places])
        of_pixels = self.source.labelling == "pixels"
        return np.concatenate(counts) if of_pixels else None, np.concatenate(presence)


def _checked(source: PatchDataset, split: str, places: NDArray[np.int64]) -> Part:
    count = source.splits.get(split)
    if count is None:
        raise DatasetError(
            f"{source.folder} has no split {split!r}; it has {', '.join(source.splits) or 'none'}"
        )
    chosen = np.asarray(places, np.int64).reshape(-1)
    if len(chosen) and not 0 <= int(chosen.min()) <= int(chosen.max()) < count:
        raise DatasetError(
            f"the split {split!r} of {source.folder} has {count} patches, numbered from 0; a"
            f" subset asks for {int(chosen.min())} to {int(chosen.max())}"
        )
    return split, chosen


def _joined(
    parts: Sequence[tuple[ArrayLike, NDArray[np.int64]]],
    empty_shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> ArrayLike:
    """One array of parts; the array itself where there is one part and that is all of it."""
    filled = [(array, places) for array, places in parts if len(places)]
    if not filled:
        return np.empty(empty_shape, dtype)
    if len(filled) == 1:
        array, places = filled[0]
        if np.array_equal(places, np.arange(len(array))):
            return array
    return _Joined(filled)


class _Joined:
    """Chosen rows of several arrays as if they were one array; rows are read when asked for."""

    def __init__(self, parts: Sequence[tuple[ArrayLike, NDArray[np.int64]]]) -> None:
        self._arrays = [array for array, _ in parts]
        lengths = [len(places) for _, places in parts]
        self._which = np.repeat(np.arange(len(parts)), lengths)
        self._place = np.concatenate([places for _, places in parts])

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis, patches first."""
        return (len(self), *self._arrays[0].shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a reading."""
        return self._arrays[0].dtype

    def __len__(self) -> int:
        return len(self._place)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Patches by number, slice, list or mask; further axes as in numpy."""
        first, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        try:
            number = operator.index(first)
        except TypeError:
            chosen = np.arange(len(self))[first]
            out = np.empty((len(chosen), *self.shape[1:]), self.dtype)
            for place, patch in enumerate(chosen):
                out[place] = self._one(int(patch))
            return out[(slice(None), *rest)] if rest else out
        one = self._one(number)
        return np.asarray(one[rest]) if rest else one

    def _one(self, number: int) -> NDArray[Any]:
        # numpy raises IndexError beyond the end, which is how iteration ends.
        array = self._arrays[int(self._which[number])]
        return np.asarray(array[int(self._place[number])])
