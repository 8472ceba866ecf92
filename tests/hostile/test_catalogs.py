"""STAC items and catalogs: somebody else's JSON, of any shape."""

from __future__ import annotations

import json
from typing import Any

from geoseg.compositing import catalog, stac
from geoseg.compositing.opening import open_products
from geoseg.testing.damage import damaged_json

ITEM = {
    "type": "Feature",
    "stac_version": "1.0.0",
    "id": "S2A_T10TEM_20210710_0_L2A",
    "properties": {
        "datetime": "2021-07-10T10:20:30Z",
        "platform": "sentinel-2a",
        "eo:cloud_cover": 7,
        "s2:processing_baseline": "03.00",
    },
    "geometry": None,
    "links": [],
    "assets": {
        "red": {
            "href": "B04.tif",
            "eo:bands": [{"name": "B04", "common_name": "red"}],
            "raster:bands": [{"scale": 0.0001, "offset": -0.1, "nodata": 0}],
        },
        "scl": {"href": "./SCL.tif"},
        "nir": {"href": "B08.tif", "bands": [{"name": "B08"}]},
    },
}
PLAIN = ITEM | {"id": "scene", "properties": {"datetime": "2021-07-10T10:20:30Z"}}
CATALOG = {
    "type": "Catalog",
    "stac_version": "1.0.0",
    "id": "c",
    "description": "d",
    "links": [
        {"rel": "item", "href": "./item.json"},
        {"rel": "child", "href": "catalog.json"},
        {"rel": "root", "href": "./catalog.json"},
    ],
}
LIST = {"type": "FeatureCollection", "features": [ITEM, PLAIN]}


def test_damaged_items_are_refused_in_one_line_or_read(fuzz: Any) -> None:
    path = fuzz.folder / "item.json"
    for name in ("B04.tif", "B08.tif", "SCL.tif"):
        (fuzz.folder / name).touch()
    for rng in fuzz.cases(200):
        path.write_bytes(damaged_json(rng.choice((ITEM, PLAIN)), rng))
        fuzz.read(lambda: stac.open_one(path, with_quality=True), path.name)
        fuzz.read(lambda: open_products([str(path)]), path.name)


def test_damaged_catalogs_are_refused_in_one_line_or_read(fuzz: Any) -> None:
    path = fuzz.folder / "catalog.json"
    (fuzz.folder / "item.json").write_text(json.dumps(PLAIN))
    (fuzz.folder / "B04.tif").touch()
    for rng in fuzz.cases(100):
        path.write_bytes(damaged_json(rng.choice((CATALOG, LIST)), rng))
        fuzz.read(lambda: catalog.open_all(path, with_quality=False), path.name)
