"""Orders of patches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import DatasetError, OptionError
from geoseg.patches.sampling import batches, generator, make_sampler

PIXELS = np.array([[3, 0], [0, 0], [0, 9], [1, 1], [0, 2]], np.int64)


def test_random_visits_each_labelled_patch_once_in_ever_new_order() -> None:
    sampler = make_sampler("random", PIXELS, seed=4)
    orders = [sampler.order(epoch).tolist() for epoch in range(20)]
    assert all(sorted(order) == [0, 2, 3, 4] for order in orders)
    assert len({tuple(order) for order in orders}) > 10


def test_an_order_depends_on_seed_and_epoch_alone() -> None:
    sampler = make_sampler("random", PIXELS.repeat(10, axis=0), seed=4)
    late = sampler.order(7)
    again = make_sampler("random", PIXELS.repeat(10, axis=0), seed=4)
    assert (again.order(7) == late).all()
    other = make_sampler("random", PIXELS.repeat(10, axis=0), seed=5)
    assert (other.order(7) != late).any()


@given(count=st.integers(0, 200), size=st.integers(1, 50))
def test_batches_are_even_and_lose_nothing(count: int, size: int) -> None:
    order = np.random.default_rng(0).permutation(count)
    cut = batches(order, size)
    assert len(cut) == -(-count // size)
    if cut:
        assert (np.concatenate(cut) == order).all()
        lengths = [len(c) for c in cut]
        assert max(lengths) <= size
        assert max(lengths) - min(lengths) <= 1


def test_places_of_a_run_have_generators_of_their_own() -> None:
    places = [(), (0,), (0, 0), (0, 0, 0), (1,), (0, 1), (1, 0)]
    drawn = {float(generator(seed, *place).random()) for seed in (0, 1) for place in places}
    assert len(drawn) == 2 * len(places)
    assert generator(3, 1, 2).random() == generator(3, 1, 2).random()


def test_nothing_labelled_is_nothing_to_learn_from() -> None:
    with pytest.raises(DatasetError, match="nothing to learn"):
        make_sampler("random", np.zeros((4, 2), np.int64), seed=0)


@pytest.mark.parametrize("text", ["randm", "random(often=2)", "random, random"])
def test_a_sampler_without_meaning_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        make_sampler(text, PIXELS, seed=0)
