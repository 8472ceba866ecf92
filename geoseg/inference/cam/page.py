"""The report of a scene's activation maps as one page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geoseg import __version__
from geoseg.inference.cam.gallery import cam_gallery
from geoseg.inference.cam.remarks import (
    best_ways,
    majority_words,
    remarks,
    seam_words,
    way_name,
    ways_of,
)
from geoseg.inference.cam.result import CamResult, CamScores
from geoseg.raster.legend import Legend
from geoseg.report.numbers import NONE, count, percent, score
from geoseg.report.page import (
    Block,
    Cell,
    Fact,
    Facts,
    Folded,
    Heading,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    make_page,
)
from geoseg.report.score_blocks import class_blocks, confusion_blocks
from geoseg.report.settings_table import settings_table
from geoseg.training.metrics import PixelScores, PresenceScores, Scores
from geoseg.training.records import scores_json
from geoseg.training.report.presence import class_confusion

# Of more classes, only the way used has its confusion shown: its size is their square.
_MOST_CONFUSED = 40


def cam_page(
    result: CamResult,
    *,
    legend: Legend,
    scene: str,
    model: str,
    bands: Sequence[str],
    settings: Mapping[str, Any],
) -> str:
    """Write the report of a run as one self-contained HTML page.

    Parameters
    ----------
    result
        What came of it.
    legend
        The classes.
    scene, model
        What they are called.
    bands
        Names of the bands of the panels' images, in order.
    settings
        What was asked for, by name.

    Returns
    -------
    html
        The same arguments give the same text.
    """
    scores = result.scores
    used = result.combine
    sections = [Section("In short", _summary(result, legend))]
    if scores is not None and (scores.presence is not None or _scored(scores)):
        sections.append(Section("Accuracy by way", _accuracies(scores, used)))
    way = None if scores is None else _way_shown(scores, used)
    if scores is not None and way is not None:
        sections += _pixels(scores, way, used, legend)
    if scores is not None and scores.presence is not None:
        sections.append(Section("Which classes patches hold", _presence(scores.presence, legend)))
    if result.panels:
        made = None if used is None else way_name(used)
        sections.append(Section("Examples", cam_gallery(result.panels, legend, bands, made)))
    sections.append(Section("How it was made", (Folded("Settings", (settings_table(settings),)),)))
    return make_page(
        f"Activation maps of {scene}",
        sections,
        lead=_lead(result, legend, model),
        foot=f"Written by geoseg {__version__}.",
    )


def _lead(result: CamResult, legend: Legend, model: str) -> str:
    labels = (
        "no weak labels" if result.combine is None else f"weak labels by {way_name(result.combine)}"
    )
    compared = "" if result.scores is None else "; compared with labels of pixels"
    return f"Model {model}, {len(legend)} classes; {labels}{compared}"


def _scored(scores: CamScores) -> bool:
    """Whether any pixel was labelled."""
    return any(bool(counts.any()) for counts in scores.ways.values())


def _way_shown(scores: CamScores, used: str | None) -> str | None:
    """Choose the way whose scores are shown in full: the one used, else the best."""
    if not _scored(scores):
        return None
    return used if used in scores.ways else next(iter(best_ways(scores)), None)


# -- in short ------------------------------------------------------------------------------------


def _summary(result: CamResult, legend: Legend) -> tuple[Block, ...]:
    scores, used = result.scores, result.combine
    facts = []
    if scores is not None and used is not None and used in scores.ways and _scored(scores):
        found = scores.of(used)
        facts += [
            Fact("Pixel accuracy", percent(found.accuracy), f"of weak labels by {way_name(used)}"),
            Fact("Mean IoU", score(found.mean_iou), "all classes that occur count alike"),
        ]
    if scores is not None and scores.presence is not None and majority_words(scores):
        facts.append(
            Fact("Task accuracy", percent(scores.presence.accuracy), majority_words(scores))
        )
    ratio = result.seams.ratio
    facts += [
        Fact("Seam ratio", _ratio(ratio), seam_words(result.seams)),
        Fact("Tiles computed", count(result.tiles), _skipped(result.skipped)),
    ]
    said = remarks(scores, used, legend.names)
    nodata = [f"{count(result.nodata)} pixels have no activations."] if result.nodata else []
    return (
        Facts(tuple(facts)),
        Points((*said, *map(_sentence, result.notes), *nodata)),
        *_shares(result, legend),
        Paragraph(
            "Seam ratio: how much neighbouring pixels of the maps differ across lines where patches"
            " meet, as a multiple of how much they differ elsewhere. 1 means that patches leave no"
            " trace."
        ),
    )


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:].removesuffix('.')}."


def _skipped(tiles: int) -> str:
    return f"{count(tiles)} left out: nothing wanted in them" if tiles else ""


def _ratio(ratio: float) -> str:
    if math.isnan(ratio):
        return NONE
    return f"{ratio:.2f}" if math.isfinite(ratio) else "∞"


def _shares(result: CamResult, legend: Legend) -> tuple[Block, ...]:
    """Tell how much each class has of the weak labels."""
    if result.combine is None:
        return (Paragraph("No weak labels were made."),)
    total = sum(result.pixels.values())
    hectares = result.hectares
    rows: tuple[Row, ...] = tuple(
        (
            Cell(name, swatch=color),
            percent(result.pixels.get(name, 0) / total if total else None),
            count(result.pixels.get(name, 0)),
            *([] if hectares is None else [f"{hectares.get(name, 0.0):,.1f}"]),
        )
        for name, color in zip(legend.names, legend.colors, strict=True)
    )
    header = ("class", "share", "pixels", *([] if hectares is None else ["hectares"]))
    caption = f"Weak labels by {way_name(result.combine)}"
    return (Table(header, rows, (False, *[True] * (len(header) - 1)), caption),)


# -- scores --------------------------------------------------------------------------------------


def _accuracies(scores: CamScores, used: str | None) -> tuple[Block, ...]:
    """Write the table in the layout of the paper: the task, then pixels by each way."""
    header = [""]
    cells: list[tuple[str, Scores, bool, bool]] = []
    presence = scores.presence
    if presence is not None:
        cells += [
            ("task accuracy", presence, False, False),
            ("majority guess", _majority(presence), False, False),
        ]
    ways = ways_of(scores) if _scored(scores) else ()
    found = {way: scores.of(way) for way in ways}
    best_iou = max((f.mean_iou for f in found.values()), default=math.nan)
    best = best_ways(scores)
    several = len(ways) > 1
    for way in ways:
        name = f"{way_name(way)}{' (used)' if way == used else ''}"
        one = found[way]
        cells.append((name, one, several and way in best, several and one.mean_iou == best_iou))
    if ways:
        cells.append(("most frequent class", _frequent(found[ways[0]]), False, False))
    top: list[str | Cell] = ["accuracy"]
    bottom: list[str | Cell] = ["mean IoU"]
    for name, shown, first, first_iou in cells:
        header.append(name)
        top.append(Cell(percent(shown.accuracy), best=first))
        bottom.append(Cell(score(shown.mean_iou), best=first_iou))
    table = Table(tuple(header), (tuple(top), tuple(bottom)), (False, *[True] * len(cells)))
    return (Paragraph(_meaning(scores, several)), table)


def _meaning(scores: CamScores, several: bool) -> str:
    said = []
    if scores.presence is not None:
        said.append(
            "Task accuracy: how often the network is right about which classes patches hold, over"
            " all pairs of patch and class. The majority guess says of each class, for all patches"
            " alike, what is true of most."
        )
    if _scored(scores):
        said.append(
            "Of each way of making weak labels: how many of the labelled pixels are right. Most"
            " frequent class: how many would be, were every pixel given that class."
        )
        if several:
            said.append("★ marks the best way.")
        if scores.patches:
            said.append(
                f"The {count(scores.patches)} patches that the regression was fitted on are left"
                " out, for all ways."
            )
    return " ".join(said)


def _majority(presence: PresenceScores) -> PresenceScores:
    """Return the scores of saying of each class what is true of most patches."""
    absent, there = presence.counts.sum(axis=2).T
    said = there > absent
    counts = np.zeros_like(presence.counts)
    classes = np.arange(len(counts))
    counts[classes, 0, said.astype(int)] = absent
    counts[classes, 1, said.astype(int)] = there
    return PresenceScores(counts)


def _frequent(found: PixelScores) -> PixelScores:
    """Return the scores of giving every pixel the class of most."""
    totals = found.counts.sum(axis=1)
    counts = np.zeros_like(found.counts)
    counts[:, int(totals.argmax())] = totals
    return PixelScores(counts)


def _pixels(scores: CamScores, way: str, used: str | None, legend: Legend) -> list[Section]:
    """Show a way in full, and the others on demand."""
    over = f"the labelled pixels, by {way_name(way)}"
    lead = "" if used in scores.ways else f"Of the best way, {way_name(way)}."
    before = (Paragraph(lead),) if lead else ()
    counts = scores.ways[way]
    classes = class_blocks(_by_class(scores.of(way), legend), legend, over=over)
    others = tuple(
        Folded(
            f"The same by {way_name(other)}",
            (
                *class_blocks(
                    _by_class(scores.of(other), legend),
                    legend,
                    over=f"the labelled pixels, by {way_name(other)}",
                ),
                *(
                    confusion_blocks(scores.ways[other], legend, columns="weak labels")
                    if len(legend) <= _MOST_CONFUSED
                    else ()
                ),
            ),
        )
        for other in ways_of(scores)
        if other != way and scores.ways[other].any()
    )
    confusion = confusion_blocks(counts, legend, columns="weak labels")
    return [
        Section("Classes", (*before, *classes)),
        Section("What is taken for what", (*confusion, *others)),
    ]


def _presence(presence: PresenceScores, legend: Legend) -> tuple[Block, ...]:
    made = scores_json(presence, legend)
    return (
        Paragraph("What the network was trained for."),
        *class_blocks(made["classes"], legend, over="the patches looked at"),
        Heading("Confusion a class"),
        *class_confusion(made, legend),
    )


def _by_class(scores: Scores, legend: Legend) -> list[dict[str, Any]]:
    classes: list[dict[str, Any]] = scores_json(scores, legend)["classes"]
    return classes
