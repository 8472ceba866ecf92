"""Means by area against a slow account, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.errors import GridError
from geoseg.raster import average as module
from geoseg.raster.average import Areas
from geoseg.raster.grid import Grid
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

CORNER = (500_000, 5_600_000)


def grid(height, width, *, pixel=10.0, x=0.0, y=0.0, south_up=False, crs=32633, transform=None):
    step = pixel if south_up else -pixel
    place = transform or Affine(pixel, 0, CORNER[0] + x, 0, step, CORNER[1] + y)
    return Grid(crs=CRS.from_epsg(crs), transform=place, height=height, width=width)


def slowly(data, valid, fine, coarse):
    """Overlap every pixel with every pixel."""
    means, found = np.zeros((coarse.height, coarse.width)), np.zeros((coarse.height, coarse.width))
    for i in range(coarse.height):
        for j in range(coarse.width):
            x0, y0, x1, y1 = coarse.bounds(Window(i, j, 1, 1))
            total = area = 0.0
            good = True
            for r in range(fine.height):
                for c in range(fine.width):
                    a0, b0, a1, b1 = fine.bounds(Window(r, c, 1, 1))
                    shared = max(0, min(x1, a1) - max(x0, a0)) * max(0, min(y1, b1) - max(y0, b0))
                    if shared > 1e-6:
                        area += shared
                        total += shared * data[r, c]
                        good = good and valid[r, c]
            if good and area > (x1 - x0) * (y1 - y0) * (1 - 1e-9):
                means[i, j], found[i, j] = total / area, 1
    return means, found.astype(bool)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 999),
    pixel=st.sampled_from([7.0, 10.0, 20.0, 25.0, 33.0]),
    shift=st.tuples(st.integers(-30, 30), st.integers(-30, 30)),
    south_up=st.booleans(),
    parts=st.booleans(),
)
def test_means_are_weighted_by_area(make_raster, seed, pixel, shift, south_up, parts):
    rng = np.random.default_rng(seed)
    data = rng.integers(1, 5000, (9, 11)).astype(np.uint16)
    data[rng.random((9, 11)) < 0.03] = 0
    fine = grid(9, 11)
    path = make_raster("a.tif", data, transform=fine.transform, nodata=0)
    coarse = grid(4, 5, pixel=pixel, x=shift[0], y=shift[1], south_up=south_up)
    most = module._MOST_AT_ONCE
    module._MOST_AT_ONCE = 7 if parts else most
    try:
        with Scene.open(path) as scene:
            means, valid = Areas(grid=coarse, source=fine).means(scene, coarse.window)
    finally:
        module._MOST_AT_ONCE = most
    wanted, there = slowly(data.astype(float), data != 0, fine, coarse)
    np.testing.assert_array_equal(valid, there)
    np.testing.assert_allclose(means, wanted, rtol=1e-9)


def test_windows_give_the_same_bits(make_raster):
    data = np.random.default_rng(1).integers(1, 9999, (60, 70)).astype(np.uint16)
    fine, coarse = grid(60, 70), grid(20, 19, pixel=34.7, x=11.3, y=-5.1)
    areas = Areas(grid=coarse, source=fine)
    with Scene.open(make_raster("a.tif", data, transform=fine.transform)) as scene:
        whole, there = areas.means(scene, coarse.window)
        assert there.any()
        for row in range(0, 20, 3):
            for col in range(0, 19, 7):
                window = Window(row, col, min(3, 20 - row), min(7, 19 - col))
                means, valid = areas.means(scene, window)
                np.testing.assert_array_equal(means, whole[window.slices()])
                np.testing.assert_array_equal(valid, there[window.slices()])


def test_half_covered_pixels_count_half(make_raster):
    fine, coarse = grid(2, 3), grid(1, 1, pixel=15, x=5)
    with Scene.open(
        make_raster("a.tif", np.array([[1, 2, 9], [3, 4, 9]], np.uint8), transform=fine.transform)
    ) as scene:
        means, valid = Areas(grid=coarse, source=fine).means(scene, coarse.window)
    # Columns half and whole, rows whole and half.
    assert means[0, 0] == pytest.approx((1 * 0.5 + 2 + 3 * 0.25 + 4 * 0.5) / 2.25)
    assert valid.all()


def test_covering_are_the_pixels_whose_centres_lie_inside():
    fine = grid(10, 10)
    assert Areas(grid=grid(2, 2, pixel=40), source=fine).covering() == Window(0, 0, 8, 8)
    shifted = grid(2, 2, pixel=15, x=5, y=-6)
    assert Areas(grid=shifted, source=fine).covering() == Window(1, 0, 3, 3)
    assert Areas(grid=grid(2, 2, pixel=40, x=100), source=fine).covering() is None


def test_other_systems_and_turned_grids_are_refused():
    with pytest.raises(GridError, match="coordinate systems differ"):
        Areas(grid=grid(2, 2), source=grid(2, 2, crs=32632))
    turned = grid(9, 9, transform=Affine(10, 0.1, 5e5, 0.1, -10, 5.6e6))
    with pytest.raises(GridError, match="turned against each other"):
        Areas(grid=grid(9, 9), source=turned)
    assert Areas(grid=turned, source=turned).scale == pytest.approx((1, 1))
