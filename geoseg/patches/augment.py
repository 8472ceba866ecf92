"""Transforms of image and mask together. Works on arrays; knows neither files nor torch.

A new transform is one class here or in a file of its own, and one line in `_HOMES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.registry import Registry
from geoseg.terms import number, parse_list

DEFAULT = "flips, rot90"
"""What is done to training patches where nobody says otherwise."""


class Augmentation(Protocol):
    """One random transform of a batch."""

    def __call__(
        self,
        images: NDArray[np.float32],
        labels: NDArray[np.uint8],
        random: np.random.Generator,
        /,
    ) -> None:
        """Transform a batch in place.

        Parameters
        ----------
        images
            (patches, bands, rows, cols), normalised: 1 is a band's standard deviation.
        labels
            (patches, rows, cols), class index, 255 where there is none. Pixels that a transform
            brings in from outside the patch become 255.
        random
            The only source of chance.
        """
        ...


_HOMES = {"flips": __name__, "rot90": __name__, "noise": __name__}
_AUGMENTATIONS: Registry[Callable[..., Augmentation]] = Registry("augmentation", _HOMES)

register = _AUGMENTATIONS.register
"""Decorator: register a maker ``(**options) -> Augmentation`` by name."""

names = _AUGMENTATIONS.names
"""Names of all augmentations, sorted."""


def make_augmentations(text: str) -> tuple[Augmentation, ...]:
    """Make the transforms that a text lists, such as ``flips, rot90, noise(sigma=0.1)``.

    They are applied in the order of the text. ``none`` stands for none at all.

    Raises
    ------
    OptionError
        The text cannot be read, or names what is not there.
    """
    made = []
    for call in parse_list(text, option="--augment"):
        maker = _AUGMENTATIONS.maker(call.name)
        _AUGMENTATIONS.check_options(call.name, call.arguments)
        made.append(maker(**call.arguments))
    return tuple(made)


def augment(
    transforms: Sequence[Augmentation],
    images: NDArray[np.float32],
    labels: NDArray[np.uint8],
    random: np.random.Generator,
) -> None:
    """Apply transforms to a batch, one after the other, in place (see `Augmentation`)."""
    for transform in transforms:
        transform(images, labels, random)


@register("flips")
class Flips:
    """Mirror each patch left to right with probability ½, and top to bottom with probability ½."""

    def __call__(
        self,
        images: NDArray[np.float32],
        labels: NDArray[np.uint8],
        random: np.random.Generator,
        /,
    ) -> None:
        """Transform a batch in place."""
        for patch, (across, down) in enumerate(random.integers(0, 2, size=(len(images), 2))):
            rows, cols = slice(None, None, 1 - 2 * down), slice(None, None, 1 - 2 * across)
            if across or down:
                images[patch] = images[patch, :, rows, cols].copy()
                labels[patch] = labels[patch, rows, cols].copy()


@register("rot90")
class QuarterTurns:
    """Turn each patch by 0, 90, 180 or 270 degrees, each with probability ¼.

    Patches that are not square are turned by 0 or 180 degrees.
    """

    def __call__(
        self,
        images: NDArray[np.float32],
        labels: NDArray[np.uint8],
        random: np.random.Generator,
        /,
    ) -> None:
        """Transform a batch in place."""
        quarter = 1 if images.shape[-2] == images.shape[-1] else 2
        for patch, turns in enumerate(random.integers(0, 4 // quarter, size=len(images)) * quarter):
            if turns:
                images[patch] = np.rot90(images[patch], turns, axes=(-2, -1)).copy()
                labels[patch] = np.rot90(labels[patch], turns).copy()


@register("noise")
class Noise:
    """Add Gaussian noise to every reading, drawn anew for each pixel and band.

    Parameters
    ----------
    sigma
        Standard deviation of the noise in units of the band's own standard deviation.
    """

    def __init__(self, sigma: float = 0.1) -> None:
        self.sigma = number("noise's sigma", sigma, minimum=0, maximum=10)

    def __call__(
        self,
        images: NDArray[np.float32],
        labels: NDArray[np.uint8],
        random: np.random.Generator,
        /,
    ) -> None:
        """Transform a batch in place."""
        del labels
        drawn = random.standard_normal(images.shape, dtype=np.float32)
        drawn *= np.float32(self.sigma)
        images += drawn
