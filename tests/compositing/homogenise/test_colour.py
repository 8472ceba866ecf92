"""What a colour makes of readings, against a slow and plain way of saying the same."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.compositing.homogenise.colour import (
    MOST_CONTRAST,
    Colour,
    Curve,
    Line,
    Local,
)
from geoseg.raster.window import Window

Write = Callable[..., Path]


def changed(colour: Colour, data: Any, dtype: str, *, valid: Any = None) -> tuple[Any, int]:
    """Apply a colour to (rows, cols) of one band, or (bands, rows, cols)."""
    array = np.array(data, dtype)
    array = array[None] if array.ndim == 2 else array
    mask = np.ones(array.shape[1:], bool) if valid is None else np.array(valid)
    clipped = colour.apply(array, mask, Window(0, 0, *array.shape[1:]))
    return array, clipped


def line(gain: float, offset: float, nodata: float | None = None) -> Colour:
    return Colour(bands=(Line(gain=gain, offset=offset),), nodata=nodata)


@pytest.mark.parametrize(
    ("dtype", "readings", "wanted", "clipped"),
    [
        # 0.5, 1.5, 2.5, 3.5 become 0, 2, 2, 4.
        ("uint8", [1, 3, 5, 7], [0, 2, 2, 4], 0),
        ("int16", [-1, -3, -5, 9], [0, -2, -2, 4], 0),
        ("int32", [-1, -3, 5, 7], [0, -2, 2, 4], 0),
        ("uint64", [1, 3, 5, 7], [0, 2, 2, 4], 0),
    ],
)
def test_halves_are_rounded_to_even(
    dtype: str, readings: list[int], wanted: list[int], clipped: int
) -> None:
    found, count = changed(line(0.5, 0), [readings], dtype)
    assert found[0, 0].tolist() == wanted
    assert count == clipped


@pytest.mark.parametrize(
    ("dtype", "gain", "offset", "readings", "wanted", "clipped"),
    [
        ("uint8", 2.0, -10.0, [0, 4, 5, 132, 133, 255], [0, 0, 0, 254, 255, 255], 4),
        ("uint16", 1.5, 0.0, [0, 43690, 43691, 65535], [0, 65535, 65535, 65535], 2),
        ("int16", 2.0, 0.0, [-20000, -16384, 16383, 20000], [-32768, -32768, 32766, 32767], 2),
        ("int8", 1.0, 100.0, [27, 28, -128], [127, 127, -28], 1),
        ("float32", 1e30, 0.0, [1e10, 1.0], [np.finfo(np.float32).max, 1e30], 1),
    ],
)
def test_what_does_not_fit_becomes_the_nearest_and_is_counted(
    dtype: str, gain: float, offset: float, readings: Any, wanted: Any, clipped: int
) -> None:
    found, count = changed(line(gain, offset), [readings], dtype)
    assert found[0, 0].tolist() == np.array(wanted, dtype).tolist()
    assert count == clipped


def test_readings_of_64_bits_stay_within_their_type() -> None:
    found, count = changed(line(1.0, 1e6), [[np.iinfo(np.int64).max, 5]], "int64")
    assert found[0, 0].tolist() == [2**63 - 1024, 1_000_005]
    assert count == 1


@pytest.mark.parametrize(
    ("nodata", "readings", "wanted"),
    [
        (0.0, [1, 2, 10, 11, 12], [1, 1, 1, 1, 2]),
        (1.0, [10, 11, 12], [0, 2, 2]),
        (255.0, [255, 254], [245, 244]),
    ],
)
def test_no_valid_reading_becomes_nodata(nodata: float, readings: Any, wanted: Any) -> None:
    found, _ = changed(line(1, -10, nodata), [readings], "uint8")
    assert found[0, 0].tolist() == wanted


def test_nodata_is_left_to_the_side_from_which_a_reading_comes() -> None:
    # 9.6 → 10 → 9 (from below), 10.4 → 10 → 11 (from above), 10 itself → 11.
    found, _ = changed(line(0.1, 0, 10), [[96, 104, 100, 90]], "uint8")
    assert found[0, 0].tolist() == [9, 11, 11, 9]


def test_nodata_at_the_end_of_a_type_is_left_inwards() -> None:
    found, count = changed(line(2, 0, 255), [[127, 128, 200]], "uint8")
    assert found[0, 0].tolist() == [254, 254, 254]
    assert count == 2  # 256 and 400; 254 was no clipping
    found, count = changed(line(1, -5, -32768), [[-32766, -32760]], "int16")
    assert (found[0, 0].tolist(), count) == ([-32767, -32765], 1)


def test_a_floating_reading_that_would_be_nodata_becomes_its_neighbour() -> None:
    value = np.float32(-9999.1)
    found, _ = changed(line(1, 1, -9999.1), [[value - 1, 4]], "float32")
    assert found[0, 0, 0] != value
    assert abs(found[0, 0, 0] - value) < 0.01
    assert found[0, 0, 1] == 5
    assert changed(line(1, 1, math.nan), [[1.5]], "float32")[0][0, 0, 0] == 2.5


def test_identity_leaves_every_bit_but_moves_what_would_read_as_nodata() -> None:
    data = [[-0.0, 0.1, 1e-40, 3e38]]
    found, _ = changed(line(1, 0), data, "float32")
    assert found.tobytes() == np.array([data], np.float32).tobytes()
    big = [[2**63 - 1, -(2**63)]]
    assert changed(line(1, 0), big, "int64")[0].tolist() == [big]
    found, clipped = changed(line(1, 0, 0), [[0, 1, 7]], "uint8", valid=[[True, True, False]])
    assert (found[0, 0].tolist(), clipped) == ([1, 1, 7], 0)


def test_invalid_pixels_stay_and_are_not_counted() -> None:
    valid = [[True, False], [False, True]]
    for dtype in ("uint8", "int32", "float32", "float64"):
        found, clipped = changed(line(2, 200), [[1, 99], [255, 100]], dtype, valid=valid)
        top = 255 if dtype == "uint8" else 400
        assert found[0].tolist() == [[202, 99], [255, top]]
        assert clipped == (dtype == "uint8")
    huge = [[2**63 - 1, 3]]  # which no float64 holds
    assert changed(line(2, 0), huge, "int64", valid=[[False, True]])[0].tolist() == [
        [[2**63 - 1, 6]]
    ]
    nan = [[np.nan, 1.0]]
    found, _ = changed(line(2, 0), nan, "float32", valid=[[False, True]])
    assert np.isnan(found[0, 0, 0])
    assert found[0, 0, 1] == 2


def test_a_curve_bends_between_knots_and_goes_on_by_the_step_of_its_ends() -> None:
    curve = Curve(readings=(10, 20, 40), becomes=(100, 110, 111))
    colour = Colour(bands=(curve,), nodata=None)
    found, _ = changed(colour, [[0, 10, 15, 20, 30, 40, 50]], "float64")
    assert found[0, 0].tolist() == [90, 100, 105, 110, 110.5, 111, 121]


def test_knots_as_close_as_floats_can_be_still_make_a_curve() -> None:
    tiny = 5e-324
    curve = Curve(readings=(0, tiny, 2 * tiny, 3 * tiny), becomes=(1, 2, 3, 4))
    data = [[-1, 0, tiny, 2 * tiny, 3 * tiny, 1]]
    found, _ = changed(Colour(bands=(curve,), nodata=None), data, "float64")
    assert found[0, 0].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("readings", "becomes"),
    [((1.0,), (1.0,)), ((1, 1), (2, 3)), ((1, 2), (3, 2)), ((1, 2), (3, math.inf)), ((1, 2), (3,))],
)
def test_knots_that_are_no_curve_are_refused(readings: Any, becomes: Any) -> None:
    with pytest.raises(ValueError, match="knots"):
        Curve(readings=readings, becomes=becomes)


@pytest.mark.parametrize("gain", [0.0, -1.0, math.inf, math.nan])
def test_a_gain_that_is_not_above_0_is_refused(gain: float) -> None:
    with pytest.raises(ValueError, match="gain"):
        Line(gain=gain)


def plainly(
    curve: Line | Curve, x: float, dtype: np.dtype[Any], nodata: float | None
) -> tuple[float, bool]:
    """Say what a reading becomes, with fractions and in words."""
    exact = Fraction(x)
    if isinstance(curve, Line):
        y = exact * Fraction(curve.gain) + Fraction(curve.offset)
    else:
        xs, ys = [[Fraction(v) for v in k] for k in (curve.readings, curve.becomes)]
        if exact <= xs[0]:
            y = ys[0] + exact - xs[0]
        elif exact >= xs[-1]:
            y = ys[-1] + exact - xs[-1]
        else:
            k = max(i for i in range(len(xs)) if xs[i] <= exact)
            y = ys[k] + (exact - xs[k]) / (xs[k + 1] - xs[k]) * (ys[k + 1] - ys[k])
    info = np.iinfo(dtype)
    low, high = int(info.min), int(info.max)
    rounded = round(y)
    result = min(max(rounded, low), high)
    if nodata is not None and result == nodata:
        up = y >= nodata
        result += 1 if (up and result < high) or result == low else -1
    return result, rounded != min(max(rounded, low), high)


@st.composite
def curves(draw: st.DrawFn) -> Line | Curve:
    eighths = st.integers(-4000, 4000).map(lambda n: n / 8)
    if draw(st.booleans()):
        gain = draw(st.integers(1, 64)) / 16
        return Line(gain=gain, offset=draw(eighths))
    readings = sorted(draw(st.lists(eighths, min_size=2, max_size=12, unique=True)))
    becomes = sorted(draw(st.lists(eighths, min_size=len(readings), max_size=len(readings))))
    return Curve(readings=tuple(readings), becomes=tuple(becomes))


@settings(deadline=None)
@given(
    curves(),
    st.sampled_from(["uint8", "int8", "uint16", "int16", "int32"]),
    st.one_of(st.none(), st.integers(-130, 260)),
    st.lists(st.integers(-600, 600), min_size=1, max_size=30),
)
def test_whole_numbers_become_what_fractions_say(
    curve: Line | Curve, dtype: str, nodata: int | None, readings: list[int]
) -> None:
    kind = np.dtype(dtype)
    info = np.iinfo(kind)
    data = np.clip(readings, info.min, info.max).astype(kind)
    if nodata is not None and not info.min <= nodata <= info.max:
        nodata = None
    wanted, outside = [], 0
    for x in data.tolist():
        y, out = plainly(curve, x, kind, nodata)
        wanted.append(y)
        outside += out
    found, clipped = changed(Colour(bands=(curve,), nodata=nodata), data[None], dtype)
    # A third of a reading is no float: halves that are none by a bit may round the other way.
    different = found[0, 0].astype(int) - np.array(wanted)
    if isinstance(curve, Line):
        assert not different.any()
        assert clipped == outside
    else:
        assert abs(different).max() <= (1 if nodata is None else 2)
        assert (different != 0).mean() < 0.5


@settings(deadline=None)
@given(curves(), st.lists(st.floats(-600, 600, width=32), min_size=2, max_size=40))
def test_floating_readings_follow_the_curve_and_keep_their_order(
    curve: Line | Curve, readings: list[float]
) -> None:
    data = np.sort(np.array(readings, np.float32))
    found, _ = changed(Colour(bands=(curve,), nodata=None), data[None], "float32")
    wanted = curve.at(data.astype(np.float64))
    assert found[0, 0] == pytest.approx(wanted, rel=1e-6, abs=1e-4)
    assert (np.diff(found[0, 0]) >= 0).all()


LOCAL = Local(
    cell=8,
    brightness=0.7,
    contrast=0.6,
    means=np.array([[[50.0, 90.0, 70.0], [40.0, 100.0, 60.0]]]),
    deviations=np.array([[[5.0, 12.0, 9.0], [6.0, 0.0, 10.0]]]),
    mean=(70.0,),
    deviation=(10.0,),
)


def wallis(x: float, row: int, col: int, local: Local) -> float:
    """Wallis' formula at one pixel, written out."""

    def at(values: Any) -> float:
        rows, cols = values.shape
        v = min(max((row + 0.5) / local.cell - 0.5, 0), rows - 1)
        h = min(max((col + 0.5) / local.cell - 0.5, 0), cols - 1)
        r, c = int(v), int(h)
        r1, c1 = min(r + 1, rows - 1), min(c + 1, cols - 1)
        top = values[r, c] * (1 - (h - c)) + values[r, c1] * (h - c)
        bottom = values[r1, c] * (1 - (h - c)) + values[r1, c1] * (h - c)
        return float(top * (1 - (v - r)) + bottom * (v - r))

    m, s = at(local.means[0]), at(local.deviations[0])
    b, c, m0, s0 = local.brightness, local.contrast, local.mean[0], local.deviation[0]
    return (x - m) * c * s0 / (c * s + (1 - c) * s0) + b * m0 + (1 - b) * m


