"""How far scores could be otherwise: intervals by resampling blocks of ground.

Neighbouring pixels are wrong together, so pixels drawn one by one would promise far too much.
Blocks are drawn instead, with replacement, as many as there are, and the scores computed of what
was drawn. The block has to be larger than what errors hang together over.

Sources: Efron 1979 (doi 10.1214/aos/1176344552) for the bootstrap and its percentile intervals;
Hall 1985 (doi 10.1016/0304-4149(85)90212-1) for blocks of space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.confusion import Scores
from geoseg.assessment.measures.blocks import Blocks, scores_of
from geoseg.errors import OptionError

OVERALL = (
    "pixel_accuracy",
    "mean_accuracy",
    "mean_precision",
    "mean_iou",
    "mean_f1",
    "frequency_weighted_iou",
    "kappa",
)
"""Scores of a whole map, as attributes of `Scores`."""

OF_CLASS = ("recall", "precision", "iou", "f1")
"""Scores of a class."""

FEW_BLOCKS = 30
"""With fewer blocks than this an interval is too narrow more often than it says."""

# Weights of so many blocks exist at once.
_MOST_WEIGHTS = 1 << 22

Interval = tuple[float, float]
"""Lower and upper end; NaN where a score was undefined in most of what was drawn."""


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Percentile intervals of one prediction's scores."""

    overall: Mapping[str, Interval]
    """By the names in `OVERALL`."""
    classes: Mapping[str, tuple[Interval, ...]]
    """By the names in `OF_CLASS`, one a class."""
    differences: Mapping[str, Interval]
    """Of this prediction's overall scores minus the first one's, both from the same blocks; empty
    for the first."""


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Intervals of every prediction."""

    resamples: int
    """How often blocks were drawn."""
    blocks: int
    """How many blocks hold labels, and are drawn each time."""
    sides: tuple[int, int] | None
    """Rows and columns of a block; None where a block is a photograph."""
    seed: int
    """What the draws depend on."""
    level: float
    """Share of resamples inside an interval."""
    intervals: tuple[Intervals, ...]
    """One a prediction."""


def bootstrap(
    blocks: Blocks,
    in_means: NDArray[np.bool_],
    *,
    unpredicted_is_wrong: bool,
    resamples: int,
    seed: int,
    level: float = 0.95,
    photographs: bool = False,
) -> Bootstrap:
    """Draw blocks and find intervals.

    Parameters
    ----------
    blocks
        Counts of one prediction or several; all see the same draws, so that differences are paired.
    in_means
        (classes,) whether each enters the means.
    unpredicted_is_wrong
        Whether labelled pixels without a prediction count as errors.
    resamples
        How often to draw.
    seed
        Same seed, same result.
    level
        Share of resamples inside an interval.
    photographs
        Whether a block is a photograph.

    Raises
    ------
    OptionError
        There is one block only.
    """
    number, predictions, _, classes = blocks.counts.shape
    if number < 2:
        raise OptionError(
            "all labels lie in one block, so nothing can be drawn from: give a smaller --block"
        )
    draws = np.random.Generator(np.random.PCG64(seed))
    # Whole numbers below 2⁵³ are exact as floats, whatever the order in which they are summed.
    counts = blocks.counts.reshape(number, -1).astype(np.float64)
    overall = np.empty((predictions, resamples, len(OVERALL)))
    of_class = np.empty((predictions, resamples, len(OF_CLASS), classes))
    step = max(1, _MOST_WEIGHTS // number)
    for start in range(0, resamples, step):
        some = range(start, min(start + step, resamples))
        weights = np.stack(
            [np.bincount(draws.integers(number, size=number), minlength=number) for _ in some]
        )
        sums = (weights.astype(np.float64) @ counts).astype(np.int64)
        for place, row in zip(some, sums.reshape(-1, predictions, 4, classes), strict=True):
            for p in range(predictions):
                scores = scores_of(row[p], in_means, unpredicted_is_wrong=unpredicted_is_wrong)
                overall[p, place] = [getattr(scores, name) for name in OVERALL]
                of_class[p, place] = [getattr(scores, name) for name in OF_CLASS]
    return Bootstrap(
        resamples=resamples,
        blocks=number,
        sides=None if photographs else blocks.sides,
        seed=seed,
        level=level,
        intervals=tuple(
            Intervals(
                overall={n: _interval(overall[p, :, i], level) for i, n in enumerate(OVERALL)},
                classes={
                    name: tuple(_interval(of_class[p, :, i, c], level) for c in range(classes))
                    for i, name in enumerate(OF_CLASS)
                },
                differences={
                    name: _interval(overall[p, :, i] - overall[0, :, i], level)
                    for i, name in enumerate(OVERALL)
                }
                if p
                else {},
            )
            for p in range(predictions)
        ),
    )


def differences(first: Scores, other: Scores) -> dict[str, float]:
    """Overall scores of another prediction minus those of the first; NaN where undefined."""
    return {name: getattr(other, name) - getattr(first, name) for name in OVERALL}


def _interval(values: NDArray[np.float64], level: float) -> Interval:
    known = values[~np.isnan(values)]
    if 2 * known.size < values.size:
        return (float("nan"), float("nan"))
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2))
    return (float(low), float(high))
