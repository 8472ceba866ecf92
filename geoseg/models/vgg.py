"""The convolutions of VGG-16 (Simonyan, Zisserman 2015, configuration D)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Convolutions in each of the five groups."""
WIDTHS = (64, 128, 256, 512, 512)
"""Channels of each group."""


def vgg16_features(
    *,
    in_channels: int,
    widths: Sequence[int] = WIDTHS,
    batch_norm: bool = False,
    indices: bool = False,
) -> nn.Sequential:
    """Build the groups one behind the other, each with a 2 × 2 max-pooling at its end.

    The layers have the places that they have in torchvision's ``vgg16().features`` (``vgg16_bn``
    with batch norm, where convolutions keep their biases), so that files of its weights fit.

    Parameters
    ----------
    in_channels
        Number of bands.
    widths
        Channels of each of the five groups.
    batch_norm
        Whether a batch norm stands between each convolution and its ReLU.
    indices
        Whether the poolings also return where each maximum was.
    """
    layers: list[nn.Module] = []
    for (inside, outside), repeats in zip(
        pairwise((in_channels, *widths)), CONVOLUTIONS, strict=True
    ):
        for channels in (inside, *(outside,) * (repeats - 1)):
            layers.append(nn.Conv2d(channels, outside, kernel_size=3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(outside))
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.MaxPool2d(2, return_indices=indices))
    return nn.Sequential(*layers)
