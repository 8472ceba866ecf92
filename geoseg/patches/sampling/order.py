"""A sequence of patches, cut into batches, and batches shared out among processes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Stands for 0, 1, 2 … of whatever length.
_COUNTED = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Order:
    """Patches in the order in which they are visited, and how each is turned.

    Raises
    ------
    ValueError
        The arrays are not of one length.
    """

    patches: NDArray[np.int64]
    """(visits,) number of the patch."""
    turns: NDArray[np.uint8]
    """(visits,) quarter turns against the clock (``numpy.rot90``), done before augmentation."""
    places: NDArray[np.int64] = field(default_factory=lambda: _COUNTED)
    """(visits,) place of each within its batch, from which its augmentation is drawn: 0, 1, 2 …
    unless the batch is a part of a larger one.
    """

    def __post_init__(self) -> None:
        if self.places is _COUNTED:
            object.__setattr__(self, "places", np.arange(len(self.patches), dtype=np.int64))
        if not len(self.patches) == len(self.turns) == len(self.places):
            raise ValueError("patches, turns and places of an order differ in length")

    def __len__(self) -> int:
        return len(self.patches)

    @classmethod
    def of(cls, patches: NDArray[np.int64]) -> Order:
        """Visit patches as they are, unturned."""
        return cls(np.asarray(patches, np.int64), np.zeros(len(patches), np.uint8))


def batches(order: Order, batch_size: int) -> list[Order]:
    """Cut an order into batches of at most `batch_size`, all of the same length or one less.

    Even lengths instead of a short last batch, whose batch-norm statistics would be poor and whose
    patches would weigh more than others.
    """
    count = -(-len(order) // batch_size)
    if count == 0:
        return []
    cut = (np.array_split(each, count) for each in (order.patches, order.turns))
    return [Order(patches, turns) for patches, turns in zip(*cut, strict=True)]


def part(batch: Order, rank: int, processes: int) -> Order:
    """Return what one of several processes takes of a batch: each `processes`-th, from its rank on.

    The parts of all ranks hold every visit exactly once and differ in length by one at most; a
    batch smaller than the number of processes leaves some without any. Visits keep their place in
    the whole batch, so that they are augmented as they would be in one process.
    """
    chosen = slice(rank, None, processes)
    return Order(batch.patches[chosen], batch.turns[chosen], batch.places[chosen])


def generator(seed: int, *place: int) -> np.random.Generator:
    """Return a random generator of its own for a place in a run.

    Streams of different seeds or places are independent. An order is drawn at (epoch,), the
    augmentation of a visit at (epoch, batch, 0, 0, place in the batch), which of its labels count
    at (epoch, batch, 0, 1, place in the batch), a step's dropout at (epoch, batch, 0). `equibatch`
    draws what outlives an epoch at (0, 0, 2, …).
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))
