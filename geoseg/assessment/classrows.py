"""The pixels of comparisons once more, as class indices, row by row.

Counting (`geoseg.assessment.evaluate`) comes first: it finds the classes where none are named, and
which errors are common. What needs pixels beside one another reads both rasters a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.codes import Codes, by_id
from geoseg.assessment.confusion import NOTHING
from geoseg.assessment.evaluate import Comparison
from geoseg.raster.legend import Legend
from geoseg.raster.scene import Pixels
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window


class ClassRows:
    """Labels and predictions of one grid as class indices; 255 where there is none.

    Parameters
    ----------
    comparisons
        Predictions on one grid, all against the same labels and inside the same region.
    legend
        Their classes, as their evaluations have them.

    Attributes
    ----------
    window
        The part of the grid that is read.
    """

    def __init__(self, comparisons: Sequence[Comparison], legend: Legend) -> None:
        first = comparisons[0]
        self._of = first
        self._scenes = [first.labels, *(c.prediction for c in comparisons)]
        self.window = first.window
        ignored = np.array(sorted(first.ignored_values(legend)), np.int64)
        self._ignored = ignored
        self._truth = Codes(first.labels.dtype, legend, name=first.names[1])
        ids = by_id(legend)
        self._found = [Codes(c.prediction.dtype, ids, name=c.names[0]) for c in comparisons]
        truth_index = self._truth.index(legend).copy()
        if self._truth.raw:
            truth_index[ignored[(ignored >= 0) & (ignored <= 255)]] = NOTHING
        self._truth_index = truth_index
        self._found_index = [codes.index(ids) for codes in self._found]

    @property
    def predictions(self) -> int:
        """Number of predictions."""
        return len(self._found)

    def rows(
        self, *, workers: int = 4, progress: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]]:
        """Read everything from top to bottom.

        Yields
        ------
        First row in the raster, labels (rows, cols), predictions (predictions, rows, cols).
        """
        strips = read_strips(
            self._scenes, window=self.window, workers=workers, convert=self._convert
        )
        with closing(strips):
            for strip in strips:
                classes = strip.arrays[0]
                yield strip.row, classes[0], classes[1:]
                if progress is not None:
                    progress(strip.height * self.window.width)

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read labels (rows, cols) and predictions (predictions, rows, cols) of a window."""
        (classes,), _ = self._convert([scene.read(window) for scene in self._scenes], window)
        return classes[0], classes[1:]

    def _convert(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[np.uint8], ...], NDArray[np.bool_]]:
        labels = pixels[0]
        out = np.empty((len(pixels), window.height, window.width), np.uint8)
        np.take(self._truth_index, self._truth.encode(labels.data[0]), out=out[0])
        out[0][~labels.valid] = NOTHING
        if self._ignored.size and not self._truth.raw:
            out[0][np.isin(labels.data[0], self._ignored)] = NOTHING
        if self._of.region is not None:
            out[0][~self._of.region.mask(window)] = NOTHING
        parts = zip(self._found, self._found_index, pixels[1:], out[1:], strict=True)
        for codes, index, found, into in parts:
            np.take(index, codes.encode(found.data[0]), out=into)
            into[~found.valid] = NOTHING
        return (out,), labels.valid
