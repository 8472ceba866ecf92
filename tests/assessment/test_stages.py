"""Stages at their borders, tables of a person's own, and percents rounded down."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.assessment.stages import StageTable, integer_percent
from geoseg.errors import LabelError


@pytest.mark.parametrize(
    ("part", "whole", "stage"),
    [
        (0, 7, "I"),
        (195, 1000, "I"),  # 19.5 %
        (1999, 10000, "I"),
        (200, 1000, "II"),
        (399, 1000, "II"),
        (2, 5, "III"),
        (3, 5, "IV"),
        (4, 5, "V"),
        (959, 1000, "V"),  # 95.9 %
        (96, 100, "other"),
        (9, 9, "other"),
        (0, 0, "other"),
    ],
)
def test_agde_stages_at_their_borders(part: int, whole: int, stage: str) -> None:
    assert StageTable.agde().of(part, whole) == stage


def test_stages_keep_the_shape_of_shares() -> None:
    part, whole = np.array([[0.0, 20.0], [96.0, 0.0]]), np.array([[100.0, 100.0], [100.0, 0.0]])
    assert StageTable.agde().index(part, whole).tolist() == [[0, 1], [5, 5]]


def test_legend_of_stages_numbers_them_from_1_with_other_last() -> None:
    legend = StageTable.agde().legend()
    assert legend.ids == (1, 2, 3, 4, 5, 6)
    assert legend.names == ("I", "II", "III", "IV", "V", "other")


@given(st.integers(1, 2**45), st.data())
def test_percent_of_counts_is_that_of_whole_numbers(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    assert integer_percent(part, whole) == 100 * part // whole


def test_percent_of_parts_is_rounded_down_but_for_rounding_of_sums() -> None:
    third = 1 / 3
    # Six thirds and six tenths: sums that end beside 2 and 0.6.
    assert integer_percent(sum([third] * 6), 10 * third * 3) == 20
    assert integer_percent(0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1, 3.0) == 20
    assert integer_percent(0.6 - 1e-8, 3.0) == 19
    assert integer_percent(1.5 + 1e-12, 1.5) == 100


@given(st.integers(0, 400), st.integers(1, 400), st.sampled_from([8, 32, 100]))
def test_percent_of_quarter_pixels_is_the_exact_floor(part: int, more: int, unit: int) -> None:
    share = Fraction(part, part + more)
    found = integer_percent(part / unit, (part + more) / unit)
    assert found == int(100 * share)


def test_table_of_a_person_leaves_gaps_to_other(tmp_path: Path) -> None:
    table = tmp_path / "stages.csv"
    table.write_text("name;low;high\n".replace(";", ",") + "poor,0,10\n\ngood,50,100\n")
    stages = StageTable.parse(table)
    assert stages.of(np.array([10.9, 11.0, 50.0, 100.0]), np.full(4, 100.0)).tolist() == [
        "poor",
        "other",
        "good",
        "good",
    ]
    assert len(set(stages.legend().colors)) == 3


def test_table_takes_colours(tmp_path: Path) -> None:
    table = tmp_path / "stages.csv"
    table.write_text("name,low,high,colour\nall,0,100,#010203\n")
    assert StageTable.parse(table).stages[0].color == (1, 2, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no column 'name'"),
        ("name,low\na,1\n", "no column 'high'"),
        ("name,low,high\n", "holds no stage"),
        ("name,low,high\na,1,x\n", "line 2: low and high are whole percents"),
        ("name,low,high\na,1\n", "line 2: low and high"),
        ("name,low,high\na,20,10\n", "runs from 20 to 10"),
        ("name,low,high\na,0,101\n", "runs from 0 to 101"),
        ("name,low,high\na,0,20\nb,20,30\n", "20 % would be both 'a' and 'b'"),
        ("name,low,high\na,0,20\nA,21,30\n", "'a' must be given, and once"),
        ("name,low,high\nother,0,20\n", "is what belongs to no stage"),
        ("name,low,high,color\na,0,20,red\n", "line 2: 'red' is no colour"),
        ("name,low,high\n" + "x" * 200_000 + ",0,20\n", "is no table"),
    ],
)
def test_table_that_makes_no_sense_is_told_in_one_line(
    tmp_path: Path, content: str, words: str
) -> None:
    table = tmp_path / "stages.csv"
    table.write_text(content)
    with pytest.raises(LabelError, match=words) as told:
        StageTable.parse(table)
    assert "\n" not in str(told.value)


def test_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="give agde, or a CSV"):
        StageTable.parse(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(LabelError, match="no text in UTF-8"):
        StageTable.parse(tmp_path / "b.csv")
