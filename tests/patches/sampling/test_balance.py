"""Positive and negative pixels brought to a ratio."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import DatasetError
from geoseg.patches.sampling import Order, Pool, make_sampler


def order(counts: list[tuple[int, int]], ratio: str, epoch: int = 0, seed: int = 0) -> Order:
    """Orders of patches with (negative, positive) pixels."""
    pool = Pool(class_pixels=np.array(counts, np.int64), ids=(0, 1), pixels=100)
    return make_sampler(f"balance(positive=1, ratio={ratio})", pool, seed).order(epoch)


def test_the_shares_of_the_paper_take_six_tenths_more_positives() -> None:
    # 5 positive patches and 8 negative ones: 38.46 % of the pixels are positive.
    counts = [(0, 100)] * 5 + [(100, 0)] * 8
    found = order(counts, "1")
    assert len(found) == 16
    assert sorted(found.patches[found.patches >= 5].tolist()) == list(range(5, 13))
    assert sorted(Counter(found.patches[found.patches < 5].tolist()).values()) == [1, 1, 2, 2, 2]
    assert not found.turns[found.patches >= 5].any()
    assert sorted(found.turns[found.patches < 5].tolist()) == [0] * 5 + [1] * 3


def test_who_is_repeated_once_more_changes_from_epoch_to_epoch() -> None:
    counts = [(0, 100)] * 5 + [(100, 0)] * 8
    repeated = {
        tuple(sorted(p for p, n in Counter(found.patches.tolist()).items() if n == 2))
        for found in (order(counts, "1", epoch) for epoch in range(20))
    }
    assert len(repeated) > 3


def test_copies_are_turned_further_and_further() -> None:
    found = order([(0, 10), (60, 0)], "1")
    assert sorted(found.turns[found.patches == 0].tolist()) == [0, 0, 1, 1, 2, 3]


def test_patches_with_more_negatives_than_the_ratio_allows_are_not_repeated() -> None:
    # 110 are missing, and a copy of the second patch brings 80: one copy leaves 30.
    found = order([(90, 10), (10, 90), (110, 0)], "1")
    assert Counter(found.patches.tolist()) == {0: 1, 1: 2, 2: 1}


def test_what_is_balanced_or_beyond_is_left_alone() -> None:
    assert sorted(order([(10, 90), (90, 10)], "1").patches.tolist()) == [0, 1]
    assert sorted(order([(0, 90), (90, 10)], "0.5").patches.tolist()) == [0, 1]


@settings(deadline=None)
@given(
    counts=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12),
    quarters=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_no_further_copy_would_bring_the_sums_nearer(
    counts: list[tuple[int, int]], quarters: int, seed: int
) -> None:
    counts = [*counts, (0, 40)]
    ratio = quarters / 4
    try:
        found = order(counts, f"{ratio:g}", seed=seed)
    except DatasetError:
        missing = sum(ratio * n - p for n, p in counts)
        assert missing > 100 * sum(max(p - ratio * n, 0) for n, p in counts)
        return
    times = Counter(found.patches.tolist())
    gains = [p - ratio * n for n, p in counts]
    labelled = [i for i, pair in enumerate(counts) if any(pair)]
    assert sorted(times) == labelled
    assert all(times[i] == 1 for i in labelled if gains[i] <= 0)
    repeated = [times[i] for i in labelled if gains[i] > 0]
    assert max(repeated) - min(repeated) <= 1
    left = -sum(times[i] * gains[i] for i in labelled)
    if left > 0 or len(found) > len(labelled):
        assert abs(left) <= max(gains) / 2 + 1e-9
        for i in labelled:
            if gains[i] > 0 and times[i] == min(repeated):
                assert abs(left - gains[i]) >= abs(left) - 1e-9


@pytest.mark.parametrize("counts", [[(50, 40)] * 3, [(0, 1), (100, 0), (100, 0)]])
def test_what_no_repetition_can_balance_is_refused(counts: list[tuple[int, int]]) -> None:
    with pytest.raises(DatasetError, match="class 1 cannot bring its pixels to 1 for each other"):
        order(counts, "1")
