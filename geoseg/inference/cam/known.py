"""What labels of whole patches say about a scene: which classes can be where.

A patch that does not hold a class has none of its pixels (up to the share that counts as present).
Where a scene, or part of it, was cut into patches with labels, no other classes than those that the
patches hold come into question.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import DatasetError, LabelError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.presence import UNKNOWN, least_pixels
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend
from geoseg.raster.patchindex import described_grid, read_columns
from geoseg.raster.window import Window

_COLUMNS = ("scene", "row", "col", "size", "split", "position", "nodata")


@dataclass(frozen=True, eq=False)
class KnownClasses:
    """Patches of a scene and what they hold."""

    windows: NDArray[np.int64]
    """(patches, 3): first row, first column, side."""
    present: NDArray[np.uint8]
    """(patches, classes): 1 where the class is there, 0 where not, 255 where that is not known."""
    fingerprint: str = ""
    """Of the data set."""

    def allowed(self, window: Window) -> NDArray[np.bool_] | None:
        """Tell which classes come into question, (classes, rows, cols); None where all do.

        That are the classes which no patch over a pixel denies. Where none is left, because
        overlapping patches deny each other's, those that any of the patches holds; none where all
        patches are known to hold none of them.
        """
        first, side = self.windows[:, :2], self.windows[:, 2:]
        stop = np.array([window.row_stop, window.col_stop])
        start = np.array([window.row, window.col])
        over = np.flatnonzero(((first < stop) & (first + side > start)).all(axis=1))
        if len(over) == 0:
            return None
        classes = self.present.shape[1]
        denied = np.zeros((classes, window.height, window.width), np.bool_)
        held = np.zeros_like(denied)
        covered = np.zeros((window.height, window.width), np.bool_)
        for patch in over:
            (row, col), size = self.windows[patch, :2] - start, int(self.windows[patch, 2])
            rows, cols = slice(max(row, 0), row + size), slice(max(col, 0), col + size)
            covered[rows, cols] = True
            denied[self.present[patch] == 0, rows, cols] = True
            held[self.present[patch] == 1, rows, cols] = True
        none_left = covered & denied.all(axis=0)
        return np.where(none_left, held, ~denied)


def known_classes(folder: str | Path, grid: Grid, legend: Legend) -> KnownClasses:
    """Read what a data set knows of a scene.

    Parameters
    ----------
    folder
        A data set of patches with labels; among its scenes must be the one in question.
    grid
        Of that scene.
    legend
        Classes of the model.

    Raises
    ------
    DatasetError
        No such data set, it has no labels, or none of its scenes has that grid.
    LabelError
        It has other classes.
    """
    dataset = PatchDataset.open(folder)
    if dataset.legend is None:
        raise DatasetError(f"{folder} holds no labels, so nothing is known of its patches")
    if [(c.id, c.name) for c in dataset.legend.classes] != [(c.id, c.name) for c in legend.classes]:
        raise LabelError(
            f"{folder} has the classes {', '.join(dataset.legend.names)}, and the model"
            f" {', '.join(legend.names)}: give a data set of the model's classes"
        )
    names = {
        scene["name"]
        for scene in dataset.metadata["scenes"]
        if described_grid(
            scene["crs"], scene["transform"], height=scene["height"], width=scene["width"]
        ).same_pixels(grid)
    }
    if not names:
        raise DatasetError(
            f"{folder} was not cut from this scene: none of its scenes has the same grid"
        )
    splits = {name: dataset.split(name) for name, n in dataset.splits.items() if n}
    least = least_pixels(dataset.present, dataset.size**2)
    windows: list[tuple[int, int, int]] = []
    held: list[NDArray[np.uint8]] = []
    for scene, row, col, size, split, position, nodata in read_columns(
        dataset.folder / "index.gpkg", "patches", _COLUMNS
    ):
        arrays = splits.get(split)
        if scene not in names or position < 0 or arrays is None or arrays.presence is None:
            continue
        present = arrays.presence[position].copy()
        if arrays.class_pixels is not None:
            # Valid pixels without a label may be of any class.
            counts = arrays.class_pixels[position]
            open_pixels = round((1 - nodata) * size * size) - int(counts.sum())
            present[(present == 0) & (counts + open_pixels >= least)] = UNKNOWN
        windows.append((row, col, size))
        held.append(present)
    if not windows:
        raise DatasetError(f"{folder} has no labelled patch of this scene")
    return KnownClasses(np.array(windows, np.int64), np.stack(held), dataset.hash())
