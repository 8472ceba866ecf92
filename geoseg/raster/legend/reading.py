"""What all who read legends share: a class in a row, small files, XML, and the styles of QGIS."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from geoseg.errors import InputError, LabelError
from geoseg.raster.legend.classes import Legend
from geoseg.raster.legend.palette import Color, parse_color
from geoseg.raster.opening.foreignxml import parse_xml

Row = tuple[int, str, Color | None, tuple[int, ...]]
"""Id, name, colour or None, and label values of a class."""

_MAX_BYTES = 16 << 20  # no list of at most 255 classes is longer


def named_legend(rows: Iterable[Row], where: str | Path) -> Legend:
    """Legend of rows; errors say where they come from."""
    found = list(rows)
    if not found:
        raise LabelError(f"{where}: no classes in it")
    try:
        return Legend.of(found)
    except LabelError as error:
        raise LabelError(f"{where}: {error}") from None


def read_bytes(path: Path) -> bytes:
    """Read a file that says what classes there are; LabelError where it cannot be."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise LabelError(f"{path} is too large to be a list of classes")
    return data


def read_xml(data: bytes, path: Path) -> ET.Element:
    """Read XML; LabelError, which names the file, where it is none."""
    try:
        return parse_xml(data)
    except InputError as error:
        raise LabelError(f"{path}: {error}") from None


def qml_rows(root: ET.Element) -> Iterable[Row]:
    """Rows of a paletted QGIS style."""
    for entry in root.iter("paletteEntry"):
        value, label = entry.get("value", ""), entry.get("label", "").strip()
        if re.fullmatch(r"[0-9]{1,9}(\.0*)?", value) and label:
            yield int(float(value)), label, color_or_none(entry.get("color", "")), ()


def color_or_none(text: str) -> Color | None:
    """Colour out of a file that may hold any nonsense there."""
    try:
        return parse_color(text)
    except ValueError:
        return None
