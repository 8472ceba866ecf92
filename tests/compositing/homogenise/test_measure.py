"""One pass over an image against NumPy over all of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.compositing.homogenise._kernels import add_sums
from geoseg.compositing.homogenise.measure import FEWEST, ImageStatistics, fill, measure
from geoseg.compositing.homogenise.standard import SHARES
from geoseg.errors import OptionError
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

Write = Callable[..., Path]
RNG = np.random.default_rng(4)


def same(a: ImageStatistics, b: ImageStatistics) -> bool:
    if a.bands != b.bands or a.count != b.count or (a.local is None) != (b.local is None):
        return False
    return a.local is None or (
        b.local is not None
        and np.array_equal(a.local.means, b.local.means)
        and np.array_equal(a.local.deviations, b.local.deviations)
    )


def image(dtype: str, nodata: float, shape: tuple[int, int] = (300, 500)) -> Any:
    """Two bands, a fifth of their pixels nodata in one of the two."""
    data = (RNG.gamma(4, 20, (2, *shape)) + 1).clip(1, 250).astype(dtype)
    if dtype == "int16":
        data -= 90
    holes = RNG.random((2, *shape)) < 0.1
    data[holes] = nodata
    return data


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint8", 0), ("int16", -999), ("float32", -1), ("int32", 0)]
)
def test_means_deviations_and_quantiles_are_of_valid_pixels_alone(
    write: Write, dtype: str, nodata: float
) -> None:
    data = image(dtype, nodata)
    path = write("a.tif", data, dtype=dtype, nodata=nodata, names=("red", "nir"))
    found = measure(Scene.open(path))
    valid = (data != nodata).all(axis=0)
    assert (found.count, found.names) == (valid.sum(), ("red", "nir"))
    for band, readings in zip(found.bands, data, strict=True):
        values = readings[valid].astype(np.float64)
        assert band.mean == pytest.approx(values.mean(), rel=1e-12)
        assert band.deviation == pytest.approx(values.std(), rel=1e-10)
        off = 0.0 if dtype in ("uint8", "int16") else 0.02
        assert band.quantiles == pytest.approx(np.quantile(values, SHARES), rel=1e-3, abs=off)
        assert band.dark == pytest.approx(np.quantile(values, 0.001), rel=1e-3, abs=off)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_neither_workers_nor_the_blocks_of_a_file_change_a_bit(write: Write, dtype: str) -> None:
    data = image(dtype, 0, (130, 700))
    files = [
        write("rows.tif", data, dtype=dtype, nodata=0),
        write("tiles.tif", data, dtype=dtype, nodata=0, tiled=True, blockxsize=64, blockysize=16),
        write("tall.tif", data, dtype=dtype, nodata=0, tiled=True, blockxsize=16, blockysize=256),
    ]
    found = [measure(Scene.open(f), workers=n, cell=48) for f in files for n in (1, 3)]
    assert all(same(found[0], other) for other in found[1:])


def test_a_window_is_measured_as_if_it_were_the_image(write: Write) -> None:
    data = image("uint16", 0)
    whole = Scene.open(write("a.tif", data, nodata=0))
    part = Scene.open(write("b.tif", data[:, 40:90, 100:333], nodata=0))
    assert same(measure(whole, window=Window(40, 100, 50, 233)), measure(part))


def test_an_image_without_a_valid_pixel_has_no_statistics(write: Write) -> None:
    scene = Scene.open(write("a.tif", np.zeros((1, 20, 20)), nodata=0))
    found = measure(scene, cell=8)
    assert (found.count, found.local) == (0, None)
    assert math.isnan(found.bands[0].mean)
    assert all(math.isnan(q) for q in found.bands[0].quantiles)


def test_local_means_are_of_the_valid_pixels_of_each_square(write: Write) -> None:
    data = RNG.integers(1, 250, (2, 20, 27)).astype(np.uint8)
    data[:, RNG.random((20, 27)) < 0.2] = 0
    found = measure(Scene.open(write("a.tif", data, dtype="uint8", nodata=0)), cell=8)
    assert found.local is not None
    assert found.local.means.shape == (2, 3, 4)
    for band in range(2):
        for r in range(3):
            for c in range(4):
                values = data[band, 8 * r : 8 * r + 8, 8 * c : 8 * c + 8]
                values = values[values > 0].astype(float)
                assert found.local.means[band, r, c] == pytest.approx(values.mean())
                assert found.local.deviations[band, r, c] == pytest.approx(values.std())


def test_squares_with_few_valid_pixels_take_over_from_their_neighbours(write: Write) -> None:
    data = np.full((1, 8, 24), 10, np.uint8)
    data[0, :, 8:16] = 0
    data[0, 0, 8:23] = 200  # 8 of 64 pixels of the second square, too few
    data[0, :, 16:] = 30
    found = measure(Scene.open(write("a.tif", data, dtype="uint8", nodata=0)), cell=8)
    assert FEWEST == 0.25
    assert found.local is not None
    assert found.local.means.tolist() == [[[10, 20, 30]]]
    assert found.local.deviations.tolist() == [[[0, 0, 0]]]


def test_where_no_square_has_enough_the_fullest_speaks(write: Write) -> None:
    data = np.zeros((1, 8, 16), np.uint8)
    data[0, 0, :3], data[0, 0, 8:10] = 50, 90
    found = measure(Scene.open(write("a.tif", data, dtype="uint8", nodata=0)), cell=8)
    assert found.local is not None
    assert found.local.means.tolist() == [[[50, 50]]]


def test_values_spread_ring_by_ring() -> None:
    values = np.array([[[1.0, 0, 0, 0, 9.0]]])
    there = np.array([[True, False, False, False, True]])
    assert fill(values, there).tolist() == [[[1, 1, 5, 9, 9]]]
    assert values.tolist() == [[[1, 0, 0, 0, 9]]]


def test_too_many_squares_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geoseg.compositing.homogenise.measure.MOST_SQUARES", 5)
    scene = Scene.open(write("a.tif", np.ones((1, 16, 24))))
    with pytest.raises(OptionError, match=r"cells of 8 px are 6.*--dodge-cell"):
        measure(scene, cell=8)


def test_statistics_through_a_line_are_those_of_changed_readings(write: Write) -> None:
    data = RNG.integers(10, 90, (2, 40, 40)).astype(np.float32)
    gains, offsets = (2.0, 0.5), (3.0, -1.0)
    new = data * np.float32(gains)[:, None, None] + np.float32(offsets)[:, None, None]
    one = measure(Scene.open(write("a.tif", data, dtype="float32")), cell=16)
    two = measure(Scene.open(write("b.tif", new, dtype="float32")), cell=16)
    brought = one.brought(gains, offsets)
    assert brought.local is not None
    assert two.local is not None
    assert brought.local.means == pytest.approx(two.local.means)
    assert brought.local.deviations == pytest.approx(two.local.deviations, abs=1e-6)
    for a, b in zip(brought.bands, two.bands, strict=True):
        assert (a.mean, a.deviation, a.dark) == pytest.approx((b.mean, b.deviation, b.dark), 1e-3)
        assert a.quantiles == pytest.approx(b.quantiles, rel=1e-3, abs=0.01)


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(1, 9),
    st.integers(0, 5),
)
def test_sums_over_squares_are_those_of_plain_loops(
    height: int, width: int, row: int, col: int, cell: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 99, (height, width)).astype(np.uint16)
    valid = rng.random((height, width)) < 0.7
    shape = ((row + height - 1) // cell + 1, (col + width - 1) // cell + 1)
    found, wanted = np.zeros((3, *shape)), np.zeros((3, *shape))
    add_sums(values, valid, row, col, cell, 40.0, *found)
    for i, j in zip(*np.nonzero(valid), strict=True):
        x = float(values[i, j]) - 40
        wanted[:, (row + i) // cell, (col + j) // cell] += (1, x, x * x)
    assert np.array_equal(found, wanted)
