"""Batch norm folded into its neighbouring convolution: the same answers, less memory to pass."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeGuard

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from geoseg.models.network import channels_last, has_hooks, runs_in_order


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Return a copy for prediction: evaluation mode, channels-last, batch norms folded.

    Within an `nn.Sequential`, a `BatchNorm2d` directly behind a `Conv2d` or a `ConvTranspose2d`
    becomes part of that convolution's kernel and bias; else, one directly before a `Conv2d`
    without padding becomes part of that one. One that stands elsewhere is left as it is, and so is
    one before a padded convolution: the padding's zeros are added behind the batch norm, which
    would have to shift them too. The given network is not touched. Answers agree to rounding of
    float32.
    """
    folded = copy.deepcopy(network).eval()
    with torch.no_grad():
        for module in folded.modules():
            if runs_in_order(module):
                _fold_within(module)
    for parameter in folded.parameters():
        parameter.requires_grad_(False)
    return channels_last(folded)


def _fold_within(layers: nn.Sequential) -> None:
    for index, (first, second) in enumerate(pairwise(list(layers))):
        if not _is_norm(second) or has_hooks(first):
            continue
        if type(first) is nn.Conv2d:
            layers[index] = fuse_conv_bn_eval(first, second)
        elif type(first) is nn.ConvTranspose2d and first.groups == 1:
            layers[index] = fuse_conv_bn_eval(first, second, transpose=True)
        else:
            continue
        layers[index + 1] = nn.Identity()
    for index, (first, second) in enumerate(pairwise(list(layers))):
        if (
            _is_norm(first)
            and type(second) is nn.Conv2d
            and second.padding in ((0, 0), "valid")
            and second.groups == 1
            and not has_hooks(second)
        ):
            layers[index] = nn.Identity()
            layers[index + 1] = _folded_forwards(first, second)


def _is_norm(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    # Exactly this class, as with the convolutions: libraries derive from it what also activates,
    # and convolutions that pad or scale by themselves.
    return (
        type(module) is nn.BatchNorm2d and module.running_mean is not None and not has_hooks(module)
    )


def _folded_forwards(norm: nn.BatchNorm2d, convolution: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution that takes what the batch norm took, and gives what the given one does.

    ``Σ_c k_c · (s_c·x_c + t_c) + b = Σ_c (k_c·s_c) · x_c + (b + Σ_c k_c·t_c)``.
    """
    folded = copy.deepcopy(convolution)
    # As float64: the mean may be many deviations from 0, and the bias sums over all channels.
    # On the processor, because not every device has it.
    values = {key: value.cpu().double() for key, value in norm.state_dict().items()}
    scale = (values["running_var"] + norm.eps).rsqrt() * values.get("weight", 1.0)
    shift = values.get("bias", 0.0) - values["running_mean"] * scale
    kernel = convolution.weight.cpu().double()
    bias = (kernel * shift[:, None, None]).sum(dim=(1, 2, 3))
    if convolution.bias is not None:
        bias = bias + convolution.bias.cpu().double()
    folded.weight = nn.Parameter((kernel * scale[:, None, None]).to(convolution.weight))
    folded.bias = nn.Parameter(bias.to(convolution.weight))
    return folded
