"""A random part of a patch, at a random scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoseg.errors import OptionError
from geoseg.patches.augment.registry import Images, Labels, register
from geoseg.patches.options import whole
from geoseg.terms import Value


@dataclass(frozen=True)
class Area:
    """A square of a patch that shall become `side` × `side` pixels."""

    row: int
    """First row."""
    col: int
    """First column."""
    side: int
    """Length after reduction; ``side · factor`` before."""
    factor: int
    """How many times it is reduced along both axes."""


@register("crop")
class Crop:
    """Cut a square out of each patch, wherever it fits with the same probability.

    The deepglobe paper's 288 × 288 crops of images of 2448 × 2448, with the images' reduction 1:2,
    1:4 … done in passing: one factor is drawn for each patch, a square of ``factor · size`` is cut,
    and a pixel of the result stands for ``factor × factor`` of it (see `geoseg.patches.reduce` for
    how, and why labels go by majority).

    First in the list it is done while patches are read: nothing else of them is touched, and
    nodata is left out of the means, as in prediction at a reduced scale. Later in the list the
    readings are normalised already, and what was nodata counts as what it was filled with.

    Parameters
    ----------
    size
        Rows and columns of the result.
    downscale
        A list of factors of which each is as likely. Validation and prediction stay at the
        resolution of ``--downscale``, so training refuses a single factor other than 1.

    Raises
    ------
    OptionError
        Patches are smaller than the square (when it is called).
    """

    def __init__(self, size: int = 288, downscale: Value = 1) -> None:
        self.size = whole("crop's size", size, maximum=1 << 16)
        factors = downscale if isinstance(downscale, tuple | list) else (downscale,)
        if not factors:
            raise OptionError("crop's downscale names no factor")
        self.factors = [whole("crop's downscale", f, maximum=256) for f in factors]

    def draw(self, rows: int, cols: int, random: np.random.Generator) -> Area:
        """Draw the area of a patch of so many rows and columns.

        Raises
        ------
        OptionError
            The patch is too small for one of the factors. All are checked, so that a run fails at
            its first batch or never.
        """
        largest = self.size * max(self.factors)
        if largest > min(rows, cols):
            raise OptionError(
                f"augmentation 'crop' (size {self.size}, downscale {max(self.factors)}) needs"
                f" patches of {largest} pixels, and these are of {rows} × {cols}: use a smaller"
                " crop, or tile larger patches"
            )
        factor = self.factors[int(random.integers(len(self.factors)))]
        side = self.size * factor
        row, col = random.integers(0, [rows - side + 1, cols - side + 1])
        return Area(int(row), int(col), self.size, factor)

    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Return new arrays."""
        # Compiled loops take a while to load.
        from geoseg.patches.reduce import majority, mean_of_valid  # noqa: PLC0415

        patches, bands, height, width = images.shape
        cut = np.empty((patches, bands, self.size, self.size), np.float32)
        mask = np.empty((patches, self.size, self.size), np.uint8)
        for patch in range(patches):
            area = self.draw(height, width, random)
            side = area.side * area.factor
            rows, cols = slice(area.row, area.row + side), slice(area.col, area.col + side)
            if area.factor == 1:
                cut[patch], mask[patch] = images[patch, :, rows, cols], labels[patch, rows, cols]
            else:
                cut[patch] = mean_of_valid(images[patch, :, rows, cols], None, area.factor)
                mask[patch] = majority(labels[patch, rows, cols], area.factor)
        return cut, mask
