"""Shares of pixels within polygons: by hand, and against intersections with every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.raster.cover.ellipsoid import RowAreas
from geoseg.raster.cover.region import polygonal
from geoseg.raster.cover.zones import Zones, ground_areas
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window

IDENTITY = np.arange(256).astype(np.uint8)


def grid(height: int, width: int, transform: Affine | None = None) -> Grid:
    return Grid(crs=None, transform=transform or Affine.identity(), height=height, width=width)


def summed(
    shape: Any, codes: NDArray[np.uint8], transform: Affine | None = None, step: int = 100
) -> NDArray[np.float64]:
    height, width = codes.shape
    zones = Zones(np.array([shape], dtype=object), grid(height, width, transform))
    counts, areas = np.zeros(256), np.zeros(256)
    for row in range(0, height, step):
        part = np.ascontiguousarray(codes[row : row + step])
        window = Window(row, 0, len(part), width)
        rows = RowAreas(np.full((len(part), 2), 4.0), 62)
        zones.add_classes(0, part, IDENTITY, window, rows, (counts, areas))
    assert areas == pytest.approx(4 * counts)
    return counts


def by_pixel(height: int, width: int) -> NDArray[np.uint8]:
    return np.arange(height * width, dtype=np.uint8).reshape(height, width)


def test_a_square_shares_the_pixels_that_it_cuts() -> None:
    found = summed(shapely.box(0.5, 0.25, 2.5, 2), by_pixel(3, 4))
    assert found[:12].tolist() == [0.375, 0.75, 0.375, 0, 0.5, 1, 0.5, 0, 0, 0, 0, 0]


def test_a_triangle_within_one_pixel() -> None:
    found = summed(shapely.Polygon([(1.25, 1.5), (1.75, 1.5), (1.5, 1.75)]), by_pixel(3, 3))
    assert found[4] == 0.0625
    assert found.sum() == 0.0625


def test_holes_are_outside_and_parts_add_up() -> None:
    ring = shapely.box(0, 0, 4, 4).difference(shapely.box(1, 1, 3, 2.5))
    shape = shapely.MultiPolygon([ring, shapely.box(4.5, 0, 5, 1)])
    found = summed(shape, by_pixel(5, 6))[:30].reshape(5, 6)
    assert found[0].tolist() == [1, 1, 1, 1, 0.5, 0]
    assert found[1].tolist() == [1, 0, 0, 1, 0, 0]
    assert found[2].tolist() == [1, 0.5, 0.5, 1, 0, 0]
    assert found[4].sum() == 0


def test_whole_pixels_count_as_whole_numbers() -> None:
    # In UTM coordinates, with corners that binary numbers cannot say.
    transform = Affine(0.3, 0, 300000.1, 0, -0.3, 4000000.7)
    box = shapely.box(300000.1 + 0.3 * 7, 4000000.7 - 0.3 * 90, 300000.1 + 0.3 * 61, 4000000.7 - 3)
    assert summed(box, np.zeros((100, 100), np.uint8), transform)[0] == 54 * 80


def test_what_lies_off_the_grid_is_cut_off_and_known() -> None:
    shapes = [shapely.box(-3, -3, 1.5, 1), shapely.box(0, 0, 2, 2), shapely.box(9, 9, 11, 11)]
    zones = Zones(np.array([*shapes, shapely.MultiPolygon()], dtype=object), grid(4, 4))
    assert zones.inside.tolist()[:3] == [False, True, False]
    assert zones.pixels.tolist() == [18, 4, 4, 0]
    assert zones.window == Window(0, 0, 2, 2)
    assert zones.touching(1, 9) == [1]
    assert summed(shapes[0], by_pixel(4, 4))[:2].tolist() == [1, 0.5]


def test_slivers_that_rounding_folds_change_no_share() -> None:
    # Valid, but for rounding two of the parts share a side with one that has become a line.
    tiny = 5.775919010081931e-23
    parts = [
        [(1, tiny), (2, 0), (1, 0), (0, 0), (0, 2 * tiny)],
        [(0, 1), (2 / 3, 2 / 3), (1, tiny)],
        [(0, 2), (2, 0), (2 / 3, 2 / 3)],
    ]
    shape = shapely.MultiPolygon([shapely.Polygon(part) for part in parts])
    found = summed(shape, by_pixel(2, 2))
    assert found[:4].tolist() == pytest.approx([1 / 3, 1 / 4, 1 / 4, 0], abs=1e-8)


def test_zones_that_leave_the_grid_on_all_sides_fill_it() -> None:
    diamond = shapely.Polygon([(2, -9), (13, 2), (2, 13), (-9, 2)])
    assert summed(diamond, by_pixel(4, 4))[:16].tolist() == [1] * 16
    wedge = shapely.Polygon([(-4, -4), (8, 8), (-4, 8)])
    assert summed(wedge, by_pixel(4, 4))[:16].reshape(4, 4).tolist() == [
        [0.5, 0, 0, 0],
        [1, 0.5, 0, 0],
        [1, 1, 0.5, 0],
        [1, 1, 1, 0.5],
    ]


def test_a_zone_beside_the_grid_touches_nothing() -> None:
    zones = Zones(np.array([shapely.box(9, 9, 11, 11)], dtype=object), grid(4, 4))
    assert zones.window is None
    assert zones.touching(0, 4) == []


def test_probabilities_are_weighed_by_shares_and_pixels_without_reading_kept_apart() -> None:
    zones = Zones(np.array([shapely.box(0.5, 0, 3, 1)], dtype=object), grid(1, 3))
    values = np.array([[[0.5, 0.25, np.nan]], [[0.5, 0.75, np.nan]]], np.float32)
    counts, areas = np.zeros(4), np.zeros(4)
    there = np.array([[True, True, False]])
    rows = RowAreas(np.full((1, 2), 10.0), 62)
    zones.add_values(0, values, there, Window(0, 0, 1, 3), rows, (counts, areas))
    assert counts.tolist() == [0.5, 1.0, 1.5, 1.0]
    assert areas.tolist() == [5, 10, 15, 10]


@st.composite
def shapes(draw: st.DrawFn) -> Any:
    # Of finer coordinates, intersections with pixels are not to be relied on.
    fine = st.integers(-4 << 12, 14 << 12).map(lambda n: n / 4096)
    number = st.one_of(st.integers(-4, 14), fine)
    points = draw(st.lists(st.tuples(number, number), min_size=3, max_size=9))
    shape = shapely.make_valid(shapely.Polygon(points))
    if draw(st.booleans()):
        x, y = draw(number), draw(number)
        hole = shapely.box(x, y, x + 2.5, y + 1.25)
        shape = shapely.symmetric_difference(shape, hole)
    return polygonal(np.array([shape], dtype=object))[0]


@settings(deadline=None, max_examples=150)
@given(shapes(), st.integers(1, 12), st.sampled_from([(1, 1), (2, -1), (-1, 0.5)]))
def test_shares_are_areas_of_intersections(
    shape: Any, step: int, scale: tuple[float, float]
) -> None:
    transform = Affine(scale[0], 0.25, 3, -0.5, scale[1], 2)  # rotated, south-up, flipped
    matrix = [transform.a, transform.b, transform.d, transform.e, transform.c, transform.f]
    there = shapely.affinity.affine_transform(shape, matrix)
    found = summed(there, by_pixel(10, 11), transform, step)
    rows, cols = np.mgrid[:10, :11]
    pixels = shapely.box(cols, rows, cols + 1, rows + 1)
    wanted = shapely.area(shapely.intersection(pixels, shape)).ravel()
    assert found[:110] == pytest.approx(wanted, abs=1e-7)


def test_areas_on_the_ground_are_geodesic() -> None:
    square = shapely.box(300000, 4000000, 310000, 4020000)
    found = ground_areas(np.array([square, shapely.Polygon()], dtype=object), "EPSG:32612")
    assert found[0] == pytest.approx(2e8, rel=2e-3)
    assert found[0] != pytest.approx(2e8, rel=1e-6)
    assert found[1] == 0
