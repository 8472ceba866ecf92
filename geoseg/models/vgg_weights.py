"""Weights of VGG-16 from torchvision, for networks of our own that have its shape."""

from __future__ import annotations

from torch import Tensor, nn

from geoseg.models.library import needed

NETWORKS = ("fcn16s", "fcn32s", "fcn8s", "segnet")
"""Networks whose ``features`` have the places that VGG-16's have in torchvision."""

_SIDE = 7


class Vgg16Weights:
    """What torchvision knows for a network in the shape of VGG-16; see `Pretrained`.

    The dense layers become convolutions as in Long, Shelhamer, Darrell (2015, section 3.1), where
    the network has them in full width.

    Parameters
    ----------
    network
        One of `NETWORKS`.
    name
        Its name.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        self._name = name
        self._shapes = {key: value.shape for key, value in network.state_dict().items()}

    def pretrained_names(self) -> tuple[str, ...]:
        """Return ``imagenet``."""
        return ("imagenet",)

    def pretrained(self, name: str) -> dict[str, Tensor]:  # noqa: ARG002 — there is one alone
        """Fetch the weights, with batch norm or without, as the network has it."""
        with needed("torchvision", self._name):
            from torchvision.models import VGG16_BN_Weights, VGG16_Weights  # noqa: PLC0415
        has_norm = any(key.endswith("running_mean") for key in self._shapes)
        known = VGG16_BN_Weights if has_norm else VGG16_Weights
        held = known.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
        weights = {key: value for key, value in held.items() if key.startswith("features.")}
        for layer, side in (("0", _SIDE), ("3", 1)):
            kernels = held[f"classifier.{layer}.weight"]
            kernels = kernels.reshape(len(kernels), -1, side, side)
            if self._shapes.get(f"dense.{layer}.weight") == kernels.shape:
                weights[f"dense.{layer}.weight"] = kernels
                weights[f"dense.{layer}.bias"] = held[f"classifier.{layer}.bias"]
        return weights
