"""How far labels count that come with a confidence, such as a model's own.

**By weight.** Each time a patch is shown, each of its labels is kept with the probability that its
confidence says; else it is as good as not there, for this showing. A label of confidence 0.3 is so
learned from in three of ten showings. The sum of a loss over pixels is in expectation what weights
would make it, and losses that know no weight of a pixel (Lovász, Jaccard) work as they are. Which
labels are kept depends on the seed and the place in the run alone.

**By a share.** Labels of a lower confidence are left out, of training and validation alike.

Both are done to the labels as they lie on disk, before patches are reduced or augmented.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from geoseg.training.losses.base import IGNORE

FULL = 255
"""What a confidence of 1 is stored as."""


def least_stored(share: float) -> int:
    """Return the least number that a confidence of at least a share can be stored as.

    Confidences are stored as the nearest whole number of 255ths. So that no label that reaches the
    share is left out, those that fall short of it by less than the rounding may stay.

    Parameters
    ----------
    share
        From 0 to 1, taken as it is written.
    """
    return math.ceil(Fraction(repr(float(share))) * FULL - Fraction(1, 2))


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Which labels of a patch count."""

    least: int = 0
    """Least stored confidence of a label that counts."""
    drawn: bool = False
    """Whether a label counts as often as its confidence says."""

    @classmethod
    def of(cls, confidence: str | float | None, *, learning: bool) -> Trust | None:
        """Make what `Settings.confidence` says; None where every label counts.

        Parameters
        ----------
        confidence
            ``weight``, ``none``, a share, or None.
        learning
            Whether patches are learned from; nothing is drawn where they are scored.
        """
        if isinstance(confidence, str):
            return cls(drawn=True) if confidence == "weight" and learning else None
        return None if confidence is None else cls(least=least_stored(confidence))

    def kept(
        self,
        labels: NDArray[np.uint8],
        confidence: NDArray[np.uint8],
        random: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Return labels of which those that do not count are 255.

        Parameters
        ----------
        labels
            (rows, cols) uint8.
        confidence
            (rows, cols) uint8, 255ths.
        random
            The only source of chance.
        """
        counts = confidence >= self.least
        if self.drawn:
            # One of 255 numbers is below k in k cases: exactly the share stored.
            counts &= random.integers(0, FULL, size=labels.shape, dtype=np.uint8) < confidence
        return np.where(counts, labels, np.uint8(IGNORE))
