"""Focal losses: cross entropies that care less for what is right already (Lin et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.terms import Value, number
from geoseg.training.losses.base import LossContext, binary_maps, labelled
from geoseg.training.losses.registry import register
from geoseg.training.losses.weighting import (
    ClassWeights,
    check_gamma,
    class_weights,
    pixel_mean,
)


def focal(margin: Tensor, gamma: float) -> Tensor:
    """Return ``−(1 − p)^γ · log p`` of ``p = σ(margin)``, element by element.

    Taken from the logarithms of p and of 1 − p, each exact near its end, because ``1 − p`` loses
    its digits where p is near 1 and the power's derivative is infinite there for γ < 1. The
    gradient, ``−(1 − p)^γ · (1 − p − γ·p·log p)``, is a sum of terms of one sign and always finite.
    """
    powered = torch.exp(gamma * functional.logsigmoid(-margin))
    return -powered * functional.logsigmoid(margin)


class SoftmaxFocal:
    """Mean over the labelled pixels of ``−(1 − p)^γ · log p``, p = softmax(logits)[y].

    The softmax form, without α, of the alpine system. (A library's "multiclass focal loss" may be a
    sum of sigmoid ones: `SigmoidFocal`.) γ = 0 is the cross entropy. A class without a labelled
    pixel adds nothing of its own.

    p is the sigmoid of the pixel's margin ``z_y − log Σ_{k≠y} exp z_k``, so it is computed as
    `focal` of that.

    Parameters
    ----------
    gamma
        How strongly pixels that are right already are played down; 0 or more.
    weights
        What a pixel weighs by its class; the mean is ``Σ w(y)·fl / Σ w(y)``.
    """

    def __init__(self, gamma: Value = 2.0, weights: ClassWeights | None = None) -> None:
        self.gamma = check_gamma(gamma)
        self.weights = weights

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss of logits (N, classes, H, W) against labels (N, H, W) int64."""
        batch = labelled(logits, labels)
        index = batch.labels[:, None]
        own = batch.logits.gather(1, index)
        # Far below every logit, yet finite: with one class alone there is no other.
        nothing = torch.finfo(batch.logits.dtype).min / 2
        others = batch.logits.scatter(1, index, nothing).logsumexp(dim=1)
        losses = focal(own[:, 0] - others, self.gamma)
        return pixel_mean(losses, batch.labels, batch.mask, self.weights)


class SigmoidFocal:
    """Mean over labelled pixels and class maps of ``−α_t (1 − p)^γ · log p``, p = σ(t·z), t = ±1.

    Lin et al., equations 4 and 5, one-vs-rest; two classes make one map, ``F = z₁ − z₀``, as in
    `BinaryCrossEntropy`, which it is for γ = 0 without α. A class without a labelled pixel counts:
    its map is all negative. *Decision:* the mean over pixels, not the sum over pixels by the number
    of positive ones, which is the paper's for boxes and has no value without a positive.

    Parameters
    ----------
    gamma
        As in `SoftmaxFocal`.
    alpha
        Weight of a map's positive pixels, from 0 to 1; negative ones weigh 1 − α. None weighs both
        1. (The paper's 0.25 was found for boxes, at γ = 2.)
    weights
        What a pixel weighs, in all maps, by its class.
    """

    def __init__(
        self,
        gamma: Value = 2.0,
        alpha: Value | None = None,
        weights: ClassWeights | None = None,
    ) -> None:
        self.gamma = check_gamma(gamma)
        self.alpha = (
            None if alpha in (None, "none") else number("alpha", alpha, minimum=0, maximum=1)
        )
        self.weights = weights

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss of logits (N, classes, H, W) against labels (N, H, W) int64."""
        batch = labelled(logits, labels)
        maps, positive = binary_maps(batch.logits, batch.labels)
        losses = focal(maps.where(positive, -maps), self.gamma)
        if self.alpha is not None:
            losses = torch.where(positive, self.alpha * losses, (1 - self.alpha) * losses)
        return pixel_mean(losses.mean(dim=1), batch.labels, batch.mask, self.weights)


@register("focal")
def softmax_focal(
    *, context: LossContext, gamma: Value = 2.0, weights: Value | None = None
) -> SoftmaxFocal:
    """Make the focal loss of the softmax."""
    return SoftmaxFocal(gamma, class_weights(weights, context))


@register("focal-sigmoid")
def sigmoid_focal(
    *,
    context: LossContext,
    gamma: Value = 2.0,
    alpha: Value | None = None,
    weights: Value | None = None,
) -> SigmoidFocal:
    """Make the focal loss of the sigmoid."""
    return SigmoidFocal(gamma, alpha, class_weights(weights, context))
