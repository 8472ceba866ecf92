"""The decoder of the deepglobe system, which its encoders share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from geoseg.models.layers import convolution_elu_norm

_HEAD = 32


class EluDecoder(nn.Module):
    """Nearest-neighbour ×2, two 3 × 3 convolutions with ELU and batch norm, skips added.

    Of Rakhlin, Davydow, Nikolenko's system (DeepGlobe 2018). Each block doubles the size; then
    the encoder's features of that size are added, but for the last block, which has none. A
    3 × 3 convolution to 32 channels, ELU and a 1 × 1 convolution give the logits.

    The paper leaves open how features of another width are added (in its own m46, 16 channels
    meet 32). Here they go through a 1 × 1 convolution first, where the widths differ and nowhere
    else; in m46 that costs 544 of 1.11 M parameters.

    Parameters
    ----------
    deepest
        Channels of the encoder's deepest features.
    skips
        Channels of the encoder's other features, from the deepest to the finest; at half of the
        image's size the last.
    widths
        Channels of each block, one more than there are skips.
    classes
        Number of classes.
    """

    def __init__(
        self, *, deepest: int, skips: Sequence[int], widths: Sequence[int], classes: int
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_block(i, o) for i, o in pairwise((deepest, *widths)))
        self.skips = nn.ModuleList(
            nn.Identity() if s == o else nn.Conv2d(s, o, kernel_size=1)
            for s, o in zip(skips, widths[:-1], strict=True)
        )
        self.head = nn.Sequential(
            nn.Conv2d(widths[-1], _HEAD, kernel_size=3, padding=1),
            nn.ELU(inplace=True),
            nn.Conv2d(_HEAD, classes, kernel_size=1),
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map features to logits.

        Parameters
        ----------
        features
            (N, channels, h, w) each, from the finest, at half of the image's size, to the deepest;
            each half as large as the one before.

        Returns
        -------
        (N, classes, H, W), where H and W are twice those of the finest features.
        """
        *skips, x = features
        for level, block in enumerate(self.blocks):
            x = block(x)
            if level < len(self.skips):
                x = x + self.skips[level](skips.pop())
        y: Tensor = self.head(x)
        return y


def _block(inside: int, outside: int) -> nn.Sequential:
    """Return a block of the decoder; the doubling has a name, so that layers keep their numbers."""
    layers = [*convolution_elu_norm(inside, outside), *convolution_elu_norm(outside, outside)]
    return nn.Sequential(
        OrderedDict(
            [
                ("doubling", nn.Upsample(scale_factor=2.0, mode="nearest")),
                *((str(number), layer) for number, layer in enumerate(layers)),
            ]
        )
    )
