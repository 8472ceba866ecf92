"""Binary cross entropy of which classes a patch holds."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from geoseg.training.losses.base import LossContext, at_least_float32
from geoseg.training.losses.registry import register
from geoseg.training.metrics import presence


class Presence:
    """Binary cross entropy, summed over the classes and averaged over the patches (cropland-cam).

    For image-level networks. A class is present where it covers strictly more than a share of the
    patch; a patch without any labelled pixel is left out.

    Parameters
    ----------
    share
        That share.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss of logits (N, classes) against labels (N, H, W) int64."""
        logits = at_least_float32(logits)
        present, known = presence(labels, logits.shape[1], self.share)
        each = functional.binary_cross_entropy_with_logits(
            logits, present.to(logits.dtype), reduction="none"
        ).sum(dim=1)
        return (each * known).sum() / known.sum().clamp(min=1)


@register("presence")
def make_presence(*, context: LossContext) -> Presence:
    """Make the loss of image-level labels; what is present, `LossContext.present` says."""
    return Presence(context.present)
