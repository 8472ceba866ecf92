"""Many dates to one, against numpy and by hand."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.compositing.reduce import Reduction, reduce_dates, sorting_network
from geoseg.errors import OptionError

MEDIAN = Reduction()
MEAN = Reduction(method="mean")
MEDOID = Reduction(method="medoid")


def as_nan(data, valid, kind=np.float64):
    return np.where(valid[:, None], data.astype(kind), np.nan)


def quietly(function, *arguments, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "All-NaN slice encountered"
        return function(*arguments, axis=0, **more)


TYPES = st.sampled_from(["float32", "uint16", "int16"])


@st.composite
def stacks(draw, values=None):
    kind = draw(TYPES)
    dates, bands = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    rows, cols = draw(st.integers(1, 3)), draw(st.integers(1, 90))
    if kind == "float32":
        elements = st.floats(-(2.0**99), 2.0**99, width=32) if values is None else values
    else:
        limits = np.iinfo(kind)
        elements = st.integers(int(limits.min), int(limits.max))
    data = draw(hnp.arrays(kind, (dates, bands, rows, cols), elements=elements))
    valid = draw(hnp.arrays(bool, (dates, rows, cols)))
    return data, valid


@settings(max_examples=60, deadline=None)
@given(stacks())
def test_median_equals_numpys_to_the_bit(stack):
    data, valid = stack
    kind = np.float32 if data.dtype == np.float32 else np.float64
    expected = quietly(np.nanmedian, as_nan(data, valid, kind)).astype(np.float32)
    values, counts = reduce_dates(data, valid, MEDIAN)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(counts, valid.sum(axis=0))


@settings(max_examples=60, deadline=None)
@given(stacks(), st.floats(0, 100))
def test_percentile_equals_numpys(stack, percentile):
    data, valid = stack
    oracle = quietly(np.nanpercentile, as_nan(data, valid), q=percentile)
    values, _ = reduce_dates(data, valid, Reduction(method="percentile", percentile=percentile))
    np.testing.assert_allclose(values, oracle.astype(np.float32), rtol=1e-6, atol=1e-30)


@settings(max_examples=40, deadline=None)
@given(stacks())
def test_mean_equals_numpys_of_float64(stack):
    data, valid = stack
    values, _ = reduce_dates(data, valid, MEAN)
    oracle = quietly(np.nanmean, as_nan(data, valid))
    scale = np.abs(data.astype(float)).max()
    least = float(np.finfo(np.float32).smallest_subnormal)  # what rounding to float32 may take
    np.testing.assert_allclose(values, oracle, rtol=1e-6, atol=1e-6 * scale + least)


@settings(max_examples=30, deadline=None)
@given(stacks(values=st.integers(-50, 50).map(float)))
def test_medoid_is_the_first_most_central_date(stack):
    data, valid = stack
    values, _ = reduce_dates(data, valid, MEDOID)
    dates, bands, rows, cols = data.shape
    for r, c in itertools.product(range(rows), range(cols)):
        there = [data[d, :, r, c].astype(float) for d in range(dates) if valid[d, r, c]]
        found = values[:, r, c].astype(float)
        if not there:
            assert np.isnan(found).all()
            continue
        sums = [sum(np.sqrt(((a - b) ** 2).sum()) for b in there) for a in there]
        nearly = [d for d, s in zip(there, sums, strict=True) if s <= min(sums) * (1 + 1e-9)]
        if bands == 1:  # sums are exact, and so are ties
            nearly = nearly[:1]
        assert any(np.array_equal(found, date) for date in nearly)


def test_medoid_takes_all_bands_of_one_date():
    # The median of each band would be (1, 1), which is no date's.
    data = np.array([[0, 1], [1, 9], [2, 0]], np.float32)[:, :, None, None]
    values, counts = reduce_dates(data, np.ones((3, 1, 1), bool), MEDOID)
    # Sums of distances: √65 + √5, √65 + √82, √5 + √82.
    assert values.ravel().tolist() == [0, 1]
    assert counts.item() == 3


@pytest.mark.parametrize("dates", [40, 365])
def test_any_number_of_dates(dates):
    rng = np.random.default_rng(dates)
    data = rng.integers(0, 65536, (dates, 2, 3, 70)).astype(np.uint16)
    valid = rng.random((dates, 3, 70)) < 0.4
    values, counts = reduce_dates(data, valid, MEDIAN)
    expected = quietly(np.nanmedian, as_nan(data, valid)).astype(np.float32)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(counts, valid.sum(axis=0))


def test_even_counts_take_the_mean_of_the_middle_two_and_none_is_nan():
    data = np.array([3, 65535, 4, 9], np.uint16).reshape(4, 1, 1, 1)
    for chosen, expected in (
        ((1, 1, 1, 1), 6.5),
        ((1, 0, 1, 0), 3.5),
        ((0, 1, 0, 0), 65535),
        ((1, 1, 0, 1), 9),
    ):
        valid = np.array(chosen, bool).reshape(4, 1, 1)
        assert reduce_dates(data, valid, MEDIAN)[0].item() == expected
    values, counts = reduce_dates(data, np.zeros((4, 1, 1), bool), MEDIAN)
    assert np.isnan(values.item())
    assert counts.item() == 0


def test_nothing_invalid_is_looked_at():
    data = np.array([np.nan, 2, np.inf, -np.inf], np.float32).reshape(4, 1, 1, 1)
    valid = np.array([0, 1, 0, 0], bool).reshape(4, 1, 1)
    for reduction in (MEDIAN, MEAN, MEDOID, Reduction(method="percentile", percentile=90)):
        assert reduce_dates(data, valid, reduction)[0].item() == 2


def test_scale_and_offset_come_last_and_are_rounded_once():
    data = np.array([[7273, 9000], [7274, 9001]], np.uint16)[:, :, None, None]
    valid = np.ones((2, 1, 1), bool)
    scales, offsets = (0.0000275, 0.1), (-0.2, 149.0)
    values, _ = reduce_dates(data, valid, MEDIAN, scales=scales, offsets=offsets)
    expected = [np.float32(7273.5 * 0.0000275 - 0.2), np.float32(9000.5 * 0.1 + 149)]
    assert values.ravel().tolist() == expected


@pytest.mark.parametrize("reduction", [MEDIAN, MEAN, MEDOID], ids=str)
def test_any_number_of_threads_gives_the_same_bits(reduction):
    rng = np.random.default_rng(3)
    data = rng.normal(size=(7, 2, 37, 41)).astype(np.float32)
    valid = rng.random((7, 37, 41)) < 0.6
    alone = reduce_dates(data, valid, reduction)
    for workers in (2, 5, 64):
        together = reduce_dates(data, valid, reduction, workers=workers)
        assert together[0].tobytes() == alone[0].tobytes()
        assert together[1].tobytes() == alone[1].tobytes()


@pytest.mark.parametrize("number", range(1, 11))
def test_networks_sort_what_is_wanted(number):
    # A network that sorts all sequences of zeros and ones sorts everything (Knuth, 5.3.4).
    every = np.array(list(itertools.product((0, 1), repeat=number)))
    for wanted in range(1, number + 1):
        values = every.copy()
        for one, other in sorting_network(number, wanted):
            low = np.minimum(values[:, one], values[:, other])
            values[:, other] = np.maximum(values[:, one], values[:, other])
            values[:, one] = low
        np.testing.assert_array_equal(values[:, :wanted], np.sort(every, axis=1)[:, :wanted])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"method": "mode"}, "“mode” is not known; there are: median, mean"),
        ({"method": "percentile"}, "say --method percentile --percentile 25"),
        ({"percentile": 25.0}, "say --method percentile --percentile 25"),
        ({"method": "percentile", "percentile": 101.0}, "101 does not lie between 0 and 100"),
        ({"method": "percentile", "percentile": float("nan")}, "nan does not lie"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, says):
    with pytest.raises(OptionError, match=says):
        Reduction(**settings)


def test_more_dates_than_can_be_counted_are_refused():
    data = np.zeros((65536, 1, 1, 1), np.uint16)
    with pytest.raises(OptionError, match="65536 dates are more than can be counted"):
        reduce_dates(data, np.ones((65536, 1, 1), bool), MEDIAN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": np.zeros((2, 1, 3, 4), np.float64)},
        {"data": np.zeros((2, 1, 4, 3), np.uint16)},
        {"data": np.zeros((2, 1, 3, 8), np.uint16)[..., ::2]},
        {"valid": np.ones((2, 3, 4), np.uint8)},
        {"scales": (1.0, 2.0)},
    ],
)
def test_arrays_of_another_kind_are_refused(wrong):
    right = {"data": np.zeros((2, 1, 3, 4), np.uint16), "valid": np.ones((2, 3, 4), bool)}
    with pytest.raises(ValueError, match=r"shape|of|contiguous|band"):
        reduce_dates(**(right | wrong), reduction=MEDIAN)
