"""Orders, batches of them, and parts of batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.patches.sampling import Order, batches, generator, part


def order_of(count: int, seed: int = 0) -> Order:
    random = np.random.default_rng(seed)
    return Order(random.permutation(count), random.integers(0, 4, count).astype(np.uint8))


@settings(deadline=None)
@given(count=st.integers(0, 200), size=st.integers(1, 50))
def test_batches_are_even_and_lose_nothing(count: int, size: int) -> None:
    order = order_of(count)
    cut = batches(order, size)
    assert len(cut) == -(-count // size)
    if cut:
        assert (np.concatenate([c.patches for c in cut]) == order.patches).all()
        assert (np.concatenate([c.turns for c in cut]) == order.turns).all()
        lengths = [len(c) for c in cut]
        assert max(lengths) <= size
        assert max(lengths) - min(lengths) <= 1
        assert all(c.places.tolist() == list(range(len(c))) for c in cut)


@settings(deadline=None)
@given(count=st.integers(0, 60), processes=st.integers(1, 9))
def test_parts_are_disjoint_whole_and_even(count: int, processes: int) -> None:
    order = order_of(count)
    parts = [part(order, rank, processes) for rank in range(processes)]
    lengths = [len(p) for p in parts]
    assert sum(lengths) == count
    assert max(lengths) - min(lengths) <= 1
    visits = [
        visit
        for p in parts
        for visit in zip(p.places.tolist(), p.patches.tolist(), p.turns.tolist(), strict=True)
    ]
    assert sorted(visits) == list(
        zip(range(count), order.patches.tolist(), order.turns.tolist(), strict=True)
    )


def test_an_order_of_unequal_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        Order(np.arange(3), np.zeros(2, np.uint8))


def test_an_order_may_leave_patches_unturned() -> None:
    order = Order.of(np.array([4, 2]))
    assert order.patches.tolist() == [4, 2]
    assert order.turns.tolist() == [0, 0]
    assert order.turns.dtype == np.uint8


def test_places_of_a_run_have_generators_of_their_own() -> None:
    places = [(), (0,), (0, 0), (0, 0, 0), (1,), (0, 1), (1, 0), (0, 0, 0, 0, 0), (0, 0, 2, 0, 0)]
    drawn = {float(generator(seed, *place).random()) for seed in (0, 1) for place in places}
    assert len(drawn) == 2 * len(places)
    assert generator(3, 1, 2).random() == generator(3, 1, 2).random()
