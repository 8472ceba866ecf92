"""What transforms that move pixels have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from geoseg.patches.augment.registry import Images, Labels


class Geometric(ABC):
    """A transform that says where each pixel comes from."""

    exact: bool = False
    """Whether every pixel comes from the middle of another, so that nothing is interpolated."""

    @abstractmethod
    def maps(
        self, patches: int, rows: int, cols: int, random: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw a map for each patch, exactly as a call on a batch of that shape draws it.

        Returns
        -------
        maps
            (patches, 3, 3) homogeneous matrices of (row, column, 1), in pixels from the middle of
            the patch: the place in the source of a place in the result.
        """

    @abstractmethod
    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Transform a batch, see `Augmentation`."""
