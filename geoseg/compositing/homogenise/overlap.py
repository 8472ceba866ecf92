"""Gains and offsets of all images of a group at once, from what they share.

A block adjustment, as of the levels of a geodetic network or of the images of a photogrammetric
block: every overlap observes how two images relate, and all gains and offsets follow together by
least squares, so that no error adds up along a row of images.

What an overlap observes of the gains is the ratio of both sides' standard deviations (the reduced
major axis), not the slope of a regression of one side on the other: that would come out too flat,
for both sides are noisy, and gains would shrink from image to image. It observes the offsets by
both sides' means. The weights are what follows from the correlation ρ of n samples: the logarithm
of the ratio has a variance of (1 − ρ²) / n, the difference of the means one of 2 s² (1 − ρ) / n.

Clouds and change are outliers. The adjustment begins with the samples that a fit by the least
median of squares agrees with (Rousseeuw 1984, Journal of the American Statistical Association 79:
871–880), pair by pair, and is then repeated with the weights of Tukey's biweight (Beaton and Tukey
1974, Technometrics 16: 147–185; c = 4.685), residuals being those of the adjustment of all images
in units of their median absolute deviation. A sample counts as little as in its worst band.

Knows no rasters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise._adjustment import Moments, Network
from geoseg.compositing.homogenise.seams import Samples

__all__ = ["Adjustment", "adjust", "components"]

Floats = NDArray[np.float64]

_TUKEY = 4.685
_MAD = 1.4826
_MOST_SCALE = 3.0
"""A pair's residuals count by their own scale, but by no more than so many times the usual one."""
_EXACT = 1e-7
"""Residuals below this share of the deviation are those of rounding."""
_FEW = 0.05
"""A pair of which less than this share would be left is judged by its own scale."""
_ROUNDS = 60
_SETTLED = 1e-8
_TRIALS = 64
_TRIED = 200
"""Samples of a pair that the first fit looks at."""
_INLIER = 2.5


@dataclass(frozen=True, kw_only=True)
class Adjustment:
    """Readings × gain + offset of each image that agree where images overlap."""

    gains: Floats
    """(images, bands), above 0; of each component, the logarithms' mean is 0."""
    offsets: Floats
    """(images, bands) in units of the readings."""
    component: NDArray[np.int64]
    """(images,) number of the component that an image belongs to: between components nothing is
    known. They are numbered by their first images."""
    rejected: float
    """Share of the samples that count for nothing: clouds, change; NaN without samples."""


def adjust(samples: Sequence[Samples], images: int, bands: int) -> Adjustment:
    """Solve for the gains and offsets of all images.

    Parameters
    ----------
    samples
        Of each pair that overlaps; none empty.
    images, bands
        How many there are.

    Returns
    -------
    Images without overlap are components of their own, with gain 1 and offset 0.
    """
    component = components([(s.first, s.second) for s in samples], images)
    if not samples:
        return Adjustment(
            gains=np.ones((images, bands)),
            offsets=np.zeros((images, bands)),
            component=component,
            rejected=float("nan"),
        )
    block = _Block(samples, images, component)
    share = np.concatenate([_agreeing(one.a, one.b) for one in samples]).astype(np.float64)
    network = block.network(share)
    for _ in range(_ROUNDS):
        moved = network.step()
        kept = block.shares(*network.lines(), share)
        settled = moved < _SETTLED and np.abs(kept - share).max() < 1e-4
        share = kept
        if settled:
            break
        network.observe(block.moments(share))
    gains, offsets = network.lines()
    return Adjustment(
        gains=gains, offsets=offsets, component=component, rejected=float((share == 0).mean())
    )


def components(pairs: Sequence[tuple[int, int]], images: int) -> NDArray[np.int64]:
    """Return for each image the number of what it hangs together with, rising with the first."""
    root = list(range(images))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for one, other in pairs:
        a, b = find(one), find(other)
        root[max(a, b)] = min(a, b)
    roots = np.array([find(i) for i in range(images)], np.int64)
    return np.unique(roots, return_inverse=True)[1].reshape(-1).astype(np.int64)


