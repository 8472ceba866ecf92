"""1 × 1 convolutions by the library that computes larger ones, for prediction on processors.

torch hands a 1 × 1 convolution of a few images to oneDNN only where several threads share it, and
else multiplies matrices as if it had one thread for good. With a thread for each tile that is the
case always, and takes two to four times as long.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn

from geoseg.models.network import has_hooks


class UndividedConv2d(nn.Conv2d):
    """A 1 × 1 convolution without padding, computed by oneDNN where it is there.

    Answers agree to rounding of float32.
    """

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> UndividedConv2d:
        """Return one that shares a convolution's numbers."""
        made = cls(
            convolution.in_channels,
            convolution.out_channels,
            1,
            bias=convolution.bias is not None,
            device="meta",
        )
        made.weight, made.bias = convolution.weight, convolution.bias
        return made.train(convolution.training)

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
            if _is_pointwise(child):
                setattr(module, name, UndividedConv2d.of(child))
    return network


def _is_pointwise(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    # Exactly this class: others derive from it what pads or scales by itself.
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (1, 1)
        and module.stride == (1, 1)
        and module.padding in ((0, 0), "valid", "same")
        and module.groups == 1
        and module.weight.dtype == torch.float32
        and not has_hooks(module)
    )
