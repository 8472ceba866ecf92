from __future__ import annotations

import numpy as np
import pytest

from geoseg.assessment.confusion import Confusion
from geoseg.assessment.measures.stagetable import StageScores, stage_scores, stages_of_units
from geoseg.assessment.stages import StageTable

AGDE = StageTable.agde()
NAMES = ("I", "II", "III", "IV", "V", "other")
# 800 photographs, 100/200/200/200/100 a stage, of which 90/88/96/85/84 % are right.
COUNTS = np.array(
    [
        [90, 7, 2, 0, 0, 1],
        [10, 176, 12, 2, 0, 0],
        [0, 5, 192, 3, 0, 0],
        [0, 0, 15, 170, 12, 3],
        [0, 0, 0, 12, 84, 4],
        [0, 0, 0, 0, 0, 0],
    ]
)


def table_of(counts: np.ndarray) -> StageScores:
    # Through lists of units, as they come from photographs.
    pairs = [(i, j) for i in range(6) for j in range(6) for _ in range(counts[i, j])]
    true, found = np.array(pairs, np.uint8).T
    return stage_scores(np.ascontiguousarray(true), np.ascontiguousarray(found), AGDE)


def test_table_of_success_and_error_rates_is_rebuilt_from_counts() -> None:
    got = table_of(COUNTS)
    assert got.names == NAMES
    assert got.totals.tolist() == [100, 200, 200, 200, 100, 0]
    assert got.success[:5].tolist() == [0.90, 0.88, 0.96, 0.85, 0.84]
    assert got.average == pytest.approx((0.90 + 0.88 + 0.96 + 0.85 + 0.84) / 5)
    assert got.overall == pytest.approx(712 / 800)
    rates = np.round(100 * got.errors, 1)
    np.testing.assert_array_equal(rates[0], [np.nan, 70, 20, 0, 0, 10])
    np.testing.assert_array_equal(rates[1], [41.7, np.nan, 50, 8.3, 0, 0])
    np.testing.assert_array_equal(rates[2], [0, 62.5, np.nan, 37.5, 0, 0])
    np.testing.assert_array_equal(rates[3], [0, 0, 50, np.nan, 40, 10])
    np.testing.assert_array_equal(rates[4], [0, 0, 0, 75, np.nan, 25])
    assert np.nansum(got.errors[:5], axis=1) == pytest.approx([1] * 5)


def test_stage_without_units_or_without_errors_has_no_rates() -> None:
    got = StageScores(names=NAMES, confusion=Confusion(np.diag([3, 0, 0, 0, 0, 1]), np.zeros(6)))
    assert got.success[0] == 1
    assert np.isnan(got.success[1])
    assert np.isnan(got.errors).all()
    # "other" is no stage of the table.
    assert got.average == 1


def test_stages_of_units_are_of_scored_pixels() -> None:
    # Classes: grass, SC, sky. Rows: true, unpredicted, predicted, right.
    units = np.array(
        [
            [[80, 20, 40], [0, 30, 0], [81, 19, 40], [80, 19, 40]],  # 20 % is II, 19 % is I
            [[0, 0, 50], [0, 0, 0], [0, 0, 50], [0, 0, 50]],  # sky alone: other
            [[4, 96, 0], [0, 0, 0], [5, 95, 0], [4, 95, 0]],  # 96 % is other, 95 % is V
        ]
    )
    got = stages_of_units(units, AGDE, [1], [2], unpredicted_is_wrong=False)
    assert [NAMES[i] for i in got.true] == ["II", "other", "other"]
    assert [NAMES[i] for i in got.found] == ["I", "other", "V"]
    assert got.mean_error == pytest.approx(1)
    # With what was not predicted, 50 of 130 are SC.
    got = stages_of_units(units, AGDE, [1], [2], unpredicted_is_wrong=True)
    assert got.true_percent[0] == pytest.approx(100 * 50 / 130)


def test_units_without_a_prediction_are_no_success_of_other() -> None:
    units = np.array(
        [
            [[80, 20, 0], [0, 0, 0], [80, 20, 0], [80, 20, 0]],
            [[0, 0, 0], [60, 40, 0], [0, 0, 0], [0, 0, 0]],  # nothing predicted
        ]
    )
    got = stages_of_units(units, AGDE, [1], [2], unpredicted_is_wrong=False)
    assert [NAMES[i] for i in got.true] == ["II", "other"]
    assert got.scores.totals.tolist() == [0, 1, 0, 0, 0, 0]
    got = stages_of_units(units, AGDE, [1], [2], unpredicted_is_wrong=True)
    assert got.scores.totals.tolist() == [0, 1, 1, 0, 0, 0]
    assert got.scores.overall == 0.5
    nothing = stages_of_units(units[1:], AGDE, [1], [2], unpredicted_is_wrong=False)
    assert nothing.scores.totals.sum() == 0
    assert np.isnan(nothing.scores.overall)
