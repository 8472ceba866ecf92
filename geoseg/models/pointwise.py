"""A network without neighbourhood: each pixel is classified by its own bands."""

from __future__ import annotations

from torch import Tensor, nn

from geoseg.models.network import SegmentationNetwork
from geoseg.models.registry import register


@register("pointwise")
class Pointwise(SegmentationNetwork):
    """One 1 × 1 convolution: multinomial logistic regression on a pixel's bands.

    The floor that any network must beat, and, next to free, what everything around a network is
    measured with. Its answer for a pixel does not depend on tiles.
    """

    def __init__(self, *, in_channels: int, classes: int) -> None:
        super().__init__(stride=1)
        self.head = nn.Conv2d(in_channels, classes, kernel_size=1)

    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W)."""
        y: Tensor = self.head(x)
        return y
