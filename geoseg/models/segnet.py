"""SegNet (Badrinarayanan, Kendall, Cipolla 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from geoseg.models.layers import checked_widths
from geoseg.models.network import SegmentationNetwork, he_normal
from geoseg.models.registry import register
from geoseg.models.vgg import CONVOLUTIONS, WIDTHS, vgg16_features


@register("segnet")
class SegNet(SegmentationNetwork):
    """VGG-16 and its mirror image; maxima go back to where the pooling found them.

    The encoder's poolings remember the place of each maximum; the decoder puts each value back
    there, zeros elsewhere, and convolves. All convolutions are 3 × 3 with batch norm and ReLU,
    but for the last, which gives the logits with neither (the paper leaves open whether it is a
    layer of its own; here, as in the authors' code, it is the decoder's last). The last
    convolution of a decoder's group takes the width of the group above.

    Parameters
    ----------
    in_channels
        Number of bands.
    classes
        Number of classes.
    widths
        Channels of each of the five groups of VGG-16.

    Raises
    ------
    OptionError
        The widths are not five numbers of channels.
    """

    def __init__(self, *, in_channels: int, classes: int, widths: Sequence[int] = WIDTHS) -> None:
        widths = checked_widths(widths, least=len(WIDTHS), most=len(WIDTHS))
        super().__init__(stride=2 ** len(widths))
        self.features = vgg16_features(
            in_channels=in_channels, widths=widths, batch_norm=True, indices=True
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(*_mirrored_group(widths[level], widths[max(level - 1, 0)], level))
            for level in reversed(range(len(widths)))
        )
        self.head = nn.Conv2d(widths[0], classes, kernel_size=3, padding=1)
        he_normal(self)

    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W), where H and W are multiples of `stride`."""
        places: list[Tensor] = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                x, place = layer(x)
                places.append(place)
            else:
                x = layer(x)
        for group in self.decoder:
            x = group(functional.max_unpool2d(x, places.pop(), kernel_size=(2, 2)))
        y: Tensor = self.head(x)
        return y


def _mirrored_group(inside: int, outside: int, level: int) -> list[nn.Module]:
    """Layers of a decoder's group; the top one lacks its last, which is the head."""
    repeats = CONVOLUTIONS[level] - (level == 0)
    layers: list[nn.Module] = []
    for step in range(repeats):
        out = outside if step == repeats - 1 else inside
        layers += [
            nn.Conv2d(inside, out, kernel_size=3, padding=1),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        ]
    return layers
