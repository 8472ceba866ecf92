"""Legends as people and programs write them: inline, CSV, JSON, QML, CLR.

Those that rasters carry are in `carried`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from geoseg.errors import LabelError
from geoseg.raster.legend.classes import NODATA, Legend
from geoseg.raster.legend.palette import parse_color
from geoseg.raster.legend.reading import (
    Row,
    color_or_none,
    named_legend,
    qml_rows,
    read_bytes,
    read_xml,
)

_RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".img", ".png")
_FILE_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".qml", ".clr", *_RASTER_SUFFIXES)

# Spellings of the header of a CSV file, folded to lower case.
_COLUMNS = {
    "id": ("id", "class_id", "classid", "value", "class", "code", "pixel"),
    "name": ("name", "class_name", "classname", "label", "description", "class"),
    "color": ("color", "colour", "hex", "rgb"),
    "values": ("values", "label_values"),
    "red": ("red", "r"),
    "green": ("green", "g"),
    "blue": ("blue", "b"),
}


def parse_legend(text_or_path: str | Path) -> Legend:
    """Legend from what a person gives: a file, or classes written out.

    Parameters
    ----------
    text_or_path
        ``"1=water,2=forest:#1a9641"`` (a name with a comma in double quotes); or a CSV file
        with a header (id, name and, if wanted, color or colour, values), or a JSON file (a list
        of objects of the same keys), a QGIS style (.qml) or colour map (.clr, .txt) of classes,
        or a class raster that has names.

    Raises
    ------
    LabelError
        Not readable as any of these; with the line where that is known.
    """
    text = str(text_or_path).strip()
    if isinstance(text_or_path, str):
        if text.startswith(("[", "{")):
            return _of_json(text, "the classes given")
        if re.match(r"[+-]?[0-9]+\s*=", text):
            return named_legend(_inline_rows(text), "the classes given")
    path = Path(text_or_path)
    if not os.path.isfile(path):  # Path.is_file raises where a text is too long for a name
        if text and os.path.isdir(path):
            raise LabelError(f"{path} is a folder, not a list of classes")
        if path.suffix.lower() in _FILE_SUFFIXES:
            raise LabelError(f"{path}: no such file with classes")
        raise LabelError(
            f"{text[:60]!r} is no list of classes: write 1=water,2=forest:#1a9641, or name a file "
            "(CSV or JSON)"
        )
    suffix = path.suffix.lower()
    if suffix in _RASTER_SUFFIXES:
        from geoseg.raster.legend.carried import carried_legend  # noqa: PLC0415 - opens it

        legend = carried_legend(path)
        if legend is None:
            raise LabelError(
                f"{path} names no classes: neither an .aux.xml nor a .qml beside it does"
            )
        return legend
    data = read_bytes(path)
    if suffix == ".qml":
        return named_legend(qml_rows(read_xml(data, path)), path)
    content = _decode(data, path)
    if suffix == ".json" or content.lstrip().startswith(("[", "{")):
        return _of_json(content, path)
    if suffix == ".clr" or (suffix == ".txt" and not _looks_like_csv(content)):
        return named_legend(_clr_rows(content, path), path)
    return named_legend(_csv_rows(content, path), path)


def _decode(data: bytes, path: Path) -> str:
    # Excel's "Unicode text" is UTF-16, its "CSV UTF-8" has a mark in front.
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not UTF-8 text: save it as CSV UTF-8") from None


# -- inline ---------------------------------------------------------------------------------------


def _inline_rows(text: str) -> Iterable[Row]:
    """Rows of ``1=water,2="bare, or sand":#c0a080``."""
    for item in _split(text):
        key, equals, rest = item.partition("=")
        key, rest = key.strip(), rest.strip()
        if not equals or not re.fullmatch(r"[0-9]{1,9}", key):
            raise LabelError(f"{item.strip()!r}: write a class as 1=water or 2=forest:#1a9641")
        quoted = re.fullmatch(r'"((?:[^"]|"")*)"\s*(?::(.*))?', rest)
        if quoted:
            name, color = quoted[1].replace('""', '"'), quoted[2]
        else:
            before, colon, after = rest.rpartition(":")
            is_color = bool(colon) and after.strip().startswith("#")
            name, color = (before, after) if is_color else (rest, None)
        try:
            parsed = parse_color(color) if color is not None else None
        except ValueError as error:
            raise LabelError(f"class {key}: {error}") from None
        yield int(key), name, parsed, ()


def _split(text: str) -> list[str]:
    """Split at commas, semicolons and line ends that are not between double quotes."""
    items, item, quoted = [], "", False
    for character in text:
        if character == '"':
            quoted = not quoted
        if character in ",;\n" and not quoted:
            items.append(item)
            item = ""
        else:
            item += character
    if quoted:
        raise LabelError(f"a double quote is not closed in {text!r}")
    return [i for i in [*items, item] if i.strip()]


