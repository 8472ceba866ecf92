"""The network of the grassland degradation system."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from geoseg.models.layers import checked_repeats, checked_widths, convolution_norm_relu
from geoseg.models.network import SegmentationNetwork, he_normal
from geoseg.models.registry import register
from geoseg.terms import number


def _group(inside: int, outside: int, repeats: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for channels in (inside, *(outside,) * (repeats - 1)):
        layers += convolution_norm_relu(channels, outside)
    return layers


@register("agde")
class Agde(SegmentationNetwork):
    """Encoder and decoder with refined cross connections.

    A group of the encoder is some convolutions with batch norm and ReLU at stride 1 and a 2 × 2
    max-pooling; a group of the decoder is one deconvolution of stride 2 and three convolutions
    with batch norm and ReLU. A *refined cross connection* is three convolutions, each with batch
    norm, ReLU and dropout; it leads from group k of the encoder to group k + 1 of the decoder,
    counted so that the last is the deepest. With the pooling at a group's end that fits: the
    encoder's group k leaves features 2ᵏ times smaller than the image, the size that the
    deconvolution of the decoder's group k + 1 arrives at.

    The paper does not give the following, which is ours: widths 64-128-256-512-512 with 2-2-3-3-3
    convolutions (as VGG-16), 3 × 3 kernels, deconvolutions of 2 × 2 without batch norm, the
    decoder's groups as wide as what they are joined with, fusion by concatenation (connection
    before deconvolved), dropout of single values at 0.2, a 1 × 1 convolution to the logits.
    The first group of the decoder is joined with nothing and is as wide as the first of the
    encoder.

    Parameters
    ----------
    in_channels
        Number of bands.
    classes
        Number of classes.
    widths
        Channels of each group of the encoder from the top; every group doubles `stride`.
    convolutions
        Convolutions in each group of the encoder, as many.
    dropout
        Share of values that a refined cross connection drops while it learns, from 0 to 0.99.

    Raises
    ------
    OptionError
        An option is no such number, or there are not as many convolutions as widths.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        widths: Sequence[int] = (64, 128, 256, 512, 512),
        convolutions: Sequence[int] = (2, 2, 3, 3, 3),
        dropout: float = 0.2,
    ) -> None:
        widths = checked_widths(widths)
        convolutions = checked_repeats(convolutions, count=len(widths), name="convolutions")
        dropout = number("dropout", dropout, minimum=0, maximum=0.99)
        super().__init__(stride=2 ** len(widths))
        self.encoder = nn.ModuleList(
            nn.Sequential(*_group(i, o, repeats), nn.MaxPool2d(2))
            for (i, o), repeats in zip(pairwise((in_channels, *widths)), convolutions, strict=True)
        )
        joined = widths[-2::-1]
        self.cross = nn.ModuleList(
            nn.Sequential(
                *(
                    layer
                    for _ in range(3)
                    for layer in (*convolution_norm_relu(w, w), nn.Dropout(dropout))
                )
            )
            for w in joined
        )
        upwards = (*joined, widths[0])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, kernel_size=2, stride=2)
            for i, o in pairwise((widths[-1], *upwards))
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(*_group(o + skip, o, 3))
            for o, skip in zip(upwards, (*joined, 0), strict=True)
        )
        self.head = nn.Conv2d(widths[0], classes, kernel_size=1)
        he_normal(self)

    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W), where H and W are multiples of `stride`."""
        left: list[Tensor] = []
        for group in self.encoder:
            x = group(x)
            left.append(x)
        left.pop()
        for level, (up, group) in enumerate(zip(self.up, self.decoder, strict=True)):
            x = up(x)
            if level < len(self.cross):
                x = torch.cat((self.cross[level](left.pop()), x), dim=1)
            x = group(x)
        y: Tensor = self.head(x)
        return y