def test_the_local_adjustment_is_wallis() -> None:
    data = np.random.default_rng(3).normal(70, 12, (16, 24))
    colour = Colour(bands=(Line(gain=2.0, offset=-60.0),), nodata=None, local=LOCAL)
    found, _ = changed(colour, data, "float64")
    wanted = [[wallis(2 * data[r, c] - 60, r, c, LOCAL) for c in range(24)] for r in range(16)]
    assert found[0] == pytest.approx(np.array(wanted), rel=1e-12, abs=1e-9)


def test_contrast_is_raised_no_further_than_the_limit() -> None:
    flat = Local(
        cell=8,
        brightness=0.0,
        contrast=1.0,
        means=np.full((1, 1, 1), 100.0),
        deviations=np.zeros((1, 1, 1)),
        mean=(100.0,),
        deviation=(20.0,),
    )
    found, _ = changed(Colour(bands=(Line(),), nodata=None, local=flat), [[99, 100, 103]], "uint8")
    assert found[0, 0].tolist() == [100 - MOST_CONTRAST, 100, 100 + 3 * MOST_CONTRAST]


def test_a_band_without_deviation_is_not_adjusted_locally() -> None:
    still = Local(
        cell=8,
        brightness=1.0,
        contrast=1.0,
        means=np.full((1, 1, 1), 7.0),
        deviations=np.zeros((1, 1, 1)),
        mean=(7.0,),
        deviation=(0.0,),
    )
    found, _ = changed(Colour(bands=(Line(),), nodata=None, local=still), [[7, 7]], "uint8")
    assert found[0, 0].tolist() == [7, 7]


