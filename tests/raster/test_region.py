"""Polygons that are drawn wrongly, repaired by what they enclose."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine

from geoseg.raster.grid import Grid
from geoseg.raster.region import Region, polygons_of, valid

SQUARE = [(0, 0), (4, 0), (4, 4), (0, 4)]


@pytest.mark.parametrize(
    ("drawn", "area"),
    [
        # Two squares of 16 that share 4.
        (shapely.MultiPolygon([shapely.box(0, 0, 4, 4), shapely.box(2, 2, 6, 6)]), 28),
        (shapely.MultiPolygon([shapely.box(0, 0, 4, 4), shapely.box(1, 1, 2, 2)]), 16),
        # A ring that goes around 4 of its 24 twice.
        (shapely.Polygon([(0, 0), (6, 0), (6, 4), (2, 4), (2, -2), (4, -2), (4, 2), (0, 2)]), 24),
        # A hole of which only 2 lie inside.
        (shapely.Polygon(SQUARE, [[(3, 1), (6, 1), (6, 3), (3, 3)]]), 14),
        (shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)]), 8),
        (shapely.Polygon([*SQUARE[:3], (8, 8), *SQUARE[2:]]), 16),
        (shapely.Polygon([(0, 0), (4, 4), (0, 0)]), 0),
    ],
    ids=["shared", "within", "twice around", "hole beyond", "bow tie", "spike", "a line"],
)
def test_repaired_polygons_cover_what_their_rings_enclose(
    drawn: shapely.Geometry, area: float
) -> None:
    repaired = valid(np.array([drawn], dtype=object))
    assert shapely.is_valid(repaired).all()
    assert shapely.area(repaired)[0] == pytest.approx(area)
    assert shapely.area(polygons_of(repaired)).sum() == pytest.approx(area)


def test_ground_that_two_parts_share_lies_in_the_region() -> None:
    grid = Grid(crs=None, transform=Affine(1, 0, 0, 0, -1, 6), height=6, width=6)
    parts = shapely.MultiPolygon([shapely.box(0, 0, 4, 4), shapely.box(2, 2, 6, 6)])
    mask = Region([parts], grid, source="x").mask(grid.window)
    expected = np.zeros((6, 6), bool)
    expected[2:, :4] = expected[:4, 2:] = True
    np.testing.assert_array_equal(mask, expected)


def test_valid_polygons_are_left_alone() -> None:
    given = np.array([shapely.Polygon(SQUARE)], dtype=object)
    assert valid(given)[0] is given[0]
