"""Statistics at a glance: exact where small, close and quick where large."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geoseg.raster import preview
from geoseg.raster.preview import scene_statistics
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

MakeRaster = Callable[..., Path]


def test_small_scene_is_described_exactly(make_raster: MakeRaster) -> None:
    rng = np.random.default_rng(2)
    data = rng.integers(0, 60_000, (2, 300, 700)).astype("uint16")
    data[:, :, :100] = 0
    scene = Scene.open(make_raster("a.tif", data, names=["red", "nir"], nodata=0))
    found = scene_statistics(scene)
    valid = (data != 0).all(axis=0)
    assert (found.exact, found.pixels) == (True, 210_000)
    assert found.nodata_share == pytest.approx(1 - valid.mean())
    for band, statistics in zip(data, found.bands, strict=True):
        values = band[valid].astype(float)
        assert (statistics.minimum, statistics.maximum) == (values.min(), values.max())
        assert statistics.mean == pytest.approx(values.mean())
        assert statistics.std == pytest.approx(values.std())
    assert [s.name for s in found.bands] == ["red", "nir"]


def test_scene_without_a_valid_pixel_has_no_statistics(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", np.full((5, 5), np.nan, "float32")))
    found = scene_statistics(scene)
    assert found.nodata_share == 1
    assert (found.bands[0].minimum, found.bands[0].mean, found.bands[0].std) == (None, None, None)


@pytest.mark.parametrize("overviews", [(), (2, 4, 8)])
def test_large_scene_is_described_by_a_part(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch, overviews: tuple[int, ...]
) -> None:
    monkeypatch.setattr(preview, "PREVIEW_PIXELS", 10_000)
    rng = np.random.default_rng(2)
    data = rng.normal(50, 10, (1, 500, 700)).astype("float32")
    data[0, :250] = np.nan
    path = make_raster("a.tif", data, tiled=True, overviews=overviews)
    found = scene_statistics(Scene.open(path))
    assert not found.exact
    assert 5_000 < found.pixels <= 20_000
    assert found.nodata_share == pytest.approx(0.5, abs=0.1)
    assert found.bands[0].mean == pytest.approx(50, abs=1)
    assert found.bands[0].std == pytest.approx(10, abs=1)


def test_views_are_described_too(make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "PREVIEW_PIXELS", 1_000)
    data = np.repeat(np.arange(100, dtype="uint8")[:, None], 100, axis=1)
    scene = Scene.open(make_raster("a.tif", data))
    lower = scene_statistics(scene.on_grid(scene.grid.crop(Window(50, 0, 100, 100))))
    assert lower.bands[0].minimum >= 50
    assert lower.nodata_share == pytest.approx(0.5, abs=0.15)


def test_thin_scene_is_sampled_over_its_length(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "PREVIEW_PIXELS", 1_000)
    data = np.arange(3_000, dtype="uint16")[None]
    found = scene_statistics(Scene.open(make_raster("a.tif", data)))
    assert (found.bands[0].minimum, found.bands[0].maximum) == (0, 2_999)
