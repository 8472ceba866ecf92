"""What a run measured, for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoseg.inference.cam.result import CamResult, CamScores


def document(result: CamResult) -> dict[str, object]:
    """Return the numbers of a report as plain JSON objects; the same run gives the same ones."""
    return {
        "combine": result.combine,
        "seam_ratio": _number(result.seams.ratio),
        "seam_lattice_ratio": _number(result.seams.lattice_ratio),
        "scores": None if result.scores is None else scores_document(result.scores),
        "notes": list(result.notes),
    }


def scores_document(scores: CamScores) -> dict[str, object]:
    """Return scores as plain JSON objects; null where one is not defined."""
    task = scores.presence
    return {
        "task_accuracy": None if task is None else _number(task.accuracy),
        "majority_guess": None if task is None else _number(task.majority),
        "pixel_majority": _number(scores.pixel_majority),
        "patches_fitted_on": scores.patches,
        "ways": {
            way: {
                "accuracy": _number(scores.of(way).accuracy),
                "miou": _number(scores.of(way).mean_iou),
                "confusion": counts.tolist(),
            }
            for way, counts in scores.ways.items()
        },
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
