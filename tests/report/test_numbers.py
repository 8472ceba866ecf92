"""Numbers as a page writes them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.report.numbers import count, duration, percent, score, setting, short_count, signed


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "0.123"), (1.0, "1.000"), (math.nan, "–"), (None, "–")]
)
def test_score_has_three_decimals_or_a_dash(value: float | None, text: str) -> None:
    assert score(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0124, "+0.012"), (-0.0031, "−0.003"), (-0.0001, "0.000"), (None, "–"), (math.nan, "–")],
)
def test_signed_shows_the_sign_of_what_is_seen(value: float | None, text: str) -> None:
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0 %"),
        (1e-9, "<0.1 %"),
        (0.1234, "12.3 %"),
        (0.99999, ">99.9 %"),
        (1.0, "100.0 %"),
        (None, "–"),
    ],
)
def test_only_nothing_is_0_percent_and_only_all_is_100(value: float | None, text: str) -> None:
    assert plain(percent(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (59.7, "1 min 00 s"),
        (258.2, "4 min 18 s"),
        (3599.6, "1 h 00 min"),
        (11100, "3 h 05 min"),
    ],
)
def test_duration_has_its_two_largest_units(value: float, text: str) -> None:
    assert plain(duration(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (9949, "9.9k"),
        (9950, "10k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (288_573, "289k"),
    ],
)
def test_short_count_rounds(value: int, text: str) -> None:
    assert short_count(value) == text
    assert count(1234567) == "1,234,567"


@given(st.integers(0, 10**15))
def test_short_count_is_short_and_near(value: int) -> None:
    text = short_count(value)
    unit = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(text[-1], 1.0)
    assert len(text) <= 5
    assert float(text.rstrip("kMGT")) * unit == pytest.approx(value, rel=0.051)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ({}, "–"),
        (True, "yes"),
        (0, "0"),
        (0.001, "0.001"),
        ({"widths": [16, 32], "norm": False}, "widths=16, 32, norm=no"),
    ],
)
def test_settings_are_written_for_people(value: object, text: str) -> None:
    assert setting(value) == text
