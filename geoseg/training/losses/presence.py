"""Binary cross entropy of which classes a patch holds."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from geoseg.training.losses.base import IGNORE, LossContext, at_least_float32
from geoseg.training.losses.registry import register


class Presence:
    """Binary cross entropy, summed over the classes and averaged over the patches (cropland-cam).

    For image-level networks. Where nobody knows whether a class is there, nothing is added, and a
    patch of which nothing is known is left out of the average.
    """

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss of logits (N, classes) against labels (N, classes) int64, 1, 0 or 255."""
        unknown = labels == IGNORE
        # Filled before and after: no infinity of an unknown entry reaches the sum or the gradient.
        logits = at_least_float32(logits).masked_fill(unknown, 0)
        present = labels.masked_fill(unknown, 0).to(logits.dtype)
        each = functional.binary_cross_entropy_with_logits(logits, present, reduction="none")
        patches = (~unknown).any(dim=1).sum().clamp(min=1)
        return each.masked_fill(unknown, 0).sum(dim=1).sum() / patches


@register("presence")
def make_presence(*, context: LossContext) -> Presence:
    """Make the loss of image-level labels."""
    del context
    return Presence()
