"""What an evaluation may find beyond scores: what is wanted, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from geoseg.assessment.confusion import Confusion, Scores
from geoseg.assessment.measures.bootstrap import FEW_BLOCKS, Bootstrap
from geoseg.assessment.measures.boundary import Boundary
from geoseg.assessment.measures.cellstages import Cells
from geoseg.assessment.measures.overview import Overview
from geoseg.assessment.measures.seams import ClassSeams
from geoseg.assessment.measures.stagetable import UnitStages
from geoseg.assessment.stages import StageTable
from geoseg.errors import OptionError
from geoseg.raster.cover.cells import CellSize, cell_grid
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
class Common:
    """Several predictions on the pixels that all of them have; tuples hold one a prediction."""

    confusions: tuple[Confusion, ...]
    """Counts of labelled pixels that every prediction gives a class."""
    scores: tuple[Scores, ...]
    """Scores of these pixels alone."""
    bootstrap: Bootstrap | None = None
    """Intervals from the same pixels, block by block."""

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.scores[0].scored

    def is_all_of(self, own: Sequence[Scores]) -> bool:
        """Whether these are all pixels that each prediction, scored by itself, is scored on."""
        return all(one.scored == self.pixels for one in own)


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """What was found; tuples hold one a prediction. None where it was not wanted."""

    bootstrap: Bootstrap | None = None
    boundary: tuple[Boundary, ...] | None = None
    seams: tuple[ClassSeams, ...] | None = None
    """Of the labels first, then of each prediction."""
    stages: tuple[UnitStages, ...] | None = None
    cells: Cells | None = None
    """The cells whose stages were compared; None of photographs."""
    overview: tuple[Overview, ...] | None = None
    common: Common | None = None
    """None where each prediction is scored on the same pixels anyway."""
    notes: tuple[str, ...] = ()
    """What was done otherwise than asked, in words."""
    own: tuple[Findings, ...] = ()
    """Where folders hold different maps, what was found in all maps of each folder: one prediction
    each. All else is then of the maps that every folder has."""

    def of(self, prediction: int) -> tuple[Findings, int]:
        """Where to look for what was found of a prediction by itself: findings, number in them."""
        return (self.own[prediction], 0) if self.own else (self, prediction)


def class_index(item: int | str, legend: Legend) -> int:
    """Class index of an id or a name; LabelError where there is no such class."""
    return legend.index_of(item) if isinstance(item, int) else legend.index_of_name(item)


def size_of(text: str, option: str) -> CellSize:
    """Read the length that a person gives an option; OptionError where it is none."""
    try:
        return CellSize.parse(text)
    except OptionError:
        raise OptionError(
            f"{option} {text!r} is no length above 0 in a unit that is known: write 2px, 30m, 1km,"
            " 100ft or 0.001deg"
        ) from None


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
