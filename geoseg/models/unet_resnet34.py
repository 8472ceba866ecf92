"""U-Net with a ResNet-34 of ELUs for its encoder (Rakhlin, Davydow, Nikolenko 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from geoseg.models.elu_decoder import EluDecoder
from geoseg.models.layers import checked_repeats, checked_widths, convolution_elu_norm
from geoseg.models.network import SegmentationNetwork, he_normal
from geoseg.models.registry import register


class EluBasicBlock(nn.Module):
    """Two 3 × 3 convolutions, each with ELU and then batch norm, beside a shortcut.

    The block of He et al. (2016) ends in batch norm, sum, ReLU. With the activation before the
    batch norm the sum comes last, so that the shortcut is the identity all the way; where size or
    width change it is a 1 × 1 convolution with ELU and batch norm.

    Parameters
    ----------
    inside, outside
        Channels before and behind.
    stride
        By how much the sides shrink.
    """

    def __init__(self, inside: int, outside: int, *, stride: int = 1) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *convolution_elu_norm(inside, outside, stride=stride),
            *convolution_elu_norm(outside, outside),
        )
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inside == outside
            else nn.Sequential(*convolution_elu_norm(inside, outside, kernel=1, stride=stride))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inside, H, W) to (N, outside, H / stride, W / stride)."""
        y: Tensor = self.branch(x) + self.shortcut(x)
        return y


@register("unet-resnet34")
class UNetResNet34(SegmentationNetwork):
    """The middle network of the deepglobe system, 25.2 M parameters.

    The encoder is ResNet-34 (He et al. 2016: 7 × 7 convolution of stride 2, 3 × 3 max-pooling of
    stride 2, four stages of basic blocks) with ELU for ReLU and the activation before the batch
    norm, as the paper says; the decoder is `EluDecoder`. Skips are taken behind the first batch
    norm and behind each stage.

    25.2 M parameters are stated for it, and no widths of its decoder. Widths like those of the
    skips (256-128-64-64-32) make 23.7 M, concatenation instead of the sum 24.5 M. Of all falling
    powers of two under the same decoder, 256-256-128-128-64 alone make the stated number:
    25,163,527 for 3 bands and 7 classes. Files of a usual ResNet-34 do not fit by their meaning,
    since it was trained with the other order of layers.

    Parameters
    ----------
    in_channels
        Number of bands.
    classes
        Number of classes.
    widths
        Channels of each stage of the encoder; the first also of the stem.
    blocks
        Basic blocks of each stage.
    decoder_widths
        Channels of each block of the decoder from the bottom, one more than there are stages.

    Raises
    ------
    OptionError
        The widths or blocks are no such numbers, or not as many as they must be.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (3, 4, 6, 3),
        decoder_widths: Sequence[int] = (256, 256, 128, 128, 64),
    ) -> None:
        widths = checked_widths(widths, most=6)
        blocks = checked_repeats(blocks, count=len(widths), name="blocks")
        steps = len(widths) + 1
        upwards = checked_widths(decoder_widths, least=steps, most=steps, name="decoder_widths")
        super().__init__(stride=2**steps)
        self.stem = nn.Sequential(*convolution_elu_norm(in_channels, widths[0], kernel=7, stride=2))
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(
                EluBasicBlock(i, o, stride=2 if number else 1),
                *(EluBasicBlock(o, o) for _ in range(repeats - 1)),
            )
            for number, ((i, o), repeats) in enumerate(
                zip(pairwise((widths[0], *widths)), blocks, strict=True)
            )
        )
        self.decoder = EluDecoder(
            deepest=widths[-1],
            skips=(*widths[-2::-1], widths[0]),
            widths=upwards,
            classes=classes,
        )
        he_normal(self)

    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W), where H and W are multiples of `stride`."""
        x = self.stem(x)
        features = [x]
        x = self.pool(x)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        y: Tensor = self.decoder(features)
        return y
