"""The Focal-Hinge loss of the agde system."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.terms import Value
from geoseg.training.losses.base import LossContext, class_maps, labelled
from geoseg.training.losses.registry import register
from geoseg.training.losses.weighting import (
    ClassWeights,
    check_gamma,
    class_shares,
    class_weights,
    or_one,
)


class FocalHinge:
    """One-vs-rest sum of ``N_t · (1 − p)^γ · h(z)``, ``z = t·y``, over the pixels of each map.

    y is a map's logit, t = +1 for its class and −1 for the rest, p = σ(z), and h the smooth hinge:
    ``½ − z`` for z ≤ 0, ``½(1 − z)²`` for 0 < z < 1, 0 beyond. N_t is 1 by the number of pixels
    with that sign in that class map of that image, so that both signs weigh the same. Summed over
    pixels, averaged over class maps (always one a class, with two classes too), then over the
    images that hold a label.

    **Absent classes.** A sign without pixels adds 0: a class that an image does not hold is pushed
    down by its negatives, and counts in the mean.

    *Decisions.* The paper writes p = σ(y), which is right for t = +1 alone and silences hard
    negatives; ours is σ(t·y). Its gradient, equation 6, has the wrong sign of t in its first branch
    and jumps at 0; the gradient of the loss is

        ``N_t (1 − p)^γ [h′ − γ·t·p·h]``, ``h′ = −t`` for z ≤ 0, ``−t(1 − z)`` for 0 < z < 1,

    continuous everywhere.

    Parameters
    ----------
    gamma
        How strongly pixels that are right already are played down; 0 or more.
    weights
        What a class's map weighs in the mean over maps; None for all the same.
    """

    def __init__(self, gamma: Value = 2.0, weights: ClassWeights | None = None) -> None:
        self.gamma = check_gamma(gamma)
        self.weights = weights

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss of logits (N, classes, H, W) against labels (N, H, W) int64."""
        batch = labelled(logits, labels)
        maps, positive = class_maps(batch.logits, batch.labels)
        positive &= batch.mask[:, None]
        z = maps.where(positive, -maps)
        hinge = torch.where(z > 0, 0.5 * (1 - z).clamp(min=0).square(), 0.5 - z)
        losses = torch.exp(self.gamma * functional.logsigmoid(-z)) * hinge

        pixels = batch.mask.sum(dim=(1, 2))
        held = positive.sum(dim=(2, 3))
        weights = None if self.weights is None else self.weights.like(losses)
        shares = class_shares(pixels, held, weights, "all").to(losses.dtype)
        by_positive = shares / or_one(held)
        by_negative = shares / or_one(pixels[:, None] - held)
        factors = torch.where(
            positive, by_positive[:, :, None, None], by_negative[:, :, None, None]
        )
        return (losses * factors * batch.mask[:, None]).sum()


@register("focal-hinge")
def focal_hinge(
    *, context: LossContext, gamma: Value = 2.0, weights: Value | None = None
) -> FocalHinge:
    """Make the Focal-Hinge loss."""
    return FocalHinge(gamma, class_weights(weights, context))
