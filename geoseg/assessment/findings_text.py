"""What was found beyond scores, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.assessment.evaluating import Evaluated
from geoseg.assessment.report import text
from geoseg.assessment.text import NONE, count, pairs, percent, score, signed, table

_OVERALL = (
    ("pixel_accuracy", "PA"),
    ("mean_accuracy", "MPA"),
    ("mean_iou", "mIoU"),
    ("mean_f1", "F1"),
    ("kappa", "kappa"),
)


def words(result: Evaluated, *, matrix: bool = False) -> str:
    """Everything about an evaluation as tables for people.

    Parameters
    ----------
    result
        What came out.
    matrix
        Whether to add the confusions, in pixels.
    """
    documents: Sequence[Mapping[str, Any]] = result.content.get("predictions", [result.content])
    parts: list[str] = []
    if len(documents) > 1:
        parts += _side_by_side(result.content["common"], result.content["differences"])
        if not (result.content["common"]["same_pixels"] or documents[0]["unpredicted_is_wrong"]):
            parts[-1] += (
                "; --unpredicted wrong\n  counts the pixels that a map leaves out as errors"
            )
    for found, content in zip(result.evaluations, documents, strict=True):
        lines = [text(found, matrix=matrix)]
        if "intervals" in content:
            lines += ["", *_intervals(content)]
        if "boundary" in content:
            lines += ["", *_boundary(content["boundary"])]
        if "stages" in content:
            lines += ["", *stage_lines(content["stages"])]
        if "seams" in content:
            lines += ["", *_seams(content["seams"])]
        parts.append("\n".join(lines))
    said = [f"  {note}" for note in result.findings.notes]
    if said:
        parts.append("\n".join(said))
    return "\n\n".join(parts)


def _ends(ends: Sequence[float | None]) -> str:
    return NONE if None in ends else f"{score(ends[0])} … {score(ends[1])}"


def _side_by_side(common: Mapping[str, Any], differences: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [name for _, name in _OVERALL]
    right = [False, *[True] * len(names)]
    rows = [
        [one["prediction"], *(score(one["scores"][key]) for key, _ in _OVERALL)]
        for one in common["predictions"]
    ]
    lines = table(["prediction", *names], rows, right=right)
    apart = []
    for one in differences:
        apart.append(
            [
                f"{one['prediction']} − {one['minus']}",
                *(signed(one["scores"][key]["difference"]) for key, _ in _OVERALL),
            ]
        )
        if "interval" in one["scores"][_OVERALL[0][0]]:
            for place, what in enumerate(("from", "to")):
                ends = (one["scores"][key]["interval"][place] for key, _ in _OVERALL)
                apart.append([f"  {what}", *map(signed, ends)])
    parts = ["\n".join(lines), "\n".join(table(["difference", *names], apart, right=right))]
    if not common["same_pixels"]:
        own = [one["own_pixels"] for one in common["predictions"]]
        parts[-1] += (
            f"\n  on the {count(common['pixels'])} px that all maps have; below, each on its own"
            f" ({count(min(own))} to {count(max(own))} px):"
            "\n  one that leaves out what is hard looks better there"
        )
    return parts


def _intervals(content: Mapping[str, Any]) -> list[str]:
    found = content["intervals"]
    size = found["block_px"]
    what = "photographs" if size is None else f"blocks of {size[0]} × {size[1]} px"
    rows = [(name, _ends(found["scores"][key])) for key, name in _OVERALL]
    rows += [(f"IoU of {c['name']}", _ends(c["iou"])) for c in found["classes"]]
    head = f"  {100 * found['level']:.0f} % intervals, from {count(found['blocks'])} {what}"
    return [f"{head} drawn {count(found['resamples'])} times", *pairs(rows, indent=4)]


def _boundary(found: Mapping[str, Any]) -> list[str]:
    keys = ("f1", "precision", "recall", "iou", "trimap_iou")
    header = ["class", "boundary F1", "precision", "recall", "boundary IoU", "trimap IoU"]
    rows = [[c["name"], *(score(c[key]) for key in keys)] for c in found["classes"]]
    rows.append(["mean", *(score(found["means"][key]) for key in keys)])
    lines = table(header, rows, right=[False, *[True] * 5], indent=4)
    return [f"  borders, within {found['distance_px']:g} px", *lines]


def stage_lines(found: Mapping[str, Any]) -> list[str]:
    """Lines of the table of stages: success, and of those that are wrong, what they became."""
    names = [stage["name"] for stage in found["stages"]]
    rows = [
        [
            stage["name"],
            count(stage["total"]),
            percent(stage["success"]),
            *(NONE if n == stage["name"] else percent(stage["wrong_as"][n]) for n in names),
        ]
        for stage in found["stages"]
    ]
    header = ["stage", "number", "success", *(f"as {name}" for name in names)]
    apart = found["mean_coverage_error_percent"]
    totals = [
        ("average success", percent(found["average_success"])),
        ("right stages", percent(found["overall_success"])),
        ("coverage off by", NONE if apart is None else f"{apart:.1f} percent points"),
    ]
    lines = table(header, rows, right=[False, *[True] * (len(names) + 2)], indent=4)
    return ["  stages", *lines, *pairs(totals, indent=4)]


def _seams(found: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            "ratio",
            f"{score(found['ratio'])} (1 is no seam; labels {score(found['labels_ratio'])})",
        ),
        ("changes across lines", percent(found["line_share"])),
        ("elsewhere", percent(found["other_share"])),
    ]
    return [f"  seams, lines every {found['step_px']} px", *pairs(rows, indent=4)]
