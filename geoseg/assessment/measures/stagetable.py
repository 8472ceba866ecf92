"""How often stages of coverage are right, and what they are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.confusion import Confusion
from geoseg.assessment.coverage.share import Shares, coverage_of_counts
from geoseg.assessment.measures._kernels import PREDICTED, TRUE, UNPREDICTED
from geoseg.assessment.stages import StageTable


@dataclass(frozen=True, kw_only=True, eq=False)
class StageScores:
    """Stages of units (cells, zones, photographs) against those of the labels.

    The layout of Table 5 of agde ("Automatic grassland degradation estimation"), with "other" as a
    stage: a row a true stage, whose success rate is N_correct / N_total and whose
    error rates are N_wrong_as_j / (N_total − N_correct). NaN where there is nothing to divide by.
    """

    names: tuple[str, ...]
    """Of the stages, "other" last."""
    confusion: Confusion
    """Units by true and predicted stage."""

    @property
    def totals(self) -> NDArray[np.int64]:
        """(stages,) units of each true stage."""
        return np.asarray(self.confusion.counts.sum(axis=1))

    @property
    def success(self) -> NDArray[np.float64]:
        """(stages,) N_correct / N_total."""
        return self.confusion.scores().recall

    @property
    def errors(self) -> NDArray[np.float64]:
        """(stages, stages) N_wrong_as_j / (N_total − N_correct); NaN on the diagonal."""
        counts = self.confusion.counts
        wrong = self.totals - np.diagonal(counts)
        rates = np.full(counts.shape, np.nan)
        np.divide(counts, wrong[:, np.newaxis], out=rates, where=wrong[:, np.newaxis] > 0)
        np.fill_diagonal(rates, np.nan)
        return rates

    @property
    def average(self) -> float:
        """Mean success rate over the stages of the table that occur, "other" not among them."""
        known = self.success[:-1][~np.isnan(self.success[:-1])]
        return float(known.mean()) if known.size else float("nan")

    @property
    def overall(self) -> float:
        """Share of all units whose stage is right."""
        return self.confusion.scores().pixel_accuracy


def stage_scores(
    true: NDArray[np.uint8], found: NDArray[np.uint8], table: StageTable
) -> StageScores:
    """Count stages, given as `StageTable.index` gives them: (units,) each."""
    names = table.names
    return StageScores(
        names=names, confusion=Confusion.from_arrays(true, found, classes=len(names))
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitStages:
    """Coverage and stage of each unit, by labels and by one prediction."""

    true_percent: NDArray[np.float64]
    """(units,) coverage by the labels; NaN where nothing counts."""
    found_percent: NDArray[np.float64]
    """(units,) coverage by the prediction."""
    true: NDArray[np.uint8]
    """(units,) stage by the labels, as `StageTable.index`."""
    found: NDArray[np.uint8]
    """(units,) stage by the prediction."""
    scored: NDArray[np.bool_]
    """(units,) whether a pixel is scored; of the others nothing is known."""
    scores: StageScores
    """Of the units that are scored."""

    @classmethod
    def joined(cls, parts: Sequence[UnitStages]) -> UnitStages:
        """Put together units of several maps, in the order given."""
        first = parts[0].scores
        confusions = [one.scores.confusion for one in parts]
        return cls(
            true_percent=np.concatenate([one.true_percent for one in parts]),
            found_percent=np.concatenate([one.found_percent for one in parts]),
            true=np.concatenate([one.true for one in parts]),
            found=np.concatenate([one.found for one in parts]),
            scored=np.concatenate([one.scored for one in parts]),
            scores=StageScores(
                names=first.names, confusion=Confusion.total(confusions, classes=len(first.names))
            ),
        )

    @property
    def mean_error(self) -> float:
        """Mean |difference| of coverage, in percent points, over units where both are known."""
        apart = np.abs(self.true_percent - self.found_percent)
        apart = apart[~np.isnan(apart)]
        return float(apart.mean()) if apart.size else float("nan")


def stages_of_units(
    counts: NDArray[np.int64],
    table: StageTable,
    target: Sequence[int],
    excluded: Sequence[int],
    *,
    unpredicted_is_wrong: bool,
) -> UnitStages:
    """Find the stages of units from counts (units, 4, classes), as `Blocks.counts` of a prediction.

    Both coverages are over the pixels that have a label and a prediction; with
    `unpredicted_is_wrong` the labels' is over all that have a label.
    """
    true_counts = counts[:, TRUE] + (counts[:, UNPREDICTED] if unpredicted_is_wrong else 0)
    return unit_stages(
        coverage_of_counts(true_counts, target, excluded),
        coverage_of_counts(counts[:, PREDICTED], target, excluded),
        # Where nothing was predicted both sides are empty, and empty is "other": no success.
        true_counts.sum(axis=-1) > 0,
        table,
    )


def unit_stages(
    true: Shares, found: Shares, seen: NDArray[np.bool_], table: StageTable
) -> UnitStages:
    """Find the stages of units from their coverage.

    Parameters
    ----------
    true, found
        (units,) coverage by the labels and by a prediction.
    seen
        (units,) whether a pixel is scored; the others are not counted.
    table
        The stages.
    """
    true_stage = table.index(true.part, true.whole)
    found_stage = table.index(found.part, found.whole)
    return UnitStages(
        true_percent=true.percent,
        found_percent=found.percent,
        true=true_stage,
        found=found_stage,
        scored=seen,
        scores=stage_scores(true_stage[seen], found_stage[seen], table),
    )
