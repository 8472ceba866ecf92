"""Overlapping tiles of probabilities, blended into rows of a scene as they are finished.

Knows nothing of files, scenes or networks: it is given tiles of probabilities by their place in a
regular tiling and gives back rows of the weighted mean.

The mean is kept as a running mean, never as a sum that is divided at the end: a tile with weight w
moves the mean m of total weight W by ``w / (W + w) · (p − m)``. So tiles that agree leave every bit
of the mean alone whatever their number and weights, nothing can overflow however many tiles hit a
pixel, and no array of weights or hit counts is needed: weights are products of a weight along the
row and one along the column, hence the shares ``w / (W + w)`` are too and are known before the
first tile is computed. Tiles are added in the order of their position, so that a pixel's mean does
not depend on who computed its tiles, or when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.patches.tiling import starts as tile_starts

BlendName = Literal["mean", "hann", "gaussian"]
"""Names of the weights along one axis of a tile."""

BLEND_NAMES: tuple[str, ...] = get_args(BlendName)


def axis_weights(name: str, size: int) -> NDArray[np.float64]:
    """Weights of a tile's pixels along one axis.

    Parameters
    ----------
    name
        ``mean``: all alike. ``hann``: sin²(π (i + ½) / n), a Hann window sampled at pixel centres
        and therefore never zero. ``gaussian``: a normal curve whose standard deviation is a quarter
        of the tile, so that a corner still weighs e⁻⁴ of the centre.
    size
        Number of pixels n.

    Returns
    -------
    (size,) float64, all above zero, symmetric.
    """
    centre = np.arange(size, dtype=np.float64) + 0.5
    if name == "mean":
        return np.ones(size)
    if name == "hann":
        half = np.sin(np.pi * centre / size) ** 2
    elif name == "gaussian":
        half = np.exp(-0.5 * ((centre - size / 2) / (size / 4)) ** 2)
    else:
        raise OptionError(f"unknown blend '{name}'; there are {', '.join(BLEND_NAMES)}")
    weights: NDArray[np.float64] = (half + half[::-1]) / 2
    return weights


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis of a scene, and what share of a pixel's mean each is given."""

    length: int
    """Pixels of the scene along this axis."""
    size: int
    """Pixels of a tile."""
    starts: tuple[int, ...]
    """First pixel of each tile, rising."""
    shares: NDArray[np.float32]
    """(tiles, size): w / (weight of this and all earlier tiles at that pixel); 1 where the tile is
    the first."""

    def overlap(self, index: int) -> int:
        """Return how many of a tile's first pixels an earlier tile covers."""
        if index == 0:
            return 0
        return max(0, self.starts[index - 1] + self.size - self.starts[index])

    def finished(self, index: int) -> int:
        """Return how many of a tile's first pixels no later tile covers."""
        if index + 1 == len(self.starts):
            return self.size
        return self.starts[index + 1] - self.starts[index]

    def first_over(self, pixel: int) -> int:
        """Return the first tile that covers a pixel.

        From this tile on, pixels from that one on are given the same means as from the first tile
        on.
        """
        return next(k for k, start in enumerate(self.starts) if start + self.size > pixel)

    def stop_over(self, pixel: int) -> int:
        """Return the first tile that covers no pixel before this one; all are counted from 0."""
        return sum(start < pixel for start in self.starts)


def plan_axis(length: int, size: int, stride: int, blend: str) -> Axis:
    """Lay tiles along an axis; a scene shorter than a tile is one tile of its own length."""
    size = min(size, length)
    stride = min(stride, size)
    first = tuple(tile_starts(length, size, stride))
    weights = axis_weights(blend, size)
    total = np.zeros(length)
    shares = np.empty((len(first), size), np.float32)
    for index, start in enumerate(first):
        here = total[start : start + size]
        here += weights
        shares[index] = weights / here
    return Axis(length=length, size=size, starts=first, shares=shares)


