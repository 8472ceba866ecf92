"""The report of a run as one page, and its curves as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg import __version__
from geoseg.raster.legend import Legend
from geoseg.report.charts import Line, Panel, curves, gains
from geoseg.report.numbers import count, duration, percent, score, signed
from geoseg.report.page import (
    Block,
    Fact,
    Facts,
    Figure,
    Folded,
    Grid,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    make_page,
)
from geoseg.report.score_blocks import class_blocks, confusion_blocks
from geoseg.report.settings_table import settings_table
from geoseg.training.records import EpochRecord
from geoseg.training.report.gallery import Sample, gallery
from geoseg.training.report.presence import class_confusion, presence_gallery
from geoseg.training.report.remarks import remarks

_MEASURES = (
    ("loss", "Loss", "what training makes small; lower is better, and only the same loss compares"),
    ("accuracy", "Accuracy", "share of {} that are right; frequent classes rule it"),
    (
        "miou",
        "Mean IoU",
        "overlap of prediction and labels, mean over the classes that occur; all count alike",
    ),
)
_RATE = "Learning rate"


def curves_png(history: Sequence[EpochRecord]) -> bytes:
    """Draw loss, accuracy, mean IoU and learning rate over the epochs as one PNG."""
    panels = [_panel(history, key, title, None) for key, title, _ in _MEASURES]
    return curves([*panels, _rate_panel(history)], form="png")


def _panel(history: Sequence[EpochRecord], key: str, title: str, mark: int | None) -> Panel:
    train = tuple(float(getattr(r, f"train_{key}")) for r in history)
    val = tuple(float(getattr(r, f"val_{key}")) for r in history)
    lines = [Line("training", train, quiet=True)]
    if any(map(math.isfinite, val)):
        lines.append(Line("validation", val))
    return Panel(title, tuple(lines), mark=mark, may_be_log=key == "loss")


def _rate_panel(history: Sequence[EpochRecord]) -> Panel:
    return Panel(_RATE, (Line("", tuple(r.rate for r in history)),))


def training_page(
    title: str,
    report: Mapping[str, Any],
    history: Sequence[EpochRecord],
    legend: Legend,
    confusion: NDArray[np.int64] | None,
    samples: Sequence[Sample] = (),
    data: Section | None = None,
) -> str:
    """Write the report of a run as one self-contained HTML page.

    Parameters
    ----------
    title
        Its heading, the model's name.
    report
        What stands in the report file of `geoseg.training.fit.fit`.
    history
        One record an epoch.
    legend
        The classes.
    confusion
        (classes, classes): rows are labels, columns predictions; pixels of the epoch kept. None for
        a network that tells which classes a patch holds.
    samples
        Patches to show, see `geoseg.training.report.gallery.choose_samples`.
    data
        What it learned from, see `geoseg.training.report.data.data_section`.

    Returns
    -------
    html
        The same arguments give the same text.
    """
    pixels = confusion is not None
    sections = [
        Section("In short", _summary(report, history, confusion)),
        Section("Curves", _curves(report, history, _counted(confusion))),
    ]
    if report.get("swa"):
        sections.append(Section("Weight averaging", _averaging(report["swa"])))
    sections.append(
        Section(
            "Classes",
            class_blocks(report["classes"], legend, over=f"the {_split(report)} patches"),
        )
    )
    if confusion is not None and confusion.any():
        sections.append(Section("What is taken for what", confusion_blocks(confusion, legend)))
    elif not pixels and report["accuracy"] is not None:
        sections.append(Section("Confusion a class", class_confusion(report, legend)))
    if samples:
        shown = gallery if pixels else presence_gallery
        sections.append(Section("Sample predictions", shown(samples, legend)))
    if data is not None:
        sections.append(data)
    sections.append(Section("How it was trained", (_settings(report),)))
    lead = (
        f"{report['network']}, {count(report['parameters'])} parameters, {len(legend)} classes;"
        f" scored on the {_split(report)} patches in evaluation mode"
    )
    return make_page(title, sections, lead=lead, foot=f"Written by geoseg {__version__}.")


def _split(report: Mapping[str, Any]) -> str:
    return "validation" if report["split"] == "val" else "training"


def _counted(confusion: NDArray[np.int64] | None) -> str:
    """Name what is right or wrong."""
    return "labelled pixels" if confusion is not None else "answers"


def _summary(
    report: Mapping[str, Any], history: Sequence[EpochRecord], confusion: NDArray[np.int64] | None
) -> tuple[Block, ...]:
    there = sum(c["iou"] is not None for c in report["classes"])
    what = _counted(confusion)
    averaged = bool(report.get("swa"))
    facts = (
        Fact("Mean IoU", score(report["miou"]), f"over the {there} classes that occur"),
        Fact("Accuracy", percent(report["accuracy"]), f"of {what} are right"),
        *(
            [Fact("Majority guess", percent(report["majority"]), "right without looking")]
            if "majority" in report
            else []
        ),
        Fact("Loss", score(report["loss"]), f"{report['settings'].get('loss') or ''}"),
        Fact(
            "Weights averaged" if averaged else "Epoch kept",
            f"{len(report['swa'])} times" if averaged else f"{report['epoch']}",
            f"of {report['epochs']} epochs",
        ),
        Fact("Time", duration(report["seconds"]), f"{report['device']}, {report['precision']}"),
    )
    return Facts(facts), Points(remarks(report, history, confusion))


def _curves(
    report: Mapping[str, Any], history: Sequence[EpochRecord], what: str
) -> tuple[Block, ...]:
    if not history:
        return (Paragraph("No epoch was done."),)
    mark = None if report.get("swa") else int(report["epoch"])
    figures = [
        Figure(
            curves([_panel(history, key, name, mark)]),
            _curve_in_words(history, key, name),
            f"{meaning.format(what)}.",
            title=f"{name}:",
        )
        for key, name, meaning in _MEASURES
    ]
    rates = [r.rate for r in history]
    figures.append(
        Figure(
            curves([_rate_panel(history)]),
            f"Learning rate over {len(history)} epochs, from {rates[0]:.3g} to {rates[-1]:.3g}.",
            "how large a step the optimiser takes; of each epoch's last step.",
            title=f"{_RATE}:",
        )
    )
    return (
        Paragraph(
            "Training values are means over an epoch, taken while the network learned, of augmented"
            " patches; validation values are taken after it, in evaluation mode, of patches that"
            " the network never learned from. Where the two part, it learns by heart."
        ),
        Grid(tuple(figures)),
    )


def _curve_in_words(history: Sequence[EpochRecord], key: str, name: str) -> str:
    parts = []
    for prefix, what in (("train", "training"), ("val", "validation")):
        values = [(float(getattr(r, f"{prefix}_{key}")), r.epoch) for r in history]
        values = [v for v in values if math.isfinite(v[0])]
        if values:
            best, epoch = min(values) if key == "loss" else max(values, key=lambda v: v[0])
            parts.append(
                f"{what} from {score(values[0][0])} to {score(values[-1][0])},"
                f" {'lowest' if key == 'loss' else 'highest'} {score(best)} after epoch {epoch}"
            )
    return f"{name} over {len(history)} epochs: {'; '.join(parts) or 'no values'}."


def _averaging(cycles: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    def value(cycle: Mapping[str, Any], which: str, key: str) -> float | None:
        found = cycle[which][key]
        return None if found is None else float(found)

    def number(cycle: Mapping[str, Any], which: str) -> float:
        found = value(cycle, which, "miou")
        return math.nan if found is None else found

    last = [number(c, "last") for c in cycles]
    average = [number(c, "average") for c in cycles]
    gain = average[-1] - last[-1]
    rows: tuple[Row, ...] = tuple(
        (
            f"{c['cycle']}",
            f"{c['epoch']}",
            *(
                score(value(c, which, key))
                for key in ("loss", "accuracy", "miou")
                for which in ("last", "average")
            ),
            signed(a - b),
        )
        for c, a, b in zip(cycles, average, last, strict=True)
    )
    header = ("cycle", "epoch", "loss, last", "average", "accuracy, last", "average", "mIoU, last")
    blocks: list[Block] = [
        Paragraph(
            "At the end of each cycle of the learning rate the weights were added to an average,"
            " and the statistics of its batch norms taken anew. The model holds the average of all"
            " cycles." + ("" if math.isnan(gain) else f" It changed mean IoU by {signed(gain)}.")
        )
    ]
    if any(map(math.isfinite, last + average)):
        words = f"Mean IoU by cycle: last weights {score(last[-1])} and average"
        blocks.append(
            Figure(
                gains([int(c["cycle"]) for c in cycles], last, average),
                f"{words} {score(average[-1])} after cycle {cycles[-1]['cycle']}.",
                "of the last weights of each cycle, and of the average of all cycles up to it.",
                title="Mean IoU by cycle:",
            )
        )
    table = Table((*header, "average", "gain"), rows, (True,) * 9)
    blocks.append(Folded("The numbers", (table,)))
    return tuple(blocks)


def _settings(report: Mapping[str, Any]) -> Table:
    more = (("device", str(report["device"])), ("precision used", str(report["precision"])))
    return settings_table(report["settings"], more)
