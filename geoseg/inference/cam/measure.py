"""Weak labels held against labels of pixels, and examples to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.cam.combine import Combination
from geoseg.inference.cam.label import Labeller
from geoseg.inference.cam.reference import FittedPatches, Reference
from geoseg.inference.cam.result import Panel
from geoseg.inference.outputs import NODATA
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

_PANELS = 4
_CANDIDATES = 64
_LEAST_SIDE = 100


class Measures:
    """Confusion of each way of combining maps, added up over blocks.

    Parameters
    ----------
    names
        Of the ways, in the order of the blocks' indices.
    classes
        Number of classes.
    """

    def __init__(self, names: Sequence[str], classes: int) -> None:
        self.confusions: dict[str, NDArray[np.int64]] = {
            name: np.zeros((classes, classes), np.int64) for name in names
        }
        """By way: (classes, classes) pixels, rows are labels, columns weak labels."""

    def add(
        self,
        row: int,
        index: NDArray[np.uint8],
        reference: Reference,
        fitted: FittedPatches | None,
    ) -> None:
        """Count rows of a scene.

        Parameters
        ----------
        row
            First row.
        index
            (ways, rows, width) class index, 255 where there is none.
        reference
            The labels.
        fitted
            Patches that are not counted, because something was fitted on them.
        """
        window = Window(row, 0, *index.shape[1:])
        truth = reference.truth(window)
        counted = (truth != NODATA) & (index[0] != NODATA)
        if fitted is not None:
            counted &= ~fitted.mask(window)
        labels = truth[counted].astype(np.int64)
        for name, one in zip(self.confusions, index, strict=True):
            classes = len(self.confusions[name])
            cells = np.bincount(labels * classes + one[counted], minlength=classes**2)
            self.confusions[name] += cells.reshape(classes, classes)


def choose_panels(
    scene: Scene,
    reference: Reference,
    read_maps: Callable[[int, int], NDArray[np.float32]],
    labeller: Labeller,
    ways: Sequence[Combination],
    *,
    side: int,
    fitted: FittedPatches | None,
) -> tuple[Panel, ...]:
    """Choose examples: labelled places that show most classes, apart from what was fitted on.

    Parameters
    ----------
    scene
        With the bands of the model.
    reference
        The labels.
    read_maps
        Gives the activations.
    labeller, ways
        Make weak labels; the first of the ways is shown.
    side
        Of the network's tiles; examples are at least so large.
    fitted
        Patches that something was fitted on.
    """
    side = max(side, _LEAST_SIDE)
    ranked: list[tuple[int, int, int, Window]] = []
    for number, window in enumerate(reference.choose(side, _CANDIDATES, seed=0)[0]):
        truth = reference.truth(window)
        counts = np.bincount(truth[truth != NODATA], minlength=1)
        varied = int(np.count_nonzero(counts > counts.sum() / 20))
        seen = 0 if fitted is None else int(np.count_nonzero(fitted.mask(window)))
        ranked.append((-varied, seen, number, window))
    ranked.sort(key=lambda entry: entry[:3])
    panels = []
    for *_, window in ranked[:_PANELS]:
        pixels = scene.read(window)
        maps = read_maps(window.row, window.row_stop)[:, :, window.col : window.col_stop]
        panels.append(
            Panel(
                row=window.row,
                col=window.col,
                image=pixels.data,
                valid=pixels.valid,
                maps=maps,
                index=labeller.window(window, ways).index[0],
                truth=reference.truth(window),
            )
        )
    return tuple(panels)
