"""Labels of patches that overlap, each pixel of a scene only once: in the first patch that has it.

Patches share pixels where their stride is below their size, and at the last rows and columns of a
scene, where they are moved inwards. A network learns from them all; a score counts pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import DatasetError
from geoseg.patches.dataset import UNLABELLED, ArrayLike, PatchArrays, PatchDataset

Corner = tuple[str, int, int]
"""Scene, first row, first column of a patch."""


class OnceLabels:
    """Labels of patches, unlabelled where an earlier patch has the pixel.

    Parameters
    ----------
    labels
        (patches, size, size) uint8 class index.
    corners
        Of each patch, in the order of `labels`.

    Attributes
    ----------
    shape, dtype
        Those of `labels`.
    """

    def __init__(self, labels: ArrayLike, corners: Sequence[Corner]) -> None:
        self._labels, self._corners = labels, corners
        self.shape, self.dtype = labels.shape, labels.dtype
        self._size = labels.shape[-1]
        # By squares of a patch's size: what overlaps a patch begins in its own or in one beside it.
        self._near: dict[Corner, list[int]] = {}
        for number, (scene, row, col) in enumerate(corners):
            place = (scene, row // self._size, col // self._size)
            self._near.setdefault(place, []).append(number)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Return the labels of one patch: (size, size)."""
        labels = np.array(self._labels[index])
        labels[self.repeated(int(index))] = UNLABELLED
        return labels

    def repeated(self, number: int) -> NDArray[np.bool_]:
        """Tell which pixels of a patch an earlier one has: (size, size)."""
        size = self._size
        scene, row, col = self._corners[number]
        mask = np.zeros((size, size), np.bool_)
        for down in (-1, 0, 1):
            for along in (-1, 0, 1):
                square = (scene, row // size + down, col // size + along)
                for other in self._near.get(square, ()):
                    if other >= number:
                        break
                    top, left = self._corners[other][1] - row, self._corners[other][2] - col
                    if abs(top) < size and abs(left) < size:
                        rows = slice(max(top, 0), size + min(top, 0))
                        mask[rows, max(left, 0) : size + min(left, 0)] = True
        return mask


def each_once(dataset: PatchDataset, arrays: PatchArrays) -> PatchArrays:
    """Return a split whose labels hold each pixel of a scene once.

    Without labels of pixels it stays as it is; so does what `class_pixels` counts.

    Raises
    ------
    DatasetError
        The index is missing or does not agree with the data set.
    """
    if arrays.labels is None:
        return arrays
    # Imported here: patches that are arrays are read without rasterio.
    from geoseg.raster.patchindex import read_columns  # noqa: PLC0415

    path = dataset.folder / "index.gpkg"
    columns = ("scene", "row", "col", "split", "position")
    rows = [r for r in read_columns(path, "patches", columns) if r[3] == arrays.split]
    placed = sorted((int(r[4]), str(r[0]), int(r[1]), int(r[2])) for r in rows if r[4] >= 0)
    if [place for place, *_ in placed] != list(range(len(arrays))):
        raise DatasetError(f"{path} does not agree with dataset.json: tile the scenes again")
    corners = [(scene, row, col) for _, scene, row, col in placed]
    return replace(arrays, labels=OnceLabels(arrays.labels, corners))
