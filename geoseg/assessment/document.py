"""Everything that an evaluation found as plain JSON objects; undefined numbers are None."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.findings import Common, Findings
from geoseg.assessment.measures.bootstrap import (
    OF_CLASS,
    OVERALL,
    Bootstrap,
    Interval,
    differences,
)
from geoseg.assessment.measures.boundary import Boundary
from geoseg.assessment.measures.seams import ClassSeams
from geoseg.assessment.measures.stagetable import UnitStages
from geoseg.assessment.report import evaluation_tags, summary
from geoseg.assessment.text import count, file_name
from geoseg.raster.legend import Legend
from geoseg.raster.maker import document_with

MOST_PAIRS = 20
"""Commonest errors that are listed."""


def document(
    evaluations: Sequence[Evaluation], findings: Findings, *, settings: dict[str, Any]
) -> dict[str, Any]:
    """Put everything together.

    Returns
    -------
    Of one prediction: `summary`, and beside it ``errors`` (the commonest pairs of classes), and
    where they were wanted ``intervals``, ``boundary``, ``seams`` and ``stages``. Of several:
    ``predictions``, such an object each, on the pixels that it has; ``common``, the scores of each
    on the pixels that all have; and ``differences`` of these from the first. ``settings`` are what
    was asked for beyond scores. ``made_by`` says what made it, see
    `geoseg.raster.provenance.made_by`.
    """
    tags = evaluation_tags(evaluations, settings)
    names = distinct([found.prediction for found in evaluations])
    sides = []
    shared = findings.common
    apart = shared is not None and not shared.is_all_of([found.scores for found in evaluations])
    for number, found in enumerate(evaluations):
        side = summary(found)
        side["prediction"] = names[number]
        side["errors"] = commonest_errors(found)
        if findings.bootstrap is not None:
            side["intervals"] = _intervals(findings.bootstrap, number, found.legend)
        if findings.boundary is not None:
            side["boundary"] = _boundary(findings.boundary[number], found.legend)
        if findings.seams is not None:
            side["seams"] = _seams(findings.seams[number + 1], findings.seams[0])
        if findings.stages is not None:
            side["stages"] = stages_json(findings.stages[number])
        side["notes"] += findings.of(number)[0].notes
        if shared is not None and apart:
            side["notes"].append(
                f"scored on its own {count(found.scores.scored)} px; side by side on the"
                f" {count(shared.pixels)} px that all maps have"
            )
        side["settings"] = settings
        sides.append(side)
    if len(sides) == 1:
        return document_with(sides[0], tags)
    content = {
        "labels": sides[0]["labels"],
        "predictions": sides,
        "common": _common(names, evaluations, findings.common),
        "differences": [
            {"prediction": names[number], "minus": names[0]}
            | _difference(evaluations, number, findings)
            for number in range(1, len(evaluations))
        ],
        "settings": settings,
        "geoseg": sides[0]["geoseg"],
    }
    return document_with(content, tags)


def distinct(paths: Sequence[str]) -> list[str]:
    """Name files, with their folder, or a number, where it takes that to tell them apart."""
    names = [file_name(path) for path in paths]
    if len(set(names)) < len(names):
        names = ["/".join(PurePath(path).parts[-2:]) for path in paths]
    return [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def commonest_errors(found: Evaluation) -> list[dict[str, Any]]:
    """List the pairs of classes that are most often confused, the commonest first."""
    counts, names = found.confusion.counts, found.legend.names
    pairs = [
        (int(counts[i, j]), names[i], names[j])
        for i in range(len(names))
        for j in range(len(names))
        if i != j and counts[i, j]
    ]
    wrong = sum(pixels for pixels, _, _ in pairs)
    pairs.sort(key=lambda pair: -pair[0])
    return [
        {"truth": true, "prediction": other, "pixels": pixels, "share_of_errors": pixels / wrong}
        for pixels, true, other in pairs[:MOST_PAIRS]
    ]


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _ends(interval: Interval) -> list[float | None]:
    return [_known(end) for end in interval]


def _intervals(drawn: Bootstrap, number: int, legend: Legend) -> dict[str, Any]:
    one = drawn.intervals[number]
    return {
        "level": drawn.level,
        "resamples": drawn.resamples,
        "blocks": drawn.blocks,
        "block_px": None if drawn.sides is None else [drawn.sides[1], drawn.sides[0]],
        "seed": drawn.seed,
        "scores": {name: _ends(interval) for name, interval in one.overall.items()},
        "classes": [
            {"name": name} | {score: _ends(ends[i]) for score, ends in one.classes.items()}
            for i, name in enumerate(legend.names)
        ],
    }


def _common(
    names: Sequence[str], evaluations: Sequence[Evaluation], common: Common | None
) -> dict[str, Any]:
    own = [found.scores for found in evaluations]
    shared = own if common is None else common.scores
    return {
        "pixels": shared[0].scored,
        "same_pixels": common is None or common.is_all_of(own),
        "predictions": [
            {
                "prediction": name,
                "own_pixels": mine.scored,
                "scores": {key: _known(getattr(scores, key)) for key in OVERALL},
                "classes": [
                    {"name": of, "pixels": int(scores.true[i])}
                    | {key: _known(getattr(scores, key)[i]) for key in OF_CLASS}
                    for i, of in enumerate(found.legend.names)
                ],
            }
            for name, found, mine, scores in zip(names, evaluations, own, shared, strict=True)
        ],
    }


def _difference(
    evaluations: Sequence[Evaluation], number: int, findings: Findings
) -> dict[str, Any]:
    common, drawn = findings.common, findings.bootstrap
    scores = [found.scores for found in evaluations]
    if common is not None:
        scores, drawn = list(common.scores), common.bootstrap
    values = differences(scores[0], scores[number])
    ends = {} if drawn is None else drawn.intervals[number].differences
    return {
        "scores": {
            name: {"difference": _known(values[name])}
            | ({"interval": _ends(ends[name])} if name in ends else {})
            for name in OVERALL
        },
    }


def _boundary(found: Boundary, legend: Legend) -> dict[str, Any]:
    scores = {
        "f1": found.f1,
        "precision": found.precision,
        "recall": found.recall,
        "iou": found.iou,
        "trimap_iou": found.trimap_iou,
    }
    return {
        "distance_px": found.distance,
        "means": {name: _known(found.mean(values)) for name, values in scores.items()},
        "classes": [
            {
                "name": name,
                "true_edge_pixels": int(found.true_edges[i, 0]),
                "predicted_edge_pixels": int(found.found_edges[i, 0]),
            }
            | {score: _known(values[i]) for score, values in scores.items()}
            for i, name in enumerate(legend.names)
        ],
    }


def _seams(found: ClassSeams, labels: ClassSeams) -> dict[str, Any]:
    return {
        "step_px": found.step,
        "ratio": _known(found.ratio),
        "line_share": _known(found.line_share),
        "other_share": _known(found.other_share),
        "line_pairs": found.line_pairs,
        "labels_ratio": _known(labels.ratio),
    }


def stages_json(found: UnitStages) -> dict[str, Any]:
    """Stages as JSON: the table of success and error rates, and the counts it is made of."""
    scores = found.scores
    errors, success, totals = scores.errors, scores.success, scores.totals
    return {
        "units": int(totals.sum()),
        "average_success": _known(scores.average),
        "overall_success": _known(scores.overall),
        "mean_coverage_error_percent": _known(found.mean_error),
        "stages": [
            {
                "name": name,
                "total": int(totals[i]),
                "correct": int(scores.confusion.counts[i, i]),
                "success": _known(success[i]),
                "wrong_as": {
                    other: _known(errors[i, j]) for j, other in enumerate(scores.names) if j != i
                },
            }
            for i, name in enumerate(scores.names)
        ],
        "counts": scores.confusion.counts.tolist(),
    }
