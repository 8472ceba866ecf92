"""Bilinear and cubic against a slow account of the same rule, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from geoseg.errors import OptionError
from geoseg.raster.grid import Grid
from geoseg.raster.resampling import interpolate as module
from geoseg.raster.resampling.interpolate import interpolate
from geoseg.raster.resampling.lookup import Lookup
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

UTM = CRS.from_epsg(32633)


def grid(height, width, *, pixel=10.0, x=0.0, y=0.0, transform=None, crs=UTM):
    place = transform or Affine(pixel, 0, 500_000 + x, 0, -pixel, 5_600_000 - y)
    return Grid(crs=crs, transform=place, height=height, width=width)


def reader(data, valid, dtype=np.float32):
    def read(window):
        at = window.slices()
        assert Window(0, 0, *valid.shape).contains(window)
        return np.ascontiguousarray(data[(slice(None), *at)].astype(dtype)), valid[at].copy()

    return read


def brought(data, valid, source, target, kind, dtype=np.float32):
    out = np.full((len(data), target.height, target.width), 77, dtype)
    lookup = Lookup(source, target, kind)
    found = interpolate(reader(data, valid, dtype), lookup, target.window, out, kind)
    return out, found


def keys(t):
    t = abs(t)
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def tent(t):
    return max(0.0, 1 - abs(t))


def slowly(data, valid, row, col, kind):
    """Value of each band at a place, by the words of the module; None where there is none."""
    height, width = valid.shape
    r, c = math.floor(row + 1e-6), math.floor(col + 1e-6)
    if not (0 <= r < height and 0 <= c < width and valid[r, c]):
        return None
    for kernel in [keys, tent] if kind == "cubic" else [tent]:
        total, sums, whole = 0.0, np.zeros(len(data)), True
        for i in range(math.floor(row) - 3, math.floor(row) + 4):
            for j in range(math.floor(col) - 3, math.floor(col) + 4):
                weight = kernel(i + 0.5 - row) * kernel(j + 0.5 - col)
                if abs(weight) < 1e-12:
                    continue
                if 0 <= i < height and 0 <= j < width and valid[i, j]:
                    total += weight
                    sums += weight * data[:, i, j]
                else:
                    whole = False
        if whole or kernel is tent:
            return sums / total
    raise AssertionError


@settings(max_examples=60, deadline=None)
@given(
    data=hnp.arrays(np.uint16, st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 7))),
    seed=st.integers(0, 99),
    turned=st.sampled_from([0.0, 0.3, -2.0]),
    pixel=st.sampled_from([3.0, 5.0, 10.0, 17.0]),
    shift=st.tuples(st.integers(-25, 25), st.integers(-25, 25)),
    kind=st.sampled_from(["bilinear", "cubic"]),
)
def test_every_pixel_is_what_the_rule_says(data, seed, turned, pixel, shift, kind):
    valid = np.random.default_rng(seed).random(data.shape[1:]) < 0.8
    source = grid(*valid.shape)
    cos, sin = pixel * math.cos(turned), pixel * math.sin(turned)
    place = Affine(cos, sin, 500_000 + shift[0], sin, -cos, 5_600_000 + shift[1])
    target = grid(6, 9, transform=place)
    out, found = brought(data, valid, source, target, kind, np.float64)
    for i in range(target.height):
        for j in range(target.width):
            x, y = place @ (j + 0.5, i + 0.5)
            col, row = ~source.transform @ (x, y)
            near = min(abs(v - round(v)) for v in (row, col, row - 0.5, col - 0.5))
            if 0 < near < 1e-5:
                continue  # rounding decides
            wanted = slowly(data.astype(float), valid, row, col, kind)
            assert found[i, j] == (wanted is not None)
            np.testing.assert_allclose(
                out[:, i, j], 0 if wanted is None else wanted, rtol=1e-6, atol=1e-3
            )


def test_a_plane_stays_a_plane_and_cubic_keeps_parabolas():
    rows, cols = np.mgrid[:9, :9] + 0.5
    valid = np.ones((9, 9), bool)
    source, target = grid(9, 9), grid(20, 20, pixel=2.5, x=20, y=20)
    r, c = (np.mgrid[:20, :20] + 0.5) / 4 + 2
    for kind in ("bilinear", "cubic"):
        out, found = brought(np.array([3 * rows - cols]), valid, source, target, kind)
        assert found.all()
        np.testing.assert_allclose(out[0], 3 * r - c, atol=1e-5)
    out, _ = brought(np.array([rows**2 + rows * cols]), valid, source, target, "cubic")
    np.testing.assert_allclose(out[0], r**2 + r * c, atol=1e-4)


def test_an_invalid_reading_never_bleeds():
    data = np.full((1, 5, 5), 100.0)
    valid = np.ones((5, 5), bool)
    data[0, 2, 2], valid[2, 2] = 60_000, False
    for kind in ("bilinear", "cubic"):
        out, found = brought(data, valid, grid(5, 5), grid(20, 20, pixel=2.5), kind)
        assert (out[0][found] == 100).all()
        # What lies in the missing pixel is missing, and nothing else.
        assert (~found).sum() == 16
        assert not found[8:12, 8:12].any()


@pytest.mark.parametrize("kind", ["bilinear", "cubic"])
def test_windows_and_parts_give_the_same_bits(kind, monkeypatch):
    rng = np.random.default_rng(5)
    data = rng.random((2, 90, 110)) * 1000
    valid = rng.random((90, 110)) < 0.9
    source = grid(90, 110)
    target = grid(300, 330, pixel=3.7, x=-40.3, y=11.1, crs=CRS.from_epsg(32633))
    whole, found = brought(data, valid, source, target, kind)
    monkeypatch.setattr(module, "_MOST_AT_ONCE", 500)
    lookup = Lookup(source, target, kind)
    again, there = np.zeros_like(whole), np.zeros_like(found)
    for row in range(0, 300, 41):
        for col in range(0, 330, 97):
            window = Window(row, col, min(41, 300 - row), min(97, 330 - col))
            at = window.slices()
            there[at] = interpolate(
                reader(data, valid), lookup, window, again[(slice(None), *at)], kind
            )
    np.testing.assert_array_equal(again, whole)
    np.testing.assert_array_equal(there, found)


def test_between_coordinate_systems_positions_are_exact_to_a_hundredth_of_a_pixel():
    source = grid(400, 400, pixel=30)
    target = grid(
        300, 300, transform=Affine(3e-4, 0, 15.0, 0, -3e-4, 50.55), crs=CRS.from_epsg(4326)
    )
    lookup = Lookup(source, target, "bilinear")
    part = Window(0, 0, 256, 256)
    row, col = lookup.positions(part)
    r, c = np.mgrid[:256, :256] + 0.5
    x, y = 15.0 + 3e-4 * c.ravel(), 50.55 - 3e-4 * r.ravel()
    xs, ys = transform_points(target.crs, source.crs, x, y)
    inverse = ~source.transform
    np.testing.assert_allclose(row.ravel(), inverse.e * np.array(ys) + inverse.f, atol=0.01, rtol=0)
    np.testing.assert_allclose(col.ravel(), inverse.a * np.array(xs) + inverse.c, atol=0.01, rtol=0)


def test_a_scene_between_pixels_is_floats_and_where_they_coincide_as_it_is(tmp_path):
    path = tmp_path / "a.tif"
    data = np.array([[[10, 20], [30, 65535]]], np.uint16)
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=2, width=2, dtype="uint16", nodata=65535,
        crs="EPSG:32633", transform=grid(2, 2).transform,
    ) as dataset:  # fmt: skip
        dataset.write(data)
    scene = Scene.open(path)
    fine = scene.on_grid(grid(4, 4, pixel=5), resampling="bilinear")
    assert fine.dtype == np.float32
    pixels = fine.read(fine.grid.window)
    # A quarter of a pixel from each centre; at the corner nothing lies beyond.
    assert pixels.data[0, 0].tolist() == [10, 12.5, 17.5, 20]
    # 10, 20 and 30 with weights of 9, 3 and 3 sixteenths; the fourth is none.
    assert pixels.data[0, 1, 1] == np.float32((9 * 10 + 3 * 20 + 3 * 30) / 15)
    assert pixels.valid[:2].all()
    assert not pixels.valid[2:, 2:].any()
    same = scene.on_grid(grid(2, 3, x=10), resampling="cubic")
    assert same.dtype == np.uint16
    assert same.read(Window(0, 0, 2, 1)).data.ravel().tolist() == [20, 65535]
    with pytest.raises(OptionError, match="there are: nearest, bilinear, cubic"):
        scene.on_grid(scene.grid, resampling="lanczos")
