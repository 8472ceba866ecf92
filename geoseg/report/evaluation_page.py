"""The page of an evaluation: scores, what is taken for what, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg import __version__
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.legend.palette import Ramp
from geoseg.report.numbers import NONE, count, percent, score, setting, signed
from geoseg.report.page import (
    Block,
    Cell,
    Fact,
    Facts,
    Figure,
    Key,
    Paragraph,
    Points,
    RampKey,
    Row,
    Section,
    Strip,
    Table,
    make_page,
)
from geoseg.report.pictures import (
    RIGHT_COLOR,
    UNLABELLED_COLOR,
    WRONG_COLOR,
    class_picture,
    error_picture,
    ramp_picture,
)
from geoseg.report.score_blocks import class_blocks, confusion_blocks, one_by_one

ERRORS = Ramp("errors", 0.0, 1.0, stops=((0.0, RIGHT_COLOR), (1.0, WRONG_COLOR)))
"""Colours of shares of wrong pixels."""

_OVERALL = (
    ("pixel_accuracy", "pixel accuracy (PA)", "share of scored pixels that are right"),
    ("mean_accuracy", "mean accuracy (MPA)", "mean recall of the classes"),
    ("mean_iou", "mean IoU (mIoU)", "mean over the classes"),
    ("mean_f1", "mean F1", "mean over the classes"),
    ("kappa", "kappa", "agreement beyond chance"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class WorstPatch:
    """A patch with many errors."""

    place: str
    """Where it is, in words."""
    wrong: int
    """Wrong pixels."""
    scored: int
    """Scored pixels."""
    truth: NDArray[np.uint8]
    """(rows, cols) class indices, 255 where there is none."""
    found: NDArray[np.uint8]
    """(rows, cols) class indices of the prediction."""
    scene: bytes | None
    """A PNG of the same ground; None without a scene."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One prediction, for the page."""

    content: Mapping[str, Any]
    """What `geoseg.assessment.document` says of it."""
    shares: NDArray[np.float32] | None
    """(rows, cols) share of wrong pixels over a coarse grid; NaN where none is scored."""
    cell: int
    """Pixels along a cell of that grid."""
    worst: tuple[WorstPatch, ...]
    """Patches with the most errors."""


def evaluation_page(
    sides: Sequence[Side],
    legend: Legend,
    *,
    common: Mapping[str, Any] | None = None,
    differences: Sequence[Mapping[str, Any]] = (),
    options: Mapping[str, Any] | None = None,
) -> str:
    """Write the page.

    Parameters
    ----------
    sides
        Predictions, at least one, all against the same labels.
    legend
        The classes.
    common
        Scores of several predictions on the pixels that all have, as the document says them.
    differences
        Of each further prediction from the first, on these pixels, as the document says them.
    options
        What was asked for.
    """
    first = sides[0].content
    several = len(sides) > 1
    sections = []
    if common is not None:
        sections.append(Section("Side by side", _side_by_side(common, differences)))
    for side in sides:
        for title, blocks in _sections(side, legend):
            name = f"{side.content['prediction']}: {title}" if several else title.capitalize()
            sections.append(Section(name, blocks))
    table = Table(
        ("option", "value"),
        tuple((name, setting(value)) for name, value in (options or {}).items()),
        (False, False),
    )
    asked: Block = table if options else Paragraph("Nothing but what is the default.")
    sections.append(Section("What was asked for", (asked,)))
    names = ", ".join(side.content["prediction"] for side in sides)
    return make_page(
        f"{names} against {first['labels']}",
        sections,
        lead=f"{_scored(first, common)}, {count(len(legend))} classes",
        foot=f"Written by geoseg {__version__}.",
    )


def _sections(side: Side, legend: Legend) -> list[tuple[str, tuple[Block, ...]]]:
    content = side.content
    sections = [
        ("scores", _scores(content)),
        ("classes", class_blocks(content["classes"], legend, over="the scored pixels")),
        ("what is taken for what", _confusion(content, legend)),
    ]
    listed = [key for key in ("maps", "photographs") if key in content]
    sections += [(f"{key} one by one", one_by_one(content[key], key)) for key in listed]
    if side.shares is not None or side.worst:
        sections.append(("where it is wrong", _places(side, legend)))
    if "boundary" in content:
        sections.append(("borders", _borders(content["boundary"], legend)))
    if "stages" in content:
        sections.append(("stages", _stages(content["stages"])))
    if "seams" in content:
        sections.append(("seams", _seams(content["seams"])))
    return sections


