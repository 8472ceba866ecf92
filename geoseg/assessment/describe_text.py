"""Descriptions (`geoseg.assessment.describe`) as text for people, a block each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.assessment.describe_text_learning import dataset_lines, model_lines
from geoseg.assessment.describe_words import date_row, joined, length, listed, maker_rows, maybe
from geoseg.assessment.text import count, file_size, number, pairs, percent, table


def text(found: Mapping[str, Any]) -> str:
    """Say a description to people; no end of line at the end.

    Files may come from anywhere, so what would command a terminal is replaced by "�".
    """
    blocks = {"data set": dataset_lines, "folder": _folder, "model": model_lines}
    other = _scene if "grid" in found else _other
    told = "\n".join(blocks.get(found["kind"], other)(found))
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in told)


def _other(found: Mapping[str, Any]) -> list[str]:
    rows = [(found["kind"], file_size(found["bytes"]))]
    if found.get("classes"):
        rows.append(("classes", listed([str(item.get("name")) for item in found["classes"]])))
    rows += maker_rows(found)
    return [found["file"], *pairs([*rows, *date_row(found)])]


def _folder(found: Mapping[str, Any]) -> list[str]:
    holds = found["holds"]
    files = f"{len(holds)} file{'s' if len(holds) > 1 else ''}"
    rows = [
        ("folder", f"{files} that geoseg made, {file_size(found['bytes'])}"),
        ("files", listed([f"{item['name']}: {item['kind']}" for item in holds])),
    ]
    return [found["name"], *pairs([*rows, *maker_rows(found), *date_row(found)])]


# -- scenes ---------------------------------------------------------------------------------------


def _scene(found: Mapping[str, Any]) -> list[str]:
    grid, bands, files = found["grid"], found["bands"], found["files"]
    several = len(files) > 1
    rows = [
        (
            found["kind"],
            joined(
                f"{grid['width']} × {grid['height']} px",
                f"{len(bands)} band{'s' if len(bands) > 1 else ''}",
                found["dtype"],
                None if found["bytes"] is None else file_size(found["bytes"]),
            ),
        )
    ]
    if several:
        rows.append(("files", listed([path.rpartition("/")[2] for path in files])))
    rows += [*_taken(found), *_place(grid)]
    rows.append(("layout", _layout(found)))
    rows += [*maker_rows(found), *date_row(found)]
    seen = found["statistics"]
    looked = "" if seen["exact"] else f" (of {count(seen['pixels'])} px looked at)"
    rows.append(("invalid", f"{percent(found['nodata_share'])} of the pixels{looked}"))
    lines = [found["name"] if several else files[0], *pairs(rows), ""]
    lines += _classes(found) if found["classes"] is not None else _bands(found)
    lines += [f"  Note: {remark}" for remark in found["remarks"]]
    return lines


def _taken(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of what took a product, and when."""
    rows = []
    if found.get("sensor"):
        rows.append(("sensor", f"{found['sensor']['title']} ({found['sensor']['name']})"))
    if found.get("acquired"):
        cover = found["cloud_cover"]
        clouds = None if cover is None else f"{number(cover)} % cloud"
        rows.append(("acquired", joined(found["acquired"], clouds)))
    if found.get("quality"):
        rows.append(("quality", joined(*found["quality"])))
    return rows


def _place(grid: Mapping[str, Any]) -> list[tuple[str, str]]:
    x, y = grid["resolution"]
    pixel = length(x, y, grid["units"])
    if grid["orientation"] is None:
        return [("grid", "none: no coordinate system, no transform")]
    crs = "no coordinate system"
    if grid["crs"] or grid["crs_name"]:
        name = grid["crs_name"]
        crs = f"{grid['crs']} ({name})" if grid["crs"] and name else grid["crs"] or name
    rows = [("grid", joined(f"pixels of {pixel}", crs, grid["orientation"]))]
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
    return joined(
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
    in_files = any("in_files" in b for b in found["bands"])
    header += ["in files"] if in_files else []
    rows = []
    for place, b in enumerate(found["bands"], start=1):
        cells = [str(place), b["name"] if b["named"] else "(no name)", b["dtype"]]
        cells += [maybe(b[key]) for key in ("nodata", "minimum", "maximum", "mean", "std")]
        cells += [number(b["scale"]), number(b["offset"])] if scaled else []
        cells += [b["in_files"]] if in_files else []
        rows.append(cells)
    numbers = len(header) - 3 - in_files
    lines = table(header, rows, right=[True, False, False, *[True] * numbers, *[False] * in_files])
    if found["values"]:
        shown = [f"{item['value']} {percent(item['share'])}" for item in found["values"]]
        lines += ["", *_wrapped("values: ", shown)]
    return lines


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
