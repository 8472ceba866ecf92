"""What an evaluation may find beyond scores, and how it is found: one more pass over the pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.classrows import ClassRows
from geoseg.assessment.evaluate import Evaluation
from geoseg.assessment.measures.blocks import BlockCounter, Blocks
from geoseg.assessment.measures.bootstrap import FEW_BLOCKS, Bootstrap, bootstrap
from geoseg.assessment.measures.boundary import Boundary, BoundaryMeter
from geoseg.assessment.measures.overview import Overview, OverviewMeter
from geoseg.assessment.measures.seams import ClassSeamMeter, ClassSeams
from geoseg.assessment.measures.stagetable import UnitStages, stages_of_units
from geoseg.assessment.stages import StageTable
from geoseg.errors import OptionError
from geoseg.raster.cells import CellSize, cell_grid
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend

MOST_RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class StagesWanted:
    """How stages are to be compared."""

    table: StageTable
    """The stages."""
    target: tuple[int | str, ...]
    """Ids or names of the classes whose coverage is measured."""
    excluded: tuple[int | str, ...] = ()
    """Ids or names of classes that count for nothing."""
    cell: CellSize | None = None
    """Side of the squares whose stages are compared; None where each file is a unit."""

    def __post_init__(self) -> None:
        if not self.target:
            raise OptionError("stages are of the coverage of a class: give it with --target")

    def indices(self, legend: Legend) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Class indices of target and excluded; LabelError for one that is none."""
        target, excluded = (
            tuple(dict.fromkeys(class_index(item, legend) for item in items))
            for items in (self.target, self.excluded)
        )
        both = set(target) & set(excluded)
        if both:
            raise OptionError(
                f"class {legend.names[min(both)]!r} is both in --target and in --exclude"
            )
        return target, excluded


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to find beyond scores."""

    resamples: int = 0
    """How often to draw blocks for intervals; 0 for none."""
    block: CellSize = field(default_factory=lambda: CellSize(value=64, unit="px"))
    """Side of the blocks that are drawn."""
    seed: int = 0
    """What the draws depend on."""
    boundary: CellSize | None = None
    """Distance within which borders are compared."""
    seams: int | None = None
    """Distance of the lines along which changes of class are counted, in pixels."""
    stages: StagesWanted | None = None
    """Stages to compare."""
    patches: int | None = None
    """Worst patches to look for; None for no picture of errors at all."""

    def __post_init__(self) -> None:
        if not 0 <= self.resamples <= MOST_RESAMPLES or 0 < self.resamples < 20:
            raise OptionError(
                f"{self.resamples} resamples make no interval: give 20 to {MOST_RESAMPLES:,}, 1000"
                " say"
            )
        if self.seams is not None and self.seams < 2:
            raise OptionError("lines of seams are 2 pixels or more apart")


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """What was found; tuples hold one a prediction. None where it was not wanted."""

    bootstrap: Bootstrap | None = None
    boundary: tuple[Boundary, ...] | None = None
    seams: tuple[ClassSeams, ...] | None = None
    """Of the labels first, then of each prediction."""
    stages: tuple[UnitStages, ...] | None = None
    units: Blocks | None = None
    """The cells whose stages were compared."""
    overview: tuple[Overview, ...] | None = None
    notes: tuple[str, ...] = ()
    """What was done otherwise than asked, in words."""


class Taker(Protocol):
    """Takes rows of class indices from top to bottom, as `BlockCounter.take` says."""

    def take(self, row: int, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Take the next rows."""