def _ends(ends: Sequence[float | None]) -> str:
    return NONE if None in ends else f"{score(ends[0])} – {score(ends[1])}"


def _scores(content: Mapping[str, Any]) -> tuple[Block, ...]:
    intervals = content.get("intervals")
    facts = []
    for key, name, what in _OVERALL:
        note = what
        if intervals is not None:
            note = f"{100 * intervals['level']:.0f} % interval {_ends(intervals['scores'][key])}"
        facts.append(Fact(name, score(content["scores"][key]), note))
    blocks: list[Block] = [Facts(tuple(facts))]
    if intervals is not None:
        size = intervals["block_px"]
        what = "photographs" if size is None else f"blocks of {size[0]} × {size[1]} px"
        blocks.append(
            Paragraph(
                f"Intervals: {count(intervals['blocks'])} {what} with labels were drawn with"
                f" replacement {count(intervals['resamples'])} times, and scored; so errors that"
                " hang together over less than a block do not make them too narrow."
            )
        )
    if content["notes"]:
        notes = tuple(f"{note[:1].upper()}{note[1:]}." for note in content["notes"])
        blocks.append(Points(notes))
    return tuple(blocks)


def _scored(first: Mapping[str, Any], common: Mapping[str, Any] | None) -> str:
    if common is None or common["same_pixels"]:
        return f"{count(first['pixels']['scored'])} pixels scored"
    return f"{count(common['pixels'])} pixels that all maps have"


def _side_by_side(
    common: Mapping[str, Any], differences: Sequence[Mapping[str, Any]]
) -> tuple[Block, ...]:
    sides = common["predictions"]
    header = ("prediction", *(name for _, name, _ in _OVERALL), "own pixels")
    right = (False, *[True] * (len(_OVERALL) + 1))
    known = {
        key: [one["scores"][key] for one in sides if one["scores"][key] is not None]
        for key, _, _ in _OVERALL
    }
    rows: list[Row] = []
    for one in sides:
        scores = one["scores"]
        cells = (
            Cell(score(scores[key]), best=bool(known[key]) and scores[key] == max(known[key]))
            for key, _, _ in _OVERALL
        )
        rows.append((one["prediction"], *cells, count(one["own_pixels"])))
    by_class = tuple(
        (c["name"], *(score(one["classes"][i]["iou"]) for one in sides))
        for i, c in enumerate(sides[0]["classes"])
    )
    names = tuple(one["prediction"] for one in sides)
    if common["same_pixels"]:
        words = f"All are scored on the same {count(common['pixels'])} pixels."
    else:
        words = (
            f"Here all are scored on the {count(common['pixels'])} pixels that every one of them"
            " has. Below, each is scored on all pixels of its own: one that leaves out what is hard"
            " looks better there."
        )
    return (
        Paragraph(words),
        Table(header, tuple(rows), right, "Scores of each prediction"),
        *map(_difference, differences),
        Table(("class", *names), by_class, (False, *[True] * len(names)), "IoU of each class"),
    )


def _difference(one: Mapping[str, Any]) -> Table:
    rows: list[Row] = []
    drawn = any("interval" in found for found in one["scores"].values())
    for key, name, _ in _OVERALL:
        found = one["scores"][key]
        ends = found.get("interval", (None, None))
        rows.append((name, signed(found["difference"]), *(map(signed, ends) if drawn else ())))
    header = ("score", "difference", *(("from", "to") if drawn else ()))
    caption = f"{one['prediction']} minus {one['minus']}"
    if drawn:
        caption += ", and the interval of the difference: the same pixels, in the same blocks"
    return Table(header, tuple(rows), (False, *[True] * (len(header) - 1)), caption)


def _confusion(content: Mapping[str, Any], legend: Legend) -> tuple[Block, ...]:
    counts = np.array(content["confusion"]["counts"], np.int64)
    rows: tuple[Row, ...] = tuple(
        (
            f"{pair['truth']} → {pair['prediction']}",
            count(pair["pixels"]),
            percent(pair["share_of_errors"]),
        )
        for pair in content["errors"][:10]
    )
    table = Table(
        ("labelled as → predicted as", "pixels", "share of errors"),
        rows,
        (False, True, True),
        "The commonest errors",
    )
    return (*confusion_blocks(counts, legend), *((table,) if rows else ()))