class Blender:
    """Running weighted means over one row of tiles and what earlier rows left behind.

    For each row of tiles: `add` every tile that holds a wanted pixel, from left to right, and
    `finish` columns once all tiles that cover them are added; read `means` when all columns are
    finished; then `advance`. One thread at a time.

    A tile may be left out if nothing that it covers is wanted: the means there are meaningless, but
    finite.
    """

    def __init__(
        self, *, rows: Axis, cols: Axis, classes: int, device: torch.device | str = "cpu"
    ) -> None:
        self.rows, self.cols = rows, cols
        shape = (classes, rows.size, cols.length)
        # Of NumPy, which has them in large pages of memory: the first touch of each costs, too.
        self._now = torch.from_numpy(np.zeros(shape, np.float32)).to(device)
        self._before = torch.from_numpy(np.zeros(shape, np.float32)).to(device)
        self._before_start = -rows.size
        self._col_shares = torch.from_numpy(cols.shares).to(device)
        self._row_shares = torch.from_numpy(rows.shares).to(device)

    @property
    def means(self) -> torch.Tensor:
        """(classes, tile rows, scene columns) float32: means over all tiles added so far."""
        return self._now

    def add(self, col_index: int, tile: torch.Tensor) -> None:
        """Add a tile of the present row.

        Parameters
        ----------
        col_index
            Which tile of the row.
        tile
            (classes, tile rows, tile columns) probabilities.
        """
        start, overlap = self.cols.starts[col_index], self.cols.overlap(col_index)
        if overlap:
            share = self._col_shares[col_index, :overlap]
            self._now[:, :, start : start + overlap].lerp_(tile[:, :, :overlap], share)
        self._now[:, :, start + overlap : start + self.cols.size] = tile[:, :, overlap:]

    def finish(self, row_index: int, cols: slice = slice(None)) -> None:
        """Join the present row of tiles with what earlier rows left there.

        Parameters
        ----------
        row_index
            Which row of tiles the present one is.
        cols
            Columns of the scene to join, each once.
        """
        offset = self.rows.starts[row_index] - self._before_start
        height = self.rows.size - offset
        if height <= 0:
            return
        now = self._now[:, :height, cols]
        before = self._before[:, offset:, cols]
        share = self._row_shares[row_index, :height, None]
        torch.lerp(before, now, share, out=now)

    def advance(self, row_index: int) -> None:
        """Go to the next row of tiles."""
        self._now, self._before = self._before, self._now
        self._before_start = self.rows.starts[row_index]


def running_mean(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Average tensors of one shape, the first of which is overwritten.

    Equal ones give their common value to the bit.
    """
    mean = parts[0]
    for count, part in enumerate(parts[1:], start=2):
        mean.lerp_(part, 1.0 / count)
    return mean


def best_class(means: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Most probable class and its probability.

    Parameters
    ----------
    means
        (classes, rows, cols).

    Returns
    -------
    (rows, cols) uint8 index of the class, the lowest where several are equally probable, and (rows,
    cols) float32 probability; NaN wherever a class is NaN.
    """
    if means.device.type == "cpu":
        return _best_on_cpu(means.numpy())
    best = means[0].clone()
    index = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    for k in range(1, len(means)):
        # Where it is larger its index is, too: quicker than to put it there.
        larger = (means[k] > best).view(torch.uint8)
        torch.maximum(index, larger.mul_(k), out=index)
        torch.maximum(best, means[k], out=best)
    return index, best


def _best_on_cpu(means: NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the same by NumPy, which compares quicker there."""
    best = means[0].copy()
    index = np.zeros(best.shape, np.uint8)
    for k in range(1, len(means)):
        larger = (means[k] > best).view(np.uint8)
        np.maximum(index, np.multiply(larger, np.uint8(k), out=larger), out=index)
        np.maximum(best, means[k], out=best)
    return torch.from_numpy(index), torch.from_numpy(best)
