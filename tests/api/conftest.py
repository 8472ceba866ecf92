"""A scene of two bands with its labels and a model, and a map with labels beside it."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.raster.legend.written import parse_legend
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.scenes import tiny_scene

LEGEND = "3=grass:#00ff00,5=water:#0000ff"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A scene of two bands, the class of the greater of which a model finds; and its labels."""
    folder = tmp_path_factory.mktemp("api")
    rng = np.random.default_rng(4)
    pixels = rng.integers(1, 200, (2, 40, 56)).astype(np.uint16)
    pixels[:, :3, :5] = 0
    tiny_scene(folder / "scene.tif", pixels, bands=["red", "nir"], nodata=0)
    truth = np.where(pixels[0] >= pixels[1], 3, 5).astype(np.uint8)
    truth[:3, :5] = 255
    legend = parse_legend(LEGEND)
    tiny_scene(folder / "labels.tif", truth, nodata=255, legend=legend)
    pointwise_bundle(
        np.eye(2) / 50, bands=["red", "nir"], legend=legend, path=folder / "model.safetensors"
    )
    return folder, pixels, truth


@pytest.fixture
def halves(tmp_path):
    """A map of 10 × 10 px of 10 m: the left half is grass; of the truth, the left six columns."""
    legend = parse_legend(LEGEND)
    place = {"crs": "EPSG:32633", "origin": (500000.0, 5600000.0), "resolution": 10.0}
    for name, columns in (("map", 5), ("labels", 6)):
        pixels = np.full((10, 10), 5, np.uint8)
        pixels[:, :columns] = 3
        tiny_scene(tmp_path / f"{name}.tif", pixels, nodata=255, legend=legend, **place)
    return tmp_path
