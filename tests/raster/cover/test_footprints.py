"""Windows as boxes in another raster's pixels and as outlines on the ground."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform

from geoseg.errors import GridError
from geoseg.raster.cover.footprints import boxes_in, outlines
from geoseg.raster.grid import Grid

UTM, GEOGRAPHIC = CRS.from_epsg(32612), CRS.from_epsg(4326)
WINDOWS = np.array([[0, 0, 4, 5], [2, 3, 4, 5]], np.int64)


def grid(*numbers: float, crs: CRS | None = UTM) -> Grid:
    return Grid(crs=crs, transform=Affine(*numbers), height=100, width=100)


def test_boxes_in_a_shifted_grid_are_whole_where_pixels_coincide() -> None:
    here = grid(30, 0, 500_060, 0, -30, 3_999_910)
    there = grid(30, 0, 500_000, 0, -30, 4_000_000)
    assert boxes_in(here, WINDOWS, there).tolist() == [[3, 2, 7, 7], [5, 5, 9, 10]]


def test_boxes_in_a_coarser_rotated_grid_hold_the_windows() -> None:
    here = grid(10, 0, 0, 0, -10, 0)
    there = grid(0, 20, 0, 20, 0, 0)  # rows run east, columns north
    assert boxes_in(here, WINDOWS, there).tolist() == [[0, -2, 2.5, 0], [1.5, -3, 4, -1]]


def test_boxes_across_coordinate_systems_hold_bent_sides() -> None:
    here = grid(300, 0, 300_000, 0, -300, 6_500_000)
    there = grid(0.003, 0, -115, 0, -0.003, 59, crs=GEOGRAPHIC)
    window = np.array([[0, 0, 100, 100]], np.int64)
    (box,) = boxes_in(here, window, there)
    x, y = np.meshgrid(np.linspace(300_000, 330_000, 50), np.linspace(6_470_000, 6_500_000, 50))
    lon, lat = transform(UTM, GEOGRAPHIC, x.ravel(), y.ravel())
    cols, rows = (np.array(lon) + 115) / 0.003, (59 - np.array(lat)) / 0.003
    wanted = [rows.min(), cols.min(), rows.max(), cols.max()]
    assert np.abs(box - wanted).max() < 0.1


def test_outlines_are_closed_rings_of_corners() -> None:
    (ring, _) = outlines(grid(30, 0, 1000, 0, -30, 5000), WINDOWS, UTM)
    assert ring.tolist() == [
        [1000, 5000],
        [1150, 5000],
        [1150, 4880],
        [1000, 4880],
        [1000, 5000],
    ]


def test_outlines_of_a_picture_without_place_run_down_from_zero() -> None:
    (ring, _) = outlines(grid(1, 0, 0, 0, 1, 0, crs=None), WINDOWS, None)
    assert ring[2].tolist() == [5, -4]


def test_places_that_cannot_be_compared_are_an_error() -> None:
    with pytest.raises(GridError, match="has none"):
        boxes_in(grid(1, 0, 0, 0, 1, 0, crs=None), WINDOWS, grid(1, 0, 0, 0, 1, 0))
    beyond = grid(1, 0, 1e12, 0, 1, 1e12)
    with pytest.raises(GridError):
        outlines(beyond, WINDOWS, GEOGRAPHIC)