# -- JSON -----------------------------------------------------------------------------------------


def _of_json(text: str, where: str | Path) -> Legend:
    try:
        obj = json.loads(text)
    except json.JSONDecodeError as error:
        raise LabelError(f"{where}: line {error.lineno}: not JSON: {error.msg}") from None
    except (RecursionError, ValueError):  # nested, or a number, beyond what Python reads
        raise LabelError(f"{where}: not a list of classes in JSON") from None
    try:
        return Legend.from_json(obj)
    except LabelError as error:
        raise LabelError(f"{where}: {error}") from None


# -- CSV ------------------------------------------------------------------------------------------


def _looks_like_csv(content: str) -> bool:
    first = next((line for line in content.splitlines() if line.strip()), "")
    return not first.startswith("#") and "id" in re.split(r"[,;\t]", first.lower().replace(" ", ""))


def _csv_rows(content: str, path: Path) -> Iterable[Row]:
    """Rows of a CSV file: comma, semicolon or tab; a header, or id, name, color, values."""
    if "\0" in content:
        raise LabelError(f"{path} is no text file")
    first = next((line for line in content.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(
        io.StringIO(content, newline=""), delimiter=delimiter, skipinitialspace=True
    )
    columns: dict[str, int] | None = None
    seen: dict[int | str, int] = {}
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{path}: line {reader.line_num}"
            if columns is None:
                columns = _columns(cells, where)
                if not re.fullmatch(r"\s*[0-9]+\s*", cells[0]):
                    continue
            row = _csv_row(cells, columns, where)
            for key in row[:2]:
                if key in seen:
                    raise LabelError(f"{where}: {key!r} is on line {seen[key]} already")
                seen[key] = reader.line_num
            yield row
    except csv.Error as error:
        raise LabelError(f"{path}: line {reader.line_num}: {error}") from None


def _columns(cells: list[str], where: str) -> dict[str, int]:
    """Which cell is what, by the header; by place where the first line is a class already."""
    if re.fullmatch(r"\s*[0-9]+\s*", cells[0]):
        return {"id": 0, "name": 1, "color": 2, "values": 3}
    header = [cell.strip().casefold().replace(" ", "_") for cell in cells]
    columns: dict[str, int] = {}
    for key, spellings in _COLUMNS.items():
        for spelling in spellings:
            if spelling in header and header.index(spelling) not in columns.values():
                columns[key] = header.index(spelling)
                break
    if "id" not in columns or "name" not in columns:
        raise LabelError(
            f"{where}: the header must name the columns id and name, and may name color and "
            f"values; found {', '.join(cells)}"
        )
    return columns


def _csv_row(cells: list[str], columns: dict[str, int], where: str) -> Row:
    def cell(key: str) -> str:
        place = columns.get(key)
        return cells[place].strip() if place is not None and place < len(cells) else ""

    if not re.fullmatch(r"[0-9]{1,9}", cell("id")) or int(cell("id")) >= NODATA:
        raise LabelError(
            f"{where}: {cell('id')!r} is no class id (0 to 254; other label values go into a "
            "column values)"
        )
    if not cell("name"):
        raise LabelError(f"{where}: class {cell('id')} has no name")
    text = cell("color") or " ".join(filter(None, (cell("red"), cell("green"), cell("blue"))))
    if re.fullmatch(r"[0-9a-fA-F]{6}", text):
        text = f"#{text}"
    values = [v for v in re.split(r"[;,|\s]+", cell("values")) if v]
    try:
        return (
            int(cell("id")),
            cell("name"),
            parse_color(text) if text else None,
            tuple(int(v) for v in values),
        )
    except ValueError as error:
        raise LabelError(f"{where}: {error}") from None


# -- QGIS and GDAL --------------------------------------------------------------------------------


_CLR_LINE = re.compile(
    r"([0-9]{1,9})[\s,]+([0-9]{1,9})[\s,]+([0-9]{1,9})[\s,]+([0-9]{1,9})(?:[\s,]+[0-9]+(?=[\s,]|$))?[\s,]*(.*)"
)


def _clr_rows(content: str, path: Path) -> Iterable[Row]:
    """Rows of a colour map: "value red green blue [alpha] [name]", by spaces or commas."""
    for number, line in enumerate(content.splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#") or text.upper().startswith("INTERPOLATION"):
            continue
        found = _CLR_LINE.fullmatch(text)
        color = color_or_none(" ".join(found.group(2, 3, 4))) if found else None
        if found is None or color is None:
            raise LabelError(f"{path}: line {number}: expected value, red, green, blue and a name")
        yield int(found[1]), found[5].strip() or f"class {int(found[1])}", color, ()
