"""STAC items as catalogues give them: files beside them, relative, absolute, or far away."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.compositing.products import open_product
from geoseg.errors import GeosegError, RasterReadError

Write = Callable[..., Path]

LANDSAT = "LC08_L2SP_005009_20150710_20200908_02_T2"
FAR = "https://example.org/data"


def item(folder: Path, assets: dict[str, Any], **more: Any) -> Path:
    properties = {"datetime": "2021-07-10T10:20:30Z", "eo:cloud_cover": 7} | more.pop("said", {})
    whole = {
        "type": "Feature", "stac_version": "1.0.0", "id": "scene", "properties": properties,
        "assets": assets,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "item.json"
    path.write_text(json.dumps(whole | more))
    return path


def test_files_beside_a_landsat_item_are_found_whatever_its_addresses(
    write: Write, tmp_path: Path
) -> None:
    for i, band in enumerate(("SR_B2", "SR_B4", "QA_PIXEL"), start=1):
        write(f"{LANDSAT}_{band}.TIF", [[i]])
    assets = {
        f"{band}.TIF": {"href": f"{FAR}/{LANDSAT}_{band}.TIF"}
        for band in ("SR_B4", "SR_B2", "QA_PIXEL")
    }
    assets["thumbnail"] = {"href": f"{FAR}/{LANDSAT}_thumb_small.jpeg"}
    product = open_product(item(tmp_path, assets, id=LANDSAT))
    assert product.sensor is not None
    assert product.sensor.name == "landsat-8-c2-l2"
    assert product.acquired == date(2021, 7, 10)
    assert product.cloud_cover == 7
    assert product.band_names == ("blue", "red")
    assert [(b.scale, b.offset, b.fill) for b in product.bands] == [(0.0000275, -0.2, 0)] * 2
    scene = product.scene(["red", "blue"])
    assert scene.read(scene.grid.window).data.ravel().tolist() == [2, 1]
    quality = product.quality()
    assert quality is not None
    assert quality.band_names == ("qa_pixel",)


def test_relative_absolute_and_file_addresses_are_followed(write: Write, tmp_path: Path) -> None:
    paths = [write(f"data/{LANDSAT}_SR_B{n}.TIF", [[n]]) for n in (2, 3, 4)]
    assets = {
        "blue": {"href": f"../data/{LANDSAT}_SR_B2.TIF"},
        "green": {"href": str(paths[1])},
        "red": {"href": paths[2].as_uri()},
    }
    scene = open_product(item(tmp_path / "items", assets, id=LANDSAT)).scene(
        ["red", "green", "blue"]
    )
    assert scene.read(scene.grid.window).data.ravel().tolist() == [4, 3, 2]


def test_a_file_beside_several_items_may_be_of_another_one(write: Write, tmp_path: Path) -> None:
    here = write("B04.tif", [[1]])
    assets = {"red": {"href": f"{FAR}/B04.tif"}}
    said = {"s2:processing_baseline": "05.09"}
    path = item(tmp_path, assets, id="S2B_33UUU_20210710_0_L2A", said=said)
    (tmp_path / "scene_MTL.json").write_text("{}")
    assert open_product(path).band("red").path == str(here)
    (tmp_path / "other.json").write_text("{}")
    assert open_product(path).band("red").path == f"{FAR}/B04.tif"


def test_a_local_file_that_is_not_there_is_missed_and_a_far_one_is_not_asked(
    write: Write, tmp_path: Path
) -> None:
    write(f"{LANDSAT}_SR_B2.TIF", [[1]])
    assets = {
        "blue": {"href": f"./{LANDSAT}_SR_B2.TIF"},
        "green": {"href": f"./{LANDSAT}_SR_B3.TIF"},
        "red": {"href": f"{FAR}/{LANDSAT}_SR_B4.TIF"},
        "qa_pixel": {"href": f"./{LANDSAT}_QA_PIXEL.TIF"},
    }
    product = open_product(item(tmp_path, assets, id=LANDSAT))
    assert product.band_names == ("blue", "red")
    assert product.band("red").path == f"{FAR}/{LANDSAT}_SR_B4.TIF"
    with pytest.raises(RasterReadError, match=r"SR_B3\.TIF: is the band “green”"):
        product.band("green")
    with pytest.raises(RasterReadError, match=r"QA_PIXEL\.TIF: .*which pixels are clear"):
        product.quality()


def test_metadata_beside_a_level_1_item_give_its_scale(write: Write, tmp_path: Path) -> None:
    name = "LC08_L1TP_190026_20220715_20230407_02_T1"
    write(f"{name}_B4.TIF", [[1]])
    (tmp_path / f"{name}_MTL.txt").write_text(
        f'GROUP = PRODUCT_CONTENTS\nFILE_NAME_BAND_4 = "{name}_B4.TIF"\nEND_GROUP = x\n'
        "GROUP = IMAGE_ATTRIBUTES\nSUN_ELEVATION = 30.0\nEND_GROUP = x\n"
        "GROUP = LEVEL1_RADIOMETRIC_RESCALING\nREFLECTANCE_MULT_BAND_4 = 2E-05\n"
        "REFLECTANCE_ADD_BAND_4 = -0.1\nEND_GROUP = x\n"
    )
    assets = {"red": {"href": f"{name}_B4.TIF"}, "mtl.txt": {"href": f"{FAR}/{name}_MTL.txt"}}
    red = open_product(item(tmp_path, assets, id=name)).band("red")
    assert (red.scale, red.offset) == (pytest.approx(4e-5), pytest.approx(-0.2))


@pytest.mark.parametrize(
    ("said", "offset"),
    [
        ({"s2:processing_baseline": "04.00"}, -0.1),
        ({"s2:processing_baseline": "03.01"}, 0.0),
        ({"processing:version": "05.09"}, -0.1),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, 0.0),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}, -0.1),
    ],
)
def test_the_offset_of_sentinel_2_is_by_baseline_and_what_the_provider_did(
    write: Write, tmp_path: Path, said: dict[str, Any], offset: float
) -> None:
    write("B04.tif", [[1, 1], [1, 1]], pixel=10)
    write("B11.tif", [[2]], pixel=20)
    write("SCL.tif", [[4]], pixel=20, dtype="uint8")
    write("TCI.tif", [[3, 3], [3, 3]], pixel=10, dtype="uint8")
    assets = {
        "red-jp2": {"href": "s3://bucket/B04.jp2"},
        "visual": {
            "href": "./TCI.tif",
            "eo:bands": [{"name": "B04", "common_name": "red"}, {"name": "B03"}, {"name": "B02"}],
        },
        "red": {"href": "./B04.tif", "eo:bands": [{"name": "B04"}]},
        "swir16": {"href": "./B11.tif"},
        "scl": {"href": "./SCL.tif"},
    }
    path = item(tmp_path, assets, id="S2B_33UUU_20210710_0_L2A", said=said)
    product = open_product(path)
    assert product.band_names == ("red", "swir1")
    assert product.band("red").path == str(tmp_path / "B04.tif")
    assert {(b.scale, b.offset) for b in product.bands} == {(0.0001, offset)}
    assert [scene.band_names for scene in product.scenes(["red", "swir1"])] == [
        ("red",),
        ("swir1",),
    ]
    quality = product.quality()
    assert product.quality_kind == "scl"
    assert quality is not None
    assert quality.band_names == ("scl",)


def test_the_baseline_may_stand_in_the_identifier(write: Write, tmp_path: Path) -> None:
    write("T20QRF_20231107T144731_B02_10m.tif", [[1]])
    assets = {"B02": {"href": "T20QRF_20231107T144731_B02_10m.tif"}}
    name = "S2A_MSIL2A_20231107T144731_N0509_R139_T20QRF_20231107T182159"
    assert open_product(item(tmp_path, assets, id=name)).band("blue").offset == -0.1


def test_without_a_baseline_sentinel_2_is_refused(write: Write, tmp_path: Path) -> None:
    write("B02.tif", [[1]])
    path = item(tmp_path, {"blue": {"href": "B02.tif"}}, said={"platform": "Sentinel-2A"})
    with pytest.raises(RasterReadError, match="does not say its processing baseline"):
        open_product(path)
    path = item(tmp_path, {"blue": {"href": "B02.tif"}}, id="S2A_MSIL1C_20231107T144731_N0509")
    with pytest.raises(RasterReadError, match="is Sentinel-2 level 1C; give level 2A"):
        open_product(path)


@pytest.mark.parametrize("new", [False, True])
def test_other_items_say_their_bands_themselves(write: Write, tmp_path: Path, new: bool) -> None:
    write("stack.tif", [[[5]], [[6]]])
    names = [{"name": "b3", "common_name": "red"}, {"name": "b4"}]
    stored: list[dict[str, Any]] = [{"scale": 0.01, "offset": 1, "nodata": 0}, {}]
    asset: dict[str, Any] = {"href": "stack.tif"}
    if new:
        asset["bands"] = [
            {"name": "b3", "eo:common_name": "red", "raster:scale": 0.01}
            | {"raster:offset": 1, "nodata": 0},
            {"name": "b4"},
        ]
    else:
        asset |= {"eo:bands": names, "raster:bands": stored}
    product = open_product(item(tmp_path, {"data": asset, "other": {"href": "x.tif"}}))
    assert product.sensor is None
    assert product.band_names == ("red", "b4")
    red = product.band("b3")
    assert (red.index, red.scale, red.offset, red.fill) == (1, 0.01, 1, 0)
    scene = product.scene(["b4", "red"])
    assert scene.read(scene.grid.window).data.ravel().tolist() == [6, 5]
    assert product.quality() is None


def test_bands_may_be_numbers_in_the_items_own_list(write: Write, tmp_path: Path) -> None:
    write("a.tif", [[5]])
    said = {"eo:bands": [{"name": "b1"}, {"name": "b2", "common_name": "green"}]}
    path = item(tmp_path, {"a": {"href": "a.tif", "eo:bands": [1]}}, said=said)
    assert open_product(path).band_names == ("green",)


WORDS = st.sampled_from(
    ["Feature", "S2A_x", LANDSAT, "a.tif", "x/b_MTL.json", "http://[", "B04", "2021-07-10", "05.09"]
)
KEYS = st.one_of(
    st.sampled_from(["href", "eo:bands", "raster:bands", "bands", "name", "common_name", "scale"]),
    st.sampled_from(["nodata", "datetime", "eo:cloud_cover", "s2:processing_baseline", "red"]),
    st.sampled_from(["platform", "qa_pixel"]),
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 2), st.floats(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@given(
    whole=st.fixed_dictionaries({}, optional={"id": ANYTHING, "properties": ANYTHING}),
    data=st.data(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_item_of_any_content_is_opened_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, whole: dict[str, Any], data: st.DataObject
) -> None:
    assets = data.draw(st.dictionaries(KEYS, ANYTHING, min_size=1, max_size=4))
    path = tmp_path_factory.mktemp("any") / "item.json"
    (path.parent / "a.tif").touch()
    start = {"type": "Feature", "stac_version": "1.0.0", "assets": assets}
    path.write_text(json.dumps(start | whole))
    with contextlib.suppress(GeosegError):
        assert open_product(path).bands


@pytest.mark.parametrize("said", [{"scale": 0}, {"scale": "0.1"}, {"offset": float("nan")}])
def test_a_scale_that_is_none_is_refused(
    write: Write, tmp_path: Path, said: dict[str, Any]
) -> None:
    write("a.tif", [[5]])
    asset = {"href": "a.tif", "bands": [{"name": "red", "nodata": "nan"} | said]}
    with pytest.raises(RasterReadError, match="“red” has a scale or offset that is no number"):
        open_product(item(tmp_path, {"a": asset}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is no STAC item with assets"),
        ("3", "is no STAC item with assets"),
        ('{"type": "Catalog"}', "is a Catalog and not one item"),
        (
            '{"type": "FeatureCollection", "features": []}',
            "is a FeatureCollection and not one item",
        ),
        ('{"type": "Feature", "stac_version": "1.0.0"}', "is no STAC item with assets"),
        ('{"type": "Feature", "stac_version": "1.0.0", "assets": []}', "is no STAC item"),
        (
            '{"type": "Feature", "stac_version": "1.0.0", "assets": {"a": {"href": "http://[/a.tif"}}}',
            "describes no band whose file is there",
        ),
        (
            '{"type": "Feature", "stac_version": "1.0.0", "assets": {"a": 1, "b": {"href": 2}}}',
            "describes no band whose file is there",
        ),
        (
            '{"type": "Feature", "stac_version": "1.0.0", "id": "' + LANDSAT + '", "assets": '
            '{"a": {"href": "x_SR_B4.tif"}}, "properties": []}',
            "no band of Landsat 8 Collection 2 level 2 is there",
        ),
    ],
)
def test_what_is_no_item_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "item.json"
    path.write_text(text)
    with pytest.raises(RasterReadError, match=message) as raised:
        open_product(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)
