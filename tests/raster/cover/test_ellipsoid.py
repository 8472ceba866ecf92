"""Areas of pixels against geodesic polygons."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import GridError
from geoseg.raster.cover.ellipsoid import PixelAreas
from geoseg.raster.grid import Grid


def areas(code: str, transform: Affine, height: int, width: int) -> PixelAreas:
    crs = CRS.from_string(code)
    return PixelAreas(Grid(crs=crs, transform=transform, height=height, width=width))


@pytest.mark.parametrize(
    ("code", "transform", "height", "width", "even", "near"),
    [
        ("EPSG:32612", Affine(30, 0, 300000, 0, -30, 4000000), 1000, 900, True, 1e-7),
        ("EPSG:32612", Affine(300, 90, 300000, 90, -300, 4000000), 700, 900, True, 1e-6),
        ("EPSG:3857", Affine(30, 0, 1.1e6, 0, -30, 8.4e6), 1000, 900, False, 1e-7),
        ("EPSG:3408", Affine(25000, 0, -4e6, 0, -25000, 4e6), 320, 320, True, 1e-5),  # the pole
        ("EPSG:4326", Affine(0.1, 0, 10, 0, -0.1, 60), 50, 70, False, 1e-8),
        ("EPSG:4326", Affine(1, 0, -180, 0, 1, -90), 180, 360, False, 1e-6),
        ("EPSG:2263", Affine(100, 0, 9.5e5, 0, -100, 2.6e5), 300, 300, True, 1e-7),
    ],
)
def test_areas_are_those_of_geodesic_polygons(
    code: str, transform: Affine, height: int, width: int, even: bool, near: float
) -> None:
    found = areas(code, transform, height, width)
    assert found.even is even
    system = pyproj.CRS(code)
    move = pyproj.Transformer.from_crs(system, system.geodetic_crs, always_xy=True)
    geod = system.get_geod()
    n = np.linspace(0, 1, 400)
    side, other = np.zeros(400), np.ones(400)
    for row, col in ((3, 5), (height // 3, width - 1), (height - 2, width // 2 + 3)):
        x = col + np.concatenate([n, other, n[::-1], side])
        y = row + np.concatenate([side, n, other, n[::-1]])
        t = transform
        lon, lat = move.transform(t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f)
        wanted = abs(geod.polygon_area_perimeter(lon, lat)[0])
        one = found.rows(row, row + 1).at(np.array([col]))[0, 0]
        assert one == pytest.approx(wanted, rel=near)


def test_the_earth_has_the_area_of_the_earth() -> None:
    found = areas("EPSG:4326", Affine(0.5, 0, -180, 0, -0.5, 90), 360, 720)
    assert found.rows(0, 360).at(np.arange(720)).sum() == pytest.approx(5.10065621724e14, rel=1e-10)


def test_rotated_degrees_and_no_system_are_refused() -> None:
    with pytest.raises(GridError, match="in degrees and rotated"):
        areas("EPSG:4326", Affine(1, 0.1, 0, 0.1, -1, 60), 4, 4)
    with pytest.raises(GridError, match="no coordinate system"):
        PixelAreas(Grid(crs=None, transform=Affine.identity(), height=2, width=2))


def test_beyond_the_projection_is_refused_in_one_line() -> None:
    with pytest.raises(GridError, match="cut it first"):
        areas("EPSG:3408", Affine(1e6, 0, -4e7, 0, -1e6, 4e7), 80, 80)
