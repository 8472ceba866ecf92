"""Coverage by cell: a raster of percents, and one of stages.

Every row of the raster is read once and shared out among the cells along it; a row of cells is
written when the last row of pixels that it touches is through. Memory is a strip of the raster and
one row of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.coverage.result import Result, notes_of, tags_of, total_of
from geoseg.assessment.coverage.source import Layout, Source
from geoseg.assessment.stages import StageTable
from geoseg.errors import OptionError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.cover import _coverkernels as kernels
from geoseg.raster.cover.cells import CellSize, Pieces, cell_grid, check_like, pieces
from geoseg.raster.grid import Grid
from geoseg.raster.legend import NODATA, Ramp
from geoseg.raster.outputs.checks import check_outputs
from geoseg.raster.scene import Scene
from geoseg.raster.strips import Strip

_ROUNDING = 1e-9
"""Percent of a cell so small that only rounding is missing."""


def stage_path(output: str | Path) -> Path:
    """Where the stages go that belong to a raster of coverage."""
    path = Path(output)
    return path.with_name(f"{path.stem}_stage{path.suffix}")


def grid_of_cells(source: Source, *, size: str | None = None, like: str | None = None) -> Grid:
    """Grid of the cells that a person asks for.

    Parameters
    ----------
    source
        What is to be measured.
    size
        Side of a cell, as `geoseg.raster.cover.cells.CellSize.parse` reads it.
    like
        A raster whose pixels are the cells; given in place of a size.

    Raises
    ------
    GridError, OptionError
        As `geoseg.raster.cover.cells.cell_grid` and `geoseg.raster.cover.cells.check_like`.
    RasterReadError
        The raster cannot be opened.
    """
    grid = source.scene.grid
    if size is not None:
        return cell_grid(grid, CellSize.parse(size), name=source.name)
    if like is None:
        raise OptionError("no cells: give their size, or a raster whose pixels they are")
    cells = Scene.open(like).grid
    check_like(grid, cells, name=source.name, like_name=like)
    return cells


def coverage_by_cell(
    source: Source,
    output: str | Path,
    cells: Grid,
    *,
    how: Mapping[str, str],
    stages: StageTable | None = None,
    hectares: bool = False,
    workers: int = 4,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Measure coverage of every cell of a grid.

    Parameters
    ----------
    source
        What to measure.
    output
        GeoTIFF, float32: bands coverage (percent; NaN where nothing counts), nodata_share (percent
        of the cell without data, off the raster included) and, if wanted, target_ha.
    cells
        Grid along the axes of the source's, as from `geoseg.raster.cover.cells`.
    how
        The option that gave the cells, for the metadata: ``{"cell": "300m"}``.
    stages
        Adds a class raster of stages, ``OUTPUT_stage.tif``; cells where nothing counts are nodata.
    hectares
        Whether to add the target's hectares on the ellipsoid.
    workers
        Threads that read.
    progress
        Called with the number of pixels done since the last call.

    Raises
    ------
    RasterReadError
        The raster cannot be read to its end.
    LabelError
        Probabilities are none.
    OutputError
        An output cannot be written.
    """
    outputs = [Path(output), *([stage_path(output)] if stages is not None else [])]
    check_outputs(outputs, overwrite=overwrite, suffixes=(".tif", ".tiff"))
    reader, layout = source.by_role()
    down, along = pieces(source.scene.grid, cells)
    tags = tags_of(source, {**how, "hectares": hectares}, stages, {})
    with _Maps(
        outputs, cells, layout, source, tags, stages, hectares=hectares, overwrite=overwrite,
        cell_sides=(down.cell_lengths, along.cell_lengths),
    ) as maps:  # fmt: skip
        rows = _Rows(layout, down, along, maps)
        for strip in reader.strips(source.scene.grid.window, workers):
            rows.add(strip, reader)
            if progress is not None:
                progress(strip.height * source.scene.grid.width)
        rows.finish()
        maps.finish()
    return Result(
        outputs=tuple(outputs),
        source=source.name,
        target=source.names(source.target),
        excluded=source.names(source.excluded),
        places=f"cells: {cells.describe()}",
        count=cells.height * cells.width,
        counted=maps.counted,
        total=total_of(source, layout, maps.counts, maps.areas, stages),
        stages={} if stages is None else dict(zip(stages.names, maps.stages.tolist(), strict=True)),
        zones=(),
        notes=tuple(notes_of(source)),
    )


