"""Grids: where pixels lie, north-up or not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.errors import GridError
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window

UTM = CRS.from_epsg(32633)
ROTATED = Affine(8.0, 6.0, 500_000.0, 6.0, -8.0, 5_600_000.0)
SOUTH_UP = Affine(10.0, 0.0, 500_000.0, 0.0, 10.0, 5_600_000.0)
NORTH_UP = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_600_000.0)


def grid(
    transform: Affine = NORTH_UP, height: int = 6, width: int = 8, crs: CRS | None = UTM
) -> Grid:
    return Grid(crs=crs, transform=transform, height=height, width=width)


def test_crop_moves_the_first_pixel_along_rows_and_columns() -> None:
    assert grid(ROTATED).crop(Window(2, 3, 1, 1)).corners()[0] == (
        500_000 + 3 * 8 + 2 * 6,
        5_600_000 + 3 * 6 - 2 * 8,
    )


def test_corners_run_along_the_first_row_then_across() -> None:
    assert grid(SOUTH_UP, height=1, width=2).corners() == [
        (500_000, 5_600_000),
        (500_020, 5_600_000),
        (500_020, 5_600_010),
        (500_000, 5_600_010),
    ]


def test_bounds_surround_a_rotated_grid() -> None:
    assert grid(ROTATED, height=10, width=10).bounds() == (
        500_000,
        5_600_000 - 80,
        500_000 + 140,
        5_600_000 + 60,
    )


def test_resolution_is_the_length_of_a_rotated_pixels_sides() -> None:
    assert grid(ROTATED).resolution == (10, 10)


@pytest.mark.parametrize(
    ("transform", "north_up"), [(NORTH_UP, True), (SOUTH_UP, False), (ROTATED, False)]
)
def test_only_a_grid_without_rotation_and_flip_is_north_up(
    transform: Affine, north_up: bool
) -> None:
    assert grid(transform).is_north_up is north_up


def test_a_photograph_has_no_place() -> None:
    assert not grid(Affine.identity(), crs=None).is_georeferenced
    assert grid(Affine.identity()).is_georeferenced
    assert grid(crs=None).is_georeferenced


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
@given(
    row=st.integers(-20, 20),
    col=st.integers(-20, 20),
    noise=st.floats(-1e-4, 1e-4),
)
def test_offset_of_a_crop_is_where_it_was_cut(
    transform: Affine, row: int, col: int, noise: float
) -> None:
    whole = grid(transform)
    part = whole.crop(Window(row, col, 3, 4))
    t = part.transform
    rounded = Affine(t.a, t.b, t.c + 10 * noise, t.d, t.e, t.f)
    moved = Grid(crs=UTM, transform=rounded, height=3, width=4)
    assert moved.offset_in(whole) == (row, col)


@pytest.mark.parametrize(
    "other",
    [
        grid(Affine(10, 0, 500_005, 0, -10, 5_600_000)),
        grid(Affine(10.01, 0, 500_000, 0, -10, 5_600_000)),
        grid(SOUTH_UP),
        grid(ROTATED),
        grid(crs=CRS.from_epsg(32632)),
        grid(crs=None),
    ],
    ids=["half a pixel off", "other pixel size", "flipped", "rotated", "other CRS", "no CRS"],
)
def test_offset_is_none_where_pixels_do_not_coincide(other: Grid) -> None:
    assert other.offset_in(grid()) is None
    assert not other.same_pixels(grid())


def test_same_pixels_needs_the_same_size() -> None:
    assert grid().same_pixels(grid())
    assert not grid(height=5).same_pixels(grid())


def test_coarsen_reaches_beyond_rather_than_losing_pixels() -> None:
    coarse = grid(height=7, width=8).coarsen(3)
    assert (coarse.height, coarse.width) == (3, 3)
    assert coarse.resolution == (30, 30)


def test_pixel_area_counts_the_units_of_the_projection() -> None:
    assert grid(ROTATED).pixel_area_m2() == pytest.approx(100)
    us_feet = CRS.from_epsg(2263)
    assert grid(crs=us_feet).pixel_area_m2() == pytest.approx(100 * (1200 / 3937) ** 2)


def test_pixel_area_in_degrees_is_that_on_the_ellipsoid() -> None:
    # One square degree at the equator: 110 574.3 m (0.5°S to 0.5°N) by 111 319.5 m.
    degree = Grid(
        crs=CRS.from_epsg(4326), transform=Affine(1, 0, 10, 0, -1, 0.5), height=1, width=1
    )
    assert degree.pixel_area_m2() == pytest.approx(110_574.3 * 111_319.5, rel=1e-4)
    north = Grid(
        crs=CRS.from_epsg(4326), transform=Affine(0.01, 0, 10, 0, -0.01, 60.0), height=1, width=1
    )
    assert north.pixel_area_m2() == pytest.approx(1114.12 * 558.0, rel=1e-3)


def test_pixel_area_without_crs_is_refused() -> None:
    with pytest.raises(GridError, match="no coordinate system"):
        grid(crs=None).pixel_area_m2()


@pytest.mark.parametrize(
    "transform",
    [
        Affine(0, 0, 0, 0, 0, 0),
        Affine(math.nan, 0, 0, 0, -1, 0),
        Affine(1, 0, math.inf, 0, -1, 0),
    ],
)
def test_transform_without_area_is_refused(transform: Affine) -> None:
    with pytest.raises(GridError, match="no area"):
        grid(transform)


def test_grid_without_pixels_is_refused() -> None:
    with pytest.raises(GridError, match="no pixels"):
        grid(height=0)


def test_description_says_size_pixel_and_crs() -> None:
    assert grid().describe() == "8 × 6 px of 10 × 10, EPSG:32633"
    assert grid(crs=None).describe() == "8 × 6 px of 10 × 10, no coordinate system"


@given(st.floats(-math.pi, math.pi), st.floats(0.1, 100), st.floats(0.1, 100))
def test_resolution_and_area_survive_any_rotation(angle: float, x: float, y: float) -> None:
    cos, sin = math.cos(angle), math.sin(angle)
    turned = grid(Affine(x * cos, y * sin, 0, x * sin, -y * cos, 0))
    assert turned.resolution == pytest.approx((x, y))
    assert turned.pixel_area_m2() == pytest.approx(x * y)
    assert np.isclose(abs(turned.transform.determinant), x * y)
