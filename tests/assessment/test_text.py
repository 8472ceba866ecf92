from __future__ import annotations

import math

import pytest

from geoseg.assessment.text import (
    display_width,
    file_name,
    file_size,
    number,
    pairs,
    percent,
    score,
    table,
)


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.0, "0.0 %"),
        (0.0004, "<0.1 %"),
        (0.0005, "0.1 %"),
        (0.5, "50.0 %"),
        (0.99949, "99.9 %"),
        (0.9996, ">99.9 %"),
        (1.0, "100.0 %"),
        (math.nan, "–"),
    ],
)
def test_percent_says_nothing_and_all_only_where_they_are(share: float, told: str) -> None:
    assert percent(share) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0, "0"),
        (-9999.0, "-9999"),
        (65535.0, "65535"),
        (0.0000275, "2.750e-05"),
        (1143.9, "1143.9"),
        (1.5e9, "1500000000"),
        (1.5e9 + 0.5, "1.500e+09"),
        (math.nan, "–"),
        (math.inf, "inf"),
    ],
)
def test_number_is_short(value: float, told: str) -> None:
    assert number(value) == told


def test_score_has_four_decimals_or_a_dash() -> None:
    assert [score(v) for v in (1.0, -0.25, 0.66666, math.nan)] == [
        "1.0000",
        "-0.2500",
        "0.6667",
        "–",
    ]


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2_900_000, "2.9 MB"), (10**13, "10 TB")],
)
def test_file_size_is_in_powers_of_a_thousand(size: int, told: str) -> None:
    assert file_size(size) == told


def test_table_aligns_names_in_any_script() -> None:
    lines = table(["id", "class"], [["1", "草地"], ["12", "forêt"]], right=[True, False])
    assert lines == ["  id  class", "   1  草地", "  12  forêt"]
    wide = table(["class", "n"], [["草地", "1"], ["foret\u0302", "22"]], right=[False, True])
    assert {display_width(line) for line in wide} == {11}


def test_pairs_keep_the_column_of_a_value_of_several_lines() -> None:
    assert pairs([("a", "1"), ("bcd", "2\n3")]) == ["  a    1", "  bcd  2", "       3"]


def test_file_name_hides_folders_and_queries() -> None:
    assert file_name("/home/me/map.tif") == "map.tif"
    assert file_name("https://host/a/map.tif?token=secret") == "map.tif"
