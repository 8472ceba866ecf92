"""Dates between their pixels, against a slow account of what a composite then is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from geoseg.compositing import making
from geoseg.compositing.composite import composite
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.opening import open_products
from geoseg.compositing.settings import CompositeSettings
from geoseg.compositing.target import target_grid

NAMES = ("red", "nir", "fmask")
X, Y = 600_000.0, 5_000_000.0


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def make(paths, out, *, kind, dilate=0, bands=("red", "nir"), like=None, **more):
    products = open_products([str(p) for p in paths], quality=more.pop("quality", None)).products
    grid = target_grid(products, bands, like=None if like is None else str(like)).grid
    rule = ClearRule(dilate=dilate)
    settings = CompositeSettings(bands=bands, rule=rule, resampling=kind)
    return composite(products, out, grid, settings=settings, **more)


def masked(data, dilate=0):
    """Readings where clear by Fmask, NaN elsewhere; fill is 0."""
    codes = data[-1]
    bad = np.isin(codes, (2, 3, 4))
    if dilate:
        bad = ndimage.binary_dilation(bad, np.ones((2 * dilate + 1,) * 2))
    valid = ~bad & (codes != 255) & (data[:-1] != 0).all(axis=0)
    return np.where(valid, data[:-1].astype(float), np.nan)


def kernels(kind):
    def tent(t):
        return max(0.0, 1 - abs(t))

    def keys(t):
        t = abs(t)
        if t <= 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0

    return [keys, tent] if kind == "cubic" else [tent]


def moved(values, down, right, shape, pixel, kind):
    """Values of (bands, rows, cols) on a grid whose corner lies so many pixels from theirs."""
    out = np.full((len(values), *shape), np.nan)
    height, width = values.shape[1:]
    for i in range(shape[0]):
        for j in range(shape[1]):
            row, col = down + (i + 0.5) * pixel, right + (j + 0.5) * pixel
            r, c = math.floor(row + 1e-6), math.floor(col + 1e-6)
            if not (0 <= r < height and 0 <= c < width) or np.isnan(values[0, r, c]):
                continue
            for kernel in kernels(kind):
                total, sums, whole = 0.0, np.zeros(len(values)), True
                for a in range(r - 3, r + 4):
                    for b in range(c - 3, c + 4):
                        weight = kernel(a + 0.5 - row) * kernel(b + 0.5 - col)
                        if abs(weight) < 1e-9:
                            continue
                        there = 0 <= a < height and 0 <= b < width
                        if there and not np.isnan(values[0, a, b]):
                            total += weight
                            sums += weight * values[:, a, b]
                        else:
                            whole = False
                if whole:
                    break
            out[:, i, j] = sums / total
    return out


def made_dates(write, shifts, seed=0, size=(24, 30)):
    rng = np.random.default_rng(seed)
    paths = []
    for date, (down, right) in enumerate(shifts):
        bands = rng.integers(1, 9999, (2, *size))
        bands[:, rng.random(size) < 0.04] = 0
        mask = np.kron(
            rng.choice([0, 0, 1, 2, 4, 255], (size[0] // 4, size[1] // 5)), np.ones((4, 5), int)
        )
        data = np.concatenate([bands, mask[None]])
        corner = (X - 30 * right, Y + 30 * down)
        paths.append(write(f"date{date}.tif", data, names=NAMES, nodata=0, corner=corner))
    return paths


@pytest.mark.parametrize("kind", ["bilinear", "cubic"])
@pytest.mark.parametrize("dilate", [0, 2])
def test_a_composite_is_the_median_of_clear_readings_interpolated(write, tmp_path, kind, dilate):
    shifts = [(0, 0), (3.25, -2.5), (0.5, 0.5), (-4, 0.125)]
    paths = made_dates(write, shifts)
    make(paths, tmp_path / "out.tif", kind=kind, dilate=dilate)
    stack = []
    for path, (down, right) in zip(paths, shifts, strict=True):
        values = masked(read(path), dilate)
        stack.append(moved(values, down, right, (24, 30), 1, kind))
    found = read(tmp_path / "out.tif")
    there = np.isfinite(np.array(stack)[:, 0]).sum(axis=0)
    np.testing.assert_array_equal(found[-1], there)
    wanted = np.full((2, 24, 30), np.nan)
    wanted[:, there > 0] = np.nanmedian(np.array(stack)[:, :, there > 0], axis=0)
    np.testing.assert_allclose(found[:-1], wanted, rtol=1e-6, atol=1e-2)


def test_a_finer_grid_grows_masks_by_at_least_what_was_asked_for(write, tmp_path):
    data = np.full((3, 8, 8), 100)
    data[2] = 0
    data[2, 4, 4] = 4
    path = write("a.tif", data, names=NAMES, nodata=255)
    like = write("like.tif", np.zeros((16, 16)), pixel=15)
    make([path], tmp_path / "o.tif", kind="bilinear", dilate=1, like=like)
    masked_here = read(tmp_path / "o.tif")[-1] == 0
    # A pixel of the composite is half of one of the date's: a whole one is masked around.
    assert masked_here[6:12, 6:12].all()
    assert masked_here.sum() == 36


def test_clouds_do_not_bleed_and_take_nothing_beside_them(write, tmp_path):
    data = np.full((3, 9, 9), 500)
    data[2] = 0
    data[:2, 3:6, 3:6], data[2, 3:6, 3:6] = 9000, 4
    path = write("a.tif", data, names=NAMES, nodata=255)
    like = write("like.tif", np.zeros((36, 36)), pixel=7.5)
    for kind in ("bilinear", "cubic"):
        make([path], tmp_path / f"{kind}.tif", kind=kind, like=like)
        red, _, clear = read(tmp_path / f"{kind}.tif")
        np.testing.assert_allclose(red[clear > 0], 500, rtol=1e-6)
        np.testing.assert_array_equal(clear == 0, np.kron(data[2] == 4, np.ones((4, 4), bool)))


@pytest.mark.parametrize("kind", ["bilinear", "cubic"])
def test_windows_and_threads_make_no_difference(write, tmp_path, monkeypatch, kind):
    paths = made_dates(write, [(0, 0), (3.25, -2.5), (0.5, 0.25)], size=(48, 60))
    more = {"kind": kind, "dilate": 1}
    make(paths, tmp_path / "whole.tif", workers=1, **more)
    monkeypatch.setattr(making, "_MOST_PIXELS", 1)
    monkeypatch.setattr(making, "TILE", 8)
    make(paths, tmp_path / "parts.tif", workers=3, **more)
    assert (tmp_path / "whole.tif").read_bytes() == (tmp_path / "parts.tif").read_bytes()


def test_grids_that_coincide_are_read_as_they_are(write, tmp_path):
    paths = made_dates(write, [(0, 0), (2, -3)])
    make(paths, tmp_path / "near.tif", kind="nearest")
    make(paths, tmp_path / "cubic.tif", kind="cubic")
    np.testing.assert_array_equal(read(tmp_path / "near.tif"), read(tmp_path / "cubic.tif"))


def test_bands_of_two_sizes_and_a_coarser_mask_meet(write, tmp_path):
    name = "LC08_L1TP_190026_20180101_20180119_01_T1"
    red, pan = np.array([[10, 20], [30, 40]]), np.arange(1, 17).reshape(4, 4)
    write(f"{name}/{name}_B4.TIF", red, pixel=60)
    write(f"{name}/{name}_B8.TIF", pan, pixel=30)
    write(f"{name}/{name}_BQA.TIF", [[2720, 2720], [2800, 2720]], pixel=60)  # the third is cloud
    make([tmp_path / name], tmp_path / "o.tif", kind="bilinear", bands=("red", "pan"))
    found = read(tmp_path / "o.tif")
    there = np.kron([[1, 1], [0, 1]], np.ones((2, 2), bool)).astype(bool)
    np.testing.assert_array_equal(found[2] > 0, there)
    np.testing.assert_array_equal(found[1][there], pan[there])
    values = np.array([[[10.0, 20.0], [np.nan, 40.0]]])
    np.testing.assert_allclose(found[0], moved(values, 0, 0, (4, 4), 0.5, "bilinear")[0], rtol=1e-6)
