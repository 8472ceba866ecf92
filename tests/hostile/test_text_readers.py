"""What people write and draw: class lists, styles, annotations, tables, colours, recipes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from geoseg.assessment.stages import StageTable
from geoseg.compositing.homogenise.standard import SHARES, BandTarget, Standard, read_standard
from geoseg.compositing.landsat import read_metadata
from geoseg.errors import GeosegError, LabelError
from geoseg.patches.imagelabels import _csv_rows
from geoseg.patches.labelcells import Cells
from geoseg.raster.labels.labelme import read_labelme
from geoseg.raster.legend import Legend
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.style import class_aux_xml, class_qml
from geoseg.raster.legend.written import parse_legend
from geoseg.recipe.reading import read_recipe
from geoseg.testing.damage import ODD_TEXTS, damaged_bytes, damaged_json

LEGEND = parse_legend("1=water,2=forest:#1a9641,7=bare <&> soil")
CSV = "id;name;color;values\n1;water;#0000ff;10 11\n2;forest;#00ff00;\n3;bare, or sand;;12\n"
STAGES = "name,low,high,color\nnone,0,10,#00ff00\nslight,11,50,\nfull,51,100,#ff0000\n"
CLR = "# a colour map\n1 0 0 255 255 water\n2 0 255 0 255 forest\n"
LABELS = 'patch,labels\na_0_0,"water, forest"\na_0_64,?forest\nb_0_0,water\n'
LABELME = {
    "version": "5.2.1",
    "imagePath": "..\\pictures\\one.jpg",
    "imageHeight": 60,
    "imageWidth": 80,
    "shapes": [
        {"label": "water", "shape_type": "polygon", "points": [[0, 0], [9, 0], [9, 9.5]]},
        {"label": "forest", "shape_type": "circle", "points": [[20, 20], [25, 20]]},
        {"label": "bare", "shape_type": "rectangle", "points": [[1, 2], [30, 40]]},
        {"label": "line", "shape_type": "linestrip", "points": [[1, 2], [30, 40]]},
        {"label": "mask", "shape_type": "mask", "points": [[1, 1], [3, 3]], "mask": "iVBORw0KGgo="},
    ],
}
MTL = """GROUP = LANDSAT_METADATA_FILE
  GROUP = PRODUCT_CONTENTS
    LANDSAT_PRODUCT_ID = "LC08_L2SP_005009_20150710_20200908_02_T2"
    FILE_NAME_BAND_2 = "LC08_L2SP_005009_20150710_20200908_02_T2_SR_B2.TIF"
  END_GROUP = PRODUCT_CONTENTS
