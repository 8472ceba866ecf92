"""What a report says of a network that tells which classes patches hold: tables and patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.raster.legend import NODATA, Legend
from geoseg.report.numbers import count, percent
from geoseg.report.page import Block, Cell, Figure, Paragraph, Row, Strip, Table
from geoseg.training.report.gallery import Sample, pictures_of

RIGHT, WRONG = "✓", "✗"


def class_confusion(report: Mapping[str, Any], legend: Legend) -> tuple[Block, ...]:
    """Show of each class how often it is there or not and is said to be or not.

    Parameters
    ----------
    report
        What stands in the report file of `geoseg.training.fit.fit`; its ``confusion`` is (classes,
        2, 2): by class, whether it is there, whether it is said to be; patches.
    legend
        The classes.
    """
    rows: list[Row] = []
    for name, color, counts in zip(legend.names, legend.colors, report["confusion"], strict=True):
        (neither, invented), (missed, found) = counts
        total = neither + invented + missed + found
        rows.append(
            (
                Cell(name, swatch=color),
                *(count(n) for n in (found, missed, invented, neither)),
                percent((found + neither) / total if total else None),
                percent(max(found + missed, neither + invented) / total if total else None),
            )
        )
    header = (
        "class",
        *("there, said", "there, not said", "not there, said", "not there, not said"),
        *("right", "majority guess"),
    )
    return (
        Paragraph(
            "Patches of each class by whether it is there and whether the network says so. The"
            " majority guess says of a class, for all patches alike, what is true of most."
        ),
        Table(header, tuple(rows), (False, *[True] * (len(header) - 1))),
    )


def presence_gallery(samples: Sequence[Sample], legend: Legend) -> tuple[Block, ...]:
    """Show samples: the image, and under it the classes that are there and that are said to be.

    Parameters
    ----------
    samples
        Whose truth and prediction are (classes,).
    legend
        The classes.
    """
    if not samples:
        return ()
    words, pictures = pictures_of(samples)
    strips = []
    for text, worst in (("Ordinary patches", False), ("The worst patches", True)):
        figures = tuple(
            Figure(
                picture,
                f"Image of patch {sample.patch}.",
                f"Patch {sample.patch}: {_answers(sample, legend)}.",
            )
            for sample, picture in zip(samples, pictures, strict=True)
            if sample.worst == worst
        )
        if figures:
            strips.append(Strip(text, figures))
    return (
        Paragraph(
            f"{words} Named are the classes that are there or are said to be; {RIGHT} stands behind"
            f" what is right, {WRONG} behind what is wrong. Worst patches are those with the most"
            " wrong answers, each from another part of the split; ordinary ones lie evenly between"
            " the best and the worst share of right answers."
        ),
        *strips,
    )


def _answers(sample: Sample, legend: Legend) -> str:
    """Say which classes are there, which are said to be, and what of it is right."""
    there, said, unknown = [], [], []
    for name, truth, answer in zip(legend.names, sample.truth, sample.prediction, strict=True):
        if truth == NODATA:
            unknown.append(name)
            continue
        mark = RIGHT if truth == answer else WRONG
        if truth:
            there.append(f"{name} {mark}")
        if answer:
            said.append(f"{name} {mark}")
    text = f"there: {', '.join(there) or 'none'}; said: {', '.join(said) or 'none'}"
    right = sample.labelled - sample.wrong
    share = f"; {count(right)} of {count(sample.labelled)} answers are right"
    return text + share + (f"; not known: {', '.join(unknown)}" if unknown else "")
