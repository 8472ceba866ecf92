"""1 × 1 convolutions by the library that computes larger ones, for prediction on processors.

torch hands a 1 × 1 convolution of a few images to oneDNN only where several threads share it, and
else multiplies matrices as if it had one thread for good. With a thread for each tile that is the
case always, and takes two to four times as long.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoseg.models.pixelwise import PointwiseConv2d, is_pointwise


class UndividedConv2d(PointwiseConv2d):
    """A 1 × 1 convolution without padding, computed by oneDNN where it is there.

    Answers agree to rounding of float32.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 — torch's name
        """Map (N, channels, H, W), or (channels, H, W), as the convolution does."""
        if (
            input.dim() == 4
            and input.numel()
            and input.device.type == "cpu"
            and input.dtype == torch.float32
            and input.is_contiguous(memory_format=torch.channels_last)
            and not (torch.is_grad_enabled() and (input.requires_grad or self.weight.requires_grad))
        ):
            return torch.mkldnn_convolution(
                input, self.weight, self.bias, (0, 0), (1, 1), (1, 1), 1
            )
        return super().forward(input)


def undivided(network: nn.Module) -> nn.Module:
    """Replace 1 × 1 convolutions of a network, in place, and return it.

    Nothing is replaced where torch was built without oneDNN.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return network
    for module in list(network.modules()):
        for name, child in module.named_children():
            if is_pointwise(child) and child.weight.dtype == torch.float32:
                setattr(module, name, UndividedConv2d.of(child))
    return network
