"""What the numbers of a run say, in sentences. Knows no files and no pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.report.numbers import percent, score
from geoseg.training.records import EpochRecord

# A validation loss that ends this much above its lowest has turned.
_TURNED = 1.1
# The last part of the epochs, in which a best epoch says that more may help.
_END = 0.9
# Pairs of classes are named from this share of a class on.
_CONFUSED = 0.2


def remarks(
    report: Mapping[str, Any], history: Sequence[EpochRecord], confusion: NDArray[np.int64] | None
) -> tuple[str, ...]:
    """Say what a reader of a run's scores should know, most important first.

    Parameters
    ----------
    report
        As `geoseg.training.fit.fit` gives it.
    history
        One record an epoch.
    confusion
        (classes, classes): rows are labels, columns predictions; None where the network tells which
        classes a patch holds.
    """
    said = [_where_scored(report), _against_guess(report, confusion)]
    said += _by_class(report, pixels=confusion is not None)
    if confusion is not None:
        said.append(_confused(report["classes"], confusion))
    said += [_overfitted(history), _unfinished(report, history), report.get("weights") or ""]
    return tuple(text for text in said if text)


def _where_scored(report: Mapping[str, Any]) -> str:
    if report["split"] == "train":
        return (
            "There were no validation patches: all scores are of the training patches, which"
            " flatters the network. Set some aside (geoseg tile --split) to learn what it is worth."
        )
    return ""


def _against_guess(report: Mapping[str, Any], confusion: NDArray[np.int64] | None) -> str:
    accuracy = report["accuracy"]
    if accuracy is None:
        return "Nothing was labelled, so there are no scores."
    if confusion is None:
        guess = report.get("majority")
        if guess is None:
            return ""
        what = "Saying of each class what is true of most patches"
        unit = "answers (one for each patch and class)"
    else:
        totals = confusion.sum(axis=1)
        guess = float(totals.max() / totals.sum())
        what = f"Always saying “{report['classes'][int(totals.argmax())]['name']}”"
        unit = "labelled pixels"
    verdict = (
        "the network is better than that"
        if accuracy > guess
        else "the network is no better than that"
    )
    return (
        f"{percent(accuracy)} of the {unit} are right. {what} would be right for"
        f" {percent(guess)}: {verdict}."
    )


def _by_class(report: Mapping[str, Any], *, pixels: bool) -> list[str]:
    classes = report["classes"]
    there = [c for c in classes if c["recall"] is not None]
    said = []
    found = sorted((c for c in there if c["iou"]), key=lambda c: -c["iou"])
    if len(found) > 1:
        best, last = found[0], found[-1]
        said.append(
            f"Best class: {best['name']} (IoU {score(best['iou'])}). Worst of the classes found at"
            f" all: {last['name']} ({score(last['iou'])})."
        )
    lost = [c["name"] for c in there if not c["recall"]]
    if lost:
        said.append(
            f"Never found: {_listed(lost)}."
            + " A loss or sampler that minds rare classes may help (such as weighted-ce or"
            " lovasz-softmax, and equibatch)." * pixels
        )
    absent = [c["name"] for c in classes if c["recall"] is None]
    if absent and there:
        said.append(f"Not in the labels scored, so nothing is known of: {_listed(absent)}.")
    return said


def _confused(classes: Sequence[Mapping[str, Any]], confusion: NDArray[np.int64]) -> str:
    totals = confusion.sum(axis=1, keepdims=True)
    off = confusion - np.diag(np.diag(confusion))
    if not off.any():
        return ""
    row, column = np.unravel_index(int(off.argmax()), off.shape)
    share = off[row, column] / totals[row, 0]
    if share < _CONFUSED:
        return ""
    return (
        f"Most pixels are lost where {classes[int(row)]['name']} is taken for"
        f" {classes[int(column)]['name']}: {percent(float(share))} of that class,"
        f" {percent(float(off[row, column] / off.sum()))} of all errors."
    )


def _overfitted(history: Sequence[EpochRecord]) -> str:
    losses = [(r.val_loss, r.epoch, r.train_loss) for r in history if math.isfinite(r.val_loss)]
    if len(losses) < 5:
        return ""
    lowest, epoch, then = min(losses)
    last, _, now = losses[-1]
    if lowest > 0 and last > _TURNED * lowest and now < then:
        return (
            f"Validation loss was lowest after epoch {epoch} and ended {percent(last / lowest - 1)}"
            " higher, while training loss went on falling: the network began to learn the training"
            " patches by heart. More patches, more augmentation or fewer epochs may help."
        )
    return ""


def _unfinished(report: Mapping[str, Any], history: Sequence[EpochRecord]) -> str:
    if report.get("swa") or report["settings"].get("keep") == "last" or len(history) < 5:
        return ""
    if report["split"] == "val" and report["epoch"] > _END * len(history):
        return (
            f"The best epoch is {report['epoch']} of {len(history)}, near the end: more epochs may"
            " still help."
        )
    return ""


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
