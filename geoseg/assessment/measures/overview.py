"""Where a map is wrong: shares of errors over a coarse grid, and the worst patches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.confusion import NOTHING
from geoseg.assessment.measures._kernels import CORRECT, TRUE, UNPREDICTED
from geoseg.assessment.measures.blocks import BlockCounter
from geoseg.raster.window import Window

OVERVIEW_SIDE = 384
"""Cells along the longer side of the coarse grid, at most."""

PATCH_SIDE = 256
"""Pixels along a patch."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Overview:
    """Errors of one prediction by place."""

    side: int
    """Pixels along a cell."""
    shares: NDArray[np.float32]
    """(cell rows, cell columns) share of scored pixels that are wrong; NaN where none is scored."""
    worst: tuple[tuple[Window, int, int], ...]
    """Patches with the most errors, the worst first: window in the raster, wrong, scored pixels."""


class OverviewMeter:
    """Takes rows from top to bottom, as `BlockCounter.take`."""

    def __init__(
        self, window: Window, *, predictions: int, patches: int, unpredicted_is_wrong: bool
    ) -> None:
        self._window = window
        self._patches = patches
        self._wrong = unpredicted_is_wrong
        side = math.ceil(max(window.height, window.width) / OVERVIEW_SIDE)
        patch = min(PATCH_SIDE, max(16, math.ceil(max(window.height, window.width) / 4)))
        # Two "classes": right and wrong.
        self._cells = BlockCounter(window, (side, side), predictions=predictions, classes=2)
        self._tiles = BlockCounter(window, (patch, patch), predictions=predictions, classes=2)

    def take(self, row: int, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Take the next rows."""
        labelled = np.where(truth == NOTHING, np.uint8(NOTHING), np.uint8(0))
        state = (found != truth).astype(np.uint8)
        state[found == NOTHING] = NOTHING
        self._cells.take(row, labelled, state)
        self._tiles.take(row, labelled, state)

    def result(self) -> tuple[Overview, ...]:
        """Return what was found, one a prediction."""
        cells, tiles = self._cells.result(), self._tiles.result()
        side, window = cells.sides[0], self._window
        first = (window.row // side, window.col // side)
        shape = (
            (window.row_stop - 1) // side - first[0] + 1,
            (window.col_stop - 1) // side - first[1] + 1,
        )
        found = []
        for number in range(cells.counts.shape[1]):
            wrong, scored = self._counts(cells.counts[:, number])
            shares = np.full(shape, np.nan, np.float32)
            place = (cells.rows // side - first[0], cells.cols // side - first[1])
            known = np.full(wrong.shape, np.nan)
            np.divide(wrong, scored, out=known, where=scored > 0)
            shares[place] = known
            wrong, scored = self._counts(tiles.counts[:, number])
            order = np.argsort(-wrong, kind="stable")[: self._patches]
            worst = [
                (self._tile(int(tiles.rows[i]), int(tiles.cols[i]), tiles.sides), wrong[i], i)
                for i in order
                if wrong[i]
            ]
            found.append(
                Overview(
                    side=side,
                    shares=shares,
                    worst=tuple((w, int(n), int(scored[i])) for w, n, i in worst if w is not None),
                )
            )
        return tuple(found)

    def _counts(self, counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Wrong and scored pixels of blocks, from (blocks, 4, 2)."""
        scored = counts[:, TRUE].sum(axis=-1)
        right = counts[:, CORRECT].sum(axis=-1)
        if self._wrong:
            scored = scored + counts[:, UNPREDICTED].sum(axis=-1)
        return scored - right, scored

    def _tile(self, row: int, col: int, sides: tuple[int, int]) -> Window | None:
        return Window(row, col, *sides).intersection(self._window)