class _Block:
    """The samples of all pairs, one after the other."""

    def __init__(
        self, samples: Sequence[Samples], images: int, component: NDArray[np.int64]
    ) -> None:
        self.first = np.array([s.first for s in samples], np.int64)
        self.second = np.array([s.second for s in samples], np.int64)
        self.a = np.concatenate([s.a for s in samples])
        self.b = np.concatenate([s.b for s in samples])
        self.weight = np.concatenate([s.weight for s in samples])
        sizes = np.array([len(s.weight) for s in samples], np.int64)
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.pair = np.repeat(np.arange(len(samples)), sizes)
        self.sizes, self.images, self.component = sizes, images, component

    def network(self, share: Floats) -> Network:
        network = Network(self.first, self.second, self.images, self.component)
        network.begin(self.moments(share))
        return network

    def _sum(self, values: Floats) -> Floats:
        """Sum over the samples of each pair."""
        total: Floats = np.add.reduceat(values, self.starts, axis=0)
        return total

    def moments(self, share: Floats) -> Moments:
        """Weighted means, variances and correlations of each pair, (pairs, bands)."""
        weight = (self.weight * share)[:, None]
        total = self._sum(weight)
        mean_a = self._sum(weight * self.a) / total
        mean_b = self._sum(weight * self.b) / total
        a, b = self.a - mean_a[self.pair], self.b - mean_b[self.pair]
        var_a, var_b = self._sum(weight * a * a) / total, self._sum(weight * b * b) / total
        covariance = self._sum(weight * a * b) / total
        # How many samples of equal weight would say as much; two leave nothing over for a slope.
        number = total**2 / self._sum(weight**2)
        return Moments(
            number=np.broadcast_to(number, mean_a.shape),
            mean_a=mean_a,
            mean_b=mean_b,
            var_a=var_a,
            var_b=var_b,
            covariance=covariance,
        )

    def shares(self, gains: Floats, offsets: Floats, before: Floats) -> Floats:
        """How much each sample counts, from 0 to 1, by its residual in its worst band."""
        i, j = self.first[self.pair], self.second[self.pair]
        one, other = gains[i] * self.a + offsets[i], gains[j] * self.b + offsets[j]
        size = np.abs(one - other)
        mean = self._sum(one) / self.sizes[:, None]
        spread = np.sqrt(self._sum((one - mean[self.pair]) ** 2) / self.sizes[:, None])
        own = _MAD * self._median(size)
        least = _EXACT * spread + 1e-12 * np.abs(mean) + 1e-300
        scale = np.maximum(np.minimum(own, _MOST_SCALE * np.median(own, axis=0)), least)
        share = _biweight(size, scale[self.pair])
        few = self._sum(self.weight * share) < _FEW * self._sum(self.weight)
        if few.any():
            share = np.where(
                few[self.pair], _biweight(size, np.maximum(own, least)[self.pair]), share
            )
            none = self._sum(share) == 0
            share = np.where(none[self.pair], np.maximum(before, 1e-3), share)
        return share

    def _median(self, values: Floats) -> Floats:
        """Lower median over the samples of each pair, (pairs, bands)."""
        middle = self.starts + (self.sizes - 1) // 2
        out = np.empty((len(self.starts), values.shape[1]))
        for band in range(values.shape[1]):
            order = np.lexsort((values[:, band], self.pair))
            out[:, band] = values[order[middle], band]
        return out


def _biweight(size: Floats, scale: Floats) -> Floats:
    worst = (size / (_TUKEY * scale)).max(axis=1)
    share: Floats = np.where(worst < 1, (1 - np.minimum(worst, 1) ** 2) ** 2, 0.0)
    return share


def _agreeing(a: Floats, b: Floats) -> NDArray[np.bool_]:
    """Tell which samples of a pair lie on the line that half of them lie nearest to.

    Parameters
    ----------
    a, b
        (samples, bands).
    """
    number, bands = a.shape
    if number < 4:
        return np.ones(number, bool)
    step = -(-number // _TRIED)
    few_a, few_b = a[::step], b[::step]
    drawn = np.random.default_rng(0).integers(len(few_a), size=(_TRIALS, 2))
    agree = np.ones(number, bool)
    for band in range(bands):
        x, y = few_a[:, band], few_b[:, band]
        run, rise = x[drawn[:, 1]] - x[drawn[:, 0]], y[drawn[:, 1]] - y[drawn[:, 0]]
        usable = run * rise > 0
        slopes = np.append(rise[usable] / run[usable], _spread(y) / _spread(x))
        # Across the line in the measure of both sides, so that neither is the one explained.
        misses = (y - slopes[:, None] * x) / np.sqrt(slopes)[:, None]
        middles = np.median(misses, axis=1)
        medians = np.median(np.abs(misses - middles[:, None]), axis=1)
        best = int(medians.argmin())
        slope, middle = slopes[best], middles[best]
        # Rousseeuw's factor for small samples.
        scale = _MAD * (1 + 5 / (len(x) - 2)) * medians[best]
        miss = np.abs((b[:, band] - slope * a[:, band]) / np.sqrt(slope) - middle)
        agree &= miss <= max(_INLIER * scale, _EXACT * _spread(np.sqrt(slope) * a[:, band]))
    return agree if agree.sum() >= 3 else np.ones(number, bool)


def _spread(values: Floats) -> float:
    """Interquartile range, else the whole; 1 where all are equal."""
    low, high = np.percentile(values, (25, 75))
    return float(high - low) or float(np.ptp(values)) or 1.0
