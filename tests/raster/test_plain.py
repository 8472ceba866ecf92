"""Plain GeoTIFFs for tests and benchmarks."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import rasterio

from geoseg.errors import GridError, OptionError, OutputError
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.plain import PlainWriter, plain_grid
from geoseg.raster.window import Window

GRID = plain_grid(32, 48)


def write(path, data, **options):
    settings = {"band_names": ["a"], "dtype": data.dtype.name, "nodata": None, "block": (16, 16)}
    with PlainWriter(path, GRID, **(settings | options)) as file:
        for row in range(0, 32, 16):
            file.write(Window(row, 0, 16, 48), data[..., row : row + 16, :])


def test_pixels_and_names_come_back(tmp_path):
    data = np.random.default_rng(0).integers(0, 1000, (2, 32, 48), dtype=np.int32)
    write(tmp_path / "a.tif", data, band_names=["one", "two"], nodata=-1, tags={"WHO": "me"})
    with rasterio.open(tmp_path / "a.tif") as file:
        assert np.array_equal(file.read(), data)
        assert file.descriptions == ("one", "two")
        assert file.nodata == -1
        assert file.tags()["WHO"] == "me"
        assert file.tags()["TIFFTAG_SOFTWARE"].startswith("geoseg ")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_strips_have_the_rows_asked_for(tmp_path):
    write(tmp_path / "a.tif", np.zeros((32, 48), np.uint8), block=(4, None))
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.block_shapes == [(4, 48)]


def test_colours_are_marked_and_shown_in_their_range(tmp_path):
    bands = ["nir", "blue", "green", "red"]
    stretch = {"red": (1.0, 2.0), "green": (3.0, 4.0), "blue": (5.0, 6.0)}
    data = np.zeros((4, 32, 48), np.uint16)
    write(tmp_path / "a.tif", data, band_names=bands, stretch=stretch)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert [c.name for c in file.colorinterp] == ["undefined", "blue", "green", "red"]
    renderer = ET.parse(tmp_path / "a.qml").getroot().find("pipe/rasterrenderer")
    assert renderer.get("type") == "multibandcolor"
    assert [renderer.get(f"{c}Band") for c in ("red", "green", "blue")] == ["4", "3", "2"]
    assert renderer.findtext("greenContrastEnhancement/minValue") == "3.0"
    assert renderer.findtext("greenContrastEnhancement/maxValue") == "4.0"


def test_classes_have_their_names_and_colours(tmp_path):
    legend = parse_legend("1=water:#0000ff,2=forest:#00ff00")
    write(tmp_path / "a.tif", np.ones((32, 48), np.uint8), legend=legend, nodata=0)
    assert raster_legend(tmp_path / "a.tif") == legend
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.colormap(1)[2] == (0, 255, 0, 255)


def test_a_failure_leaves_nothing_and_what_was_there(tmp_path):
    write(tmp_path / "a.tif", np.ones((32, 48), np.uint8))
    before = (tmp_path / "a.tif").read_bytes()
    with (
        pytest.raises(ZeroDivisionError),
        PlainWriter(
            tmp_path / "a.tif", GRID, band_names=["a"], dtype="uint8", nodata=None, overwrite=True
        ),
    ):
        raise ZeroDivisionError
    assert (tmp_path / "a.tif").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_file_that_gdal_cannot_make_is_an_output_error(tmp_path):
    with (
        pytest.raises(OutputError, match="cannot be written"),
        PlainWriter(
            tmp_path / "a.tif", GRID, band_names=["a"], dtype="uint8", nodata=None, block=(17, 17)
        ),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_raster_are_refused(tmp_path):
    with pytest.raises(OptionError, match=r"\*\.tif"):
        PlainWriter(tmp_path / "a.png", GRID, band_names=["a"], dtype="uint8", nodata=None)


@pytest.mark.parametrize(
    ("place", "corner"),
    [
        ({}, (48, -32)),
        ({"south_up": True}, (48, 32)),
        ({"rotation": 90}, (32, 48)),
        ({"rotation": 180}, (-48, 32)),
        ({"rotation": 90, "south_up": True}, (-32, 48)),
    ],
)
def test_the_far_corner_lies_where_turning_puts_it(place, corner):
    grid = plain_grid(32, 48, origin=(0, 0), resolution=1, **place)
    assert grid.corners()[2] == pytest.approx(corner)


def test_a_grid_that_is_not_turned_is_north_up_to_the_bit():
    assert GRID.is_north_up
    assert not plain_grid(2, 2, rotation=1e-3).is_north_up


def test_an_unknown_coordinate_system_is_refused():
    with pytest.raises(GridError, match="no coordinate system that is known"):
        plain_grid(1, 1, crs="EPSG:1")
