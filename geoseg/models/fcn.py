"""Fully convolutional networks (Long, Shelhamer, Darrell 2015) on VGG-16."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.models.layers import checked_flag, checked_width, checked_widths
from geoseg.models.network import SegmentationNetwork, he_normal
from geoseg.models.registry import register
from geoseg.models.vgg import WIDTHS, vgg16_features
from geoseg.terms import number


class FCN(SegmentationNetwork):
    """VGG-16 whose dense layers became convolutions, scores at several strides, upsampling.

    The dense layers are a 7 × 7 and a 1 × 1 convolution with ReLU and dropout of 0.5; a 1 × 1
    convolution gives scores at a stride of 32. FCN-16s upsamples them by 2 with a learned 4 × 4
    deconvolution, drawn as bilinear interpolation, and adds scores from the fourth pooling;
    FCN-8s does so once more with the third. The rest of the way is bilinear interpolation.

    Differences from the paper. The first convolution is padded by 1 pixel and not by 100, the
    7 × 7 one by 3, and nothing is cropped but the collar of `SegmentationNetwork`: the paper's
    padding makes the network's answer depend on a border of zeros broader than a patch. The last
    upsampling is fixed, as in the paper, but by interpolation that keeps its level at the image's
    edges, where a deconvolution fades to 0. Score layers are drawn as the others and not set to
    0 (the paper saw no difference), and the three networks learn in one piece, not one from the
    other.

    Parameters
    ----------
    in_channels
        Number of bands.
    classes
        Number of classes.
    finest
        Stride of the finest scores: 32, 16 or 8.
    widths
        Channels of each of the five groups of VGG-16.
    dense
        Channels of the two layers that were dense.
    dropout
        Share of values dropped behind each of them while learning, from 0 to 0.99.
    batch_norm
        Whether a batch norm stands between each convolution of VGG-16 and its ReLU. The paper
        has none and starts from pretrained weights; fresh ones learn much better with it.

    Raises
    ------
    OptionError
        An option is no such number or truth value.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        finest: int,
        widths: Sequence[int] = WIDTHS,
        dense: int = 4096,
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        widths = checked_widths(widths, least=len(WIDTHS), most=len(WIDTHS))
        dense = checked_width("dense", dense)
        dropout = number("dropout", dropout, minimum=0, maximum=0.99)
        checked_flag("batch_norm", batch_norm)
        super().__init__(stride=32)
        self.finest = finest
        self.features = vgg16_features(
            in_channels=in_channels, widths=widths, batch_norm=batch_norm
        )
        self.dense = nn.Sequential(
            nn.Conv2d(widths[-1], dense, kernel_size=7, padding=3),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Conv2d(dense, dense, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.score = nn.Conv2d(dense, classes, kernel_size=1)
        joined = {32: (), 16: (widths[3],), 8: (widths[3], widths[2])}[finest]
        self.skip_scores = nn.ModuleList(nn.Conv2d(w, classes, kernel_size=1) for w in joined)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(classes, classes, kernel_size=4, stride=2, padding=1, bias=False)
            for _ in joined
        )
        he_normal(self)
        for module in self.up.children():
            if isinstance(module, nn.ConvTranspose2d):
                _draw_bilinear(module.weight)

    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W), where H and W are multiples of 32."""
        pooled: list[Tensor] = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                pooled.append(x)
        pooled.pop()
        x = self.score(self.dense(x))
        for up, score in zip(self.up, self.skip_scores, strict=True):
            x = up(x) + score(pooled.pop())
        return functional.interpolate(
            x, scale_factor=float(self.finest), mode="bilinear", align_corners=False
        )


def _draw_bilinear(kernel: Tensor) -> None:
    """Make a 4 × 4 deconvolution of stride 2 interpolate each channel by itself."""
    line = torch.tensor([0.25, 0.75, 0.75, 0.25], device=kernel.device)
    channels = torch.arange(kernel.shape[0], device=kernel.device)
    with torch.no_grad():
        kernel.zero_()
        kernel[channels, channels] = torch.outer(line, line)


def _builder(finest: int) -> Callable[..., FCN]:
    def build(
        *,
        in_channels: int,
        classes: int,
        widths: Sequence[int] = WIDTHS,
        dense: int = 4096,
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> FCN:
        return FCN(
            in_channels=in_channels,
            classes=classes,
            finest=finest,
            widths=widths,
            dense=dense,
            dropout=dropout,
            batch_norm=batch_norm,
        )

    return build


for _finest in (32, 16, 8):
    register(f"fcn{_finest}s")(_builder(_finest))
