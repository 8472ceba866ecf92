"""Polygons that are drawn wrongly, repaired by what they enclose."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.raster.cover.region import Region, polygons_of, valid
from geoseg.raster.grid import Grid
from geoseg.raster.vector import Features

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


def degrees(west: float, width: int) -> Grid:
    """A grid of pixels of a tenth of a degree, from 60° north down."""
    transform = Affine(0.1, 0, west, 0, -0.1, 60)
    return Grid(crs=CRS.from_epsg(4326), transform=transform, height=10, width=width)


def features(shape: shapely.Geometry, crs: str = "EPSG:4326") -> Features:
    return Features(
        source="z.gpkg", shapes=np.array([shape], dtype=object), crs=crs, numbers=np.array([1])
    )


@pytest.mark.parametrize(
    ("west", "shape", "found"),
    [
        # Across the 180th meridian, as files that begin anew there have it.
        (
            179,
            shapely.MultiPolygon(
                [shapely.box(179.5, 59, 180, 60), shapely.box(-180, 59, -179.0, 60)]
            ),
            (179.5, 59, 181, 60),
        ),
        (-181, shapely.box(179.5, 59, 180, 60), (-180.5, 59, -180, 60)),
        (359, shapely.box(-0.5, 59, 0.5, 60), (359.5, 59, 360.5, 60)),
        # Elsewhere nothing is moved.
        (-180, shapely.box(179.5, 59, 180, 60), (179.5, 59, 180, 60)),
        (359, shapely.box(20, 59, 21, 60), (20, 59, 21, 60)),
    ],
)
def test_polygons_lie_where_the_grid_has_their_longitudes(
    west: float, shape: shapely.Geometry, found: tuple[float, ...]
) -> None:
    (moved,) = features(shape).on_grid(degrees(west, 20))
    assert moved.bounds == pytest.approx(found)
    assert moved.area == pytest.approx((found[2] - found[0]) * (found[3] - found[1]))


def test_what_a_grid_around_the_world_has_at_both_ends_is_there_twice() -> None:
    (moved,) = features(shapely.box(-10, 59, 10, 60)).on_grid(degrees(0, 3600))
    on_grid = shapely.intersection(moved, shapely.box(0, 59, 360, 60))
    assert [part.bounds for part in on_grid.geoms] == [(0, 59, 10, 60), (350, 59, 360, 60)]


def test_projected_polygons_go_on_beyond_the_180th_meridian() -> None:
    to_utm = pyproj.Transformer.from_crs(4326, 32601, always_xy=True)
    round_ = shapely.segmentize(shapely.box(179.5, 59.2, 180.5, 59.8), 0.01)
    there = shapely.transform(round_, lambda xy: np.column_stack(to_utm.transform(*xy.T)))
    (moved,) = features(there, "EPSG:32601").on_grid(degrees(179, 20))
    assert moved.bounds == pytest.approx((179.5, 59.2, 180.5, 59.8), abs=1e-4)
    assert moved.area == pytest.approx(0.6, rel=1e-3)
