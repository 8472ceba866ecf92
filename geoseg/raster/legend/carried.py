"""The classes that a raster names itself: in its ``.aux.xml``, in a style beside it, by colours."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geoseg.errors import LabelError
from geoseg.raster.legend.classes import NODATA, Legend
from geoseg.raster.legend.palette import Color
from geoseg.raster.legend.reading import named_legend, qml_rows, read_bytes, read_xml


def carried_legend(path: Path) -> Legend | None:
    """Legend that a raster on this machine carries; see `raster_legend`."""
    rows, where = _rows(path)
    return _numbered(_told_apart(rows), where) if rows else None


def raster_names(path: Path) -> dict[int, str]:
    """Names that a raster gives to its values; several may have one, as in the Cropland Data Layer.

    Raises
    ------
    LabelError
        What is beside it cannot be read.
    """
    return {value: name for value, (name, _) in _rows(path)[0].items()}


def _rows(path: Path) -> tuple[dict[int, tuple[str, Color | None]], Path]:
    """Names and colours by value, and the file that says so; none where nothing does."""
    rows: dict[int, tuple[str, Color | None]] = {}
    aux = path.with_name(path.name + ".aux.xml")
    style = path.with_suffix(".qml")
    where = aux
    if aux.is_file():
        band = _first_band(read_xml(read_bytes(aux), aux))
        if band is not None:
            rows = _table_rows(band) or _category_rows(band)
    if not rows and style.is_file():
        where = style
        listed = qml_rows(read_xml(read_bytes(style), style))
        rows = {id_: (name, color) for id_, name, color, _ in listed}
    rows = {value: row for value, row in rows.items() if value != NODATA}
    if any(color is None for _, color in rows.values()):
        table = color_table(path)
        rows = {value: (name, color or table.get(value)) for value, (name, color) in rows.items()}
    return rows, where


def _told_apart(
    rows: dict[int, tuple[str, Color | None]],
) -> dict[int, tuple[str, Color | None]]:
    """Put the value behind a name that comes again: the Cropland Data Layer has two shrublands."""
    taken: set[str] = set()
    found = {}
    for value, (name, color) in sorted(rows.items()):
        found[value] = (f"{name} ({value})" if name in taken else name, color)
        taken.add(name)
    return found


def _numbered(rows: dict[int, tuple[str, Color | None]], where: Path) -> Legend:
    """Legend with the pixel values as ids, or, where those are beyond 254, numbered from 1."""
    if max(rows) < NODATA:
        ordered = sorted(rows.items())
        return named_legend(((v, name, color, ()) for v, (name, color) in ordered), where)
    if len(rows) >= NODATA:
        raise LabelError(f"{where}: {len(rows)} classes are too many (254)")
    items = enumerate(sorted(rows.items()), start=1)
    return named_legend(((i, name, color, (v,)) for i, (v, (name, color)) in items), where)


def _first_band(root: ET.Element) -> ET.Element | None:
    """Find the <PAMRasterBand> of band 1."""
    for band in root.iter("PAMRasterBand"):
        if band.get("band") == "1":
            return band
    return None


def _table_rows(band: ET.Element) -> dict[int, tuple[str, Color | None]]:
    """Values, names and colours of a raster attribute table."""
    table = band.find("GDALRasterAttributeTable")
    if table is None:
        return {}
    place: dict[str, int] = {}
    for index, column in enumerate(table.findall("FieldDefn")):
        usage = (column.findtext("Usage") or "").strip()
        title = (column.findtext("Name") or "").strip().casefold()
        # GDAL's usages; tables of other programs leave them 0 and name the columns.
        for key, number, titles in (
            ("value", ("5", "3"), ("value",)),
            ("name", ("2",), ("class", "class_name", "name", "classname", "label")),
            ("red", ("6",), ("red",)),
            ("green", ("7",), ("green",)),
            ("blue", ("8",), ("blue",)),
        ):
            if usage in number or (usage in ("0", "") and title in titles):
                place.setdefault(key, index)
    if "name" not in place:
        return {}
    rows: dict[int, tuple[str, Color | None]] = {}
    for place_of_row, row in enumerate(table.findall("Row")):
        cells = [(cell.text or "").strip() for cell in row.findall("F")]
        if len(cells) <= max(place.values()):
            continue
        value = cells[place["value"]] if "value" in place else str(place_of_row)
        name = cells[place["name"]]
        if not re.fullmatch(r"[0-9]{1,9}(\.0*)?", value) or not name:
            continue
        channels = [cells[place[c]] for c in ("red", "green", "blue") if c in place]
        rows[int(float(value))] = (name, _table_color(channels))
    return rows


def _table_color(channels: list[str]) -> Color | None:
    """Colour of three table cells: 0…255, or 0…1 as fractions (ERDAS)."""
    try:
        numbers = [float(c) for c in channels]
    except ValueError:
        return None
    if len(numbers) != 3 or not all(0 <= n <= 255 for n in numbers):
        return None
    if any("." in c for c in channels) and max(numbers) <= 1:
        numbers = [round(255 * n) for n in numbers]
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _category_rows(band: ET.Element) -> dict[int, tuple[str, Color | None]]:
    """Values and names of a list of categories, whose place is the value."""
    names = [(c.text or "").strip() for c in band.findall("CategoryNames/Category")]
    return {value: (name, None) for value, name in enumerate(names) if name}


def color_table(path: Path) -> dict[int, Color]:
    """Colours of the raster's table, empty where it has none or cannot be opened."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            source = rasterio.open(path)
        with source:
            return {int(v): tuple(c[:3]) for v, c in source.colormap(1).items()}
    except (RasterioError, ValueError):
        return {}
