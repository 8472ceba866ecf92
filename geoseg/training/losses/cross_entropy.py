"""Cross entropy: of the softmax, plain and with rare classes weighted up, and of the sigmoid."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from geoseg.terms import Value, number
from geoseg.training.losses.base import IGNORE, LossContext, binary_maps, labelled
from geoseg.training.losses.registry import register
from geoseg.training.losses.weighting import ClassWeights, class_weights, or_one, pixel_mean


class CrossEntropy:
    """Mean over the labelled pixels of ``−w(y) · log softmax(logits)[y]``, weighted by w.

    The mean is ``Σ w(y)·ce / Σ w(y)``, so that weights say what counts and not how large the loss
    is. Without weights it is the plain mean. A class without a labelled pixel adds nothing of its
    own; its logits are pushed down where other classes are.

    Parameters
    ----------
    weights
        What a pixel weighs by its class; None for all the same.
    smoothing
        Share of each pixel's label that is spread evenly over all classes (Szegedy et al. 2016).
        With weights, the part spread to class c weighs w(c), as in torch.
    """

    def __init__(self, weights: ClassWeights | None = None, *, smoothing: float = 0.0) -> None:
        self.weights = weights
        self.smoothing = number("smoothing", smoothing, minimum=0, maximum=1)

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss of logits (N, classes, H, W) against labels (N, H, W) int64."""
        batch = labelled(logits, labels)
        weights = None if self.weights is None else self.weights.like(batch.logits)
        total = functional.cross_entropy(
            batch.logits,
            labels,
            weight=weights,
            ignore_index=IGNORE,
            reduction="sum",
            label_smoothing=self.smoothing,
        )
        count = (batch.mask if weights is None else weights[batch.labels] * batch.mask).sum()
        # Without a labelled pixel the sum is 0 already, and 0 / 0 would be NaN.
        return total / or_one(count)


class BinaryCrossEntropy:
    """Mean over labelled pixels and class maps of ``−log σ(t·z)``, t = ±1 (sigmoid, one-vs-rest).

    Exactly two classes make one map, ``F = z₁ − z₀``: the binary cross entropy of the sugarcane
    system, equal to the softmax's cross entropy. More classes make one map each, and a class
    without a labelled pixel counts as the others do: its map is all negative. (The agde system's
    "sigmoid + CE".)

    Parameters
    ----------
    weights
        What a pixel weighs, in all maps, by its class; the mean is ``Σ w(y)·bce / Σ w(y)``.
    """

    def __init__(self, weights: ClassWeights | None = None) -> None:
        self.weights = weights

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss of logits (N, classes, H, W) against labels (N, H, W) int64."""
        batch = labelled(logits, labels)
        maps, positive = binary_maps(batch.logits, batch.labels)
        # torch's softplus turns linear at 20, which is 2e-9 off; logsigmoid is exact.
        losses = -functional.logsigmoid(maps.where(positive, -maps))
        return pixel_mean(losses.mean(dim=1), batch.labels, batch.mask, self.weights)


@register("ce")
def cross_entropy(
    *, context: LossContext, weights: Value | None = None, smoothing: float = 0.0
) -> CrossEntropy:
    """Make the cross entropy of the softmax."""
    return CrossEntropy(class_weights(weights, context), smoothing=smoothing)


@register("weighted-ce")
def weighted_cross_entropy(*, context: LossContext, smoothing: float = 0.0) -> CrossEntropy:
    """Make the cross entropy weighted by `median_frequency_weights` of the training patches."""
    return CrossEntropy(class_weights("median", context), smoothing=smoothing)


@register("bce")
def binary_cross_entropy(
    *, context: LossContext, weights: Value | None = None
) -> BinaryCrossEntropy:
    """Make the cross entropy of the sigmoid."""
    return BinaryCrossEntropy(class_weights(weights, context))
