"""What a comparison found, as the table that papers print: rows of settings, columns of scores."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geoseg.training.comparison.grid import SEED, value_text

FOLD = "fold"
"""What distinguishes the runs of a cross-validation."""
_REPETITIONS = (SEED, FOLD)
_CLASS_SCORES = ("iou", "recall")


def shown_settings(chosen: Mapping[str, Any], fold: int | None) -> dict[str, Any]:
    """Return the varied settings of a run as plain numbers and texts, with its fold."""
    shown = {
        key: value if isinstance(value, int | float) else value_text(value)
        for key, value in chosen.items()
    }
    return shown if fold is None else {**shown, FOLD: fold}


def group_runs(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Put runs together that differ by seed or fold alone, in the order of their first.

    Parameters
    ----------
    runs
        Each with ``settings`` and ``scores`` (``accuracy``, ``miou``, ``classes``), null where a
        score is undefined: a class neither in labels nor in predictions has no IoU, and a run that
        diverged has no score at all.

    Returns
    -------
    groups
        ``settings`` without seed and fold; ``n``, runs with scores; ``failed``, runs without;
        ``mean`` and ``std`` in the form of scores, over the runs in which a score is defined.
        ``std`` is that of a sample (divided by n − 1), null with fewer than two runs. The mean of
        mIoU is the mean over runs of each run's own, not the mIoU of the mean IoU.
    """
    gathered: dict[tuple[tuple[str, Any], ...], list[Mapping[str, Any]]] = {}
    for run in runs:
        row = tuple((k, v) for k, v in run["settings"].items() if k not in _REPETITIONS)
        gathered.setdefault(row, []).append(run)
    groups = []
    for row, members in gathered.items():
        scored = [m["scores"] for m in members if m["scores"]["accuracy"] is not None]
        groups.append(
            {
                "settings": dict(row),
                "n": len(scored),
                "failed": len(members) - len(scored),
                "mean": _over(scored, _class_names(runs), _mean),
                "std": _over(scored, _class_names(runs), _std),
            }
        )
    return groups


def comparison_csv(comparison: Mapping[str, Any]) -> str:
    """Return a line a run: what was varied, the model, and every score; nothing where undefined."""
    keys, names = list(comparison["keys"]), _class_names(comparison["runs"])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = [*keys, "model", "scored_on", "accuracy", "miou"]
    header += [f"{score} {name}" for score in _CLASS_SCORES for name in names]
    writer.writerow([*header, "epoch", "seconds", "error"])
    for run in comparison["runs"]:
        scores = run["scores"]
        held = {entry["name"]: entry for entry in scores["classes"]}
        line = [run["settings"].get(key, "") for key in keys]
        line += [run["model"], comparison["scored_on"]]
        line += [_cell(scores["accuracy"]), _cell(scores["miou"])]
        line += [_cell(held.get(n, {}).get(score)) for score in _CLASS_SCORES for n in names]
        writer.writerow([*line, _cell(run["epoch"]), _cell(run["seconds"]), run["error"] or ""])
    return out.getvalue()


def plain_scores(scores: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, mIoU, and IoU and recall a class, with every class there."""
    held = {entry["name"]: entry for entry in scores["classes"]}
    return {
        "accuracy": scores["accuracy"],
        "miou": scores["miou"],
        "classes": [
            {"name": name, **{key: held.get(name, {}).get(key) for key in _CLASS_SCORES}}
            for name in names
        ],
    }


def _class_names(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(c["name"] for run in runs for c in run["scores"]["classes"]))


def _over(
    scored: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    reduce: Callable[[list[float]], float | None],
) -> dict[str, Any]:
    """Reduce each score over runs."""

    def of(values: Sequence[float | None]) -> float | None:
        return reduce([v for v in values if v is not None])

    held = [{entry["name"]: entry for entry in scores["classes"]} for scores in scored]
    return {
        "accuracy": of([scores["accuracy"] for scores in scored]),
        "miou": of([scores["miou"] for scores in scored]),
        "classes": [
            {"name": name, **{key: of([h[name][key] for h in held]) for key in _CLASS_SCORES}}
            for name in names
        ],
    }


def _mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _std(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
