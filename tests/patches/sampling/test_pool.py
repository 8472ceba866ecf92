"""What is known of patches, and which are left out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import DatasetError, OptionError
from geoseg.patches.sampling import Pool, make_sampler, restrict

COUNTS = np.array([[5, 0, 0], [6, 4, 0], [5, 5, 0], [0, 0, 10], [3, 3, 4], [0, 0, 0]], np.int64)
POOL = Pool(class_pixels=COUNTS, ids=(10, 20, 30), pixels=10)


def test_only_more_than_the_share_is_too_much() -> None:
    assert restrict(POOL, "10:0.5").tolist() == [True, False, True, True, True, True]


def test_classes_of_a_list_are_looked_at_one_by_one() -> None:
    assert restrict(POOL, "10, 20: 0.5").tolist() == [True, False, True, True, True, True]
    assert restrict(POOL, "10,20,30:0.5").tolist() == [True, False, True, False, True, True]


def test_several_restrictions_must_all_be_met() -> None:
    assert restrict(POOL, "10:0.5; 30:0.3").tolist() == [True, False, True, False, False, True]


def test_a_share_is_of_all_pixels_and_not_of_the_labelled_ones() -> None:
    assert restrict(Pool(class_pixels=COUNTS, ids=(10, 20, 30), pixels=20), "10:0.3").all()


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(0, 1000), min_size=1, max_size=20),
    share=st.decimals(0, 1, places=3),
)
def test_the_share_is_held_exactly(counts: list[int], share: object) -> None:
    pool = Pool(
        class_pixels=np.array([[n, 1] for n in counts] + [[0, 1]], np.int64),
        ids=(0, 1),
        pixels=1000,
    )
    keep = restrict(pool, f"0:{share}").tolist()
    assert keep == [not Fraction(n, 1000) > Fraction(str(share)) for n in counts] + [True]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("10", "give class ids and the share"),
        ("10:", "give class ids and the share"),
        (":0.5", "give class ids and the share"),
        ("water:0.5", "give class ids and the share"),
        ("10:1.5", "give class ids and the share"),
        ("10:1/0", "give class ids and the share"),
        ("10:-0.1", "give class ids and the share"),
        ("10:nan", "give class ids and the share"),
        ("10:0.5;", "give class ids and the share"),
        ("10,5:0.5", "--max-class-share: 5 is no class id; there are: 10, 20, 30"),
    ],
)
def test_a_restriction_without_meaning_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        restrict(POOL, text)


def test_a_restriction_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(DatasetError, match="leaves no labelled training patch"):
        restrict(POOL, "10,20,30:0")


def test_patches_without_any_label_are_not_for_a_restriction_to_complain_of() -> None:
    empty = Pool(class_pixels=np.zeros((2, 1), np.int64), ids=(1,), pixels=10)
    assert restrict(empty, "1:0.5").all()


def test_a_pool_needs_an_id_for_each_class() -> None:
    with pytest.raises(ValueError, match="no column for each of the 2 classes"):
        Pool(class_pixels=COUNTS, ids=(1, 2), pixels=10)


@pytest.mark.parametrize("value", [40, True, 10.0, "10", (10,)])
def test_what_is_no_id_is_no_class(value: object) -> None:
    with pytest.raises(OptionError, match="is no class id; there are: 10, 20, 30"):
        POOL.index(value, option="x")


def test_ids_are_found_each_once() -> None:
    assert POOL.indices((30, 10, 30), option="x") == [2, 0]
    assert POOL.indices(20, option="x") == [1]
    with pytest.raises(OptionError, match="x names no class"):
        POOL.indices((), option="x")


WHOLE = Pool(
    class_pixels=np.array([[1, 0], [0, 0], [0, 0]]),
    ids=(7, 8),
    pixels=10,
    known=np.array([True, True, False]),
)


def test_of_labels_of_whole_patches_those_known_to_hold_nothing_are_labelled() -> None:
    assert WHOLE.labelled.tolist() == [0, 1]


def test_pixels_of_labels_of_whole_patches_cannot_be_counted() -> None:
    with pytest.raises(OptionError, match="--max-class-share counts pixels"):
        restrict(WHOLE, "7:0.5")
    with pytest.raises(OptionError, match="--sampler balance counts pixels"):
        make_sampler("balance(positive=7)", WHOLE, 0)


def test_whole_patches_of_no_class_leave_equibatch_nothing_to_visit() -> None:
    empty = np.zeros((2, 2), np.int64)
    nothing = Pool(class_pixels=empty, ids=(7, 8), pixels=10, known=np.array([True, True]))
    assert sorted(make_sampler("random", nothing, 0).order(0).patches) == [0, 1]
    with pytest.raises(DatasetError, match="no training patch holds a class"):
        make_sampler("equibatch", nothing, 0)
    unknown = Pool(class_pixels=empty, ids=(7, 8), pixels=10, known=np.array([False, False]))
    with pytest.raises(DatasetError, match="no training patch has a label"):
        make_sampler("random", unknown, 0)
