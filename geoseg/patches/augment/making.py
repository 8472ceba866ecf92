"""From a text to transforms, and from transforms to a transformed batch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from geoseg.patches.augment.affine import Composed
from geoseg.patches.augment.geometry import Geometric
from geoseg.patches.augment.registry import AUGMENTATIONS, Augmentation, Band, Images, Labels
from geoseg.terms import parse_list

DEFAULT = "flips, rot90"
"""What is done to training patches where nobody says otherwise."""


def make_augmentations(text: str, bands: Sequence[Band] = ()) -> tuple[Augmentation, ...]:
    """Make the transforms that a text lists, such as ``flips, rotate(degrees=20), noise``.

    They are applied in the order of the text. Geometric ones that follow each other are done in
    one resampling. ``none`` stands for none at all.

    Parameters
    ----------
    text
        A list in the language of `geoseg.terms`.
    bands
        Statistics of each band, for the transforms that need raw units.

    Raises
    ------
    OptionError
        The text cannot be read, names what is not there, or needs statistics that are not given.
    """
    made: list[Augmentation] = []
    for call in parse_list(text, option="--augment"):
        maker = AUGMENTATIONS.maker(call.name)
        AUGMENTATIONS.check_options(call.name, call.arguments)
        wants_bands = "bands" in inspect.signature(maker).parameters
        given = {"bands": tuple(bands)} if wants_bands else {}
        made.append(maker(**given, **call.arguments))
    return tuple(_joined(made))


def _joined(transforms: Sequence[Augmentation]) -> Iterator[Augmentation]:
    """Make one of geometric transforms that follow each other, if one of them interpolates."""
    for geometric, group in groupby(transforms, lambda t: isinstance(t, Geometric)):
        run = list(group)
        steps = [step for step in run if isinstance(step, Geometric)]
        if geometric and len(steps) > 1 and not all(step.exact for step in steps):
            yield Composed(steps)
        else:
            yield from run


def augment(
    transforms: Sequence[Augmentation],
    images: Images,
    labels: Labels,
    random: np.random.Generator,
) -> tuple[Images, Labels]:
    """Apply transforms to a batch, one after the other (see `Augmentation`)."""
    for transform in transforms:
        images, labels = transform(images, labels, random)
    return images, labels
