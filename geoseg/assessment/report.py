"""An evaluation for people (a table) and for programs (JSON)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geoseg
from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.text import count, file_name, pairs, percent, score, table
from geoseg.raster.maker import document_with
from geoseg.raster.outputs.checks import check_output
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.provenance import option_words, provenance

# Wider confusions are for programs: they do not fit a terminal.
_MOST_CLASSES_SHOWN = 20


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def summary(found: Evaluation) -> dict[str, Any]:
    """Everything about an evaluation as plain JSON objects; undefined scores are None.

    ``confusion.counts`` has a row a true class and a column a predicted class, both in the order of
    ``classes``.
    """
    scores = found.scores
    classes = []
    for i, c in enumerate(found.legend.classes):
        classes.append(
            {
                "id": c.id,
                "name": c.name,
                "in_means": bool(scores.in_means[i]),
                "pixels": int(scores.true[i]),
                "predicted_pixels": int(scores.predicted[i]),
                "correct_pixels": int(scores.correct[i]),
                "unpredicted_pixels": int(scores.unpredicted[i]),
                "frequency": _defined(scores.frequency[i]),
                "recall": _defined(scores.recall[i]),
                "precision": _defined(scores.precision[i]),
                "iou": _defined(scores.iou[i]),
                "f1": _defined(scores.f1[i]),
            }
        )
    return {
        "prediction": file_name(found.prediction),
        "labels": file_name(found.labels),
        "fingerprints": {"prediction": found.fingerprints[0], "labels": found.fingerprints[1]},
        "region": None if found.region is None else file_name(found.region),
        "notes": [*found.notes, *remarks(found)],
        "pixels": {
            "all": found.pixels,
            "unlabelled": found.unlabelled,
            "ignored": found.ignored,
            "unknown_label": found.unknown_labels.pixels,
            "labelled": scores.labelled,
            "unpredicted": int(scores.unpredicted.sum()),
            "unknown_prediction": found.unknown_predictions.pixels,
            "scored": scores.scored,
        },
        "unpredicted_share": _defined(scores.unpredicted_share),
        "unpredicted_is_wrong": found.unpredicted_is_wrong,
        "ignored_values": list(found.ignored_values),
        "unknown_label_values": _by_value(found.unknown_labels.listed),
        "unknown_predicted_values": _by_value(found.unknown_predictions.listed),
        "scores": {
            "pixel_accuracy": _defined(scores.pixel_accuracy),
            "mean_accuracy": _defined(scores.mean_accuracy),
            "mean_precision": _defined(scores.mean_precision),
            "mean_iou": _defined(scores.mean_iou),
            "mean_f1": _defined(scores.mean_f1),
            "frequency_weighted_iou": _defined(scores.frequency_weighted_iou),
            "kappa": _defined(scores.kappa),
        },
        "classes": classes,
        "confusion": {
            "rows": "truth",
            "columns": "prediction",
            "counts": found.confusion.counts.tolist(),
            "unpredicted": found.confusion.unpredicted.tolist(),
        },
        "geoseg": geoseg.__version__,
    }


def evaluation_tags(
    evaluations: Sequence[Evaluation], settings: Mapping[str, Any]
) -> dict[str, str]:
    """Say what made the files of an evaluation; see `geoseg.raster.provenance.provenance`."""
    first = evaluations[0]
    labels = first.labels
    if "split" in settings:  # of a data set, which is named with it
        labels = labels.removesuffix(f" ({settings['split']})")
    inputs = {found.prediction: found.fingerprints[0] for found in evaluations}
    command = ["geoseg", "evaluate", *(found.prediction for found in evaluations), labels]
    return provenance(
        [*command, *option_words(settings)],
        {**inputs, labels: first.fingerprints[1]},
        model=[inputs] if "split" in settings else None,
        options=settings,
    )


def _by_value(counts: dict[int | float, int]) -> dict[str, int]:
    return {
        f"{value:g}" if isinstance(value, float) else str(value): n for value, n in counts.items()
    }


def remarks(found: Evaluation) -> list[str]:
    """Say what a reader of the scores must know, a sentence each."""
    scores, said = found.scores, []
    if found.unknown_labels.pixels:
        said.append(
            f"{count(found.unknown_labels.pixels)} px of the labels hold"
            f" {found.unknown_labels.words()}: not scored"
        )
    if found.unknown_predictions.pixels:
        said.append(
            f"{count(found.unknown_predictions.pixels)} labelled px of the prediction hold"
            f" {found.unknown_predictions.words()}: counted as unpredicted"
        )
    unpredicted = int(scores.unpredicted.sum())
    if unpredicted:
        how = "counted as errors" if found.unpredicted_is_wrong else "not scored"
        said.append(
            f"{count(unpredicted)} labelled px ({percent(scores.unpredicted_share)}) have no"
            f" prediction: {how}"
        )
    if found.ignored:
        said.append(f"{count(found.ignored)} px of the labels were ignored as asked")
    left_out = [found.legend.names[i] for i in found.left_out]
    if left_out:
        said.append(f"left out of the means: {', '.join(left_out)}")
    return said


def text(found: Evaluation, *, matrix: bool = False) -> str:
    """Everything about an evaluation as a table for people.

    Parameters
    ----------
    found
        The evaluation.
    matrix
        Whether to add the confusion, in pixels.
    """
    scores = found.scores
    rows = [
        [
            str(c.id),
            c.name if scores.in_means[i] else f"{c.name} *",
            score(scores.recall[i]),
            score(scores.precision[i]),
            score(scores.iou[i]),
            score(scores.f1[i]),
            count(int(scores.true[i])),
            percent(scores.frequency[i]),
            count(int(scores.predicted[i])),
        ]
        for i, c in enumerate(found.legend.classes)
    ]
    header = ["id", "class", "accuracy", "precision", "IoU", "F1", "pixels", "share", "predicted"]
    lines = [f"{found.prediction} against {found.labels}", ""]
    lines += table(header, rows, right=[True, False, *[True] * 7])
    lines.append("")
    place = "map" if found.region is None else "region"
    of = "of the patches" if found.of_patches else f"{percent(_share(found))} of the {place}"
    overall = [
        ("pixel accuracy (PA)", score(scores.pixel_accuracy)),
        ("mean accuracy (MPA)", score(scores.mean_accuracy)),
        ("mean IoU (mIoU)", score(scores.mean_iou)),
        ("mean F1", score(scores.mean_f1)),
        ("kappa", score(scores.kappa)),
        ("scored", f"{count(scores.scored)} px, {of}"),
    ]
    lines += pairs(overall)
    if matrix:
        lines += ["", *_matrix(found)]
    said = remarks(found)
    if said:
        lines += ["", *(f"  {'* ' if s.startswith('left out') else ''}{s}" for s in said)]
    return "\n".join(lines)


def _share(found: Evaluation) -> float:
    return found.scores.scored / found.pixels if found.pixels else math.nan


def _matrix(found: Evaluation) -> list[str]:
    """Lines of the confusion in pixels, for the classes that occur; not if they are too many."""
    counts, unpredicted = found.confusion.counts, found.confusion.unpredicted
    there = [
        i
        for i in range(found.confusion.classes)
        if counts[i].any() or counts[:, i].any() or unpredicted[i]
    ]
    if len(there) > _MOST_CLASSES_SHOWN:
        return [f"  confusion of {len(there)} classes: too wide to show, see --json"]
    header = ["truth ↓  prediction →", *(found.legend.names[j] for j in there), "none"]
    rows = [
        [
            found.legend.names[i],
            *(count(int(counts[i, j])) for j in there),
            count(int(unpredicted[i])),
        ]
        for i in there
    ]
    return table(header, rows, right=[False, *[True] * (len(there) + 1)])


def write_json(found: Evaluation, path: str | Path, *, overwrite: bool = False) -> None:
    """Write `summary`, and what made it, to a file, which appears whole or not at all.

    Raises
    ------
    OutputError
        The file is there already and `overwrite` is False, or it cannot be written.
    """
    target = check_output(path, overwrite=overwrite)
    said = document_with(summary(found), evaluation_tags([found], {}))
    content = json.dumps(said, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    with TemporaryFolder(target) as folder:
        made = folder.path / "report.json"
        try:
            made.write_text(content, encoding="utf-8", newline="\n")
        except OSError as error:
            raise output_error(error, target) from error
        folder.publish(made, {}, overwrite=overwrite)
