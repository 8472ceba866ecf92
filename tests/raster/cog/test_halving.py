"""Pixels at half their size, against a slow count of each four."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.raster.cog.halving import Halving, halved

NAN = math.nan


def is_nodata(value: Any, nodata: float | None) -> bool:
    if nodata is None:
        return False
    return bool(np.isnan(value)) if math.isnan(nodata) else bool(value == nodata)


def expected(four: list[Any], how: Halving, nodata: float | None, dtype: np.dtype[Any]) -> Any:
    """What one pixel becomes of the up to four that there are, in order of reading."""
    if how == "nearest":
        return four[0]
    there = [value for value in four if not is_nodata(value, nodata)]
    if not there:
        return nodata
    if how == "average":
        mean = math.fsum(map(float, there)) / len(there)
        return dtype.type(mean if dtype.kind == "f" else math.floor(mean + 0.5))
    best, most = None, 0
    seen: Counter[Any] = Counter()
    for value in there:
        seen[value] += 1
        if seen[value] > most:
            best, most = value, seen[value]
    return best


def slowly(band: NDArray[Any], how: Halving, nodata: float | None) -> NDArray[Any]:
    rows, cols = -(-band.shape[0] // 2), -(-band.shape[1] // 2)
    out = np.empty((rows, cols), band.dtype)
    for row in range(rows):
        for col in range(cols):
            four = list(band[2 * row : 2 * row + 2, 2 * col : 2 * col + 2].ravel())
            out[row, col] = expected(four, how, nodata, band.dtype)
    return out


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(1, 7),
    cols=st.integers(1, 7),
    dtype=st.sampled_from(["uint8", "int8", "int16", "uint16", "int32", "float32", "float64"]),
    how=st.sampled_from(["average", "mode", "nearest"]),
    kind=st.sampled_from(["none", "value", "nan"]),
    seed=st.integers(0, 1 << 30),
)
def test_each_pixel_is_what_its_four_say(
    rows: int, cols: int, dtype: str, how: Halving, kind: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    # Multiples of 4 beside a nodata value that is none: no mean is nodata by chance.
    data = rng.integers(0, 4, (2, rows, cols)) * 4
    nodata = {"none": None, "value": 101, "nan": NAN}[kind]
    pixels = data.astype(dtype)
    if kind == "value":
        pixels[rng.random(pixels.shape) < 0.4] = 101
    elif kind == "nan" and pixels.dtype.kind == "f":
        pixels[rng.random(pixels.shape) < 0.4] = NAN
    found = halved(pixels, how, nodata)
    assert found.dtype == pixels.dtype
    assert found.flags.c_contiguous
    for band, result in zip(pixels, found, strict=True):
        np.testing.assert_array_equal(result, slowly(band, how, nodata))


@pytest.mark.parametrize(
    ("four", "dtype", "nodata", "result"),
    [
        ([1, 2, 2, 1], "uint8", None, 2),  # halves up
        ([-1, -2, -2, -1], "int16", None, -1),
        ([2, 4, 0, 4], "int16", 3, 4),  # 2.5 becomes 3, which would mean "no data"
        ([2, 4, 2, 4], "float32", 3, np.nextafter(np.float32(3), np.float32(4))),
        ([254, 255, 255, 255], "uint8", 255, 254),
        ([0, 0, 0, 7], "uint16", 0, 7),
        ([NAN, 1, 3, NAN], "float32", NAN, 2),
        ([NAN, 1, 3, 5], "float32", None, NAN),  # not a number is no nodata unless it is said
        ([2**32 - 1] * 4, "uint32", None, 2**32 - 1),
        ([1, 2, 3, 2], "uint8", -9999, 2),  # a value that no pixel can have
        ([math.inf, 1, 1, 1], "float32", NAN, math.inf),
        ([math.inf, -math.inf, 1, 1], "float64", None, NAN),
    ],
)
def test_means_worked_out_by_hand(
    four: list[float], dtype: str, nodata: float | None, result: float
) -> None:
    found = halved(np.array(four, dtype).reshape(1, 2, 2), "average", nodata)
    np.testing.assert_array_equal(found, np.array([[[result]]], dtype))
