"""One more pass over the pixels of a map, for what counts alone do not tell; and maps joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.classrows import ClassRows
from geoseg.assessment.confusion import NOTHING, Confusion, count_pairs
from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.findings import Common, Findings, Wanted, few_blocks, pixels_of
from geoseg.assessment.measures.blocks import BlockCounter, Blocks
from geoseg.assessment.measures.bootstrap import Bootstrap, bootstrap
from geoseg.assessment.measures.boundary import Boundary, BoundaryMeter
from geoseg.assessment.measures.cellstages import Cells, CellStages
from geoseg.assessment.measures.overview import Overview, OverviewMeter
from geoseg.assessment.measures.seams import ClassSeamMeter, ClassSeams
from geoseg.assessment.measures.stagetable import UnitStages
from geoseg.errors import OptionError
from geoseg.raster.cover.cells import CellSize
from geoseg.raster.grid import Grid


class Taker(Protocol):
    """Takes rows of class indices from top to bottom, as `BlockCounter.take` says."""

    def take(self, row: int, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Take the next rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass:
    """What one pass over a map found; tuples hold one a prediction."""

    blocks: Blocks | None = None
    common_blocks: Blocks | None = None
    """Blocks of the pixels that all predictions have."""
    common: tuple[Confusion, ...] | None = None
    """Counts of the pixels that all predictions have; None where those are all that are scored."""
    boundary: tuple[Boundary, ...] | None = None
    seams: tuple[ClassSeams, ...] | None = None
    cells: Cells | None = None
    stages: tuple[UnitStages, ...] | None = None
    overview: tuple[Overview, ...] | None = None
    notes: tuple[str, ...] = ()


def differ_in_pixels(evaluations: Sequence[Evaluation]) -> bool:
    """Whether predictions of one map may not be scored on the same pixels."""
    if len(evaluations) < 2 or evaluations[0].unpredicted_is_wrong:
        return False
    return any(int(one.scores.unpredicted.sum()) for one in evaluations)


def read_again(
    rows: ClassRows,
    evaluations: Sequence[Evaluation],
    grid: Grid,
    wanted: Wanted,
    *,
    takers: Sequence[Taker] = (),
    workers: int = 4,
    progress: Callable[[int], None] | None = None,
) -> Pass:
    """Read predictions and labels once more and find what is wanted.

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
        A distance makes no sense here, or cells are too many.
    GridError
        A distance is in units that the raster has not.
    LabelError
        A class of the stages is none.
    """
    meters = _Meters.of(rows, evaluations, grid, wanted, workers)
    every = [*meters.takers, *takers]
    if not every:
        if progress is not None:
            progress(rows.window.area)
        return Pass()
    for row, truth, found in rows.rows(workers=workers, progress=progress):
        for taker in every:
            taker.take(row, truth, found)
    return meters.result(evaluations[0])


@dataclass(kw_only=True)
class _Meters:
    """What measures rows on their way; None where that is not wanted."""

    blocks: BlockCounter | None = None
    common_blocks: BlockCounter | None = None
    """Filled by `common`."""
    common: _Common | None = None
    cells: CellStages | None = None
    boundary: BoundaryMeter | None = None
    seams: ClassSeamMeter | None = None
    overview: OverviewMeter | None = None
    notes: list[str]

    @classmethod
    def of(
        cls,
        rows: ClassRows,
        evaluations: Sequence[Evaluation],
        grid: Grid,
        wanted: Wanted,
        workers: int,
    ) -> Self:
        """Make those that are wanted; see `read_again`."""
        first = evaluations[0]
        name, legend, wrong = first.prediction, first.legend, first.unpredicted_is_wrong
        predictions, classes = rows.predictions, len(legend)
        made = cls(notes=[])
        if wanted.resamples:
            made.blocks = _blocks(rows, wanted.block, grid, name, classes, made.notes)
        if differ_in_pixels(evaluations):
            if wanted.resamples:
                made.common_blocks = _blocks(rows, wanted.block, grid, name, classes, [])
            made.common = _Common(predictions, classes, made.common_blocks)
        if wanted.stages is not None and wanted.stages.cell is not None:
            target, excluded = wanted.stages.indices(legend)
            made.cells = CellStages(
                rows.window,
                grid,
                wanted.stages.cell,
                name=name,
                table=wanted.stages.table,
                target=target,
                excluded=excluded,
                predictions=predictions,
                unpredicted_is_wrong=wrong,
            )
        if wanted.boundary is not None:
            made.boundary = BoundaryMeter(
                min(pixels_of(wanted.boundary, grid, name)),
                unpredicted_is_wrong=wrong,
                workers=workers,
                predictions=predictions,
                classes=classes,
            )
        if wanted.seams is not None:
            made.seams = ClassSeamMeter(rows.window, wanted.seams, maps=predictions + 1)
        if wanted.patches is not None:
            made.overview = OverviewMeter(
                rows.window,
                predictions=predictions,
                patches=wanted.patches,
                unpredicted_is_wrong=wrong,
            )
        return made

    @property
    def takers(self) -> list[Taker]:
        """Those that take rows themselves."""
        some = (self.blocks, self.common, self.cells, self.boundary, self.seams, self.overview)
        return [taker for taker in some if taker is not None]

    def result(self, first: Evaluation) -> Pass:
        """Return what they found."""
        places, stages = (None, None) if self.cells is None else self.cells.result()
        in_means = first.scores.in_means
        return Pass(
            blocks=None if self.blocks is None else self.blocks.result(),
            common_blocks=None if self.common_blocks is None else self.common_blocks.result(),
            common=None if self.common is None else self.common.result(),
            boundary=None if self.boundary is None else self.boundary.result(in_means),
            seams=None if self.seams is None else self.seams.result(),
            cells=places,
            stages=stages,
            overview=None if self.overview is None else self.overview.result(),
            notes=tuple(self.notes),
        )


class _Common:
    """Counts the pixels that all predictions have."""

    def __init__(self, predictions: int, classes: int, blocks: BlockCounter | None) -> None:
        self._counts = np.zeros((predictions, classes, classes), np.int64)
        self._blocks = blocks

    def take(self, row: int, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Take the next rows."""
        truth = np.where((found == NOTHING).any(axis=0), np.uint8(NOTHING), truth)
        classes = self._counts.shape[1]
        for number, one in enumerate(found):
            self._counts[number] += count_pairs(truth, one)[:classes, :classes]
        if self._blocks is not None:
            self._blocks.take(row, truth, found)

    def result(self) -> tuple[Confusion, ...]:
        """Return the counts, one a prediction."""
        nothing = np.zeros(self._counts.shape[1], np.int64)
        return tuple(Confusion(counts, nothing) for counts in self._counts)


