"""The shallow network of the cropland system, which learns from labels of whole patches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from geoseg.models.layers import checked_widths, convolution_norm_relu
from geoseg.models.network import PresenceNetwork, he_normal
from geoseg.models.registry import register


@register("shallow-cnn")
class ShallowCNN(PresenceNetwork):
    """Four convolutions, two poolings, the global average, one dense layer.

    Each 3 × 3 convolution has a batch norm and a ReLU; a 2 × 2 max-pooling follows the second and
    the fourth, so that a patch of 50 × 50 leaves feature maps of 25 × 25 and then 12 × 12. The
    sigmoid of the paper belongs to the loss. The widths are ours: the paper gives none.

    Parameters
    ----------
    in_channels
        Number of bands.
    classes
        Number of classes.
    widths
        Channels of each of the four convolutions.

    Raises
    ------
    OptionError
        The widths are not four numbers of channels.
    """

    def __init__(
        self, *, in_channels: int, classes: int, widths: Sequence[int] = (16, 32, 64, 128)
    ) -> None:
        first, second, third, fourth = checked_widths(widths, least=4, most=4)
        super().__init__(stride=4)
        self.layers = nn.Sequential(
            *convolution_norm_relu(in_channels, first),
            *convolution_norm_relu(first, second),
            nn.MaxPool2d(2),
            *convolution_norm_relu(second, third),
            *convolution_norm_relu(third, fourth),
            nn.MaxPool2d(2),
        )
        self.dense = nn.Linear(fourth, classes)
        he_normal(self)

    def features(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W), H, W ≥ 4, to (N, channels, ⌊⌊H/2⌋/2⌋, ⌊⌊W/2⌋/2⌋)."""
        y: Tensor = self.layers(x)
        return y
