"""Scores of classes and what is taken for what, as blocks of a page: charts, words and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.legend import Legend
from geoseg.report.class_charts import ClassScore, class_bars, confusion_picture
from geoseg.report.numbers import NONE, count, percent, score
from geoseg.report.page import Block, Cell, Figure, Folded, Paragraph, Row, Table

_MOST_ROWS = 50
"""Maps that a page lists."""

_F1 = " F1: the harmonic mean of recall and precision."


def class_blocks(
    classes: Sequence[Mapping[str, Any]], legend: Legend, *, over: str
) -> tuple[Block, ...]:
    """Show what each class scored: bars, what the measures mean, the numbers.

    Parameters
    ----------
    classes
        A mapping a class, in the order of the legend: ``name``, ``iou``, ``recall``, ``precision``
        (None where undefined), maybe ``f1``, and how often it is in the labels, as ``pixels`` or
        as ``patches``.
    legend
        The classes.
    over
        What was scored: "the validation patches".
    """
    unit = "pixels" if all("pixels" in c for c in classes) else "patches"
    total = sum(c[unit] for c in classes)

    def known(value: float | None) -> float:
        return math.nan if value is None else float(value)

    bars = class_bars(
        [
            ClassScore(c["name"], color, known(c["iou"]), known(c["recall"]))
            for c, color in zip(classes, legend.colors, strict=True)
        ]
    )
    words = ", ".join(f"{c['name']} {score(c['iou'])}" for c in classes)
    share = "share of labels" if unit == "pixels" else ""
    f1 = ["F1"] if all("f1" in c for c in classes) else []
    header = ("class", "IoU", "recall", "precision", *f1, unit, *([share] if share else []))
    rows: tuple[Row, ...] = tuple(
        (
            Cell(c["name"], swatch=color),
            score(c["iou"]),
            score(c["recall"]),
            score(c["precision"]),
            *([score(c["f1"])] if f1 else []),
            count(c[unit]),
            *([percent(c[unit] / total if total else None)] if share else []),
        )
        for c, color in zip(classes, legend.colors, strict=True)
    )
    return (
        Figure(
            bars,
            f"IoU of each class: {words}.",
            f"of each class, over {over}.",
            title="IoU and recall",
        ),
        Paragraph(
            f"Recall: how much of a class's {unit} in the labels is found. Precision: how much of"
            " what is given the class is right. IoU: the two in one, right ones among all that are"
            f" the class or are taken for it.{_F1 if f1 else ''} “{NONE}” where there is nothing to"
            " take it of."
        ),
        Table(header, rows, (False, *[True] * (len(header) - 1))),
    )


def one_by_one(found: Sequence[Mapping[str, Any]], what: str) -> tuple[Block, ...]:
    """Show how each of many maps was scored, those with the most wrong pixels first.

    Parameters
    ----------
    found
        A mapping a map: ``name``, ``scored_pixels``, ``wrong_pixels``, ``pixel_accuracy`` and
        ``mean_iou`` (None where undefined), maybe ``stage_labels`` and ``stage``.
    what
        What they are called: "maps".
    """
    order = sorted(range(len(found)), key=lambda i: -found[i]["wrong_pixels"])
    staged = all("stage" in one for one in found)
    header = ("name", "scored px", "wrong px", "pixel accuracy", "mean IoU")
    rows: tuple[Row, ...] = tuple(
        (
            one["name"],
            count(one["scored_pixels"]),
            count(one["wrong_pixels"]),
            score(one["pixel_accuracy"]),
            score(one["mean_iou"]),
            *((one["stage_labels"], one["stage"]) if staged else ()),
        )
        for one in (found[i] for i in order[:_MOST_ROWS])
    )
    stages = ("stage in labels", "stage") if staged else ()
    words = f"{count(len(found))} {what}, those with the most wrong pixels first."
    if len(found) > _MOST_ROWS:
        words += f" {count(_MOST_ROWS)} are shown; {what}.csv in the folder of the report has all."
    return (
        Paragraph(words),
        Table((*header, *stages), rows, (False, *[True] * 4, *[False] * len(stages))),
    )


def confusion_blocks(
    counts: NDArray[np.int64], legend: Legend, *, columns: str = "predictions"
) -> tuple[Block, ...]:
    """Show a confusion matrix of pixels: a picture, and the counts on demand.

    Parameters
    ----------
    counts
        (classes, classes): rows are labels, columns what was made of them; pixels.
    legend
        The classes.
    columns
        What stands in the columns.
    """
    rows: tuple[Row, ...] = tuple(
        (Cell(name, swatch=color), *(count(int(n)) for n in line))
        for name, color, line in zip(legend.names, legend.colors, counts, strict=True)
    )
    table = Table((f"labels ↓  {columns} →", *legend.names), rows, (False, *[True] * len(legend)))
    totals = counts.sum(axis=1)
    hits = np.diag(counts)
    words = ", ".join(
        f"{name} {percent(int(hit) / int(total))}"
        for name, hit, total in zip(legend.names, hits, totals, strict=True)
        if total
    )
    return (
        Figure(
            confusion_picture(counts, legend.names),
            f"Confusion matrix; right share of each labelled class: {words}.",
            "Each row is what became of the labelled pixels of one class, in percent of the row and"
            " in pixels. Blue on the diagonal is right, orange beside it is wrong.",
            title="Confusion matrix.",
            wide=True,
        ),
        Folded("The counts in pixels", (table,)),
    )
