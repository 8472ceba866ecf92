"""Counts of a map block by block, taken in as rows come.

Of each block only what scores need is kept: how many pixels of each class are true, unpredicted,
predicted and right. A full confusion a block would be as many times larger as there are classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.confusion import Scores
from geoseg.assessment.measures._kernels import (
    CORRECT,
    PREDICTED,
    TRUE,
    UNPREDICTED,
    count_blocks,
)
from geoseg.raster.window import Window

MOST_BYTES = 64 << 20
"""Room for counts; blocks become larger rather than their counts."""


def scores_of(
    sums: NDArray[np.int64], in_means: NDArray[np.bool_], *, unpredicted_is_wrong: bool
) -> Scores:
    """Scores from counts (4, classes), in the order of `Blocks.counts`."""
    missing = sums[UNPREDICTED]
    return Scores(
        true=sums[TRUE] + (missing if unpredicted_is_wrong else 0),
        predicted=sums[PREDICTED],
        correct=sums[CORRECT],
        unpredicted=missing,
        labelled=int(sums[TRUE].sum() + missing.sum()),
        in_means=in_means,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocks:
    """Blocks that hold labels, in the order of rows."""

    sides: tuple[int, int]
    """Rows and columns of a block."""
    rows: NDArray[np.int64]
    """(blocks,) row of each block's first pixel in the raster."""
    cols: NDArray[np.int64]
    """(blocks,) column of each block's first pixel in the raster."""
    counts: NDArray[np.int64]
    """(blocks, predictions, 4, classes): pixels true and predicted as something, true without a
    prediction, predicted, and right."""


class BlockCounter:
    """Counts rows as they come, from top to bottom.

    Blocks begin at the raster's first pixel. Where their counts would take more than `MOST_BYTES`,
    blocks are made twice as large until they do not; `sides` says what they are.
    """

    def __init__(
        self, window: Window, sides: tuple[int, int], *, predictions: int, classes: int
    ) -> None:
        self._window = window
        down, across = sides
        while True:
            first = (window.row // down, window.col // across)
            shape = (
                (window.row_stop - 1) // down - first[0] + 1,
                (window.col_stop - 1) // across - first[1] + 1,
            )
            if predictions * shape[0] * shape[1] * 4 * classes * 8 <= MOST_BYTES or shape == (1, 1):
                break
            down, across = 2 * down, 2 * across
        self.sides = (down, across)
        self._first = first
        self._col = np.arange(window.col, window.col_stop) // across - first[1]
        self._counts = np.zeros((predictions, *shape, 4, classes), np.int64)

    def take(self, row: int, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Count rows.

        Parameters
        ----------
        row
            First row in the raster.
        truth
            (rows, cols) class indices.
        found
            (predictions, rows, cols) class indices.
        """
        place = np.arange(row, row + len(truth)) // self.sides[0] - self._first[0]
        for one, counts in zip(found, self._counts, strict=True):
            count_blocks(truth, one, place, self._col, counts)

    def result(self) -> Blocks:
        """Return the blocks that hold labels."""
        labelled = self._counts[0, :, :, TRUE].sum(axis=-1)
        labelled += self._counts[0, :, :, UNPREDICTED].sum(axis=-1)
        down, across = np.nonzero(labelled)
        return Blocks(
            sides=self.sides,
            rows=(down + self._first[0]) * self.sides[0],
            cols=(across + self._first[1]) * self.sides[1],
            counts=np.ascontiguousarray(self._counts[:, down, across].transpose(1, 0, 2, 3)),
        )
