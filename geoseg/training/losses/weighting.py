"""What pixels, classes and images weigh in a mean: one rule for all losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geoseg.errors import OptionError
from geoseg.terms import Value, number
from geoseg.training.losses.base import LossContext

COUNTED = ("present", "all")
"""Which classes a mean over classes counts: those with a labelled pixel, or every one."""


class ClassWeights:
    """One weight a class, at hand on every device.

    Parameters
    ----------
    values
        Weight of each class; finite, none negative, not all 0.

    Raises
    ------
    OptionError
        The values are none.
    """

    def __init__(self, values: tuple[float, ...]) -> None:
        self.values = tuple(number("each of a loss's weights", v, minimum=0) for v in values)
        if not any(self.values):
            raise OptionError("a loss's weights are all 0: give at least one class a weight")
        self._made: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def like(self, tensor: Tensor) -> Tensor:
        """Return the weights, (classes,), with the device and type of `tensor`."""
        key = (tensor.device, tensor.dtype)
        if key not in self._made:
            # Copied once: a copy a step would make a card wait. Never an inference tensor, which
            # training could not use after a validation pass had made it.
            with torch.inference_mode(False):
                self._made[key] = torch.tensor(self.values, dtype=key[1], device=key[0])
        return self._made[key]


def class_weights(weights: Value | None, context: LossContext) -> ClassWeights | None:
    """Read the option ``weights`` of a loss.

    Parameters
    ----------
    weights
        ``median`` (`median_frequency_weights` of the training patches), one number a class, in the
        order of the classes, or ``none``.
    context
        What is known of the data set.

    Raises
    ------
    OptionError
        It is none of these.
    """
    if weights is None or weights == "none":
        return None
    if weights == "median":
        return ClassWeights(median_frequency_weights(context.class_pixels))
    if not isinstance(weights, tuple):
        raise OptionError(f"a loss's weights must be median, none or a list, not {weights!r}")
    if len(weights) != context.classes:
        raise OptionError(
            f"a loss's weights must be one number a class, {context.classes}, not {len(weights)}"
        )
    return ClassWeights(tuple(number("each of a loss's weights", v, minimum=0) for v in weights))


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
    present = sorted(n for n in class_pixels if n > 0)
    if not present:
        return (1.0,) * len(class_pixels)
    # The median of an even number of classes is the mean of the middle two.
    median = (present[(len(present) - 1) // 2] + present[len(present) // 2]) / 2
    return tuple(median / n if n > 0 else 1.0 for n in class_pixels)


def pixel_mean(
    values: Tensor, labels: Tensor, mask: Tensor, weights: ClassWeights | None
) -> Tensor:
    """Average over the labelled pixels, ``Σ w(y)·value / Σ w(y)``; 0 where nothing weighs.

    Parameters
    ----------
    values
        (N, H, W), finite wherever there is no label.
    labels, mask
        As in `geoseg.training.losses.base.Labelled`.
    weights
        What a pixel weighs by the class of its label; None for all the same.
    """
    shares = mask.to(values.dtype)
    if weights is not None:
        shares = shares * weights.like(values)[labels]
    return (values * shares).sum() / or_one(shares.sum())


def class_shares(
    pixels: Tensor, foreground: Tensor, weights: Tensor | None, counted: str
) -> Tensor:
    """Say how much the loss of each image and class weighs in the loss of the batch.

    Classes are averaged (weighted) within an image, then images; an image without labelled pixels
    is none. The shares of an image add up to 1 / images, or to 0 where it has no label, or none
    of a class that weighs.

    Parameters
    ----------
    pixels
        (images,) labelled pixels of each image; one "image" if the loss is of the whole batch.
    foreground
        (images, classes) labelled pixels of each class.
    weights
        (classes,), or None for all the same.
    counted
        One of `COUNTED`.

    Returns
    -------
    shares
        (images, classes), of the type of `weights`, else float64 on the CPU and float32 elsewhere.
    """
    dtype = torch.float64 if pixels.device.type == "cpu" else torch.float32
    has_label = (pixels > 0)[:, None]
    counts = foreground > 0 if counted == "present" else has_label.expand_as(foreground)
    shares = counts.to(dtype if weights is None else weights.dtype)
    if weights is not None:
        shares = shares * weights
    return shares / or_one(shares.sum(dim=1, keepdim=True)) / or_one(has_label.sum())


def or_one(count: Tensor) -> Tensor:
    """Return a divisor: `count`, and 1 where it is 0 and the dividend is 0 as well."""
    return torch.where(count > 0, count, torch.ones_like(count))


def check_counted(counted: Value) -> str:
    """Check the option ``classes`` of a loss; raises `OptionError` unless it is in `COUNTED`."""
    return check_word("classes", counted, COUNTED)


def check_word(name: str, value: Value, words: tuple[str, ...]) -> str:
    """Check an option that must be one of some words; raises `OptionError` where it is not."""
    if not isinstance(value, str) or value not in words:
        raise OptionError(f"{name} must be {' or '.join(words)}, not {value!r}")
    return value


def check_truth(name: str, value: Value) -> bool:
    """Check an option that must be a truth value; raises `OptionError` where it is not."""
    if not isinstance(value, bool):
        raise OptionError(f"{name} must be true or false, not {value!r}")
    return value


def check_gamma(gamma: Value) -> float:
    """Check the focusing parameter of a focal loss; raises `OptionError` if it is below 0."""
    return number("gamma", gamma, minimum=0, maximum=math.inf)
