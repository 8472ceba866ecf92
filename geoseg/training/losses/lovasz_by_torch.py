"""Lovász slopes and gradients in torch's operations: any device, any type, nothing waited for.

The formulae are in `geoseg.training.losses.lovasz`; `lovasz_by_loops` does the same in compiled
loops.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from geoseg.training.losses.base import IGNORE


class Slopes(NamedTuple):
    """What sorting gave; an "image" is the whole batch where that is taken as one."""

    losses: Tensor
    """(images, maps): the Lovász extension."""
    slopes: Tensor
    """Its derivative by each error; laid out as its maker likes."""
    foreground: Tensor
    """(images, maps) pixels of the map's class."""
    pixels: Tensor
    """(images,) labelled pixels."""


def slopes(values: Tensor, labels: Tensor, *, hinge: bool, first: int, per_image: bool) -> Slopes:
    """Sort the errors of every map and take their slopes.

    Parameters
    ----------
    values
        (N, maps, pixels): F of the hinge, or probabilities.
    labels
        (N, pixels) int64.
    hinge
        Errors are ``max(0, 1 − s·F)``; else ``|1{y = c} − p|``.
    first
        Class of the first map.
    per_image
        Each image by itself; else the batch as one.

    Returns
    -------
    slopes
        With ``slopes.slopes`` (N, maps, pixels), 0 where there is no label.
    """
    mask, positive = _targets(values, labels, first)
    if hinge:
        errors = (1 - values.where(positive, -values)).clamp(min=0)
    else:
        errors = values.where(~positive, _complement(values))
    # Behind all others, which are not negative.
    errors = errors.masked_fill(~mask, -1)
    if not per_image:
        errors, positive, mask = (_as_one(x) for x in (errors, positive, mask))
    ordered, order = errors.sort(dim=-1, descending=True, stable=True)
    hit = positive.gather(-1, order)
    whole = hit.sum(dim=-1, keepdim=True)
    seen = hit.cumsum(dim=-1)
    rank = torch.arange(1, hit.shape[-1] + 1, device=hit.device)
    # Whole numbers until here; as floating ones exact up to 2²⁴ pixels and rounded once beyond.
    intersection = (whole - seen).to(errors.dtype)
    union = whole + rank - seen
    before = (union - 1).clamp(min=1).to(errors.dtype)
    miss = torch.where(union > 1, intersection / union.to(errors.dtype) / before, 1)
    slope = torch.where(hit, 1 / union.clamp(min=1).to(errors.dtype), miss)
    slope = slope.masked_fill(ordered < 0, 0)
    # A slope of 0 silences an infinite error.
    losses = torch.where(slope > 0, ordered * slope, 0).sum(dim=-1)
    slope = torch.zeros_like(slope).scatter_(-1, order, slope)
    pixels = mask.sum(dim=-1)[:, 0]
    if not per_image:
        slope = slope[0].view(-1, *labels.shape).transpose(0, 1)
    return Slopes(losses, slope, whole[..., 0], pixels)


def gradient(
    values: Tensor, labels: Tensor, found: Slopes, shares: Tensor, *, hinge: bool, first: int
) -> Tensor:
    """Carry slopes back to the maps, each (image, map) by its share.

    Parameters
    ----------
    values, labels, hinge, first
        As given to `slopes`.
    found
        What that returned.
    shares
        (N, maps).

    Returns
    -------
    gradient
        (N, maps, pixels) by F, or by the logits of the softmax.
    """
    mask, positive = _targets(values, labels, first)
    scaled = found.slopes * shares.to(values.dtype)[..., None]
    if hinge:
        active = ~(1 - values.where(positive, -values) <= 0)
        return torch.where(positive, -scaled, scaled).masked_fill(~(active & mask), 0)
    rest = _complement(values)
    pulls = scaled * values
    own = pulls.masked_fill(~positive, 0).sum(dim=1, keepdim=True)
    # Σ of the a_k p_k over k ≠ y, j: where p_j > ½ it is the sum of the small ones, else a
    # difference that keeps its digits because a_j (1 − p_j) stands beside it.
    others = pulls.masked_fill(positive, 0)
    total = others.sum(dim=1, keepdim=True)
    small = others.masked_fill(values > 0.5, 0).sum(dim=1, keepdim=True)
    without = torch.where(values > 0.5, small, total - others)
    up = values * (scaled * rest + own - without)
    down = -values * (scaled * rest + total)
    return torch.where(positive, down, up).masked_fill(~mask, 0)


def _targets(values: Tensor, labels: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Return (N, 1, pixels) "has a label" and (N, maps, pixels) "is of the map's class"."""
    classes = torch.arange(first, first + values.shape[1], device=values.device)
    mask = (labels != IGNORE)[:, None]
    return mask, (labels[:, None] == classes[:, None]) & mask


def _complement(p: Tensor) -> Tensor:
    """Return 1 − p with all digits: where p > ½, the sum of the other classes' probabilities."""
    large = p > 0.5
    return torch.where(large, p.masked_fill(large, 0).sum(dim=1, keepdim=True), 1 - p)


def _as_one(maps: Tensor) -> Tensor:
    """Lay the images' pixels after each other: (N, maps, pixels) → (1, maps, N · pixels)."""
    return maps.transpose(0, 1).flatten(1)[None]
