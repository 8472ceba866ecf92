"""Batch norm folded into the convolution before it: the same answers, fewer passes over memory."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from geoseg.models.network import channels_last


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Return a copy for prediction: evaluation mode, channels-last, batch norms folded.

    A `BatchNorm2d` directly behind a `Conv2d` in one `nn.Sequential` becomes part of the
    convolution's kernel and bias; one that stands elsewhere is left as it is. The given network
    is not touched. Answers agree to rounding of float32.
    """
    folded = copy.deepcopy(network).eval()
    with torch.no_grad():
        for module in folded.modules():
            # A subclass may run its layers in another order, so only the plain order is taken for
            # granted.
            if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
                _fold_within(module)
    for parameter in folded.parameters():
        parameter.requires_grad_(False)
    return channels_last(folded)


def _fold_within(layers: nn.Sequential) -> None:
    for index, (first, second) in enumerate(pairwise(list(layers))):
        if (
            isinstance(first, nn.Conv2d)
            and isinstance(second, nn.BatchNorm2d)
            and second.running_mean is not None
        ):
            layers[index] = fuse_conv_bn_eval(first, second)
            layers[index + 1] = nn.Identity()