def _places(side: Side, legend: Legend) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if side.shares is not None:
        blocks += [
            RampKey("Share of scored pixels that are wrong", ERRORS),
            Figure(
                ramp_picture(side.shares, ERRORS),
                "Map of the share of wrong pixels.",
                f"Cells of {side.cell} × {side.cell} pixels or more; grey where nothing is scored.",
            ),
        ]
    if not side.worst:
        return tuple(blocks)
    what = "photographs" if "photographs" in side.content else "patches"
    blocks += [
        Paragraph(f"The {what} with the most wrong pixels, the worst first."),
        Key.of(legend),
        Key(
            (
                (RIGHT_COLOR, "right"),
                (WRONG_COLOR, "wrong"),
                (UNLABELLED_COLOR, "not scored"),
            )
        ),
    ]
    for patch in side.worst:
        scored = patch.truth
        if not side.content["unpredicted_is_wrong"]:
            scored = np.where(patch.found == NODATA, patch.found, patch.truth)
        share = percent(patch.wrong / patch.scored if patch.scored else None)
        figures = [
            Figure(class_picture(patch.truth, legend), f"Labels at {patch.place}.", "labels"),
            Figure(
                class_picture(patch.found, legend), f"Prediction at {patch.place}.", "prediction"
            ),
            Figure(error_picture(scored, patch.found), f"Errors at {patch.place}.", "errors"),
        ]
        if patch.scene is not None:
            figures.insert(0, Figure(patch.scene, f"Scene at {patch.place}.", "scene"))
        words = f"{patch.place}: {count(patch.wrong)} of {count(patch.scored)} px wrong ({share})"
        blocks.append(Strip(words, tuple(figures)))
    return tuple(blocks)


def _borders(found: Mapping[str, Any], legend: Legend) -> tuple[Block, ...]:
    names = (
        ("f1", "boundary F1"),
        ("precision", "precision"),
        ("recall", "recall"),
        ("iou", "boundary IoU"),
        ("trimap_iou", "trimap IoU"),
    )
    rows: list[Row] = [
        (Cell(c["name"], swatch=color), *(score(c[key]) for key, _ in names))
        for c, color in zip(found["classes"], legend.colors, strict=True)
    ]
    rows.append(("mean", *(score(found["means"][key]) for key, _ in names)))
    return (
        Paragraph(
            f"Within {found['distance_px']:g} px. Boundary F1: precision is the share of predicted"
            " border pixels with a border pixel of the same class in the labels nearby, recall the"
            " share of the labels' with one in the prediction. Boundary IoU: of the pixels of a"
            " class near its border in either. Trimap IoU: of all pixels near a border in the"
            " labels."
        ),
        Table(("class", *(name for _, name in names)), tuple(rows), (False, *[True] * len(names))),
    )


def _stages(found: Mapping[str, Any]) -> tuple[Block, ...]:
    names = [stage["name"] for stage in found["stages"]]
    rows: tuple[Row, ...] = tuple(
        (
            stage["name"],
            count(stage["total"]),
            percent(stage["success"]),
            *(
                NONE if name == stage["name"] else percent(stage["wrong_as"][name])
                for name in names
            ),
        )
        for stage in found["stages"]
    )
    apart = found["mean_coverage_error_percent"]
    facts = (
        Fact("Average success", percent(found["average_success"]), "mean over the stages"),
        Fact("Right stages", percent(found["overall_success"]), f"of {count(found['units'])}"),
        Fact(
            "Coverage off by",
            NONE if apart is None else f"{apart:.1f}",
            "mean difference, in percent points",
        ),
    )
    header = ("stage", "number", "success", *(f"as {name}" for name in names))
    return (
        Facts(facts),
        Paragraph(
            "Success: how many of a stage are given it. The columns behind: of those that are not,"
            " how many are given which."
        ),
        Table(header, rows, (False, *[True] * (len(names) + 2))),
    )


def _seams(found: Mapping[str, Any]) -> tuple[Block, ...]:
    facts = (
        Fact(
            "Seam ratio", score(found["ratio"]), "changes across the lines ÷ elsewhere; 1 is none"
        ),
        Fact("In the labels", score(found["labels_ratio"]), "the same of the labels"),
    )
    return (
        Paragraph(
            f"Lines lie every {found['step_px']} px. Classes change across"
            f" {percent(found['line_share'])} of the neighbours there, and"
            f" {percent(found['other_share'])} of the others."
        ),
        Facts(facts),
    )
