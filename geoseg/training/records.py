"""What a run leaves beside its model: curves as CSV, scores as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from geoseg.raster.legend import Legend
from geoseg.training.metrics import PresenceScores, Scores


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch in numbers; a score that there is nothing to take of is NaN."""

    epoch: int
    """From 1."""
    rate: float
    """Learning rate of the epoch's last step."""
    train_loss: float
    """Mean over the epoch's batches, each before its step, augmented."""
    train_accuracy: float
    """Of the same passes."""
    train_miou: float
    """Of the same passes."""
    val_loss: float
    """After the epoch, in evaluation mode, over the whole validation split."""
    val_accuracy: float
    """Of the same pass."""
    val_miou: float
    """Of the same pass; over the classes that occur in labels or predictions."""
    seconds: float
    """Since the run's start, interruptions left out, with this epoch."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values, NaN as null."""
        return {k: _number(v) for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> EpochRecord:
        """Take up what `to_json` gave."""
        values: dict[str, Any] = {k: math.nan if v is None else v for k, v in obj.items()}
        return cls(**values)


def curves_csv(history: Sequence[EpochRecord]) -> str:
    """Return one line an epoch, with a header; NaN as nothing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [f.name for f in fields(EpochRecord)]
    writer.writerow(names)
    for record in history:
        values = [getattr(record, name) for name in names]
        writer.writerow(
            "" if isinstance(v, float) and math.isnan(v) else f"{v:.6g}" for v in values
        )
    return out.getvalue()


def scores_json(scores: Scores, legend: Legend) -> dict[str, Any]:
    """Return all scores of one pass as plain JSON objects, classes by their names.

    ``confusion`` is (classes, classes) in pixels, labels by rows; of image-level labels it is
    (classes, 2, 2) in patches: by class, whether it is there, whether it is said to be. These have
    ``f1`` a class too.
    """
    per_class = zip(
        legend.ids,
        legend.names,
        scores.iou,
        scores.recall,
        scores.precision,
        scores.labelled,
        strict=True,
    )
    made: dict[str, Any] = {
        "accuracy": _number(scores.accuracy),
        "miou": _number(scores.mean_iou),
        "classes": [
            {
                "id": class_id,
                "name": name,
                "iou": _number(iou),
                "recall": _number(recall),
                "precision": _number(precision),
                scores.unit: labelled,
            }
            for class_id, name, iou, recall, precision, labelled in per_class
        ],
        "confusion": scores.counts.tolist(),
    }
    if isinstance(scores, PresenceScores):
        for entry, f1 in zip(made["classes"], scores.f1, strict=True):
            entry["f1"] = _number(f1)
    return made


def report_json(report: Mapping[str, Any]) -> str:
    """Return a report as indented JSON text."""
    return json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
