"""Descriptions of data sets and models (`geoseg.assessment.describe`) as text for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.assessment.describe_words import (
    date_row,
    joined,
    length,
    listed,
    maker_rows,
    maybe,
    plain,
)
from geoseg.assessment.text import NONE, count, file_size, number, pairs, percent, score, table
from geoseg.compositing.homogenise.standard import Standard
from geoseg.models.combination import combination_text

# -- data sets ------------------------------------------------------------------------------------


def dataset_lines(found: Mapping[str, Any]) -> list[str]:
    """Lines of a data set."""
    x, y = found["resolution"]
    rows = [
        (
            "data set",
            joined(
                f"{count(found['patches'])} patches of {found['size']} × {found['size']} px",
                f"stride {found['stride']}",
                found["dtype"],
                found["storage"],
                file_size(found["bytes"]),
            ),
        ),
        ("splits", joined(*(f"{name} {count(n)}" for name, n in found["splits"].items()))),
        *_split(found),
        ("pixels", joined(f"of {length(x, y, found['units'])}", _scale(found))),
        (
            "nodata",
            f"filled with {number(found['fill'])}; patches with more than"
            f" {number(100 * found['max_nodata'])} % of it dropped",
        ),
    ]
    if found["dropped"]:
        reasons = ", ".join(f"{count(n)} {reason}" for reason, n in found["dropped"].items())
        rows.append(("dropped", f"{count(sum(found['dropped'].values()))} patches: {reasons}"))
    if found["ignored_label_values"]:
        values = ", ".join(f"{v} ({count(n)} px)" for v, n in found["ignored_label_values"].items())
        rows.append(("ignored", f"label values that are no class: {values}"))
    if found["scenes"]:
        scenes = [
            f"{s['name']}, {s['width']} × {s['height']} px" + (f", {s['crs']}" if s["crs"] else "")
            for s in found["scenes"]
        ]
        rows.append(("scenes" if len(scenes) > 1 else "scene", listed(scenes)))
    rows += _colour(found)
    rows += [*maker_rows(found), ("hash", found["hash"]), *date_row(found)]
    lines = [found["name"], *pairs(rows), "", *_read_bands(found["bands"])]
    if found["classes"] is not None:
        lines += ["", *_shares(found)]
    problems = [f"{p.get('path')}: {p.get('reason')}" for p in found["problems"]]
    if problems:
        lines += ["", *pairs([("problems", listed(problems))])]
    return lines


def _read_bands(bands: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of the bands with their readings."""
    header = ["band", "min", "2 %", "50 %", "98 %", "max", "mean", "std"]
    cells = [
        [
            band["name"],
            maybe(band["minimum"]),
            *(maybe(band["percentiles"].get(p)) for p in ("2", "50", "98")),
            *(maybe(band[key]) for key in ("maximum", "mean", "std")),
        ]
        for band in bands
    ]
    return table(header, cells, right=[False, *[True] * 7])


def _shares(found: Mapping[str, Any]) -> list[str]:
    """Lines of the classes with their shares of each split."""
    splits = list(found["splits"])
    of_patches = found.get("labelling") == "patches"
    header = ["id", "class in patches" if of_patches else "class", *splits]
    cells = [
        [str(c["id"]), c["name"], *(percent(c["shares"].get(s, math.nan)) for s in splits)]
        for c in found["classes"]
    ]
    return table(header, cells, right=[True, False, *[True] * len(splits)])


def _split(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Row of the split whose folder was named."""
    name = found.get("split")
    return [] if name is None else [("named", f"the folder of its split {name}")]


# -- models ---------------------------------------------------------------------------------------


def model_lines(found: Mapping[str, Any]) -> list[str]:
    """Lines of a model."""
    arguments = ", ".join(f"{k} {plain(v)}" for k, v in found["arguments"].items())
    rows = [
        ("model", joined(found["name"], file_size(found["bytes"]))),
        (
            "network",
            found["network"]
            + (f" ({arguments})" if arguments else "")
            + f", {count(found['parameters'])} parameters",
        ),
        ("input", _input(found)),
        ("fill", f"{number(found['fill'])} stands for invalid readings"),
        ("hash", found["hash"]),
    ]
    rows[-1:-1] = _colour(found)
    rows += [*maker_rows(found), *date_row(found)]
    if found.get("onnx"):
        rows.insert(-1, ("ONNX", _onnx(found["onnx"])))
    if found.get("combination"):
        names = [c["name"] for c in found["classes"]]
        rows.insert(-1, ("maps", combination_text(found["combination"], names)))
    if found["description"]:
        rows.insert(1, ("about", found["description"].strip()))
    lines = [found["file"], *pairs(rows), ""]
    cells = [
        [str(place), name, number(mean), number(std)]
        for place, (name, mean, std) in enumerate(
            zip(found["bands"], found["mean"], found["std"], strict=True), start=1
        )
    ]
    lines += table(["", "band", "mean", "std"], cells, right=[True, False, True, True])
    lines += ["", *_model_classes(found)]
    if found["training"]:
        lines += ["", "  training", *pairs(_record(found["training"]), indent=4)]
    return lines


def _model_classes(found: Mapping[str, Any]) -> list[str]:
    """Lines of the classes, with their scores where the training record holds some by class id."""
    header, right = ["id", "class", "colour"], [True, False, False]
    rows = [[str(c["id"]), c["name"], c["color"]] for c in found["classes"]]
    if any(c.get("values") for c in found["classes"]):
        header.append("label values")
        right.append(False)
        for row, c in zip(rows, found["classes"], strict=True):
            row.append(", ".join(map(str, c.get("values") or [c["id"]])))
    scores = found["training"].get("scores")
    listed = scores.get("classes") if isinstance(scores, Mapping) else None
    by_id = {
        item.get("id"): item
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, Mapping)
    }
    for key, title in (("iou", "IoU"), ("recall", "accuracy"), ("precision", "precision")):
        if any(isinstance(item.get(key), float) for item in by_id.values()):
            header.append(title)
            right.append(True)
            for row, c in zip(rows, found["classes"], strict=True):
                value = by_id.get(c["id"], {}).get(key)
                row.append(score(value) if isinstance(value, float) else NONE)
    return table(header, rows, right=right)


def _scale(found: Mapping[str, Any]) -> str | None:
    """Say at which scale scenes are seen; nothing where that is their own."""
    scale = found.get("scale") or 1
    return None if scale == 1 else f"at 1:{scale}"


def _input(found: Mapping[str, Any]) -> str:
    resolution = found["resolution"]
    return joined(
        f"{len(found['bands'])} bands",
        f"of {found['sensor']}" if found["sensor"] else None,
        f"tiles of {found['tile']} px",
        _scale(found),
        None if resolution is None else f"pixels of {number(resolution)}",
    )


def _onnx(onnx: Mapping[str, Any]) -> str:
    """Say what an ONNX file is fed, and in which sizes."""
    height, width = onnx["shape"][2:]
    free = height < 0 and width < 0
    return joined(
        f"fed {onnx['input']}",
        f"answers {onnx['answer']}",
        "images of any size" if free else f"images of {width} × {height} px alone",
    )


def _colour(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Row of the colour that scenes were brought to, if they were."""
    if found.get("colour") is None:
        return []
    return [("colour", f"homogenised to {Standard.from_json(found['colour']).text}")]


def _record(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Rows of a nested record: "scores.val.miou  0.6412"; long lists are counted only."""
    rows: list[tuple[str, str]] = []
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _record(value, f"{name}.")
        else:
            rows.append((name, plain(value)))
    return rows
