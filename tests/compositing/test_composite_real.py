"""Composites of real scenes, against numpy and GDAL's own warper."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import rasterio
from rasterio.warp import reproject

from geoseg.compositing.composite import composite
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.opening import open_products
from geoseg.compositing.settings import CompositeSettings
from geoseg.compositing.target import target_grid

pytestmark = pytest.mark.realdata


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def nan_median(stack):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmedian(stack, axis=0)


def check(path, stack):
    """Compare a composite with what its dates should give, (dates, bands, rows, cols)."""
    found = read(path)
    np.testing.assert_array_equal(found[:-1], nan_median(stack).astype(np.float32))
    np.testing.assert_array_equal(found[-1], np.isfinite(stack[:, 0]).sum(axis=0))


def bqa_clear(codes):
    """What Collection 1's BQA calls clear: not even confidence 3 of anything."""
    bad = (codes & 0b11 | codes & 0b10000 | codes & 0b1100) != 0
    for bit in (5, 7, 9, 11):
        bad |= (codes >> bit) & 3 == 3
    return ~bad


def test_ny18_equals_numpy_and_gdal(real_data, tmp_path):
    folders = sorted((real_data / "ny18").glob("LC08*"))
    products = open_products([str(folder) for folder in folders]).products
    names = ("blue", "red", "nir")
    grid = target_grid(products, names, extent="union").grid
    out = tmp_path / "ny18.tif"
    result = composite(products, out, grid, settings=CompositeSettings(bands=names))
    assert len(result.dates) == len(folders) == 19
    stack = np.full((19, 3, grid.height, grid.width), np.nan)
    for date, folder in enumerate(folders):
        layers = []
        for band in ("B2", "B4", "B5", "BQA"):
            with rasterio.open(next(folder.glob(f"*_{band}.TIF"))) as dataset:
                layer = np.zeros((grid.height, grid.width), np.uint16)
                reproject(
                    dataset.read(1), layer, src_transform=dataset.transform, src_crs=dataset.crs,
                    dst_transform=grid.transform, dst_crs=grid.crs, tolerance=0,
                )  # fmt: skip
                layers.append(layer)
        *bands, quality = layers
        # Outside of a scene GDAL leaves 0, which BQA would call clear; readings there are fill.
        valid = bqa_clear(quality) & (np.array(bands) != 0).all(axis=0)
        stack[date] = np.where(valid, bands, np.nan)
    check(out, stack)
    assert 0.3 < result.counts[0] / result.counts.sum() < 0.45


def test_p022r049_equals_numpy(real_data, tmp_path):
    paths = sorted((real_data / "p022r049").glob("LE7*.gtif"))
    products = open_products([str(path) for path in paths], quality="fmask=8").products
    names = products[0].band_names
    grid = target_grid(products, names).grid
    composite(products, tmp_path / "out.tif", grid, settings=CompositeSettings())
    stack = []
    for path in paths:
        data = read(path).astype(float)
        valid = np.isin(data[7], (0, 1)) & (data[:7] != -9999).all(axis=0)
        stack.append(np.where(valid, data[:7], np.nan))
    check(tmp_path / "out.tif", np.array(stack))
    # The cloudy date alone has gaps, and the other fills them.
    assert np.isnan(stack[1]).any()
    assert not np.isnan(read(tmp_path / "out.tif")).any()


@pytest.mark.parametrize("source", ["", "*_MTL.json", "*_stac.json"])
def test_collection_2_is_scaled_after_fill_and_cloud_are_masked(real_data, tmp_path, source):
    folder = real_data / "landsat8_c2l2"
    path = next(folder.glob(source)) if source else folder
    products = open_products([str(path)]).products
    names = ("blue", "nir")
    grid = target_grid(products, names).grid
    composite(
        products,
        tmp_path / "out.tif",
        grid,
        settings=CompositeSettings(bands=names, rule=ClearRule.from_text("snow,water")),
    )

    def layer(name):
        return read(next(folder.glob(f"*_{name}.TIF")))[0].astype(int)

    quality, blue, nir = layer("QA_PIXEL"), layer("SR_B2"), layer("SR_B5")
    valid = (quality & 0b11111 == 0) & (blue != 0) & (nir != 0)
    for bit in (8, 10, 14):
        valid &= (quality >> bit) & 3 != 3
    valid &= layer("QA_RADSAT") == 0
    found = read(tmp_path / "out.tif")
    np.testing.assert_array_equal(found[-1], valid)
    for band, numbers in zip(found, (blue, nir), strict=False):
        expected = np.where(valid, numbers * 0.0000275 - 0.2, np.nan).astype(np.float32)
        np.testing.assert_array_equal(band, expected)
    assert 0.1 < valid.mean() < 0.3
