"""Thin 1 × 1 convolutions as the matrix products that they are, for prediction on processors.

With a few channels out, torch's convolution of a channels-last image takes some ten times as long
as the product, which moreover gives its answer contiguous, as a softmax over classes wants it.
"""

from __future__ import annotations

from typing import Self, TypeGuard

import torch
from torch import Tensor, nn

from geoseg.models.network import has_hooks

_MOST_IN, _MOST_OUT = 32, 15
"""Channels beyond which the convolution is as fast."""


class PointwiseConv2d(nn.Conv2d):
    """A 1 × 1 convolution without padding that is computed in a way of its own."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> Self:
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


def is_pointwise(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Tell whether a module is a 1 × 1 convolution of torch's own that nothing hangs on."""
    # Exactly this class: others derive from it what pads or scales by itself.
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (1, 1)
        and module.stride == (1, 1)
        and module.padding in ((0, 0), "valid", "same")
        and module.groups == 1
        and not has_hooks(module)
    )


class PixelwiseConv2d(PointwiseConv2d):
    """A 1 × 1 convolution without padding, computed as a matrix product.

    Answers agree to rounding of float32.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 — torch's name
        """Map (N, channels, H, W), or (channels, H, W), as the convolution does; contiguous."""
        if input.dim() != 4 or not len(input):  # one image without a batch, or none
            return super().forward(input)
        kernel = self.weight[:, :, 0, 0]
        # A view of a channels-last image, too: its pixels lie in a row.
        pixels = input.flatten(2)
        found = [
            kernel @ one if self.bias is None else torch.addmm(self.bias[:, None], kernel, one)
            for one in pixels
        ]
        product = found[0][None] if len(found) == 1 else torch.stack(found)
        return product.reshape(len(input), self.out_channels, *input.shape[2:])


def pixelwise(network: nn.Module) -> nn.Module:
    """Replace thin 1 × 1 convolutions of a network, in place, and return it."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if _is_thin(child):
                setattr(module, name, PixelwiseConv2d.of(child))
    return PixelwiseConv2d.of(network) if _is_thin(network) else network


def _is_thin(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        is_pointwise(module) and module.in_channels <= _MOST_IN and module.out_channels <= _MOST_OUT
    )
