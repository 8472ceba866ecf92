"""Mean, deviation and median of maps that come in parts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.inference.cam.statistics import MapMoments, exact_medians

VALUES = arrays(
    np.float32,
    st.tuples(st.just(2), st.integers(1, 40)),
    elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
)


@given(VALUES, st.integers(0, 40))
def test_moments_are_those_of_all_parts_together(values: np.ndarray, cut: int) -> None:
    moments = MapMoments(2)

    moments.add(values[:, :cut])
    moments.add(values[:, cut:])

    wide = values.astype(float)
    assert moments.count == values.shape[1]
    np.testing.assert_allclose(moments.mean, wide.mean(axis=1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moments.std, wide.std(axis=1), rtol=1e-6, atol=1e-6)


def test_moments_do_not_cancel_far_from_zero() -> None:
    moments = MapMoments(1)
    for part in range(4):
        moments.add(np.array([[1e6 + part, 1e6 + part + 1]], np.float32))

    assert moments.std[0] == np.std([0, 1, 1, 2, 2, 3, 3, 4])


@given(VALUES, st.integers(1, 40), st.integers(0, 2**31))
def test_medians_are_exact(values: np.ndarray, part: int, seed: int) -> None:
    gaps = np.random.default_rng(seed).random(values.shape) < 0.3
    given_values = np.where(gaps, np.float32(np.nan), values)
    blocks = [given_values[:, i : i + part] for i in range(0, values.shape[1], part)]

    found = exact_medians(lambda: blocks, 2)

    for number in (0, 1):
        left = given_values[number][~gaps[number]].astype(float)
        expected = np.median(left) if len(left) else np.nan
        np.testing.assert_equal(found[number], expected)


def test_median_of_both_signs_and_zeros() -> None:
    values = np.array([[-2, -0.0, 0.0, 3]], np.float32)

    assert exact_medians(lambda: [values], 1).tolist() == [0]


def test_the_two_in_the_middle_may_lie_far_apart() -> None:
    values = np.array([[-1000, -1000, 1e-30, 7]], np.float32)

    assert exact_medians(lambda: [values], 1)[0] == (-1000 + float(np.float32(1e-30))) / 2
