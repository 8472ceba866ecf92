"""From the text of ``--loss`` to a loss: a sum of scaled, named terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from geoseg.registry import Registry
from geoseg.terms import parse_sum

if TYPE_CHECKING:
    from torch import Tensor

    from geoseg.training.losses.base import LossContext, PixelLoss

_HOMES = {
    "bce": "geoseg.training.losses.cross_entropy",
    "ce": "geoseg.training.losses.cross_entropy",
    "focal": "geoseg.training.losses.focal",
    "focal-hinge": "geoseg.training.losses.focal_hinge",
    "focal-sigmoid": "geoseg.training.losses.focal",
    "iou": "geoseg.training.losses.jaccard",
    "jaccard": "geoseg.training.losses.jaccard",
    "lovasz-hinge": "geoseg.training.losses.lovasz",
    "lovasz-softmax": "geoseg.training.losses.lovasz",
    "presence": "geoseg.training.losses.presence",
    "weighted-ce": "geoseg.training.losses.cross_entropy",
}
"""Name of each loss → module that registers it, imported when first asked for."""

PRESENCE_LOSSES = frozenset({"presence"})
"""Losses of image-level labels; all others want a class for every pixel."""

_LOSSES: Registry[Callable[..., PixelLoss]] = Registry("loss", _HOMES, given=("context",))

register = _LOSSES.register
"""Decorator: register a maker ``(*, context: LossContext, **options) -> PixelLoss`` by name."""

names = _LOSSES.names
"""Names of all losses, sorted; imports none of them."""


def default_loss(*, of_patches: bool) -> str:
    """Name the loss where nobody says otherwise; `of_patches` of image-level labels."""
    return "presence" if of_patches else "ce"


def is_of_patches(text: str) -> bool:
    """Tell whether the text of a loss is of image-level labels."""
    return all(t.call.name in PRESENCE_LOSSES for t in parse_sum(text, option="--loss"))


def make_loss(text: str, context: LossContext) -> PixelLoss:
    """Make the loss that a text describes, such as ``0.5*ce + 0.5*focal(gamma=2)``.

    Parameters
    ----------
    text
        A sum in the language of `geoseg.terms`.
    context
        What is known of the data set.

    Raises
    ------
    OptionError
        The text cannot be read, or names what is not there.
    """
    terms = []
    for term in parse_sum(text, option="--loss"):
        maker = _LOSSES.maker(term.call.name)
        _LOSSES.check_options(term.call.name, term.call.arguments)
        terms.append((term.scale, maker(context=context, **term.call.arguments)))
    if len(terms) == 1 and terms[0][0] == 1:
        return terms[0][1]
    return _Sum(terms)


class _Sum:
    def __init__(self, terms: Sequence[tuple[float, PixelLoss]]) -> None:
        self._terms = tuple(terms)

    def __call__(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        (scale, first), *others = self._terms
        total = scale * first(logits, labels)
        for scale, loss in others:
            total = total + scale * loss(logits, labels)
        return total
