"""As many positive pixels as negative ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import DatasetError
from geoseg.patches.sampling.order import Order, generator
from geoseg.patches.sampling.pool import Pool
from geoseg.patches.sampling.registry import register
from geoseg.terms import Value, number

MOST_COPIES = 100


@register("balance")
class Balance:
    """Repeat positive patches, turned, until positive and negative pixels have a ratio.

    The sugarcane paper keeps all negatives and raises the positives by augmentation until the
    classes balance (38.46 % to 61.54 % needs × 1.6 positives), as if a patch held one class only.
    Real ones hold both, and a copy brings its negative pixels along. Decision: a copy of patch i
    brings the sums ``p_i − ratio · n_i`` nearer to balance, so only patches are repeated for which
    that is above 0 (those that have more than the ratio themselves). All of them are repeated
    equally often; of the last round a random part is taken, anew in each epoch, each patch that
    still brings the sums nearer. What is missing or too much in the end is at most half of what one
    patch brings.

    A data set that has the ratio already, or more positives, is left as it is.

    Parameters
    ----------
    pool, seed
        See `make_sampler`.
    positive
        Id of the positive class; labelled pixels of all others are negative.
    ratio
        Positive pixels for each negative one.

    Raises
    ------
    OptionError
        Labels are of whole patches, whose pixels nobody has counted.
    DatasetError
        No repetition leads there, or it would take more than a hundred copies of each patch.
    """

    def __init__(self, pool: Pool, seed: int, positive: Value, ratio: float = 1) -> None:
        pool.check_pixels("--sampler balance")
        self._seed = seed
        index = pool.index(positive, option="balance's positive")
        share = number("balance's ratio", ratio, minimum=1e-6, maximum=1e6)
        positives = pool.class_pixels[:, index]
        gains = positives - share * (pool.class_pixels.sum(axis=1) - positives)
        self._missing = -float(gains.sum())
        self._helping = np.flatnonzero(gains > 0).astype(np.int64)
        self._gains = gains[self._helping]
        self._labelled = pool.labelled
        self._rounds = 0
        if self._missing > 0:
            a_round = float(self._gains.sum())
            if self._missing > MOST_COPIES * a_round:
                raise DatasetError(
                    f"repeating patches of class {positive} cannot bring its pixels to {share:g}"
                    " for each other one: give balance a lower ratio, or use equibatch"
                )
            self._rounds = int(self._missing // a_round)
            self._missing -= self._rounds * a_round

    def order(self, epoch: int) -> Order:
        """Return a permutation of the labelled patches and the copies of this epoch."""
        random = generator(self._seed, epoch)
        last = self._helping[self._last_round(random)]
        patches = np.concatenate([self._labelled, np.tile(self._helping, self._rounds), last])
        copies = np.concatenate(
            [
                np.zeros(len(self._labelled), np.int64),
                np.arange(1, self._rounds + 1).repeat(len(self._helping)),
                np.full(len(last), self._rounds + 1),
            ]
        )
        chosen = random.permutation(len(patches))
        return Order(patches[chosen], (copies[chosen] % 4).astype(np.uint8))

    def _last_round(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Choose of the helping patches, in random order, each that leaves less missing."""
        missing, chosen = self._missing, []
        for candidate in random.permutation(len(self._helping)):
            left = missing - self._gains[candidate]
            if abs(left) < abs(missing):
                missing = left
                chosen.append(candidate)
        return np.array(chosen, np.int64)
