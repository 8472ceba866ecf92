"""Pixel-adaptive refinement: scores drawn to the edges in the image.

After N. Araslanov and S. Roth, "Single-stage semantic segmentation from image labels", CVPR 2020,
where it is called PAMR. A pixel's scores become a weighted mean of its neighbours' scores, and that
some times over. Neighbours are those in eight directions at some distances (dilations). Their
weights say how alike the readings are: with x the image, b one of its B bands, σ the standard
deviation of the pixel and its neighbours, a neighbour j of pixel i gets

    k_ij = −(1 / B) Σ_b |x_ib − x_jb| / (w (σ_ib + 1e-8)),    weight_ij = exp k_ij / Σ_j exp k_ij.

Knows no networks, files or scenes: a block of rows goes in and comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError

__all__ = ["Pamr", "refine"]

_MOST_ITERATIONS, _MOST_DILATION, _MOST_DILATIONS = 1000, 1024, 16
_LEAST_WIDTH, _MOST_WIDTH = 1e-3, 1e3
# Rows that a thread takes at a time.
_ROWS = 16


@dataclass(frozen=True, kw_only=True)
class Pamr:
    """How scores are refined; by default as in the paper, but with dilations of 1 to 8."""

    iterations: int = 10
    """How often means are taken, 1…1000."""
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    """Distances of the neighbours in pixels, rising, each 1…1024."""
    width: float = 0.1
    """w: how unlike a neighbour may be, in standard deviations, 0.001…1000; small keeps edges."""

    def __post_init__(self) -> None:
        if not 1 <= self.iterations <= _MOST_ITERATIONS:
            raise OptionError(
                f"refinement takes 1 to {_MOST_ITERATIONS} iterations, not {self.iterations}"
            )
        if not 1 <= len(self.dilations) <= _MOST_DILATIONS or list(self.dilations) != sorted(
            {d for d in self.dilations if 1 <= d <= _MOST_DILATION}
        ):
            raise OptionError(
                f"the dilations of refinement must rise, 1 to {_MOST_DILATIONS} of them from 1 to"
                f" {_MOST_DILATION}, not {', '.join(map(str, self.dilations)) or 'none'}"
            )
        if not (math.isfinite(self.width) and _LEAST_WIDTH <= self.width <= _MOST_WIDTH):
            raise OptionError(
                f"the width of refinement is from {_LEAST_WIDTH:g} to {_MOST_WIDTH:g}, not"
                f" {self.width}"
            )

    @property
    def reach(self) -> int:
        """Rows and columns beyond a pixel that its result depends on."""
        return self.iterations * self.dilations[-1]

    @property
    def neighbours(self) -> int:
        """Number of a pixel's neighbours; each takes four bytes for each pixel of a block."""
        return 8 * len(self.dilations)


def refine(
    scores: NDArray[np.float32],
    image: NDArray[np.float32],
    valid: NDArray[np.bool_],
    *,
    pamr: Pamr,
    workers: int = 1,
) -> NDArray[np.float32]:
    """Refine the scores of a block of pixels.

    What lies outside the block or is invalid is no neighbour. An invalid pixel, and a pixel without
    any neighbour, keeps its scores. So a pixel at least `Pamr.reach` rows and columns from those
    edges of the block that are no edges of the scene gets the bits that the whole scene would give.
    Bits do not depend on the number of workers either.

    Parameters
    ----------
    scores
        (maps, rows, cols). Not changed.
    image
        (bands, rows, cols), normalised readings; at least one band.
    valid
        (rows, cols), True = valid. Pixels with a score or reading that is not finite count as
        invalid in any case.
    pamr
        The settings.
    workers
        Threads.

    Returns
    -------
    (maps, rows, cols), a new array.

    Raises
    ------
    ValueError
        Shapes that do not go together.
    """
    from geoseg.inference.cam import _pamr  # noqa: PLC0415 — loads numba

    if scores.ndim != 3 or image.ndim != 3 or image.shape[0] < 1:
        raise ValueError(f"scores of shape {scores.shape} and an image of shape {image.shape}")
    if not scores.shape[1:] == image.shape[1:] == valid.shape:
        raise ValueError(
            f"scores of {scores.shape[1:]} pixels, an image of {image.shape[1:]}, validity of"
            f" {valid.shape}"
        )
    rows, cols = valid.shape
    valid = valid & np.isfinite(scores).all(axis=0) & np.isfinite(image).all(axis=0)
    # Readings and scores of invalid pixels may be NaN, which no weight of 0 would hold back.
    readings = np.ascontiguousarray(np.where(valid, image, 0), np.float32)
    one = np.ascontiguousarray(np.where(valid, scores, 0), np.float32)
    exists = np.ascontiguousarray(valid, np.float32)
    steps = _steps(pamr.dilations)
    weights = np.empty((rows, len(steps), cols), np.float32)
    keep = np.empty((rows, cols), np.float32)
    other = np.empty_like(one)
    with ThreadPoolExecutor(max(1, workers), "geoseg-refine") as pool:

        def fill(kernel: Callable[..., None], given: tuple[Any, ...], *filled: Any) -> None:
            starts = range(0, rows, _ROWS)
            for done in [
                pool.submit(kernel, *given, first, min(first + _ROWS, rows), *filled)
                for first in starts
            ]:
                done.result()

        width = np.float32(pamr.width)
        fill(_pamr.weigh, (readings, exists, steps, width), weights, keep)
        for _ in range(pamr.iterations):
            fill(_pamr.average, (one, weights, keep, steps), other)
            one, other = other, one
    np.copyto(one, scores, where=~valid)
    return one


def _steps(dilations: tuple[int, ...]) -> NDArray[np.int64]:
    """Where the neighbours are: (neighbours, 2) rows down and columns right."""
    around = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
    return np.array([(down * d, right * d) for d in dilations for down, right in around], np.int64)
