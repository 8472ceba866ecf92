"""What ``geoseg train`` says while it runs and when it is done."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import detail, note, verbosity

if TYPE_CHECKING:
    from geoseg.training.outputs import Fitted
    from geoseg.training.records import EpochRecord
    from geoseg.training.run import Run


class Talk:
    """Says on standard error how the run goes.

    Parameters
    ----------
    epochs
        Of the run, in all.
    resume
        Whether it was asked to go on.
    """

    def __init__(self, epochs: int, *, resume: bool = False) -> None:
        self._epochs, self._resume = epochs, resume
        self._start = 0
        self._seconds = 0.0

    def start(self, run: Run) -> None:
        """Say what is about to be learned."""
        history, setup = run.history, run.setup
        self._start = len(history)
        self._seconds = history[-1].seconds if history else 0.0
        if setup.weights_taken is not None:
            note(f"Note: {setup.weights_taken}.")
        if history:
            note(f"Going on after epoch {self._start}.")
        elif self._resume and run.progress.batch == 0:
            note("There is no checkpoint to go on from: starting at the first epoch.")
        if setup.val is None:
            note("There are no validation patches: the last epoch becomes the model.")
        detail(
            f"{run.settings.model} on {run.device} in {setup.precision}: {len(setup.train)} patches"
            f" of {run.dataset.size} px to learn from, {0 if setup.val is None else len(setup.val)}"
            " to validate on."
        )

    def epoch(self, record: EpochRecord) -> None:
        """Say how an epoch went."""
        each = (record.seconds - self._seconds) / max(1, record.epoch - self._start)
        validated = (
            ""
            if math.isnan(record.val_loss)
            else f"  val loss {record.val_loss:.4f}  accuracy {record.val_accuracy:.4f}"
            f"  mIoU {record.val_miou:.4f}"
        )
        # A bar may stand on the line.
        if sys.stderr.isatty() and verbosity() >= 0:
            click.echo("\r\x1b[K", nl=False, err=True)
        note(
            f"epoch {record.epoch}/{self._epochs}  loss {record.train_loss:.4f}"
            f"  accuracy {record.train_accuracy:.4f}{validated}"
            f"  {each:.1f} s each, {duration((self._epochs - record.epoch) * each)} left"
        )


def duration(seconds: float) -> str:
    """Say a time in words: ``3 h 05 min``, ``2 min 07 s``, ``9 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def summary(fitted: Fitted) -> dict[str, Any]:
    """Return everything about a finished run, for ``--json``."""
    paths = {name: str(path) for name, path in fitted.paths.items()}
    return {**paths, "hash": fitted.card.hash, **fitted.report}


def text(fitted: Fitted) -> str:
    """Return what a finished run has come to, for people."""
    report = fitted.report
    averaged = f", the mean of {len(report['swa'])} cycles" if "swa" in report else ""
    lines = [
        f"{fitted.paths['model']}: {report['network']}, {report['parameters']:,} parameters, epoch"
        f" {report['epoch']} of {report['epochs']}{averaged}",
        f"on {'validation' if report['split'] == 'val' else 'training'} patches: accuracy"
        f" {_share(report['accuracy'])}, mIoU {_share(report['miou'])}"
        + (f", majority guess {_share(report['majority'])}" if "majority" in report else ""),
    ]
    lines += _of_patches(report) if "majority" in report else _of_pixels(report["classes"])
    lines.append(f"report: {fitted.paths['page']}  curves: {fitted.paths['curves']}")
    return "\n".join(lines)


def _of_pixels(classes: Sequence[Mapping[str, Any]]) -> list[str]:
    width = max(len(entry["name"]) for entry in classes)
    return [
        f"  {entry['name']:{width}}  IoU {_share(entry['iou'])}  recall {_share(entry['recall'])}"
        + (f"  {entry['pixels']:,} px" if "pixels" in entry else f"  {entry['patches']:,} patches")
        for entry in classes
    ]


def _of_patches(report: Mapping[str, Any]) -> list[str]:
    """Tell of each class how well it is said to be there or not, with its four counts."""
    classes, counts = report["classes"], report["confusion"]
    width = max(len("class"), *(len(entry["name"]) for entry in classes))
    header = ("precision", "recall", "F1", "there", "found", "missed", "invented", "rightly not")
    rows = [
        (
            *(_share(entry[key]).strip() for key in ("precision", "recall", "f1")),
            *(f"{n:,}" for n in (entry["patches"], found, missed, invented, neither)),
        )
        for entry, ((neither, invented), (missed, found)) in zip(classes, counts, strict=True)
    ]
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    names = ("class", *(entry["name"] for entry in classes))
    return [
        f"  {name:{width}}  "
        + "  ".join(f"{cell:>{w}}" for cell, w in zip(line, widths, strict=True))
        for name, line in zip(names, (header, *rows), strict=True)
    ]


def _share(value: float | None) -> str:
    return "  –   " if value is None else f"{value:.4f}"
