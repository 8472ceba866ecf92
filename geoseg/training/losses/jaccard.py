"""Soft Jaccard losses: one minus the intersection over union of probabilities."""

from __future__ import annotations

from torch import Tensor

from geoseg.terms import Value
from geoseg.training.losses.base import LossContext, class_maps, labelled
from geoseg.training.losses.registry import register
from geoseg.training.losses.weighting import (
    ClassWeights,
    check_counted,
    check_truth,
    check_word,
    class_shares,
    class_weights,
    or_one,
)

FORMS = ("set", "printed")
"""How a soft Jaccard is formed: of sets of pixels, or as the deepglobe paper prints it."""


class Jaccard:
    """Mean over classes of ``1 − J_c``, with J_c from the softmax p and the label indicator g.

    ``set`` (deepglobe and alpine systems)
        ``J_c = Σ p·g / Σ (p + g − p·g)``, sums over the labelled pixels of the batch, or of each
        image.
    ``printed`` (the literal equation 3 of the deepglobe paper)
        ``J_c = 1/n Σ p·g / (p + g − p·g)``, a fraction a pixel. It is ``p`` where g = 1 and 0 where
        g = 0, so the mean of J over C classes is ``Σ p[y] / (C·n)``, never above 1/C: the loss is
        linear in the probability of the true class and knows nothing of unions. The minus sign of
        the paper's equation 2 is right for a similarity alone; the loss here is ``1 − J``.

    **Absent classes** (no labelled pixel in the batch, or the image). ``present`` leaves them out
    of the mean. ``all`` counts them with J = 0, which is what the set form gives for every p > 0
    and what we take for 0 / 0 as well: a constant loss of 1 without a gradient, never a perfect
    score.

    Parameters
    ----------
    form
        ``set`` or ``printed``.
    per_image
        Sums over each image, averaged over the images that hold a label; else over the batch.
    classes
        ``present`` or ``all``; None for ``present`` in the set form and for ``all`` in the printed
        one, whose divisor is the number of all classes.
    weights
        What a class weighs in the mean over the classes counted; None for all the same.
    """

    def __init__(
        self,
        form: Value = "set",
        *,
        per_image: Value = False,
        classes: Value | None = None,
        weights: ClassWeights | None = None,
    ) -> None:
        self.form = check_word("form", form, FORMS)
        self.per_image = check_truth("per_image", per_image)
        default = "present" if self.form == "set" else "all"
        self.classes = default if classes is None else check_counted(classes)
        self.weights = weights

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Return the loss of logits (N, classes, H, W) against labels (N, H, W) int64."""
        batch = labelled(logits, labels)
        maps, positive = class_maps(batch.logits.softmax(dim=1), batch.labels)
        counted = batch.mask[:, None]
        positive &= counted
        # Sums a map of an image first: one long sum would round more.
        # Chosen and not multiplied: the gradient of a union near 0 overflows, and inf · 0 is NaN.
        right = maps.where(positive, 0).sum(dim=(2, 3))
        wrong = maps.where(counted & ~positive, 0).sum(dim=(2, 3))
        held, pixels = positive.sum(dim=(2, 3)), counted.sum(dim=(2, 3))
        if not self.per_image:
            right, wrong, held, pixels = (
                x.sum(dim=0, keepdim=True) for x in (right, wrong, held, pixels)
            )
        # The union, Σ (p + g − p·g), is every pixel of the class and what others give to it.
        whole = held + wrong if self.form == "set" else pixels
        weights = None if self.weights is None else self.weights.like(right)
        shares = class_shares(pixels[:, 0], held, weights, self.classes).to(right.dtype)
        return (shares * (1 - right / or_one(whole))).sum()


@register("jaccard")
def jaccard(
    *,
    context: LossContext,
    form: Value = "set",
    per_image: Value = False,
    classes: Value | None = None,
    weights: Value | None = None,
) -> Jaccard:
    """Make the soft Jaccard loss of the deepglobe system."""
    return Jaccard(
        form, per_image=per_image, classes=classes, weights=class_weights(weights, context)
    )


@register("iou")
def iou(
    *, context: LossContext, classes: Value = "present", weights: Value | None = None
) -> Jaccard:
    """Make the IoU loss of the alpine system: the set form over the batch.

    *Decision:* over the classes present; the paper's mean over all classes is ``classes=all``.
    """
    return Jaccard(classes=classes, weights=class_weights(weights, context))
