"""What every loss takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

IGNORE = 255
"""Label of a pixel that no loss and no score counts."""


@dataclass(frozen=True, kw_only=True)
class LossContext:
    """What a loss may want to know of the data set before it is made."""

    classes: int
    """Number of classes."""
    class_pixels: tuple[int, ...]
    """Labelled pixels of each class over the training patches."""


class PixelLoss(Protocol):
    """A loss over the labelled pixels of a batch."""

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss, to be minimised.

        Parameters
        ----------
        logits
            (N, classes, H, W), of any floating type; computed in float32 where it is narrower.
        labels
            (N, H, W) int64, class index, `IGNORE` where there is no label.

        Returns
        -------
        loss
            A scalar; exactly 0, with gradient 0, where the batch holds no labelled pixel.
        """
        ...


def at_least_float32(logits: Tensor) -> Tensor:
    """Widen half-precision logits; a loss summed in them would lose its digits."""
    return logits.float() if logits.element_size() < 4 else logits
