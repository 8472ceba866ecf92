"""Scenes by Python functions."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from shapely.geometry import box

import geoseg
from geoseg.errors import InputError, OptionError
from geoseg.testing.scenes import tiny_scene


def test_open_scene_chooses_and_names_bands(tmp_path):
    path = tiny_scene(tmp_path / "s.tif", np.array([[[1, 2]], [[3, 4]]], np.uint16))
    with geoseg.open_scene(path, band_names=["red", "nir"], bands=["nir"]) as scene:
        assert scene.band_names == ("nir",)
        assert scene.read(scene.grid.window).data.tolist() == [[[3, 4]]]


def test_composite_is_the_median_of_the_dates(tmp_path):
    for number, value in enumerate((10, 30, 20)):
        pixels = np.full((1, 8, 8), value, np.uint16)
        tiny_scene(tmp_path / f"{number}.tif", pixels, bands=["red"], nodata=0)
    sources = [tmp_path / f"{number}.tif" for number in range(3)]
    result = geoseg.composite(sources, tmp_path / "out.tif", workers=1)
    assert result.bands == ("red",)
    with rasterio.open(tmp_path / "out.tif") as made:
        assert np.unique(made.read(1)).tolist() == [20]
        assert np.unique(made.read(2)).tolist() == [3]


def test_homogenise_moves_images_to_one_colour(tmp_path):
    rng = np.random.default_rng(0)
    ground = rng.integers(100, 200, (2, 64, 64))
    for name, pixels in (("a", ground), ("b", ground + 50)):
        tiny_scene(
            tmp_path / f"{name}.tif", pixels.astype(np.uint16), bands=["red", "nir"], nodata=0
        )
    result = geoseg.homogenise(
        [tmp_path / "a.tif", tmp_path / "b.tif"], tmp_path / "even", method="moments", workers=1
    )
    assert not result.kept
    with rasterio.open(tmp_path / "even/a.tif") as a, rasterio.open(tmp_path / "even/b.tif") as b:
        assert np.abs(a.read().astype(int) - b.read()).max() <= 1
    again = geoseg.homogenise(
        tmp_path / "a.tif", tmp_path / "more", apply=tmp_path / "even/colour.json", workers=1
    )
    assert again.standard == result.standard


def test_pansharpen_gives_the_panchromatic_pixels(tmp_path):
    rng = np.random.default_rng(0)
    fine = rng.integers(100, 900, (64, 64)).astype(np.uint16)
    coarse = fine.reshape(16, 4, 16, 4).mean((1, 3)).astype(np.uint16)
    place = {"crs": "EPSG:32633", "origin": (500000.0, 5600000.0)}
    tiny_scene(tmp_path / "pan.tif", fine, resolution=1.0, bands=["pan"], **place)
    tiny_scene(
        tmp_path / "ms.tif",
        np.stack([coarse, coarse // 2]),
        resolution=4.0,
        bands=["red", "nir"],
        **place,
    )
    result = geoseg.pansharpen(
        tmp_path / "ms.tif", tmp_path / "sharp.tif", panchromatic=tmp_path / "pan.tif", workers=1
    )
    assert result.bands == ("red", "nir")
    assert (result.grid.height, result.grid.width) == (64, 64)


def test_rasterise_paints_what_a_polygon_covers(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    place = {"crs": "EPSG:32633", "origin": (500000.0, 5600000.0), "resolution": 10.0}
    like = tiny_scene(tmp_path / "s.tif", np.ones((1, 4, 4), np.uint8), **place)
    frame = geopandas.GeoDataFrame(
        {"crop": ["wheat"]}, geometry=[box(500000, 5599980, 500020, 5600000)], crs="EPSG:32633"
    )
    frame.to_file(tmp_path / "p.gpkg")
    found = geoseg.rasterise(
        tmp_path / "p.gpkg", tmp_path / "l.tif", like=like, field="crop", workers=1
    )
    assert dict(found.pixels) == {"wheat": 4}
    assert found.unlabelled == 12


def test_info_tells_kinds_apart(tmp_path):
    tiny_scene(tmp_path / "s.tif", np.ones((1, 4, 4), np.uint16))
    (tmp_path / "broken.tif").write_text("no raster")
    assert [one["kind"] for one in geoseg.info(tmp_path / "s.tif")] == ["scene"]
    kinds = {one["kind"]: one for one in geoseg.info(tmp_path)}
    assert "broken.tif" in kinds["problem"]["error"]
    with pytest.raises(InputError, match="nowhere"):
        geoseg.info(tmp_path / "nowhere.tif")


def test_homogenise_takes_how_uneven_light_is_evened_out(tmp_path):
    rng = np.random.default_rng(1)
    slope = np.linspace(0, 80, 64)
    for name, more in (("a", 0), ("b", 60)):
        pixels = (rng.integers(100, 140, (2, 64, 64)) + slope + more).astype(np.uint16)
        tiny_scene(tmp_path / f"{name}.tif", pixels, bands=["red", "nir"], nodata=0)
    both = [tmp_path / "a.tif", tmp_path / "b.tif"]
    spread = {}
    for name, brightness in (("little", 0.1), ("much", 1.0)):
        geoseg.homogenise(
            both,
            tmp_path / name,
            method="moments",
            dodge=True,
            dodge_cell=16,
            dodge_brightness=brightness,
            workers=1,
        )
        with rasterio.open(tmp_path / name / "a.tif") as made:
            columns = made.read(1).astype(float).mean(axis=0)
        spread[name] = columns[-16:].mean() - columns[:16].mean()
    assert spread["much"] < 0.5 * spread["little"]
    with pytest.raises(OptionError, match="dodge"):
        geoseg.homogenise(both, tmp_path / "no", dodge_cell=16)


@pytest.mark.parametrize("name", ["method", "haze", "cast"])
def test_homogenise_refuses_a_way_that_there_is_not(name, work, tmp_path):
    with pytest.raises(OptionError, match=f"{name} is .*, not 'maybe'"):
        geoseg.homogenise([work[0] / "scene.tif"], tmp_path / "out", **{name: "maybe"})
