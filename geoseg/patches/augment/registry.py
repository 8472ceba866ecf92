"""Augmentations by name, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.registry import Registry

Images = NDArray[np.float32]
Labels = NDArray[np.uint8]


class Band(Protocol):
    """What an augmentation may know of a band: statistics over the training patches, raw units.

    `geoseg.raster.bandstatistics.BandStatistics` is one.
    """

    @property
    def mean(self) -> float:
        """Subtracted when the band was normalised."""

    @property
    def std(self) -> float:
        """What the band was divided by; 0 stands for 1."""

    @property
    def min(self) -> float:
        """Lowest valid reading."""

    @property
    def max(self) -> float:
        """Highest valid reading."""


class Augmentation(Protocol):
    """One random transform of a batch."""

    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Transform a batch.

        Parameters
        ----------
        images
            (patches, bands, rows, cols), normalised: 1 is a band's standard deviation. May be
            changed.
        labels
            (patches, rows, cols), class index, 255 where there is none. May be changed. Pixels
            that a transform brings in from outside the patch become 255.
        random
            The only source of chance.

        Returns
        -------
        images, labels
            The arrays given, changed in place, views of them, or new ones, maybe of another height
            and width, the same for all patches.
        """
        ...


_HOMES = {
    "flips": "geoseg.patches.augment.symmetries",
    "rot90": "geoseg.patches.augment.symmetries",
    "rotate": "geoseg.patches.augment.affine",
    "translate": "geoseg.patches.augment.affine",
    "scale": "geoseg.patches.augment.affine",
    "crop": "geoseg.patches.augment.crop",
    "noise": "geoseg.patches.augment.radiometry",
    "gamma": "geoseg.patches.augment.radiometry",
    "brightness": "geoseg.patches.augment.radiometry",
    "jitter": "geoseg.patches.augment.radiometry",
}
AUGMENTATIONS: Registry[Callable[..., Augmentation]] = Registry(
    "augmentation", _HOMES, given=("bands",)
)
"""Makers, see `register`."""

register = AUGMENTATIONS.register
"""Decorator: register a maker ``(**options) -> Augmentation`` by name. One that has a parameter
`bands` is given the sequence of `Band`.
"""

names = AUGMENTATIONS.names
"""Names of all augmentations, sorted."""
