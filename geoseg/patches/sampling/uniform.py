"""Every patch once an epoch."""

from __future__ import annotations

from geoseg.patches.sampling.order import Order, generator
from geoseg.patches.sampling.pool import Pool
from geoseg.patches.sampling.registry import register


@register("random")
class RandomSampler:
    """Every patch with a labelled pixel once an epoch, in a new order each time.

    A patch without any is left out: it has nothing to teach.
    """

    def __init__(self, pool: Pool, seed: int) -> None:
        self._patches = pool.labelled
        self._seed = seed

    def order(self, epoch: int) -> Order:
        """Return a permutation of the labelled patches."""
        return Order.of(generator(self._seed, epoch).permutation(self._patches))
