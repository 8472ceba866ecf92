"""Patches of rare classes several times."""

from __future__ import annotations

import numpy as np

from geoseg.patches.options import whole
from geoseg.patches.sampling.order import Order, generator
from geoseg.patches.sampling.pool import Pool
from geoseg.patches.sampling.registry import register
from geoseg.terms import Value


@register("oversample")
class Oversample:
    """Add patches with any pixel of a rare class several times more, turned.

    The alpine paper's way with under-represented classes: every image with a pixel of one is added
    three times more. The text speaks of flips; the paper's figure and its counts (× 1.5228) say
    rotations by 90, 180 and 270 degrees, and these are what is done. A patch is added once for each
    turn, however many of the classes it holds.

    Parameters
    ----------
    pool, seed
        See `make_sampler`.
    classes
        Ids of the rare classes.
    times
        How often a patch is added; the k-th copy is turned by k quarters against the clock, from
        the fourth on beginning anew.
    """

    def __init__(self, pool: Pool, seed: int, classes: Value, times: int = 3) -> None:
        self._seed = seed
        copies = whole("oversample's times", times, maximum=1000)
        chosen = pool.indices(classes, option="oversample's classes")
        labelled = pool.labelled
        rare = np.flatnonzero(pool.class_pixels[:, chosen].any(axis=1)).astype(np.int64)
        turns = np.arange(1, copies + 1) % 4
        self._patches = np.concatenate([labelled, np.tile(rare, copies)])
        self._turns = np.concatenate([np.zeros(len(labelled)), turns.repeat(len(rare))])

    def order(self, epoch: int) -> Order:
        """Return a permutation of the labelled patches and their copies."""
        chosen = generator(self._seed, epoch).permutation(len(self._patches))
        return Order(self._patches[chosen], self._turns[chosen].astype(np.uint8))
