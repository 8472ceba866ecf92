"""U-Net with the encoder m46 (Rakhlin, Davydow, Nikolenko 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from geoseg.models.elu_decoder import EluDecoder
from geoseg.models.layers import checked_widths, convolution_elu_norm
from geoseg.models.network import SegmentationNetwork, he_normal
from geoseg.models.registry import register


@register("unet-m46")
class UNetM46(SegmentationNetwork):
    """The small network of the deepglobe system, 1.11 M parameters.

    Each block of the encoder is a 3 × 3 convolution, ELU, batch norm, a 1 × 1 convolution, ELU,
    batch norm, and a max-pooling of 3 × 3 with stride 2. The skips are taken behind the pooling,
    so there is none at the image's own size. The decoder is `EluDecoder`. Kernels are drawn as in
    He et al. (2015).

    Two decisions: the pooling is padded by one pixel, which halves even sides exactly; and skips
    of another width than the decoder's go through a 1 × 1 convolution (`EluDecoder`).

    Parameters
    ----------
    in_channels
        Number of bands.
    classes
        Number of classes.
    widths
        Channels of each block of the encoder from the top; every block doubles `stride`.
    decoder_widths
        Channels of each block of the decoder from the bottom, as many.

    Raises
    ------
    OptionError
        The widths are no numbers of channels, or not as many below as above.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        decoder_widths: Sequence[int] = (128, 64, 32, 32, 32),
    ) -> None:
        widths = checked_widths(widths)
        levels = len(widths)
        upwards = checked_widths(decoder_widths, least=levels, most=levels, name="decoder_widths")
        super().__init__(stride=2**levels)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                *convolution_elu_norm(i, o),
                *convolution_elu_norm(o, o, kernel=1),
                nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            )
            for i, o in pairwise((in_channels, *widths))
        )
        self.decoder = EluDecoder(
            deepest=widths[-1], skips=widths[-2::-1], widths=upwards, classes=classes
        )
        he_normal(self)

    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W), where H and W are multiples of `stride`."""
        features: list[Tensor] = []
        for block in self.encoder:
            x = block(x)
            features.append(x)
        y: Tensor = self.decoder(features)
        return y
