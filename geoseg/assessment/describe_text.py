"""Descriptions (`geoseg.assessment.describe`) as text for people, a block each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.assessment.text import NONE, count, file_size, number, pairs, percent, score, table
from geoseg.compositing.homogenise.standard import Standard
from geoseg.models.combination import combination_text

_MOST_LISTED = 12
"""Scenes, problems and the like beyond this many are counted only."""


def text(found: Mapping[str, Any]) -> str:
    """Say a description to people; no end of line at the end.

    Files may come from anywhere, so what would command a terminal is replaced by "�".
    """
    blocks = {"data set": _dataset, "model": _model}
    other = _scene if "grid" in found else _other
    told = "\n".join(blocks.get(found["kind"], other)(found))
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in told)


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _date(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    written = found.get("written")
    return [("written", written.replace("T", " ").replace("Z", " UTC"))] if written else []


def _made(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of what made an output: in the same words whatever it is."""
    made = found.get("made_by") or {}
    lines = [str(made["command"])] if made.get("command") else []
    if made.get("version"):
        versions = made.get("versions")
        used = versions if isinstance(versions, Mapping) else {}
        lines.append(_joined(f"geoseg {made['version']}", *(f"{k} {v}" for k, v in used.items())))
    if made.get("date"):
        lines.append(f"dated {made['date']}")
    model = made.get("model")
    lines += [
        "model " + ", ".join(f"{key} {_plain(value)}" for key, value in item.items())
        for item in (model if isinstance(model, list) else [model])
        if isinstance(item, Mapping)
    ]
    rows = [("made by", "\n".join(lines))] if lines else []
    inputs = made.get("inputs")
    if isinstance(inputs, Mapping) and inputs:
        rows.append(("made of", _listed([f"{name} {mark}" for name, mark in inputs.items()])))
    if found.get("said_by"):
        rows.append(("said by", f"{found['said_by']}, which goes with it"))
    return rows


def _other(found: Mapping[str, Any]) -> list[str]:
    rows = [(found["kind"], file_size(found["bytes"]))]
    if found.get("classes"):
        rows.append(("classes", _listed([str(item.get("name")) for item in found["classes"]])))
    rows += _made(found)
    return [found["file"], *pairs([*rows, *_date(found)])]


# -- scenes ---------------------------------------------------------------------------------------


def _scene(found: Mapping[str, Any]) -> list[str]:
    grid, bands, files = found["grid"], found["bands"], found["files"]
    several = len(files) > 1
    rows = [
        (
            found["kind"],
            _joined(
                f"{grid['width']} × {grid['height']} px",
                f"{len(bands)} band{'s' if len(bands) > 1 else ''}",
                found["dtype"],
                None if found["bytes"] is None else file_size(found["bytes"]),
            ),
        )
    ]
    if several:
        rows.append(("files", _listed([path.rpartition("/")[2] for path in files])))
    rows += _place(grid)
    rows.append(("layout", _layout(found)))
    rows += [*_made(found), *_date(found)]
    seen = found["statistics"]
    looked = "" if seen["exact"] else f" (of {count(seen['pixels'])} px looked at)"
    rows.append(("invalid", f"{percent(found['nodata_share'])} of the pixels{looked}"))
    lines = [found["name"] if several else files[0], *pairs(rows), ""]
    lines += _classes(found) if found["classes"] is not None else _bands(found)
    lines += [f"  Note: {remark}" for remark in found["remarks"]]
    return lines


def _place(grid: Mapping[str, Any]) -> list[tuple[str, str]]:
    x, y = grid["resolution"]
    pixel = _length(x, y, grid["units"])
    if grid["orientation"] is None:
        return [("grid", "none: no coordinate system, no transform")]
    crs = "no coordinate system"
    if grid["crs"] or grid["crs_name"]:
        name = grid["crs_name"]
        crs = f"{grid['crs']} ({name})" if grid["crs"] and name else grid["crs"] or name
    rows = [("grid", _joined(f"pixels of {pixel}", crs, grid["orientation"]))]
    xmin, ymin, xmax, ymax = grid["bounds"]
    digits = 6 if grid["units"] == "degree" else 2
    west, south, east, north = (_fixed(v, digits) for v in (xmin, ymin, xmax, ymax))
    rows.append(("bounds", f"{west} to {east}, {south} to {north}"))
    if grid["centre"] is not None:
        longitude, latitude = grid["centre"]
        rows.append(
            (
                "centre",
                f"{abs(latitude):.4f}° {'N' if latitude >= 0 else 'S'},"
                f" {abs(longitude):.4f}° {'E' if longitude >= 0 else 'W'}",
            )
        )
    return rows


def _length(x: float, y: float, units: str | None) -> str:
    """Write the sides of a pixel: one number where they are equal."""
    unit = {None: "", "metre": " m", "degree": "°"}.get(units, f" {units}")
    square = math.isclose(x, y, rel_tol=1e-9)
    return f"{x:.6g}{unit}" if square else f"{x:.6g} × {y:.6g}{unit}"