def joined(
    passes: Sequence[Pass],
    evaluations: Sequence[Evaluation],
    wanted: Wanted,
    *,
    common: Sequence[Confusion] | None,
    photographs: bool = False,
) -> Findings:
    """Put together what was found of several maps, or of one.

    Parameters
    ----------
    passes
        One a map.
    evaluations
        Of all maps together, one a prediction.
    wanted
        What to find.
    common
        Counts of the pixels that all predictions have, of all maps together; None where those are
        all that are scored.
    photographs
        Whether the blocks of `passes` are photographs.

    Raises
    ------
    OptionError
        All labels lie in one block, so that nothing can be drawn.
    """
    first = evaluations[0]
    own, notes = _drawn([one.blocks for one in passes], first, wanted, photographs)
    shared = None
    if common is not None:
        kept, wrong = first.left_out, first.unpredicted_is_wrong
        scores = tuple(c.scores(leave_out=kept, unpredicted_is_wrong=wrong) for c in common)
        drawn = None
        if wanted.resamples:
            blocks = [p.common_blocks or p.blocks for p in passes]
            if sum(len(b.rows) for b in blocks if b is not None) > 1:
                drawn, _ = _drawn(blocks, first, wanted, photographs)
        shared = Common(confusions=tuple(common), scores=scores, bootstrap=drawn)
    every = [one for one in passes if one.stages is not None and one.cells is not None]
    notes += [note for one in passes for note in one.notes]
    return Findings(
        bootstrap=own,
        boundary=_sum_boundaries([one.boundary for one in passes if one.boundary is not None]),
        seams=_sum_seams([one.seams for one in passes if one.seams is not None]),
        cells=_join_cells([one.cells for one in every if one.cells is not None]),
        stages=_join_stages([one.stages for one in every if one.stages is not None]),
        overview=passes[0].overview if len(passes) == 1 else None,
        common=shared,
        notes=tuple(dict.fromkeys(notes)),
    )


