"""Streamed statistics against NumPy over everything at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.raster._statistics_kernels import float_key
from geoseg.raster.bandstatistics import BandStatistics
from geoseg.raster.statistics import PERCENTILES, statistics_for

RNG = np.random.default_rng(11)


def gathered(patches: list[np.ndarray], valid: list[np.ndarray]) -> tuple[BandStatistics, ...]:
    bands = len(patches[0])
    statistics = statistics_for(patches[0].dtype, bands)
    measured = [statistics.measure(p, v) for p, v in zip(patches, valid, strict=True)]
    statistics.add(measured)
    return statistics.results([f"b{i}" for i in range(bands)])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_small_integers_are_exact(dtype: str) -> None:
    info = np.iinfo(dtype)
    patches = [
        RNG.integers(info.min, info.max, (2, 500), dtype=dtype, endpoint=True) for _ in range(5)
    ]
    valid = [RNG.random(500) < share for share in (1.0, 0.5, 0.9, 0.0, 0.2)]
    valid[0][:] = True
    for band, found in enumerate(gathered(patches, valid)):
        values = np.concatenate([p[band][v] for p, v in zip(patches, valid, strict=True)])
        assert found.count == len(values)
        assert found.mean == pytest.approx(values.astype(float).mean(), rel=1e-12, abs=1e-12)
        assert found.std == pytest.approx(values.astype(float).std(), rel=1e-12)
        assert (found.min, found.max) == (values.min(), values.max())
        wanted = np.percentile(values, PERCENTILES)
        assert list(found.percentiles.values()) == pytest.approx(wanted.tolist(), abs=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint32"])
def test_other_readings_are_exact_but_for_percentiles(dtype: str) -> None:
    patches = [(RNG.standard_normal((2, 800)) * 300 + 400).astype(dtype) for _ in range(6)]
    if dtype == "uint32":
        patches = [RNG.integers(0, 2**31, (2, 800), dtype=dtype) for _ in range(6)]
    valid = [RNG.random(800) < 0.8 for _ in patches]
    for band, found in enumerate(gathered(patches, valid)):
        values = np.concatenate([p[band][v] for p, v in zip(patches, valid, strict=True)])
        wide = values.astype(float)
        assert found.count == len(values)
        assert found.mean == pytest.approx(wide.mean(), rel=1e-12)
        assert found.std == pytest.approx(wide.std(), rel=1e-12)
        assert (found.min, found.max) == (wide.min(), wide.max())
        wanted = np.percentile(wide, PERCENTILES)
        # Half a bin for each of the two readings in between, and 1 for those near zero.
        tolerance = np.abs(wanted) * 2.0**-12 + 1e-3
        assert (np.abs(np.array(list(found.percentiles.values())) - wanted) <= tolerance).all()


def test_nan_and_infinity_do_not_count_even_where_valid() -> None:
    values = np.array([[1.0, np.nan, 3.0, np.inf], [2.0, 4.0, 6.0, 8.0]], np.float32)
    one, two = gathered([values], [np.ones(4, bool)])
    assert (one.count, one.mean, one.min, one.max) == (2, 2.0, 1.0, 3.0)
    assert (two.count, two.mean) == (4, 5.0)


def test_no_reading_gives_nan() -> None:
    for dtype in ("uint16", "float32"):
        (found,) = gathered([np.ones((1, 4), dtype)], [np.zeros(4, bool)])
        assert found.count == 0
        assert math.isnan(found.mean)
        assert math.isnan(found.percentiles["50"])


def test_merging_scenes_equals_gathering_at_once() -> None:
    for dtype in ("uint16", "float32"):
        patches = [(RNG.random((2, 300)) * 1000).astype(dtype) for _ in range(4)]
        valid = [np.ones(300, bool)] * 4
        total = statistics_for(np.dtype(dtype), 2)
        for half in (slice(0, 2), slice(2, 4)):
            part = statistics_for(np.dtype(dtype), 2)
            part.add([part.measure(p, v) for p, v in zip(patches[half], valid[half], strict=True)])
            total.merge(part)
        for found, wanted in zip(total.results("ab"), gathered(patches, valid), strict=True):
            assert found.mean == pytest.approx(wanted.mean, rel=1e-14)
            assert found.percentiles == wanted.percentiles


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_quantiles_at_any_shares_are_numpys(dtype: str) -> None:
    values = (RNG.standard_normal((2, 3001)) * 40 + 100).clip(1, 250).astype(dtype)
    valid = RNG.random(3001) < 0.7
    statistics = statistics_for(np.dtype(dtype), 2)
    statistics.add([statistics.measure(values, valid)])
    parts = (0, 1, 7, 250, 500, 999, 1000)
    off = 0.0 if dtype != "float32" else 0.05
    for band, found in enumerate(statistics.quantiles(parts, 1000)):
        wanted = np.quantile(values[band][valid].astype(float), np.array(parts) / 1000)
        assert found == pytest.approx(wanted, rel=1e-12, abs=off + 1e-9)
        assert list(found) == sorted(found)
    assert np.isnan(statistics_for(np.dtype(dtype), 1).quantiles(parts, 1000)).all()


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=50)
)
def test_float_keys_keep_the_order(values: list[float]) -> None:
    numbers = np.array(sorted(values), np.float32) + np.float32(0)  # −0 becomes 0
    keys = [float_key(int(bits)) for bits in numbers.view(np.uint32)]
    assert keys == sorted(keys)
    assert (np.diff(keys) > 0).tolist() == (np.diff(numbers.astype(float)) > 0).tolist()
