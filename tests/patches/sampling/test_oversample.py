"""Copies of patches with rare classes."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.patches.sampling import Pool, make_sampler


def visits(text: str, counts: list[list[int]], seed: int = 0) -> Counter[tuple[int, int]]:
    pixels = np.array(counts, np.int64)
    pool = Pool(class_pixels=pixels, ids=tuple(range(1, pixels.shape[1] + 1)), pixels=100)
    order = make_sampler(text, pool, seed).order(seed)
    return Counter(zip(order.patches.tolist(), order.turns.tolist(), strict=True))


def test_a_patch_with_any_pixel_of_a_rare_class_is_added_three_times_turned() -> None:
    found = visits("oversample(classes=[2, 3])", [[9, 0, 0], [9, 1, 0], [0, 1, 1], [0, 0, 0]])
    turned = {(p, t) for p in (1, 2) for t in range(4)}
    assert found == Counter({(0, 0), *turned})


def test_further_copies_are_turned_from_the_start() -> None:
    found = visits("oversample(classes=1, times=5)", [[1]])
    assert found == {(0, 0): 2, (0, 1): 2, (0, 2): 1, (0, 3): 1}


@settings(deadline=None)
@given(
    rare=st.lists(st.booleans(), min_size=1, max_size=30),
    times=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_counts_are_those_of_the_paper(rare: list[bool], times: int, seed: int) -> None:
    found = visits(f"oversample(classes=2, times={times})", [[5, int(r)] for r in rare], seed)
    assert found.total() == len(rare) + times * sum(rare)
