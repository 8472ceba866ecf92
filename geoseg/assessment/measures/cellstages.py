"""Stages of the cells of a map: the cells of `geoseg coverage`, their pixels shared out as there.

Rows of pixels come in; of a row of cells only two sums of every role are kept until its last pixel
is through, and of a cell afterwards its percents and stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.confusion import NOTHING
from geoseg.assessment.coverage.share import Shares, coverage_of_counts
from geoseg.assessment.measures.stagetable import UnitStages, unit_stages
from geoseg.assessment.stages import StageTable
from geoseg.errors import OptionError
from geoseg.raster.cover import _coverkernels as kernels
from geoseg.raster.cover.cells import CellSize, cell_grid, pieces
from geoseg.raster.cover.ellipsoid import PixelAreas, RowAreas
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window

MOST_CELLS = 1 << 20
"""Cells of all predictions together whose stages are kept."""

_TARGET, _EXCLUDED, _REST, _NONE = range(4)
"""Roles of pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Cells that hold a pixel that is scored."""

    rows: NDArray[np.int64]
    """(cells,) row of each in the raster that `geoseg coverage` makes of the same cells."""
    cols: NDArray[np.int64]
    """(cells,) column there."""
    centres: NDArray[np.float64]
    """(cells, 2) x and y of its middle, in the coordinate system."""
    maps: NDArray[np.int64]
    """(cells,) number of the map that it is of, where there are several."""


class CellStages:
    """Takes rows from top to bottom, as `BlockCounter.take`; `result` gives stages of cells.

    Both coverages are over the pixels that have a label and a prediction; with
    `unpredicted_is_wrong` the labels' is over all that have a label. Where both maps are whole they
    are those that `geoseg coverage` writes for each, to the last bit.

    Parameters
    ----------
    window
        What is read of the grid.
    grid
        The first prediction's.
    size
        Side of a cell.
    name
        What errors call the raster.
    table, target, excluded
        Stages, and indices of classes.
    predictions
        Number of maps.

    Raises
    ------
    GridError
        The size is in units that the raster has not, or the raster is rotated.
    OptionError
        There would be too many cells.
    """

    def __init__(
        self,
        window: Window,
        grid: Grid,
        size: CellSize,
        *,
        name: str,
        table: StageTable,
        target: Sequence[int],
        excluded: Sequence[int],
        predictions: int,
        unpredicted_is_wrong: bool,
    ) -> None:
        self._window, self._table, self._wrong = window, table, unpredicted_is_wrong
        self._cells = cell_grid(grid, size, name=name)
        read = grid if window == grid.window else grid.crop(window)
        self._areas = None if grid.crs is None else PixelAreas(read)
        # As of the whole raster, or a region would be measured otherwise than what is around it.
        self._by_area = grid.crs is not None and not PixelAreas(grid).even
        self._down, self._along = pieces(read, self._cells)
        rows = np.unique(self._down.cells).size
        if rows * np.unique(self._along.cells).size * predictions > MOST_CELLS:
            raise OptionError(f"cells of {size} are too many to compare: give larger ones")
        self._next, self._cell = 0, -1
        self._roles = np.full(256, _NONE, np.uint8)
        self._roles[:NOTHING] = _REST
        self._roles[list(target)], self._roles[list(excluded)] = _TARGET, _EXCLUDED
        # Labels and maps in turn, a pair a prediction.
        shape = (2 * predictions, self._cells.width, 4)
        self._sums = (np.zeros(shape), np.zeros(shape))
        self._line = (np.zeros(shape), np.zeros(shape))
        self._done: list[_Row] = []

    def take(self, row: int, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Take the next rows."""
        first = row - self._window.row
        areas = self._row_areas(first, first + len(truth))
        along, down = self._along, self._down
        where = (areas.nodes, areas.shift, along.pixels, along.cells, along.lengths)
        codes = self._codes(truth, found)
        shared = -1
        while self._next < down.pixels.size:
            pixels = int(down.pixels[self._next])
            if pixels >= first + len(truth):
                return
            if pixels != shared:
                for number, side in enumerate(codes):
                    line = (self._line[0][number], self._line[1][number])
                    kernels.share_row(side, self._roles, pixels - first, *where, *line)
                shared = pixels
            cell, length = int(down.cells[self._next]), down.lengths[self._next]
            if cell != self._cell:
                self._close()
                self._cell = cell
            for place, line_of in enumerate(self._line):
                self._sums[place][:] += length * line_of
            self._next += 1

    def _codes(self, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """Class indices of labels and maps in turn, 255 where a pixel does not count."""
        codes = []
        for one in found:
            scored = truth if self._wrong else np.where(one == NOTHING, one, truth)
            codes += [scored, np.where(truth == NOTHING, truth, one)]
        return [np.ascontiguousarray(side) for side in codes]

    def _row_areas(self, first: int, stop: int) -> RowAreas:
        if self._areas is None:
            return RowAreas(np.ones((stop - first, 2)), 62)
        return self._areas.rows(first, stop)

    def _close(self) -> None:
        """Keep what the row of cells under way says, and begin another."""
        if self._cell >= 0:
            scored = self._sums[0][::2, :, :_NONE].sum(axis=-1) > 0
            some = scored.any(axis=0)
            amounts = self._sums[1 if self._by_area else 0][:, some, :_NONE]
            cols = np.flatnonzero(some)
            self._done.append(_Row(self._cell, cols, scored[:, some], amounts))
        for total in self._sums:
            total[:] = 0

    def result(self) -> tuple[Cells, tuple[UnitStages, ...]]:
        """Return the cells that hold a pixel that is scored in any map, and a table a map."""
        self._close()
        self._cell = -1
        done = sorted(self._done, key=lambda one: one.row)
        sides = self._sums[0].shape[0]
        rows = np.concatenate(
            [np.zeros(0, np.int64), *(np.full(one.cols.size, one.row) for one in done)]
        )
        cols = np.concatenate([np.zeros(0, np.int64), *(one.cols for one in done)])
        scored = np.concatenate(
            [np.zeros((sides // 2, 0), bool), *(one.scored for one in done)], axis=1
        )
        amounts = np.concatenate([np.zeros((sides, 0, 3)), *(one.amounts for one in done)], axis=1)
        shares = coverage_of_counts(amounts, (_TARGET,), (_EXCLUDED,))
        t = self._cells.transform
        col, row = cols + 0.5, rows + 0.5
        centres = np.stack([t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f], axis=1)
        stages = tuple(
            unit_stages(
                Shares(part=shares.part[2 * p], whole=shares.whole[2 * p]),
                Shares(part=shares.part[2 * p + 1], whole=shares.whole[2 * p + 1]),
                scored[p],
                self._table,
            )
            for p in range(sides // 2)
        )
        return Cells(rows=rows, cols=cols, centres=centres, maps=np.zeros_like(rows)), stages


@dataclass(frozen=True, eq=False)
class _Row:
    """A row of cells that is through, those without a scored pixel left out."""

    row: int
    cols: NDArray[np.int64]
    scored: NDArray[np.bool_]
    """(predictions, cells) whether a pixel is."""
    amounts: NDArray[np.float64]
    """(2 · predictions, cells, 3) of target, excluded, rest: labels and maps in turn."""