SEVERAL = Colour(
    bands=(
        Line(gain=1.37, offset=-11.0),
        Curve(readings=(0.0, 40.0, 90.5, 200.0), becomes=(3.0, 55.5, 80.0, 230.0)),
        Line(),
    ),
    nodata=0.0,
    local=Local(
        cell=8,
        brightness=0.9,
        contrast=0.7,
        means=np.random.default_rng(1).uniform(60, 140, (3, 5, 6)),
        deviations=np.random.default_rng(2).uniform(2, 30, (3, 5, 6)),
        mean=(100.0, 90.0, 110.0),
        deviation=(20.0, 25.0, 0.0),
    ),
)


@settings(deadline=None)
@given(st.data(), st.sampled_from(["uint8", "uint16", "float32", "int32"]))
def test_a_pixel_becomes_the_same_by_any_window(data: st.DataObject, dtype: str) -> None:
    rng = np.random.default_rng(7)
    image = rng.integers(1, 255, (3, 37, 45)).astype(dtype)
    valid = rng.random((37, 45)) < 0.9
    whole = image.copy()
    clipped = SEVERAL.apply(whole, valid, Window(0, 0, 37, 45))
    row, col = data.draw(st.integers(0, 36)), data.draw(st.integers(0, 44))
    height, width = data.draw(st.integers(1, 37 - row)), data.draw(st.integers(1, 45 - col))
    at = (slice(row, row + height), slice(col, col + width))
    # A part of a larger array, as readers give it.
    part = image.copy()
    SEVERAL.apply(part[(slice(None), *at)], valid[at], Window(row, col, height, width))
    assert np.array_equal(part[(slice(None), *at)], whole[(slice(None), *at)])
    part[(slice(None), *at)] = image[(slice(None), *at)]
    assert np.array_equal(part, image)
    assert clipped >= 0