class _Rows:
    """Rows of pixels in, sums of rows of cells out, each once."""

    def __init__(self, layout: Layout, down: Pieces, along: Pieces, maps: _Maps) -> None:
        self._layout, self._down, self._along, self._maps = layout, down, along, maps
        shape = (maps.cells.width, layout.size)
        self._line = (np.zeros(shape), np.zeros(shape))
        self._sums = (np.zeros(shape), np.zeros(shape))
        self._cell: int | None = None
        self._next = 0

    def add(self, strip: Strip, reader: Source) -> None:
        """Take the next rows."""
        areas = reader.row_areas(strip.row, strip.row + strip.height)
        along, down = self._along, self._down
        pixels = np.ascontiguousarray(strip.arrays[0])
        valid = np.ascontiguousarray(strip.valid)
        where = (areas.nodes, areas.shift, along.pixels, along.cells, along.lengths, *self._line)
        shared = -1
        while self._next < down.pixels.size:
            row = int(down.pixels[self._next])
            if row >= strip.row + strip.height:
                return
            if row != shared:
                if self._layout.slots is not None:
                    kernels.share_row(pixels, self._layout.slots, row - strip.row, *where)
                else:
                    kernels.share_values(pixels, valid, row - strip.row, *where)
                shared = row
            cell, length = int(down.cells[self._next]), down.lengths[self._next]
            if cell != self._cell:
                self.finish()
                self._cell = cell
            for place, line in enumerate(self._line):
                self._sums[place][:] += length * line
            self._next += 1

    def finish(self) -> None:
        """Hand on the row of cells that is under way."""
        if self._cell is not None:
            self._maps.add(self._cell, *self._sums)
        self._cell = None
        for total in self._sums:
            total[:] = 0


class _Maps:
    """Takes sums of rows of cells and writes them; a context manager."""

    def __init__(
        self,
        outputs: list[Path],
        cells: Grid,
        layout: Layout,
        source: Source,
        tags: dict[str, str],
        stages: StageTable | None,
        *,
        hectares: bool,
        overwrite: bool,
        cell_sides: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        self.cells = cells
        self.counts, self.areas = np.zeros(layout.size), np.zeros(layout.size)
        self.counted = 0
        self.stages = np.zeros(0 if stages is None else len(stages.names), np.int64)
        self._layout, self._source, self._table = layout, source, stages
        self._hectares = hectares and source.areas is not None
        self._cell_rows, self._cell_cols = cell_sides
        self._seen = np.zeros(cells.height, bool)
        more = ["target_ha"] if self._hectares else []
        self._coverage = RasterWriter(
            outputs[0],
            cells,
            band_names=["coverage", "nodata_share", *more],
            units=["%", "%", *(["ha"] if more else [])],
            dtype="float32",
            nodata=float("nan"),
            ramp=Ramp(name="coverage", minimum=0.0, maximum=100.0, unit="%"),
            tags=tags,
            overwrite=overwrite,
        )
        self._stage: RasterWriter | None = None
        if stages is not None:
            self._stage = RasterWriter(
                outputs[1],
                cells,
                band_names=["stage"],
                dtype="uint8",
                nodata=NODATA,
                legend=stages.legend(),
                tags=tags,
                overwrite=overwrite,
            )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for writer in (self._coverage, self._stage):
                if writer is not None:
                    stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def add(self, row: int, counts: NDArray[np.float64], areas: NDArray[np.float64]) -> None:
        """Write one row of cells from sums (cells, size) of pixels and of square metres."""
        layout = self._layout
        shares = layout.shares(counts if self._source.counts_pixels else areas)
        missing = 100 - 100 * layout.valid(counts) / (self._cell_rows[row] * self._cell_cols)
        missing[np.abs(missing) < _ROUNDING] = 0
        some = shares.whole > 0
        bands = [shares.percent, missing]
        if self._hectares:
            bands.append(np.where(some, layout.shares(areas).part / 1e4, np.nan))
        self._coverage.write_rows(row, np.stack(bands).astype(np.float32)[:, np.newaxis])
        if self._table is not None and self._stage is not None:
            index = self._table.index(shares.part, shares.whole)
            self.stages += np.bincount(index[some], minlength=len(self.stages))
            ids = np.where(some, index + 1, NODATA).astype(np.uint8)
            self._stage.write_rows(row, ids[np.newaxis])
        self._seen[row] = True
        self.counted += int(np.count_nonzero(some))
        self.counts += counts.sum(axis=0)
        self.areas += areas.sum(axis=0)

    def finish(self) -> None:
        """Write cells off the raster, and make the files; leaving ``with`` gives them names."""
        nothing = np.zeros((self.cells.width, self._layout.size))
        for row in np.flatnonzero(~self._seen):
            self.add(int(row), nothing, nothing)
        for writer in (self._coverage, self._stage):
            if writer is not None:
                writer.make()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
