"""What every loss takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

IGNORE = 255
"""Label of a pixel that no loss and no score counts."""


@dataclass(frozen=True, kw_only=True)
class LossContext:
    """What a loss may want to know of the data set before it is made."""

    classes: int
    """Number of classes."""
    class_pixels: tuple[int, ...]
    """Labelled pixels of each class over the training patches; 0 where labels are of whole patches.
    """


class PixelLoss(Protocol):
    """A loss over the labelled pixels of a batch.

    A loss of image-level labels takes logits (N, classes) and labels (N, classes): 1 there, 0 not
    there, `IGNORE` where nobody knows.
    """

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


class Labelled(NamedTuple):
    """A batch in which pixels without label can do no harm."""

    logits: Tensor
    """(N, classes, H, W), float32 or wider; 0 where there is no label."""
    labels: Tensor
    """(N, H, W) int64; 0 where there is no label."""
    mask: Tensor
    """(N, H, W) bool: has a label."""


def labelled(logits: Tensor, labels: Tensor) -> Labelled:
    """Take the pixels without label out of reach.

    Whatever stands in their logits, infinities and NaN included, reaches no sum, and their gradient
    is exactly 0: it passes through the filling of a constant.
    """
    mask = labels != IGNORE
    empty = ~mask
    filled = at_least_float32(logits).masked_fill(empty[:, None], 0)
    return Labelled(filled, labels.masked_fill(empty, 0), mask)


class Maps(NamedTuple):
    """One-vs-rest maps of a batch."""

    logits: Tensor
    """(N, maps, H, W)."""
    positive: Tensor
    """(N, maps, H, W) bool: the pixel is of the map's class."""


def class_maps(logits: Tensor, labels: Tensor) -> Maps:
    """Split a batch into one map a class, each class against the rest.

    Parameters
    ----------
    logits
        (N, classes, H, W).
    labels
        (N, H, W) int64, all of them class indices.
    """
    positive = torch.zeros_like(logits, dtype=torch.bool)
    return Maps(logits, positive.scatter_(1, labels[:, None], True))


def binary_maps(logits: Tensor, labels: Tensor) -> Maps:
    """Split a batch as `class_maps` does, but two classes into one map, ``F = z₁ − z₀``.

    The softmax of two logits is the sigmoid of their difference; two maps would say the same thing
    twice, and not the binary losses of the papers.
    """
    if logits.shape[1] != 2:
        return class_maps(logits, labels)
    return Maps(logits[:, 1:] - logits[:, :1], (labels == 1)[:, None])
