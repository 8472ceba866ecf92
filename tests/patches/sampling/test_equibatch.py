"""Each class in turn."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.patches.sampling import Pool, make_sampler

counts_of_pixels = st.integers(1, 5).flatmap(
    lambda classes: st.lists(
        st.lists(st.sampled_from([0, 0, 0, 1, 7]), min_size=classes, max_size=classes),
        min_size=1,
        max_size=12,
    ).filter(lambda rows: any(map(any, rows)))
)


def orders(
    counts: list[list[int]], length: int | None, seed: int, epochs: int
) -> list[NDArray[np.int64]]:
    pixels = np.array(counts, np.int64)
    pool = Pool(class_pixels=pixels, ids=tuple(range(pixels.shape[1])), pixels=100)
    text = "equibatch" if length is None else f"equibatch(length={length})"
    sampler = make_sampler(text, pool, seed)
    return [sampler.order(epoch).patches for epoch in range(epochs)]


@settings(deadline=None)
@given(
    counts=counts_of_pixels,
    length=st.one_of(st.none(), st.integers(1, 40)),
    seed=st.integers(0, 999),
)
def test_every_window_of_as_many_patches_as_classes_shows_each_class(
    counts: list[list[int]], length: int | None, seed: int
) -> None:
    # Within epochs and from one to the next.
    visits = np.concatenate(orders(counts, length, seed, 5)).tolist()
    present = {c for row in counts for c, n in enumerate(row) if n}
    for start in range(len(visits) - len(present) + 1):
        window = visits[start : start + len(present)]
        assert present == {c for p in window for c, n in enumerate(counts[p]) if n}


@settings(deadline=None)
@given(
    counts=counts_of_pixels,
    length=st.one_of(st.none(), st.integers(1, 40)),
    seed=st.integers(0, 999),
)
def test_patches_of_a_class_are_all_drawn_before_any_is_drawn_again(
    counts: list[list[int]], length: int | None, seed: int
) -> None:
    visits = np.concatenate(orders(counts, length, seed, 5)).tolist()
    present = {c for row in counts for c, n in enumerate(row) if n}
    # Which place of the cycle is whose: some assignment must fit, one class a place.
    lists = {c: [p for p, row in enumerate(counts) if row[c]] for c in present}

    def fits(place: int, c: int) -> bool:
        drawn, held = visits[place :: len(present)], len(lists[c])
        rounds = [drawn[at : at + held] for at in range(0, len(drawn), held)]
        return all(set(r) <= set(lists[c]) and len(set(r)) == len(r) for r in rounds)

    def assignable(place: int, left: frozenset[int]) -> bool:
        return not left or any(fits(place, c) and assignable(place + 1, left - {c}) for c in left)

    assert assignable(0, frozenset(present))


def test_an_epoch_is_as_long_as_there_are_labelled_patches_or_as_asked() -> None:
    counts = [[1, 0], [0, 0], [0, 1], [1, 1]]
    assert [len(o) for o in orders(counts, None, 0, 3)] == [3, 3, 3]
    assert [len(o) for o in orders(counts, 7, 0, 3)] == [7, 7, 7]


def test_a_class_in_one_patch_alone_is_visited_as_often_as_one_in_all() -> None:
    counts = [[9, 1], *[[10, 0]] * 99]
    (visits,) = orders(counts, 1000, 3, 1)
    drawn = Counter(visits.tolist())
    # 500 visits for the rare class, and 5 for each patch of the frequent one.
    assert drawn[0] == 505
    assert {n for p, n in drawn.items() if p} == {5}
