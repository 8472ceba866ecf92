"""Whole tiles or rows of several windows: the composite is the same."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.compositing import making
from geoseg.compositing.composite import composite
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.opening import open_products
from geoseg.compositing.settings import CompositeSettings
from geoseg.compositing.target import target_grid

TILED = {"tiled": True, "blockxsize": 256, "blockysize": 256}
STRIPS = {"blockysize": 8}


def made(write, tmp_path, name, *, size=(520, 540), dates=2, profile, shift=0, **options):
    """Bytes of a composite, of its counts if they have a file, and numbers of clear dates."""
    rng = np.random.default_rng(0)
    paths = []
    for date in range(dates):
        bands = rng.integers(1, 9999, (2, *size))
        bands[:, :100, : 90 * date] = 0
        mask = np.kron(rng.choice([0, 0, 2, 4], (size[0] // 20, size[1] // 20)), np.ones((20, 20)))
        data = np.concatenate([bands, mask[None]])
        corner = (6e5 + 30 * shift * date, 5e6)
        path = f"{name}/date{date}.tif"
        paths.append(
            write(path, data, names=("red", "nir", "fmask"), nodata=0, corner=corner, **profile)
        )
    products = open_products([str(p) for p in paths], quality="fmask=fmask").products
    grid = target_grid(products, ("red", "nir"), extent="union").grid
    kept = {key: options.pop(key) for key in ("dtype",) if key in options}
    settings = CompositeSettings(bands=("red", "nir"), rule=ClearRule(dilate=2), **kept)
    if options.pop("counted", False):
        options["counts"] = tmp_path / f"{name}-counts.tif"
    out = tmp_path / f"{name}.tif"
    seen = []
    result = composite(products, out, grid, settings=settings, progress=seen.append, **options)
    assert sum(seen) == result.grid.window.area
    files = [path.read_bytes() for path in result.outputs]
    return files, result.counts.tolist()


@pytest.mark.parametrize(
    ("shift", "options"), [(0, {}), (37, {"dtype": "uint16"}), (37, {"counted": True})]
)
def test_tiles_and_rows_make_the_same_files(write, tmp_path, monkeypatch, options, shift):
    files, counts = made(write, tmp_path, "tiles", profile=TILED, shift=shift, **options)
    assert len(files) == 1 + ("counted" in options)
    monkeypatch.setattr(making.Making, "makes_tiles", lambda *_: False)
    again = made(write, tmp_path, "rows", profile=TILED, shift=shift, workers=3, **options)
    assert again == (files, counts)


def test_small_windows_fill_whole_tiles(write, tmp_path, monkeypatch):
    files, counts = made(write, tmp_path, "usual", profile=TILED)
    monkeypatch.setattr(making, "_MOST_PIXELS", 200**2)
    assert made(write, tmp_path, "small", profile=TILED, workers=3) == (files, counts)


def test_files_in_long_strips_are_read_row_by_row(write, tmp_path, monkeypatch):
    """A strip is decoded once, and not once for every tile along it."""
    seen = []
    whole = making.Making.make

    def looked_at(self, window, *rest):
        seen.append((window.width, self.grid.width))
        return whole(self, window, *rest)

    monkeypatch.setattr(making.Making, "make", looked_at)
    made(write, tmp_path, "strips", profile=STRIPS)
    assert {width == whole_width for width, whole_width in seen} == {True}
    seen.clear()
    made(write, tmp_path, "tiles", profile=TILED)
    assert max(width for width, _ in seen) <= 512


@pytest.fixture
def cache(write, tmp_path, monkeypatch):
    """Make a composite of dates of two files, a band each; return what GDAL may keep of blocks."""
    asked = []
    told = making.Making.cache_bytes

    def look(self, side):
        asked.append(told(self, side))
        return asked[-1]

    monkeypatch.setattr(making.Making, "cache_bytes", look)

    def make(*, shift=0, crs=None, together=False, dilate=0, profile=TILED, **options):
        data = np.random.default_rng(0).integers(1, 9999, (2, 520, 540))
        for date in range(2):
            corner = (6e5 + 30 * shift * date, 5e6)
            for number, held in enumerate([data] if together else data, start=1):
                name = f"{date}/scene_B{number}.tif"
                write(name, held, nodata=0, corner=corner, **profile)
        products = open_products([str(tmp_path / str(date)) for date in range(2)]).products
        grid = target_grid(products, products[0].band_names, crs=crs).grid
        settings = CompositeSettings(rule=ClearRule(dilate=dilate))
        composite(products, tmp_path / "out.tif", grid, settings=settings, **options)
        return asked.pop()

    return make


def test_little_is_kept_of_blocks_that_no_two_tiles_share(cache):
    assert cache() == 16 << 20


def test_as_much_is_kept_as_all_threads_read_at_once(cache):
    assert cache(workers=100) == 4 * 100 * 256 * 256 * 2
    assert cache(workers=300, overwrite=True) == 128 << 20


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"shift": 37}, id="blocks of one date lie across tiles"),
        pytest.param({"crs": "EPSG:32634"}, id="looked up"),
        pytest.param({"together": True}, id="bands of one file"),
        pytest.param({"dilate": 1}, id="masks that grow"),
        pytest.param({"profile": STRIPS}, id="strips"),
        pytest.param(
            {"profile": TILED | {"blockxsize": 384, "blockysize": 384}}, id="blocks of other sizes"
        ),
    ],
)
def test_more_is_kept_of_blocks_that_are_wanted_again(cache, options):
    assert cache(**options) == 128 << 20
