"""Evaluations of many maps: summed up, and what is said of each."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from geoseg.assessment.codes import Tally
from geoseg.assessment.confusion import Confusion
from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.findings import Findings

_MOST_NOTES = 5
"""Notes of single maps that are told."""


def few_notes(notes: Sequence[str]) -> tuple[str, ...]:
    """Leave out notes that repeat others, and say how many there are beyond the first few."""
    apart = tuple(dict.fromkeys(notes))
    more = len(apart) - _MOST_NOTES
    return apart if more <= 1 else (*apart[:_MOST_NOTES], f"and {more:,} more like this")


def together(
    found: Sequence[Evaluation], name: str, labels: str, notes: tuple[str, ...]
) -> Evaluation:
    """Sum evaluations of the same classes.

    Parameters
    ----------
    found
        One a map.
    name, labels
        What maps and labels are called together.
    notes
        What there is to say besides the notes of each.
    """
    first = found[0]
    tallies = [Tally(), Tally()]
    for one in found:
        for total, part in zip(tallies, (one.unknown_labels, one.unknown_predictions), strict=True):
            listed = part.listed
            total.pixels += part.pixels
            total.add_counts(
                np.array(list(listed)), np.array(list(listed.values()), np.int64), counted=True
            )
    prints = [
        hashlib.blake2b("".join(one.fingerprints[i] for one in found).encode(), digest_size=16)
        for i in (0, 1)
    ]
    said = (*notes, *few_notes([note for one in found for note in one.notes]))
    return replace(
        first,
        prediction=name,
        labels=labels,
        fingerprints=(prints[0].hexdigest(), prints[1].hexdigest()),
        confusion=Confusion.total([one.confusion for one in found], classes=len(first.legend)),
        pixels=sum(one.pixels for one in found),
        unlabelled=sum(one.unlabelled for one in found),
        ignored=sum(one.ignored for one in found),
        unknown_labels=tallies[0],
        unknown_predictions=tallies[1],
        notes=said,
    )


def one_of_many(
    stem: str, found: Evaluation, findings: Findings, prediction: int, place: int
) -> dict[str, Any]:
    """Say of one map of many how it was scored; its stage, if it is a photograph that has one.

    Parameters
    ----------
    stem
        Its name.
    found
        Its evaluation.
    findings
        Of all maps together.
    prediction, place
        Number of the prediction, and of the map.
    """
    scores = found.scores

    def known(value: float) -> float | None:
        return None if math.isnan(value) else float(value)

    said: dict[str, Any] = {
        "name": stem,
        "scored_pixels": scores.scored,
        "wrong_pixels": scores.scored - int(scores.correct.sum()),
        "pixel_accuracy": known(scores.pixel_accuracy),
        "mean_iou": known(scores.mean_iou),
        "iou": [known(value) for value in scores.iou],
    }
    if findings.stages is not None and findings.cells is None:
        stages = findings.stages[prediction]
        names = stages.scores.names
        said |= {
            "coverage_labels": known(stages.true_percent[place]),
            "coverage": known(stages.found_percent[place]),
            "stage_labels": names[stages.true[place]],
            "stage": names[stages.found[place]],
        }
    return said