def test_chosen_bands_become_what_they_become_among_all() -> None:
    image = np.random.default_rng(5).integers(1, 255, (3, 20, 20)).astype(np.uint8)
    valid = np.ones((20, 20), bool)
    whole, some = image.copy(), image[[2, 0]].copy()
    SEVERAL.apply(whole, valid, Window(3, 4, 20, 20))
    SEVERAL.select([2, 0]).apply(some, valid, Window(3, 4, 20, 20))
    assert np.array_equal(some, whole[[2, 0]])


def test_a_colour_can_be_pickled() -> None:
    image = np.random.default_rng(5).integers(1, 255, (3, 20, 20)).astype(np.uint16)
    again = image.copy()
    valid = np.ones((20, 20), bool)
    SEVERAL.apply(image, valid, Window(0, 0, 20, 20))
    pickle.loads(pickle.dumps(SEVERAL)).apply(again, valid, Window(0, 0, 20, 20))
    assert np.array_equal(image, again)


def test_the_wrong_number_of_bands_and_types_without_order_are_refused() -> None:
    with pytest.raises(ValueError, match="2 bands"):
        line(2, 0).apply(np.ones((2, 1, 1)), np.ones((1, 1), bool), Window(0, 0, 1, 1))
    with pytest.raises(ValueError, match="complex64"):
        line(2, 0).apply(
            np.ones((1, 1, 1), np.complex64), np.ones((1, 1), bool), Window(0, 0, 1, 1)
        )
