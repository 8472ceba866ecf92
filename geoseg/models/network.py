"""What all networks of our own share: any size in, the same size out."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional


class SegmentationNetwork(nn.Module):
    """A network that accepts images of any size.

    An image whose sides are no multiples of `stride` is continued to the right and below by its
    edge pixels, and the logits are cropped back. Edge pixels rather than zeros, because zero is
    the mean of every band: a collar of average ground with a hard edge that no scene has.
    """

    stride: int
    """By how much the deepest features are smaller than the image."""

    def __init__(self, *, stride: int) -> None:
        super().__init__()
        self.stride = stride

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W), where H and W are multiples of `stride`."""

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised float (N, bands, H, W) to logits (N, classes, H, W), any H, W ≥ 1."""
        height, width = x.shape[-2], x.shape[-1]
        below, right = -height % self.stride, -width % self.stride
        if below == 0 and right == 0:
            return self.logits(x)
        padded = functional.pad(x, (0, right, 0, below), mode="replicate")
        return self.logits(padded)[..., :height, :width]


def he_normal(network: nn.Module) -> None:
    """Draw kernels as in He et al. (2015), for layers followed by ReLU; biases become 0.

    Transposed convolutions of kernel and stride 2 see each input once, so their fan is the number
    of input channels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def parameter_count(network: nn.Module) -> int:
    """Count the trained numbers (batch-norm statistics are not trained)."""
    return sum(p.numel() for p in network.parameters())


def channels_last(network: nn.Module) -> nn.Module:
    """Lay out a network's kernels channels-last, in place, and return it.

    Convolutions are much faster so on processors and on recent cards, and pass the layout on.
    """
    moved: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved
