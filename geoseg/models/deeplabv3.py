"""DeepLabV3 (Chen, Papandreou, Schroff, Adam 2017) from torchvision."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import OptionError
from geoseg.models.library import needed, with_bands
from geoseg.models.network import SegmentationNetwork
from geoseg.models.registry import register
from geoseg.models.torchvision_weights import TorchvisionWeights, named_weights

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

_NAME = "deeplabv3"
_BACKBONES = ("resnet50", "resnet101")


@register(_NAME)
class DeepLabV3(SegmentationNetwork, TorchvisionWeights):
    """A residual network with dilated last stages, and atrous spatial pyramid pooling on top.

    torchvision's network with its names of tensors: its files fit. The last two stages keep the
    resolution of 1/8 and look wider instead; parallel convolutions of rate 12, 24 and 36, one of
    1 × 1 and the mean of the image are put beside each other; the logits are upsampled bilinearly
    eight times. Differences: any number of bands, and no auxiliary classifier (with which the
    library's own weights were trained). The alpine system used ResNet-101, pretrained on COCO,
    with a new head, all of it trained on.

    The mean of an image goes through a batch norm by itself: in training, a batch needs two
    images (`smallest_batch`).

    Parameters
    ----------
    in_channels
        Number of bands.
    classes
        Number of classes.
    backbone
        ``resnet50`` or ``resnet101``.

    Raises
    ------
    OptionError
        `backbone` is another one.
    ModelError
        torchvision is not installed.
    """

    smallest_batch = 2
    """Images that a batch must have in training."""

    def __init__(self, *, in_channels: int, classes: int, backbone: str = "resnet101") -> None:
        if backbone not in _BACKBONES:
            raise OptionError(f"backbone is {' or '.join(_BACKBONES)}, not {backbone!r}")
        super().__init__(stride=8)
        with needed("torchvision", _NAME):
            from torchvision.models import segmentation  # noqa: PLC0415
        made = getattr(segmentation, f"deeplabv3_{backbone}")(
            weights=None, weights_backbone=None, num_classes=classes, aux_loss=False
        )
        made.backbone["conv1"] = with_bands(made.backbone["conv1"], in_channels)
        # In plain order, so that batch norms can be folded into convolutions.
        self.backbone = nn.Sequential(OrderedDict(made.backbone.items()))
        self.classifier: nn.Module = made.classifier
        self._library_name = backbone

    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W)."""
        coarse = self.classifier(self.backbone(x))
        return functional.interpolate(
            coarse, size=x.shape[-2:], mode="bilinear", align_corners=False
        )

    def _known(self) -> dict[str, WeightsEnum]:
        from torchvision.models import get_model_weights  # noqa: PLC0415

        return {
            **named_weights(get_model_weights(self._library_name), imagenet="IMAGENET1K_V1"),
            **named_weights(
                get_model_weights(f"deeplabv3_{self._library_name}"), coco="COCO_WITH_VOC_LABELS_V1"
            ),
        }