END_GROUP = LANDSAT_METADATA_FILE
END
"""
MTL_GROUPS = {"LANDSAT_METADATA_FILE": {"PRODUCT_CONTENTS": {"FILE_NAME_BAND_2": "a_SR_B2.TIF"}}}
MTL_XML = (
    "<LANDSAT_METADATA_FILE><PRODUCT_CONTENTS><FILE_NAME_BAND_2>a_SR_B2.TIF</FILE_NAME_BAND_2>"
    "</PRODUCT_CONTENTS></LANDSAT_METADATA_FILE>"
)
RECIPE = """title = "two steps"
[set]
seeds = [1, 2]
rate = 0.01
[data]
title = "made"
[[step]]
name = "cut"
run = "tile"
arguments = ["{data}/scene.tif"]
options = { size = 64, labels = "{data}/labels.tif" }
output = "{out}/patches"
[[step]]
run = "train"
each = { seed = "{seeds}" }
arguments = ["{cut}"]
options = { "learning-rate" = "{rate}", seed = "{seed}" }
output = "{out}/model-{seed}.safetensors"
[[expected]]
of = "train"
score = "IoU"
published = 0.5
file = "{out}/scores.json"
key = "iou"
"""
BOMB = (
    '<!DOCTYPE qgis [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY x SYSTEM "file:///etc/hostname">]>'
)


def _text(good: str) -> Callable[[Random], bytes]:
    return lambda rng: damaged_bytes(good.encode(), rng)


def _json(good: Any) -> Callable[[Random], bytes]:
    return lambda rng: damaged_json(good, rng)


def _standard() -> Any:
    band = BandTarget(
        name="red", mean=3.0, deviation=1.5, quantiles=tuple(np.linspace(0, 9, len(SHARES)))
    )
    return Standard(method="moments", bands=(band,)).to_json()


def _cells(path: Path) -> Any:
    with _csv_rows(str(path)) as (header, rows):
        cells = Cells(header, source=str(path), column=None, legend=None)
        for where, row in rows:
            cells.add(row, where)
        return cells.resolve()


READERS: dict[str, tuple[str, Callable[[Random], bytes], Callable[[Path], Any]]] = {
    "legend csv": ("legend.csv", _text(CSV), parse_legend),
    "legend json": ("legend.json", _json(LEGEND.to_json()), parse_legend),
    "legend json object": ("o.json", _json({"classes": {"1": "a", "2": "b"}}), parse_legend),
    "legend qml": ("legend.qml", _text(class_qml(LEGEND)), parse_legend),
    "legend clr": ("legend.clr", _text(CLR), parse_legend),
    "aux.xml": (
        "map.tif.aux.xml",
        _text(class_aux_xml(LEGEND)),
        lambda path: raster_legend(path.parent / "map.tif"),
    ),
    "labelme": ("one.json", _json(LABELME), read_labelme),
    "stages": ("stages.csv", _text(STAGES), StageTable.parse),
    "label table": ("labels.csv", _text(LABELS), _cells),
    "colour": ("colour.json", _json(_standard()), read_standard),
    "mtl text": ("a_MTL.txt", _text(MTL), read_metadata),
    "mtl json": ("a_MTL.json", _json(MTL_GROUPS), read_metadata),
    "mtl xml": ("a_MTL.xml", _text(MTL_XML), read_metadata),
    "recipe": ("recipe.toml", _text(RECIPE), read_recipe),
}


@pytest.mark.parametrize("kind", READERS)
def test_damaged_files_are_refused_in_one_line_or_read(kind: str, fuzz: Any) -> None:
    name, damage, reader = READERS[kind]
    path = fuzz.folder / name
    for rng in fuzz.cases(150):
        path.write_bytes(damage(rng))
        fuzz.read(lambda: reader(path), name)


@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_file_of_its_kind_at_all_is_refused(kind: str, fuzz: Any) -> None:
    name, _, reader = READERS[kind]
    path = fuzz.folder / name
    for content in (
        b"\0" * 100, b"\x89PNG\r\n\x1a\n", b"[" * 200_000, b'{"a":' * 100_000, b"9" * 20_000,
        b"\xff\xfe", b"\xff\xfe\x00", BOMB.encode() + b"<qgis>&c;&x;</qgis>",
        b"a = " + b"[" * 90_000, b"a = " + b"9" * 9000, b"<a>" * 100_000,
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
        b'<?xml version="1.0" encoding="shift_jis"?><a/>', b"<a " + b"b" * 100_000, b'"' * 9999,
    ):  # fmt: skip
        path.write_bytes(content)
        fuzz.read(lambda: reader(path), name)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_class_names_are_refused_or_written_so_that_they_are_read_again(
    text: str, tmp_path: Path
) -> None:
    try:
        legend = Legend.from_json([{"id": 1, "name": text}, {"id": 2, "name": "b"}])
    except LabelError:
        return
    raster = tmp_path / "map.tif"
    raster.touch()
    for beside, content in (
        (tmp_path / "map.tif.aux.xml", class_aux_xml(legend)),
        (tmp_path / "map.qml", class_qml(legend)),
    ):
        beside.write_text(content, encoding="utf-8")
        found = raster_legend(raster)
        assert found is not None
        assert found.names[0] == legend.names[0].strip()
        beside.unlink()
    place = tmp_path / "legend.json"
    place.write_text(json.dumps(legend.to_json()))
    assert parse_legend(place) == legend


@pytest.mark.parametrize("name", ["map.qml", "map.tif.aux.xml"])
def test_entities_are_not_expanded(name: str, tmp_path: Path) -> None:
    (tmp_path / "map.tif").touch()
    (tmp_path / name).write_text(BOMB + "<qgis>&c;&x;</qgis>")
    with pytest.raises(LabelError, match=rf"{name}: XML that declares entities is not read"):
        raster_legend(tmp_path / "map.tif")


def test_a_list_of_classes_of_any_size_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(GeosegError, match=r"long\.csv"):
        parse_legend(path)


@pytest.mark.parametrize(
    "kind", ["stages", "recipe", "label table", "colour", "labelme", "mtl text"]
)
def test_an_endless_file_is_not_read_whole(kind: str, tmp_path: Path) -> None:
    name, _, reader = READERS[kind]
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(GeosegError, match=name):
        reader(path)
