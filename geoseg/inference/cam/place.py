"""From positions of feature maps to pixels of the image that they were made from.

A network with stride n leaves one value for about n × n pixels. Two ways to give every pixel one:

- ``repeat``: each value n × n times, and the last row and column again where pixels are left over
  (cropland-cam: 12 × 12 values, times 4, padded from 48 to 50).
- ``bilinear``: between the places where the receptive fields are centred, which is not the same as
  stretching the map over the image where a network leaves a border out; beyond the outermost
  centres the outermost values.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.errors import OptionError

Upsampling = Literal["bilinear", "repeat"]
"""Names of the ways."""

UPSAMPLINGS: tuple[str, ...] = get_args(Upsampling)


def to_pixels(
    maps: Tensor, *, stride: float, centre: float, height: int, width: int, method: str
) -> Tensor:
    """Give every pixel its value.

    Parameters
    ----------
    maps
        (N, classes, h, w).
    stride
        Pixels from one position to the next; a whole number for ``repeat``.
    centre
        Where position 0 is centred, in pixels from the middle of the first pixel; ``repeat`` does
        not look at it.
    height, width
        Of the image.
    method
        One of `UPSAMPLINGS`.

    Returns
    -------
    (N, classes, height, width), of the type of the maps.

    Raises
    ------
    OptionError
        No such method, or a stride that values cannot be repeated by.
    """
    if method == "repeat":
        return _repeated(maps, stride, height, width)
    if method != "bilinear":
        raise OptionError(f"unknown upsampling '{method}'; there are {', '.join(UPSAMPLINGS)}")
    for dim, length in ((2, height), (3, width)):
        before, share = _taps(length, maps.shape[dim], stride, centre)
        after = (before + 1).clamp(max=maps.shape[dim] - 1)
        weights = share.to(maps).view(-1, *[1] * (3 - dim))
        before, after = before.to(maps.device), after.to(maps.device)
        maps = torch.lerp(maps.index_select(dim, before), maps.index_select(dim, after), weights)
    return maps


def _repeated(maps: Tensor, stride: float, height: int, width: int) -> Tensor:
    times = math.floor(stride)
    if times != stride or times < 1:
        raise OptionError(f"values cannot be repeated {stride:g} times: use bilinear upsampling")
    maps = maps.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)
    maps = maps[:, :, :height, :width]
    below, right = height - maps.shape[2], width - maps.shape[3]
    if below or right:
        maps = functional.pad(maps, (0, right, 0, below), mode="replicate")
    return maps


def _taps(length: int, positions: int, stride: float, centre: float) -> tuple[Tensor, Tensor]:
    """For each pixel: the position before it, and the share of the one after."""
    place = (torch.arange(length, dtype=torch.float64) - centre) / stride
    place = place.clamp(0, positions - 1)
    before = place.floor().clamp(max=max(positions - 2, 0))
    return before.long(), place - before
