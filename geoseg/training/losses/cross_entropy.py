"""Cross entropy of the softmax, plain and with rare classes weighted up."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.terms import number
from geoseg.training.losses.base import IGNORE, LossContext, at_least_float32
from geoseg.training.losses.registry import register


class CrossEntropy:
    """Mean over the labelled pixels of ``−w(y) · log softmax(logits)[y]``, weighted by w.

    The mean is ``Σ w(y)·ce / Σ w(y)``, so that weights say what counts and not how large the loss
    is. Without weights it is the plain mean.

    Parameters
    ----------
    weights
        One weight a class; None for all 1.
    smoothing
        Share of each pixel's label that is spread evenly over all classes (Szegedy et al. 2016).
    """

    def __init__(self, weights: tuple[float, ...] | None = None, *, smoothing: float = 0.0) -> None:
        self.weights = weights
        self.smoothing = number("smoothing", smoothing, minimum=0, maximum=1)

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss of logits (N, classes, H, W) against labels (N, H, W) int64."""
        logits = at_least_float32(logits)
        weights = None if self.weights is None else logits.new_tensor(self.weights)
        total = functional.cross_entropy(
            logits,
            labels,
            weight=weights,
            ignore_index=IGNORE,
            reduction="sum",
            label_smoothing=self.smoothing,
        )
        labelled = labels != IGNORE
        if weights is None:
            count = labelled.sum()
        else:
            count = (weights[labels.masked_fill(~labelled, 0)] * labelled).sum()
        # Without a labelled pixel the sum is 0 already, and 0 / 0 would be NaN.
        return total / torch.where(count > 0, count, torch.ones_like(count))


@register("ce")
def cross_entropy(*, context: LossContext, smoothing: float = 0.0) -> CrossEntropy:
    """Make the plain cross entropy."""
    del context
    return CrossEntropy(smoothing=smoothing)


@register("weighted-ce")
def weighted_cross_entropy(*, context: LossContext, smoothing: float = 0.0) -> CrossEntropy:
    """Make the cross entropy weighted by `median_frequency_weights` of the training patches."""
    return CrossEntropy(median_frequency_weights(context.class_pixels), smoothing=smoothing)


def median_frequency_weights(class_pixels: tuple[int, ...]) -> tuple[float, ...]:
    """Weight each class by ``median(frequency) / frequency`` (alpine system).

    The formula printed in the paper, ``ΣF / F``, is a misprint; its text and its results are those
    of the median. Frequencies are shares of all labelled pixels of the training patches, and the
    median is taken over the classes that occur. A class that does not occur cannot be learned; it
    gets weight 1, so that it counts in a validation loss as a common class does.

    Parameters
    ----------
    class_pixels
        Labelled pixels of each class.
    """
    present = torch.tensor([n for n in class_pixels if n > 0], dtype=torch.float64)
    if len(present) == 0:
        return (1.0,) * len(class_pixels)
    # The median of an even number of classes is the mean of the middle two.
    median = float(present.quantile(0.5))
    return tuple(median / n if n > 0 else 1.0 for n in class_pixels)