def find(
    rows: ClassRows,
    evaluations: Sequence[Evaluation],
    grid: Grid,
    wanted: Wanted,
    *,
    takers: Sequence[Taker] = (),
    workers: int = 4,
    progress: Callable[[int], None] | None = None,
) -> Findings:
    """Read predictions and labels once and find what is wanted.

    Parameters
    ----------
    rows
        The predictions and labels.
    evaluations
        What counting them found.
    grid
        The first prediction's, on which all lie.
    wanted
        What to find.
    takers
        Others who want the rows.
    workers, progress
        As `Comparison.run`.

    Raises
    ------
    OptionError
        A distance makes no sense here, or all labels lie in one block.
    GridError
        A distance is in units that the raster has not.
    LabelError
        A class of the stages is none.
    """
    first = evaluations[0]
    name, legend, wrong = first.prediction, first.legend, first.unpredicted_is_wrong
    sizes = {"predictions": rows.predictions, "classes": len(legend)}
    notes: list[str] = []
    blocks = cells = boundary = seams = overview = None
    if wanted.resamples:
        blocks = _blocks(rows, wanted.block, grid, name, sizes, notes)
    if wanted.stages is not None:
        target, excluded = wanted.stages.indices(legend)
        cell = wanted.stages.cell
        if cell is None:
            raise OptionError("stages of a map are of cells: give their size with --cell")
        asked = pixels_of(cell, grid, name)
        too_many: list[str] = []
        cells = _blocks(rows, cell, grid, name, sizes, too_many)
        if too_many:
            raise OptionError(f"cells of {cell} are too many to compare: give larger ones")
        if cells.sides != asked:
            notes.append(
                f"stages are of cells of {cells.sides[1]} × {cells.sides[0]} px, not of {cell}"
            )
    if wanted.boundary is not None:
        boundary = BoundaryMeter(
            min(pixels_of(wanted.boundary, grid, name)),
            unpredicted_is_wrong=wrong,
            workers=workers,
            **sizes,
        )
    if wanted.seams is not None:
        seams = ClassSeamMeter(rows.window, wanted.seams, maps=rows.predictions + 1)
    if wanted.patches is not None:
        overview = OverviewMeter(
            rows.window,
            predictions=rows.predictions,
            patches=wanted.patches,
            unpredicted_is_wrong=wrong,
        )
    every = [t for t in (blocks, cells, boundary, seams, overview) if t is not None]
    if not every and not takers:
        return Findings()
    for row, truth, found in rows.rows(workers=workers, progress=progress):
        for taker in (*every, *takers):
            taker.take(row, truth, found)
    drawn = None
    if blocks is not None:
        drawn = bootstrap(
            blocks.result(),
            first.scores.in_means,
            unpredicted_is_wrong=wrong,
            resamples=wanted.resamples,
            seed=wanted.seed,
        )
        notes += few_blocks(drawn)
    units = None if cells is None else _scored(cells.result(), unpredicted_is_wrong=wrong)
    return Findings(
        bootstrap=drawn,
        boundary=None if boundary is None else boundary.result(first.scores.in_means),
        seams=None if seams is None else seams.result(),
        units=units,
        stages=None
        if units is None or wanted.stages is None
        else tuple(
            stages_of_units(
                units.counts[:, p],
                wanted.stages.table,
                target,
                excluded,
                unpredicted_is_wrong=wrong,
            )
            for p in range(rows.predictions)
        ),
        overview=None if overview is None else overview.result(),
        notes=tuple(notes),
    )


def class_index(item: int | str, legend: Legend) -> int:
    """Class index of an id or a name; LabelError where there is no such class."""
    return legend.index_of(item) if isinstance(item, int) else legend.index_of_name(item)


def few_blocks(drawn: Bootstrap) -> list[str]:
    """Say that intervals rest on few blocks, where they do."""
    if drawn.blocks >= FEW_BLOCKS:
        return []
    what = "photographs" if drawn.sides is None else "blocks"
    return [f"only {drawn.blocks} {what} hold labels: the intervals are rather too narrow"]


def pixels_of(size: CellSize, grid: Grid, name: str) -> tuple[float, float]:
    """Length along a column and along a row, in pixels."""
    along = zip(cell_grid(grid, size, name=name).resolution, grid.resolution, strict=True)
    across, down = (cell / pixel for cell, pixel in along)
    return round(down, 6), round(across, 6)


def _blocks(
    rows: ClassRows, size: CellSize, grid: Grid, name: str, sizes: dict[str, int], notes: list[str]
) -> BlockCounter:
    down, across = (max(1, round(side)) for side in pixels_of(size, grid, name))
    counter = BlockCounter(rows.window, (down, across), **sizes)
    if counter.sides != (down, across):
        notes.append(
            f"blocks of {size} are too many to keep: those of {counter.sides[1]} ×"
            f" {counter.sides[0]} px are drawn"
        )
    return counter


def _scored(blocks: Blocks, *, unpredicted_is_wrong: bool) -> Blocks:
    """Leave out blocks in which no pixel is scored in any prediction."""
    if unpredicted_is_wrong:
        return blocks
    kept = blocks.counts[:, :, 0].sum(axis=(1, 2)) > 0
    return Blocks(
        sides=blocks.sides,
        rows=blocks.rows[kept],
        cols=blocks.cols[kept],
        counts=blocks.counts[kept],
    )
