"""Labels of pixels, which weak labels are fitted on and measured by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError
from geoseg.inference.cam.combine import Combination
from geoseg.inference.cam.logistic import MOST_PIXELS, fit_logistic
from geoseg.inference.outputs import NODATA
from geoseg.inference.source import Area
from geoseg.raster.labels.laying import lay_labels
from geoseg.raster.legend import Legend
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

MapsOf = Callable[[Sequence[Window]], Iterator[NDArray[np.float32]]]
"""Gives the maps of windows, (classes, rows, cols) for each."""


class Reference:
    """Labels of (part of) a scene.

    Parameters
    ----------
    labels
        One band of label values, on any grid.
    scene
        What they are labels of.
    legend
        Classes of the model; other label values are no labels.
    area
        Where labels count; everywhere if None.
    assume_aligned
        Take labels without a place on Earth as lying on the scene pixel by pixel.

    Raises
    ------
    GridError, LabelError
        They cannot be laid on the scene, or are no single band.
    """

    def __init__(
        self,
        labels: Scene,
        scene: Scene,
        legend: Legend,
        *,
        area: Area | None,
        assume_aligned: bool,
    ) -> None:
        if len(labels.bands) != 1:
            raise LabelError(
                f"{labels.paths[0]} has {len(labels.bands)} bands: labels have one, of class codes"
            )
        self.path = labels.paths[0]
        self._labels = lay_labels(labels, scene, assume_aligned=assume_aligned)
        self._legend = legend
        self._area = area
        self._height, self._width = scene.grid.height, scene.grid.width

    @property
    def resampled(self) -> bool:
        """Whether the labels lie on another grid."""
        return self._labels.is_warped

    @cached_property
    def contents(self) -> str:
        """Digest of the labels' files, taken once."""
        return self._labels.fingerprint()

    def truth(self, window: Window) -> NDArray[np.uint8]:
        """(rows, cols) class index, 255 where there is no label."""
        pixels = self._labels.read(window)
        index: NDArray[np.uint8] = self._legend.lookup(pixels.data[0])
        known = pixels.valid
        if self._area is not None:
            known = known & self._area.mask(window)
        index[~known] = NODATA
        return index

    def choose(
        self, side: int, count: int, seed: int, *, most: float = 1.0
    ) -> tuple[list[Window], int]:
        """Choose labelled patches at random, among all that lie side by side.

        Parameters
        ----------
        side
            Of a patch in pixels; those at the right and lower border may be smaller.
        count
            How many, at most.
        seed
            Of the choice.
        most
            Share of the labelled patches that are chosen, at most; one in any case.

        Returns
        -------
        The patches, by rows and in each row from left to right, and how many have labels.

        Raises
        ------
        LabelError
            No pixel is labelled.
        """
        there: list[Window] = []
        for row in range(0, self._height, side):
            height = min(side, self._height - row)
            labelled = self.truth(Window(row, 0, height, self._width)) != NODATA
            there += [
                Window(row, col, height, min(side, self._width - col))
                for col in range(0, self._width, side)
                if labelled[:, col : col + side].any()
            ]
        if not there:
            raise LabelError(
                f"{self.path}: no pixel of the scene has a label of the model's classes"
                f" ({', '.join(self._legend.names)})"
            )
        order = np.random.default_rng(seed).permutation(len(there))
        chosen = order[: max(1, min(count, int(most * len(there))))]
        return [there[n] for n in sorted(chosen)], len(there)


class FittedPatches:
    """Patches that a regression is fitted on.

    Parameters
    ----------
    windows
        The patches, by rows and in each row from left to right.
    """

    def __init__(self, windows: list[Window]) -> None:
        self.windows = windows

    def fit(self, reference: Reference, maps_of: MapsOf, seed: int) -> Combination:
        """Fit multinomial logistic regression on their pixels.

        Parameters
        ----------
        reference
            The labels.
        maps_of
            Gives the activations, as they will be when classes are made of them.
        seed
            Chooses among the pixels of a patch where there are too many.

        Raises
        ------
        LabelError
            All pixels are of one class.
        """
        most = max(1, MOST_PIXELS // len(self.windows))
        activations, labels = [], []
        for number, (window, maps) in enumerate(
            zip(self.windows, maps_of(self.windows), strict=True)
        ):
            here = maps.reshape(len(maps), -1)
            truth = reference.truth(window).reshape(-1)
            usable = np.flatnonzero((truth != NODATA) & ~np.isnan(here[0]))
            if len(usable) > most:
                random = np.random.default_rng([seed, number])
                usable = np.sort(random.choice(usable, most, replace=False))
            activations.append(here[:, usable])
            labels.append(truth[usable])
        return fit_logistic(np.concatenate(activations, axis=1), np.concatenate(labels))

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """(rows, cols) of a window, True inside one of the patches."""
        inside = np.zeros((window.height, window.width), np.bool_)
        for patch in self.windows:
            both = patch.intersection(window)
            if both is not None:
                inside[both.slices(row_origin=window.row, col_origin=window.col)] = True
        return inside
