"""The rule of coverage, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.assessment.coverage.share import coverage_of_counts


def test_coverage_is_the_targets_share_of_all_but_the_excluded() -> None:
    # Stellera, grass, sky: 30 of 30 + 50.
    found = coverage_of_counts(np.array([30, 50, 20]), target=[0], excluded=[2])
    assert (found.part, found.whole, found.percent) == (30, 80, 37.5)


def test_places_have_a_coverage_each_and_none_where_nothing_counts() -> None:
    counts = np.array([[1, 1, 2], [0, 0, 9], [0, 0, 0]])
    found = coverage_of_counts(counts, target=[0, 1], excluded=[2])
    assert found.percent[0] == 100
    assert np.isnan(found.percent[1:]).all()


def test_no_share_is_above_the_whole_for_rounding() -> None:
    found = coverage_of_counts(np.array([0.1, 0.2, -1e-17]), target=[0, 1])
    assert found.percent == 100


def test_a_class_cannot_be_both() -> None:
    with pytest.raises(ValueError, match="both"):
        coverage_of_counts(np.array([1, 2]), target=[0], excluded=[0])
