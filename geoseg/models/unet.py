"""U-Net (Ronneberger, Fischer, Brox 2015, figure 1), with "same" padding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from geoseg.models.layers import checked_flag, checked_widths
from geoseg.models.network import SegmentationNetwork, he_normal
from geoseg.models.registry import register


def _pair_of_convolutions(inside: int, outside: int, *, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        # A bias before a batch norm would be subtracted again with the mean.
        layers.append(nn.Conv2d(channels, outside, kernel_size=3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(outside))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


@register("unet")
class UNet(SegmentationNetwork):
    """Encoder and decoder with skip connections.

    Each level is two 3 × 3 convolutions with ReLU; 2 × 2 max-pooling goes down, a 2 × 2
    transposed convolution of stride 2 goes up and halves the channels, and the encoder's features
    of that level are put beside (skip before the upsampled). A 1 × 1 convolution gives the
    logits. Differences from the paper: "same" instead of valid padding, so that the output has
    the input's size, no dropout, and batch norm (Ioffe, Szegedy 2015) between each convolution
    and its ReLU, as the alpine system's published count says: 3 bands and 8 classes make
    31,038,088 parameters with it, 31,032,200 without.

    Parameters
    ----------
    in_channels
        Number of bands.
    classes
        Number of classes.
    widths
        Channels of each level from the top, at least one; every further level doubles `stride`.
    batch_norm
        Whether a batch norm follows each 3 × 3 convolution (which then has no bias).

    Raises
    ------
    OptionError
        `widths` is empty, too long, or holds something other than channel counts.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        batch_norm: bool = True,
    ) -> None:
        widths = checked_widths(widths)
        checked_flag("batch_norm", batch_norm)
        super().__init__(stride=2 ** (len(widths) - 1))
        self.encoder = nn.ModuleList(
            _pair_of_convolutions(i, o, batch_norm=batch_norm)
            for i, o in pairwise((in_channels, *widths))
        )
        self.pool = nn.MaxPool2d(2)
        upwards = tuple(reversed(widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, kernel_size=2, stride=2) for i, o in pairwise(upwards)
        )
        self.decoder = nn.ModuleList(
            _pair_of_convolutions(2 * o, o, batch_norm=batch_norm) for o in upwards[1:]
        )
        self.head = nn.Conv2d(widths[0], classes, kernel_size=1)
        he_normal(self)

    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W), where H and W are multiples of `stride`."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            if level:
                skips.append(x)
                x = self.pool(x)
            x = block(x)
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat((skips.pop(), up(x)), dim=1))
        y: Tensor = self.head(x)
        return y


@register("unet-small")
def unet_small(
    *,
    in_channels: int,
    classes: int,
    widths: Sequence[int] = (32, 64, 128, 256),
    batch_norm: bool = True,
) -> UNet:
    """Build the small U-Net of the alpine system: four levels, 1.93 M parameters."""
    return UNet(in_channels=in_channels, classes=classes, widths=widths, batch_norm=batch_norm)
