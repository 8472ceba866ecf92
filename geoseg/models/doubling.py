"""Doubling and the 3 × 3 convolution behind it as one transposed convolution, for prediction.

Of the nine pixels that the convolution sees of a doubled image, five are copies. What falls on the
same pixel is added up beforehand, so that an answer takes four products for nine, and the doubled
image is never made (Shi et al., "Is the deconvolution layer the same as a convolutional layer?",
2016).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeGuard

import torch
from torch import nn

from geoseg.models.network import has_hooks


def doubled(layers: nn.Sequential) -> nn.Sequential:
    """Replace doublings with a convolution behind them, in place, and return the layers.

    A doubling is a nearest-neighbour `nn.Upsample` by 2, the convolution a padded 3 × 3
    `nn.Conv2d`. Answers agree to rounding of float32. Layers within layers are left as they are.
    """
    with torch.no_grad():
        for index, (first, second) in enumerate(pairwise(list(layers))):
            if _is_doubling(first) and _is_padded(second):
                layers[index] = nn.Identity()
                layers[index + 1] = transposed(second)
    return layers


def transposed(convolution: nn.Conv2d) -> nn.ConvTranspose2d:
    """Return what maps an image as a padded 3 × 3 convolution maps its double.

    Each pixel's square of four copies adds the kernel to the answer four times, a pixel apart:
    ``t[y, x] = Σ k[2 − y + a, 2 − x + b]`` over a, b ∈ {0, 1}, where the kernel k has such a
    number. It is summed as float64.
    """
    kernel = convolution.weight.double().transpose(0, 1).flip(2, 3)
    spread = kernel.new_zeros(*kernel.shape[:2], 4, 4)
    for down in (0, 1):
        for right in (0, 1):
            spread[:, :, down : down + 3, right : right + 3] += kernel
    made = nn.ConvTranspose2d(
        convolution.in_channels,
        convolution.out_channels,
        4,
        stride=2,
        padding=1,
        bias=convolution.bias is not None,
        device="meta",
    )
    summed = spread.to(convolution.weight).contiguous(memory_format=torch.channels_last)
    made.weight, made.bias = nn.Parameter(summed, requires_grad=False), convolution.bias
    return made.train(convolution.training)


def _is_doubling(module: nn.Module) -> bool:
    return (
        type(module) is nn.Upsample
        and module.size is None
        and module.scale_factor in (2.0, (2.0, 2.0))
        and module.mode == "nearest"
        and not has_hooks(module)
    )


def _is_padded(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    # Exactly this class: others derive from it what pads or scales by itself.
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and module.stride == (1, 1)
        and module.padding in ((1, 1), "same")
        and module.padding_mode == "zeros"
        and module.dilation == (1, 1)
        and module.groups == 1
        and not has_hooks(module)
    )