def total_common(
    passes: Sequence[Pass], found: Sequence[Sequence[Evaluation]]
) -> tuple[Confusion, ...] | None:
    """Sum the counts of pixels that all predictions have; None where those are all of them.

    Parameters
    ----------
    passes, found
        One a map; of `found` each holds an evaluation a prediction.
    """
    if all(one.common is None for one in passes):
        return None
    counts = [
        one.common or tuple(_bare(e.confusion) for e in evaluations)
        for one, evaluations in zip(passes, found, strict=True)
    ]
    classes = len(found[0][0].legend)
    return tuple(Confusion.total(list(side), classes=classes) for side in zip(*counts, strict=True))


def _bare(confusion: Confusion) -> Confusion:
    return Confusion(confusion.counts, np.zeros_like(confusion.unpredicted))


def _drawn(
    blocks: Sequence[Blocks | None], first: Evaluation, wanted: Wanted, photographs: bool
) -> tuple[Bootstrap | None, list[str]]:
    known = [one for one in blocks if one is not None]
    if not wanted.resamples or not known:
        return None, []
    drawn = bootstrap(
        Blocks(
            sides=known[0].sides,
            rows=np.concatenate([one.rows for one in known]),
            cols=np.concatenate([one.cols for one in known]),
            counts=np.concatenate([one.counts for one in known]),
        ),
        first.scores.in_means,
        unpredicted_is_wrong=first.unpredicted_is_wrong,
        resamples=wanted.resamples,
        seed=wanted.seed,
        photographs=photographs,
    )
    notes = few_blocks(drawn)
    if any(one.sides != known[0].sides for one in known):
        down, across = known[0].sides
        notes.append(f"blocks of {across} × {down} px are those of the first map, others differ")
    return drawn, notes


def _sum_boundaries(found: Sequence[tuple[Boundary, ...]]) -> tuple[Boundary, ...] | None:
    if not found:
        return None
    total = found[0]
    for one in found[1:]:
        if one[0].distance != total[0].distance:
            raise OptionError(
                f"the distance of --boundary is {total[0].distance:g} px in one map and"
                f" {one[0].distance:g} px in another: give it in pixels (2px)"
            )
        total = tuple(map(Boundary.plus, total, one))
    return total


def _sum_seams(found: Sequence[tuple[ClassSeams, ...]]) -> tuple[ClassSeams, ...] | None:
    if not found:
        return None
    counts = ("line_pairs", "line_changes", "other_pairs", "other_changes")
    return tuple(
        replace(side[0], **{name: sum(getattr(one, name) for one in side) for name in counts})
        for side in zip(*found, strict=True)
    )


def _join_cells(found: Sequence[Cells]) -> Cells | None:
    if not found:
        return None
    return Cells(
        rows=np.concatenate([one.rows for one in found]),
        cols=np.concatenate([one.cols for one in found]),
        centres=np.concatenate([one.centres for one in found]),
        maps=np.concatenate([np.full(one.rows.size, i) for i, one in enumerate(found)]),
    )


def _join_stages(found: Sequence[tuple[UnitStages, ...]]) -> tuple[UnitStages, ...] | None:
    if not found:
        return None
    return tuple(UnitStages.joined(side) for side in zip(*found, strict=True))


def _blocks(
    rows: ClassRows, size: CellSize, grid: Grid, name: str, classes: int, notes: list[str]
) -> BlockCounter:
    down, across = (max(1, round(side)) for side in pixels_of(size, grid, name))
    counter = BlockCounter(
        rows.window, (down, across), predictions=rows.predictions, classes=classes
    )
    if counter.sides != (down, across):
        notes.append(
            f"blocks of {size} are too many to keep: those of {counter.sides[1]} ×"
            f" {counter.sides[0]} px are drawn"
        )
    return counter
