"""How QGIS and GDAL are told what a raster's values mean: QML styles and the ``.aux.xml`` of GDAL.

What each does (QGIS 3.22): a colour table alone shows 256 rows in the legend. A ``.qml`` of the
same base name beside the raster is applied on opening and shows just the classes it lists. GDAL and
ArcGIS, and QGIS from 3.30 on where there is no style, read names from the raster attribute table in
``NAME.tif.aux.xml``.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from geoseg.raster.legend.classes import Legend
from geoseg.raster.legend.palette import Color, Ramp, hex_of
from geoseg.raster.opening.foreignxml import parse_xml

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
# The version whose format is written; newer ones read it.
_QGIS_VERSION = "3.22.0"

# An attribute of the styles written here; QGIS does not write it into those that it saves.
_GENERATOR = b'generator="geoseg"'

# GDAL's usages of attribute table columns (GDALRATFieldUsage).
_MIN_MAX, _NAME, _RED, _GREEN, _BLUE, _ALPHA = 5, 2, 6, 7, 8, 9
_INTEGER, _STRING = 0, 2


def _document(root: ET.Element, doctype: str = "") -> str:
    ET.indent(root, space="  ")
    return doctype + ET.tostring(root, encoding="unicode") + "\n"


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: object) -> ET.Element:
    element = ET.SubElement(parent, tag, {k: str(v) for k, v in attributes.items()})
    element.text = text
    return element


def _raster_qml() -> tuple[ET.Element, ET.Element]:
    """Root of a raster style, and the <pipe> that the renderer goes into."""
    root = ET.Element("qgis", {"version": _QGIS_VERSION, "styleCategories": "AllStyleCategories"})
    root.set("generator", "geoseg")
    pipe = _add(root, "pipe")
    return root, pipe


def _finish_pipe(root: ET.Element, pipe: ET.Element) -> str:
    _add(pipe, "brightnesscontrast", brightness=0, contrast=0, gamma=1)
    _add(pipe, "huesaturation", saturation=0, grayscaleMode=0, colorizeOn=0)
    _add(pipe, "rasterresampler", maxOversampling=2)
    _add(root, "blendMode", "0")
    return _document(root, _DOCTYPE)


def class_qml(legend: Legend) -> str:
    """QGIS style of a class raster: a row for each class of the legend and no other."""
    root, pipe = _raster_qml()
    renderer = _add(
        pipe, "rasterrenderer", type="paletted", band=1, opacity=1, alphaBand=-1, nodataColor=""
    )
    palette = _add(renderer, "colorPalette")
    for c in legend.classes:
        _add(palette, "paletteEntry", value=c.id, color=hex_of(c.color), alpha=255, label=c.name)
    return _finish_pipe(root, pipe)


def ramp_qml(ramp: Ramp, *, band: int = 1) -> str:
    """QGIS style of a continuous raster: one band drawn by a ramp between fixed limits.

    Parameters
    ----------
    ramp
        Colours, limits and unit.
    band
        Band to draw, counted from 1.
    """
    root, pipe = _raster_qml()
    renderer = _add(
        pipe,
        "rasterrenderer",
        type="singlebandpseudocolor",
        band=band,
        opacity=1,
        alphaBand=-1,
        nodataColor="",
        classificationMin=repr(ramp.minimum),
        classificationMax=repr(ramp.maximum),
    )
    limits = _add(renderer, "minMaxOrigin")
    _add(limits, "limits", "None")  # as given: QGIS must not stretch to what is in view
    shader = _add(_add(renderer, "rastershader"), "colorrampshader")
    for key, value in {
        "colorRampType": "INTERPOLATED",
        "classificationMode": 1,
        "clip": 0,
        "minimumValue": repr(ramp.minimum),
        "maximumValue": repr(ramp.maximum),
    }.items():
        shader.set(key, str(value))
    shader.append(_ramp_element(ramp))
    for value, color in ramp.items():
        _add(
            shader,
            "item",
            value=repr(value),
            color=hex_of(color),
            alpha=255,
            label=ramp.label(value),
        )
    return _finish_pipe(root, pipe)


def stretch_qml(bands: Sequence[int], limits: Sequence[tuple[float, float]]) -> str:
    """QGIS style of an image: three bands in colour, or one in grey, between fixed limits.

    Left alone, QGIS stretches each layer to its own readings, so that images of one colour do not
    look it; with the same limits they do.

    Parameters
    ----------
    bands
        Numbers of the bands shown as red, green and blue, counted from 1; or of one.
    limits
        What is drawn black and full, a band; in units of the readings times the band's scale plus
        its offset, which is what QGIS shows.
    """
    root, pipe = _raster_qml()
    grey = len(bands) == 1
    renderer = _add(
        pipe,
        "rasterrenderer",
        type="singlebandgray" if grey else "multibandcolor",
        opacity=1,
        alphaBand=-1,
        nodataColor="",
    )
    colours = ("gray",) if grey else ("red", "green", "blue")
    for colour, band in zip(colours, bands, strict=True):
        renderer.set(f"{colour}Band", str(band))
    if grey:
        renderer.set("gradient", "BlackToWhite")
    _add(_add(renderer, "minMaxOrigin"), "limits", "None")  # as given, whatever is in view
    for colour, (low, high) in zip(colours, limits, strict=True):
        stretch = _add(renderer, "contrastEnhancement" if grey else f"{colour}ContrastEnhancement")
        _add(stretch, "minValue", repr(float(low)))
        _add(stretch, "maxValue", repr(float(high)))
        _add(stretch, "algorithm", "StretchToMinimumMaximum")
    return _finish_pipe(root, pipe)


def _ramp_element(ramp: Ramp) -> ET.Element:
    """Describe the ramp itself, so that QGIS shows and edits it as one."""
    element = ET.Element("colorramp", {"name": "[source]", "type": "gradient"})
    first, *middle, last = ramp.stops
    values = {
        "color1": _rgba(first[1]),
        "color2": _rgba(last[1]),
        "discrete": "0",
        "rampType": "gradient",
        "stops": ":".join(f"{place:g};{_rgba(color)}" for place, color in middle),
    }
    options = _add(element, "Option", type="Map")
    for key, value in values.items():
        _add(options, "Option", type="QString", name=key, value=value)
    return element


def _rgba(color: Color) -> str:
    return "{},{},{},255".format(*color)


def is_own_style(path: Path) -> bool:
    """Tell whether a style was written here, rather than saved from QGIS by a person."""
    with path.open("rb") as file:
        return _GENERATOR in file.read(2000)


def is_folder_of_maps(folder: Path) -> bool:
    """Tell whether a folder holds rasters that were written here with their styles, and no more.

    A person's own rasters are never taken for such.
    """
    for path in folder.iterdir():
        name = path.name.lower()
        if not path.is_file() or not name.endswith((".tif", ".tif.aux.xml", ".qml")):
            return False
        style = path.with_suffix(".qml")
        if name.endswith(".tif") and not (style.is_file() and is_own_style(style)):
            return False
    return True


Symbol = Literal["fill", "marker"]
"""How features are drawn: polygons or points."""

_LAYERS: dict[Symbol, str] = {"fill": "SimpleFill", "marker": "SimpleMarker"}


def category_qml(
    column: str,
    categories: Mapping[str, tuple[str, Color]],
    *,
    expression: bool = False,
    alpha: int = 20,
    symbol: Symbol = "fill",
) -> str:
    """QGIS style of a layer of polygons or points: a colour for each value of a column.

    Parameters
    ----------
    column
        Name of the attribute, or with `expression` any QGIS expression.
    categories
        Label and colour by value, in the order of the legend. Polygons of other values are not
        drawn.
    expression
        Whether `column` is an expression.
    alpha
        How much the fill hides, from 0 to 255; with little, what lies beneath keeps its colours.
    symbol
        "fill" for polygons, "marker" for points.
    """
    root = ET.Element("qgis", {"version": _QGIS_VERSION, "styleCategories": "Symbology"})
    renderer = _add(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr=column if expression else '"{}"'.format(column.replace('"', '""')),
        enableorderby=0,
        forceraster=0,
        symbollevels=0,
    )
    listed = _add(renderer, "categories")
    symbols = _add(renderer, "symbols")
    for number, (value, (label, color)) in enumerate(categories.items()):
        _add(
            listed,
            "category",
            symbol=number,
            value=value,
            label=label,
            render="true",
            type="string",
        )
        drawn = _add(
            symbols, "symbol", type=symbol, name=number, alpha=1, clip_to_extent=1, force_rhr=0
        )
        layer = _add(drawn, "layer", enabled=1, locked=0)
        layer.attrib |= {"class": _LAYERS[symbol], "pass": "0"}
        options = _add(layer, "Option", type="Map")
        outline = color if symbol == "fill" else (35, 35, 35)
        settings = {
            "color": "{},{},{},{}".format(*color, alpha),
            "outline_color": "{},{},{},255".format(*outline),
            "outline_style": "solid",
            "outline_width": "0.3",
            "outline_width_unit": "MM",
        }
        settings |= {"style": "solid"} if symbol == "fill" else {"name": "circle", "size": "3"}
        for key, text in settings.items():
            _add(options, "Option", type="QString", name=key, value=text)
    return _document(root, _DOCTYPE)


def class_aux_xml(legend: Legend, present: bytes | None = None) -> str:
    """GDAL's ``.aux.xml`` of a class raster: category names and a raster attribute table.

    Parameters
    ----------
    legend
        The classes.
    present
        What GDAL itself wrote into such a file (a coordinate system that GeoTIFF cannot say); it is
        kept.
    """
    root = ET.Element("PAMDataset") if present is None else parse_xml(present)
    band = root.find("PAMRasterBand[@band='1']")
    if band is None:
        band = _add(root, "PAMRasterBand", band=1)
    names = dict(zip(legend.ids, legend.names, strict=True))
    categories = _add(band, "CategoryNames")
    for value in range(max(names) + 1):  # the place in the list is the pixel value
        _add(categories, "Category", names.get(value, ""))
    table = _add(band, "GDALRasterAttributeTable", tableType="thematic")
    columns: Sequence[tuple[str, int, int]] = (
        ("Value", _INTEGER, _MIN_MAX),
        ("Class", _STRING, _NAME),
        ("Red", _INTEGER, _RED),
        ("Green", _INTEGER, _GREEN),
        ("Blue", _INTEGER, _BLUE),
        ("Alpha", _INTEGER, _ALPHA),
    )
    for index, (name, kind, usage) in enumerate(columns):
        column = _add(table, "FieldDefn", index=index)
        _add(column, "Name", name)
        _add(column, "Type", str(kind))
        _add(column, "Usage", str(usage))
    for index, c in enumerate(sorted(legend.classes, key=lambda c: c.id)):
        row = _add(table, "Row", index=index)
        for cell in (c.id, c.name, *c.color, 255):
            _add(row, "F", str(cell))
    return _document(root)
