"""ResNet-50 (He et al. 2016) that says which classes an image holds, from torchvision."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import Tensor, nn

from geoseg.models.library import needed, with_bands
from geoseg.models.network import PresenceNetwork
from geoseg.models.registry import register
from geoseg.models.torchvision_weights import TorchvisionWeights, named_weights

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

_NAME = "resnet50-cam"


@register(_NAME)
class ResNet50Cam(PresenceNetwork, TorchvisionWeights):
    """ResNet-50 with stages 3–5 at stride 1, global average, one dense layer.

    The cropland-cam system's large network. Decisions, where it only gives the size of the last
    feature maps (12 × 12 for a patch of 50 × 50): the usual stem of a 7 × 7 convolution at stride
    2 (50 → 25), and a 3 × 3 max-pool at stride 2 without padding (25 → 12; with the usual padding
    it would be 13); every later stage at stride 1, not dilated. So a position of the maps stands
    for four pixels. Names of tensors are torchvision's behind ``backbone.``: its files fit.

    Parameters
    ----------
    in_channels
        Number of bands.
    classes
        Number of classes.

    Raises
    ------
    ModelError
        torchvision is not installed.
    """

    def __init__(self, *, in_channels: int, classes: int) -> None:
        # 5 → 3 by the convolution → 1 by the max-pool, whose three positions are centred at 0, 2
        # and 4.
        super().__init__(stride=4, centre=2.0, smallest=5)
        with needed("torchvision", _NAME):
            from torchvision.models import resnet50  # noqa: PLC0415
        made = resnet50(weights=None)
        made.conv1 = with_bands(made.conv1, in_channels)
        made.maxpool.padding = 0
        for stage in (made.layer2, made.layer3, made.layer4):
            stage[0].conv2.stride = (1, 1)
            stage[0].downsample[0].stride = (1, 1)
        channels = made.fc.in_features
        self.backbone = nn.Sequential(
            OrderedDict((k, m) for k, m in made.named_children() if k not in ("avgpool", "fc"))
        )
        self.dense = nn.Linear(channels, classes)

    def features(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to the last feature maps, (N, 2048, h, w), h ≈ H / 4."""
        y: Tensor = self.backbone(x)
        return y

    def _known(self) -> dict[str, WeightsEnum]:
        from torchvision.models import ResNet50_Weights  # noqa: PLC0415

        return named_weights(ResNet50_Weights, imagenet="IMAGENET1K_V1")
