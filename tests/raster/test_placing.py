"""Grids around polygons."""

from __future__ import annotations

import json

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import GridError, OptionError, VectorError
from geoseg.raster.grid import Grid
from geoseg.raster.placing import grid_around, is_metric, outline, utm_zone


def geojson(path, ring):
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    return str(path)


def test_numbers_are_covered_by_pixels_at_multiples_of_their_size():
    grid = grid_around("500010,5499000,500100,5499031", crs="EPSG:32633", resolution=30)
    assert grid.transform == Affine(30, 0, 500010, 0, -30, 5499060)
    assert (grid.height, grid.width) == (2, 3)  # 5499000 … 5499060


def test_a_border_on_a_multiple_adds_no_pixel():
    grid = grid_around("0.3,0.6,0.9,1.2", crs="EPSG:4326", resolution=0.1)
    assert (grid.height, grid.width) == (6, 6)
    assert grid.bounds() == pytest.approx((0.3, 0.6, 0.9, 1.2))


def test_polygons_lie_in_the_utm_zone_of_their_middle(tmp_path):
    place = geojson(tmp_path / "a.geojson", [[14, 49], [14.1, 49], [14.1, 49.1], [14, 49]])
    grid = grid_around(place, resolution=30)
    assert grid.crs == CRS.from_epsg(32633)
    assert grid.transform.c % 30 == 0
    assert grid.transform.f % 30 == 0
    xmin, _, xmax, ymax = grid.bounds()
    # WGS 84 (14°, 49°) and (14.1°, 49.1°) in zone 33: from a table of the projection.
    assert xmin == pytest.approx(426_857, abs=40)
    assert xmax == pytest.approx(434_300, abs=40)
    assert ymax == pytest.approx(5_439_000, abs=400)


@pytest.mark.parametrize(
    ("longitude", "latitude", "code"),
    [(-180, 10, 32601), (179.9, 10, 32660), (-0.1, -1, 32730), (6, 0, 32632), (15, -33, 32733)],
)
def test_the_zone_follows_from_longitude_and_hemisphere(longitude, latitude, code):
    assert utm_zone(np.array([[longitude, latitude]])) == CRS.from_epsg(code)


def test_no_zone_is_taken_near_a_pole_or_around_the_earth():
    with pytest.raises(GridError, match="no UTM zone reaches latitude 85"):
        utm_zone(np.array([[0.0, 85.0]]))
    with pytest.raises(GridError, match="180th meridian"):
        utm_zone(np.array([[-179.0, 0.0], [179.0, 1.0]]))


def test_an_outline_is_closed_and_runs_on_across_the_180th_meridian():
    grid = Grid(
        crs=CRS.from_epsg(32660),
        transform=Affine(1000, 0, 750_000, 0, -1000, 1_000_000),
        height=50,
        width=200,
    )
    places = np.array(outline(grid))
    assert places[0] == pytest.approx(places[-1])
    assert np.abs(np.diff(places[:, 0])).max() < 1
    assert places[:, 0].max() > 180


def test_an_outline_needs_a_coordinate_system():
    grid = Grid(crs=None, transform=Affine.identity(), height=1, width=1)
    with pytest.raises(GridError, match="no coordinate system"):
        outline(grid)


@pytest.mark.parametrize(
    ("region", "crs", "resolution", "error", "words"),
    [
        ("0,0,1,1", None, 1.0, OptionError, "say which"),
        ("1,0,0,1", "EPSG:4326", 1.0, VectorError, "is empty"),
        ("0,0,1,1", "EPSG:4326", 0.0, OptionError, "no area"),
        ("0,0,1,1", "EPSG:4326", float("nan"), OptionError, "no area"),
        ("0,0,1,1", "EPSG:4326", 1e-9, GridError, "size of a pixel in its units"),
        ("nowhere.gpkg", None, 30.0, VectorError, "no such file"),
    ],
)
def test_what_gives_no_grid_is_refused(region, crs, resolution, error, words):
    with pytest.raises(error, match=words):
        grid_around(region, crs=crs, resolution=resolution)


def test_metres_are_told_from_degrees():
    assert is_metric(None)
    assert is_metric("EPSG:32633")
    assert not is_metric("EPSG:4326")
    assert not is_metric("EPSG:2225")  # feet