def _fixed(value: float, digits: int) -> str:
    """Write a coordinate with as many decimals as it needs, at most `digits`."""
    written = f"{value:.{digits}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def _layout(found: Mapping[str, Any]) -> str:
    layout = found["layout"]
    names = {"GTiff": "GeoTIFF", "COG": "GeoTIFF"}
    blocks = f"{layout['block_cols']} × {layout['block_rows']} px"
    strips = f"strips of {layout['block_rows']} rows"
    if layout["block_rows"] >= found["grid"]["height"]:
        strips = "one block"
    factors = layout["overviews"]
    return _joined(
        "Cloud Optimized GeoTIFF"
        if layout["cloud_optimized"]
        else names.get(found["format"], found["format"]),
        f"blocks of {blocks}" if layout["tiled"] else strips,
        layout["compression"] or "uncompressed",
        f"overviews 1:{', 1:'.join(map(str, factors))}" if factors else "no overviews",
    )


def _bands(found: Mapping[str, Any]) -> list[str]:
    scaled = any(b["scale"] != 1 or b["offset"] != 0 for b in found["bands"])
    header = ["", "band", "type", "nodata", "min", "max", "mean", "std"]
    header += ["scale", "offset"] if scaled else []
    rows = []
    for place, b in enumerate(found["bands"], start=1):
        cells = [str(place), b["name"] if b["named"] else "(no name)", b["dtype"]]
        cells += [_maybe(b[key]) for key in ("nodata", "minimum", "maximum", "mean", "std")]
        cells += [number(b["scale"]), number(b["offset"])] if scaled else []
        rows.append(cells)
    lines = table(header, rows, right=[True, False, False, *[True] * (len(header) - 3)])
    if found["values"]:
        shown = [f"{item['value']} {percent(item['share'])}" for item in found["values"]]
        lines += ["", *_wrapped("values: ", shown)]
    return lines


def _maybe(value: float | None) -> str:
    return "–" if value is None else "NaN" if math.isnan(value) else number(value)


def _wrapped(start: str, items: Sequence[str], *, width: int = 96) -> list[str]:
    """Lines of items behind a word, none longer than `width` if it can be helped."""
    lines, line = [], f"  {start}"
    for place, item in enumerate(items):
        piece = item + ("" if place == len(items) - 1 else ", ")
        if len(line) + len(piece) > width:
            lines.append(line.rstrip())
            line = " " * (2 + len(start))
        line += piece
    return [*lines, line.rstrip()]


def _classes(found: Mapping[str, Any]) -> list[str]:
    rows = [[str(c["id"]), c["name"], c["color"], percent(c["share"])] for c in found["classes"]]
    return table(["id", "class", "colour", "share"], rows, right=[True, False, False, True])


def _listed(items: Sequence[str]) -> str:
    shown = "\n".join(items[:_MOST_LISTED])
    more = len(items) - _MOST_LISTED
    return f"{shown}\n… and {more} more" if more > 0 else shown


# -- data sets ------------------------------------------------------------------------------------


def _dataset(found: Mapping[str, Any]) -> list[str]:
    x, y = found["resolution"]
    rows = [
        (
            "data set",
            _joined(
                f"{count(found['patches'])} patches of {found['size']} × {found['size']} px",
                f"stride {found['stride']}",
                found["dtype"],
                found["storage"],
                file_size(found["bytes"]),
            ),
        ),
        ("splits", _joined(*(f"{name} {count(n)}" for name, n in found["splits"].items()))),
        ("pixels", _joined(f"of {_length(x, y, found['units'])}", _scale(found))),
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
        rows.append(("scenes" if len(scenes) > 1 else "scene", _listed(scenes)))
    rows += _colour(found)
    rows += [*_made(found), ("hash", found["hash"]), *_date(found)]
    lines = [found["name"], *pairs(rows), ""]
    header = ["band", "min", "2 %", "50 %", "98 %", "max", "mean", "std"]
    cells = [
        [
            band["name"],
            _maybe(band["minimum"]),
            *(_maybe(band["percentiles"].get(p)) for p in ("2", "50", "98")),
            *(_maybe(band[key]) for key in ("maximum", "mean", "std")),
        ]
        for band in found["bands"]
    ]
    lines += table(header, cells, right=[False, *[True] * 7])
    if found["classes"] is not None:
        splits = list(found["splits"])
        of_patches = found.get("labelling") == "patches"
        header = ["id", "class in patches" if of_patches else "class", *splits]
        cells = [
            [str(c["id"]), c["name"], *(percent(c["shares"].get(s, math.nan)) for s in splits)]
            for c in found["classes"]
        ]
        lines += ["", *table(header, cells, right=[True, False, *[True] * len(splits)])]
    problems = [f"{p.get('path')}: {p.get('reason')}" for p in found["problems"]]
    if problems:
        lines += ["", *pairs([("problems", _listed(problems))])]
    return lines


# -- models ---------------------------------------------------------------------------------------


def _model(found: Mapping[str, Any]) -> list[str]:
    arguments = ", ".join(f"{k} {_plain(v)}" for k, v in found["arguments"].items())
    rows = [
        ("model", _joined(found["name"], file_size(found["bytes"]))),
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
    rows += [*_made(found), *_date(found)]
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
    return _joined(
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
    return _joined(
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
            rows.append((name, _plain(value)))
    return rows


def _plain(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        if len(value) > _MOST_LISTED or any(isinstance(v, list | Mapping) for v in value):
            return f"({len(value)} entries, see --json)"
        return ", ".join(_plain(v) for v in value)
    return str(value)
