"""Transforms that move pixels and change none: mirrorings and quarter turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.patches.augment.geometry import Geometric
from geoseg.patches.augment.registry import Images, Labels, register


@register("flips")
class Flips(Geometric):
    """Mirror each patch left to right with probability ½, and top to bottom with probability ½."""

    exact = True

    def _draw(self, patches: int, random: np.random.Generator) -> NDArray[np.int64]:
        return random.integers(0, 2, size=(patches, 2))

    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Return the batch mirrored; a single patch as a view."""
        steps = 1 - 2 * self._draw(len(images), random)
        return _gathered(
            [
                image[:, ::down, ::across]
                for image, (across, down) in zip(images, steps, strict=True)
            ],
            [mask[::down, ::across] for mask, (across, down) in zip(labels, steps, strict=True)],
        )

    def maps(
        self, patches: int, rows: int, cols: int, random: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return where pixels come from, see `Geometric.maps`."""
        del rows, cols
        drawn = self._draw(patches, random)
        maps = np.tile(np.eye(3), (patches, 1, 1))
        maps[:, 0, 0], maps[:, 1, 1] = 1 - 2 * drawn[:, 1], 1 - 2 * drawn[:, 0]
        return maps


@register("rot90")
class QuarterTurns(Geometric):
    """Turn each patch by 0, 90, 180 or 270 degrees, each with probability ¼.

    Patches that are not square are turned by 0 or 180 degrees.
    """

    exact = True

    def _draw(
        self, patches: int, rows: int, cols: int, random: np.random.Generator
    ) -> NDArray[np.int64]:
        quarter = 1 if rows == cols else 2
        return random.integers(0, 4 // quarter, size=patches) * quarter

    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Return the batch turned; a single patch as a view."""
        patches, rows, cols = labels.shape
        drawn = self._draw(patches, rows, cols, random)
        return _gathered(
            [np.rot90(image, n, axes=(-2, -1)) for image, n in zip(images, drawn, strict=True)],
            [np.rot90(mask, n) for mask, n in zip(labels, drawn, strict=True)],
        )

    def maps(
        self, patches: int, rows: int, cols: int, random: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return where pixels come from, see `Geometric.maps`."""
        turns = self._draw(patches, rows, cols, random)
        # Whole numbers, where cosines of multiples of 90° would miss them by a rounding.
        cosines, sines = np.array([1, 0, -1, 0])[turns], np.array([0, 1, 0, -1])[turns]
        maps = np.tile(np.eye(3), (patches, 1, 1))
        maps[:, 0, 0] = maps[:, 1, 1] = cosines
        maps[:, 0, 1], maps[:, 1, 0] = sines, -sines
        return maps


def _gathered(images: Sequence[Images], labels: Sequence[Labels]) -> tuple[Images, Labels]:
    """Make a batch of patches; one alone is not copied, as it will be put into a batch anyway."""
    if len(images) == 1:
        return images[0][None], labels[0][None]
    return np.stack(images), np.stack(labels)
