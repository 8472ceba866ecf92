"""Samplers by name, and what all of them keep to."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from geoseg.errors import DatasetError, OptionError
from geoseg.patches.sampling import Pool, make_sampler, names

PIXELS = np.array([[3, 0], [0, 0], [0, 9], [1, 1], [0, 2]], np.int64)
POOL = Pool(class_pixels=PIXELS, ids=(7, 8), pixels=16)
EVERY = ["random", "equibatch", "oversample(classes=[7])", "balance(positive=7, ratio=0.8)"]


def test_every_sampler_is_tried_here() -> None:
    assert names() == tuple(sorted(text.partition("(")[0] for text in EVERY))


def test_random_visits_each_labelled_patch_once_in_ever_new_order() -> None:
    sampler = make_sampler("random", POOL, seed=4)
    orders = [sampler.order(epoch) for epoch in range(20)]
    assert all(sorted(order.patches.tolist()) == [0, 2, 3, 4] for order in orders)
    assert not any(order.turns.any() for order in orders)
    assert len({tuple(order.patches) for order in orders}) > 10


@pytest.mark.parametrize("text", EVERY)
def test_an_order_depends_on_seed_and_epoch_alone(text: str) -> None:
    pool = Pool(class_pixels=PIXELS.repeat(10, axis=0), ids=(7, 8), pixels=16)
    sampler = make_sampler(text, pool, seed=4)
    sampler.order(2)
    late = sampler.order(7)
    again = make_sampler(text, pool, seed=4).order(7)
    assert (again.patches == late.patches).all()
    assert (again.turns == late.turns).all()
    for other in (make_sampler(text, pool, seed=5).order(7), sampler.order(8)):
        assert other.patches.tolist() != late.patches.tolist()


@pytest.mark.parametrize("text", EVERY)
def test_patches_without_labels_are_never_visited(text: str) -> None:
    sampler = make_sampler(text, POOL, seed=0)
    visits = Counter(int(p) for epoch in range(9) for p in sampler.order(epoch).patches)
    assert set(visits) == {0, 2, 3, 4}


@pytest.mark.parametrize("text", EVERY)
def test_orders_are_what_a_batch_maker_takes(text: str) -> None:
    order = make_sampler(text, POOL, seed=0).order(0)
    assert order.patches.dtype == np.int64
    assert order.turns.dtype == np.uint8
    assert len(order.patches) == len(order.turns)


@pytest.mark.parametrize("text", EVERY)
def test_nothing_labelled_is_nothing_to_learn_from(text: str) -> None:
    empty = Pool(class_pixels=np.zeros((4, 2), np.int64), ids=(7, 8), pixels=16)
    with pytest.raises(DatasetError, match="nothing to learn"):
        make_sampler(text, empty, seed=0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("randm", "did you mean 'random'"),
        ("random(often=2)", "has no option 'often'"),
        ("random, random", "makes no sense there"),
        ("equibatch(length=0)", "length must be at least 1"),
        ("equibatch(length=2.5)", "length must be a whole number"),
        ("oversample", "needs its option 'classes'"),
        ("oversample(classes=[])", "names no class"),
        ("oversample(classes=[7, 9])", "9 is no class id; there are: 7, 8"),
        ("oversample(classes=7, times=0)", "times must be at least 1"),
        ("oversample(classes=7, times=9999)", "times must be at most 1000"),
        ("balance", "needs its option 'positive'"),
        ("balance(positive=1)", "1 is no class id"),
        ("balance(positive=7, ratio=0)", "ratio must be from"),
    ],
)
def test_a_sampler_without_meaning_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        make_sampler(text, POOL, seed=0)
