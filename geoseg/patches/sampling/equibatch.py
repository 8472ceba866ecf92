"""Every class as often as every other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import DatasetError
from geoseg.patches.options import whole
from geoseg.patches.sampling.order import Order, generator
from geoseg.patches.sampling.pool import Pool
from geoseg.patches.sampling.registry import register


@register("equibatch")
class Equibatch:
    """Visit the classes in turn, each with a patch that holds at least one pixel of it.

    The deepglobe paper's sampling: patches are drawn by cycling over the classes, so that every
    |C| consecutive patches visit each class at least once, be it within a cycle or across two. C
    are the classes that any patch holds; one that none holds has no turn.

    The paper leaves open what is drawn for a class. Decision: its patches without replacement, in
    a random order, and when all have been seen, all again in a new one. Both the cycle and these
    lists run on from epoch to epoch, so a list longer than its share of an epoch is seen whole
    before any of it is seen again. The cycle's order is drawn once and kept: were it drawn anew
    for each cycle, a class first in one and last in the next would break the promise.

    The promise is one of patches. A ``crop`` of a patch can miss the pixels that it was drawn for:
    the larger the patches beside the crop, the more often.

    Parameters
    ----------
    pool, seed
        See `make_sampler`.
    length
        Visits an epoch; by default as many as there are labelled patches, so that epochs cost what
        they cost with ``random``.

    Raises
    ------
    DatasetError
        No patch holds any class, which labels of whole patches may say.
    """

    def __init__(self, pool: Pool, seed: int, length: int | None = None) -> None:
        self._seed = seed
        self.length = len(pool.labelled) if length is None else whole("equibatch's length", length)
        present = np.flatnonzero(pool.class_pixels.any(axis=0))
        if not len(present):
            raise DatasetError("no training patch holds a class that equibatch could visit")
        self._cycle = [int(c) for c in generator(seed, 0, 0, 2).permutation(present)]
        self._lists = {
            c: np.flatnonzero(pool.class_pixels[:, c]).astype(np.int64) for c in self._cycle
        }

    def order(self, epoch: int) -> Order:
        """Return the visits of an epoch; that of place p is of class ``cycle[p % |C|]``."""
        start, turn = epoch * self.length, len(self._cycle)
        patches = np.empty(self.length, np.int64)
        for place, number in enumerate(self._cycle):
            # This class is visited at all places turn · k + place of the run.
            first = -((place - start) // turn)
            chosen = patches[first * turn + place - start :: turn]
            chosen[:] = self._draws(number, first, len(chosen))
        return Order.of(patches)

    def _draws(self, number: int, first: int, count: int) -> NDArray[np.int64]:
        """Patches that a class is given at its visits ``first … first + count − 1`` of the run."""
        held = self._lists[number]
        rounds = range(first // len(held), (first + count) // len(held) + 1)
        drawn = [generator(self._seed, 0, 0, 2, number, r).permutation(held) for r in rounds]
        skip = first - rounds[0] * len(held)
        return np.concatenate(drawn)[skip : skip + count]
