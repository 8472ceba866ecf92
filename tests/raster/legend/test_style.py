"""Styles are well-formed and hold what they should."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from geoseg.raster.legend import Legend, LegendClass, Ramp
from geoseg.raster.legend.style import (
    category_qml,
    class_aux_xml,
    class_qml,
    is_own_style,
    ramp_qml,
    stretch_qml,
)
from geoseg.raster.opening.foreignxml import parse_xml

ODD = Legend(
    (LegendClass(7, "ice & <snow>", (1, 2, 3)), LegendClass(2, '"Gelände" 草原', (4, 5, 6)))
)


def test_class_style_lists_the_classes_and_no_other_row() -> None:
    root = parse_xml(class_qml(ODD).encode())
    (renderer,) = root.iter("rasterrenderer")
    assert (renderer.get("type"), renderer.get("band")) == ("paletted", "1")
    assert [dict(e.attrib) for e in root.iter("paletteEntry")] == [
        {"value": "7", "color": "#010203", "alpha": "255", "label": "ice & <snow>"},
        {"value": "2", "color": "#040506", "alpha": "255", "label": '"Gelände" 草原'},
    ]


def test_ramp_style_has_fixed_limits_and_labels_with_their_unit() -> None:
    ramp = Ramp("mine", 0, 100, "%", stops=((0, (0, 0, 0)), (0.5, (9, 9, 9)), (1, (1, 2, 3))))
    root = parse_xml(ramp_qml(ramp, band=2).encode())
    (renderer,) = root.iter("rasterrenderer")
    assert (renderer.get("type"), renderer.get("band")) == ("singlebandpseudocolor", "2")
    limits = (
        float(renderer.get("classificationMin", "")),
        float(renderer.get("classificationMax", "")),
    )
    assert limits == (0, 100)
    assert root.findtext(".//minMaxOrigin/limits") == "None"
    items = [(float(e.get("value", "")), e.get("color"), e.get("label")) for e in root.iter("item")]
    assert items == [(0, "#000000", "0 %"), (50, "#090909", "50 %"), (100, "#010203", "100 %")]


def test_aux_xml_places_names_by_value_and_tables_them_with_usages() -> None:
    root = parse_xml(class_aux_xml(ODD).encode())
    names = [e.text or "" for e in root.iter("Category")]
    assert names == ["", "", '"Gelände" 草原', "", "", "", "", "ice & <snow>"]
    table = root.find("PAMRasterBand[@band='1']/GDALRasterAttributeTable")
    assert table is not None
    columns = [(c.findtext("Name"), c.findtext("Usage")) for c in table.findall("FieldDefn")]
    assert columns == [
        ("Value", "5"),
        ("Class", "2"),
        ("Red", "6"),
        ("Green", "7"),
        ("Blue", "8"),
        ("Alpha", "9"),
    ]
    rows = [[cell.text for cell in row.findall("F")] for row in table.findall("Row")]
    assert rows == [
        ["2", '"Gelände" 草原', "4", "5", "6", "255"],
        ["7", "ice & <snow>", "1", "2", "3", "255"],
    ]


def test_aux_xml_keeps_what_gdal_wrote_there() -> None:
    present = b"<PAMDataset><SRS>odd</SRS><PAMRasterBand band='1'><X/></PAMRasterBand></PAMDataset>"
    root = parse_xml(class_aux_xml(ODD, present).encode())
    assert root.findtext("SRS") == "odd"
    (band,) = root.findall("PAMRasterBand")
    assert [child.tag for child in band] == ["X", "CategoryNames", "GDALRasterAttributeTable"]


def test_category_style_has_a_symbol_for_each_value() -> None:
    text = category_qml('dropped "because"', {"a": ("A & B", (1, 2, 3)), "": ("none", (4, 5, 6))})
    root = parse_xml(text.encode())
    (renderer,) = root.iter("renderer-v2")
    assert renderer.get("attr") == '"dropped ""because"""'
    categories = [(c.get("value"), c.get("label")) for c in root.iter("category")]
    assert categories == [("a", "A & B"), ("", "none")]
    assert len(list(root.iter("symbol"))) == 2
    expression = category_qml("1 + 1", {"2": ("two", (0, 0, 0))}, expression=True)
    assert 'attr="1 + 1"' in expression


def test_own_styles_are_told_from_those_of_others(tmp_path: Path) -> None:
    for name, text, own in (
        ("class", class_qml(ODD), True),
        ("ramp", ramp_qml(Ramp("viridis", 0, 1)), True),
        ("qgis", "<!DOCTYPE qgis><qgis version='3.22'><pipe/></qgis>", False),
        ("empty", "", False),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert is_own_style(tmp_path / name) == own


def test_styles_are_plain_utf8_xml() -> None:
    for text in (class_qml(ODD), class_aux_xml(ODD), ramp_qml(Ramp("magma", 0, 1))):
        ET.fromstring(text.split("'SYSTEM'>\n")[-1])


def test_images_have_fixed_limits_in_three_bands_or_in_grey() -> None:
    root = ET.fromstring(stretch_qml([3, 2, 1], [(0.5, 9), (1, 8), (2, 7)]))
    (renderer,) = root.iter("rasterrenderer")
    assert renderer.get("type") == "multibandcolor"
    assert [renderer.get(f"{c}Band") for c in ("red", "green", "blue")] == ["3", "2", "1"]
    assert renderer.findtext("minMaxOrigin/limits") == "None"
    found = [
        [renderer.findtext(f"{c}ContrastEnhancement/{end}Value") for end in ("min", "max")]
        for c in ("red", "green", "blue")
    ]
    assert found == [["0.5", "9.0"], ["1.0", "8.0"], ["2.0", "7.0"]]
    assert renderer.findtext("redContrastEnhancement/algorithm") == "StretchToMinimumMaximum"
    (renderer,) = ET.fromstring(stretch_qml([1], [(0, 1)])).iter("rasterrenderer")
    assert (renderer.get("type"), renderer.get("grayBand")) == ("singlebandgray", "1")
    assert renderer.findtext("contrastEnhancement/maxValue") == "1.0"
    with pytest.raises(ValueError, match="zip"):
        stretch_qml([1, 2], [(0, 1), (0, 1)])
