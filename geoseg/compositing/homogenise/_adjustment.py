"""The equations of a block adjustment, and their solution by conjugate gradients.

Unknowns are, of each image and band, the logarithm of the gain (so a gain is above 0) and the
corrected reading at the image's centre of readings, in units of the deviation. Observations are the
overlaps'; see `geoseg.compositing.homogenise.overlap`. The normal equations are never written down:
what they do to a vector is computed overlap by overlap, so memory grows with the number of images
and overlaps, not with its square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LEAST = 1e-8
"""Correlations nearer to 1 say no more: weights stay within bounds."""
_PRIOR = 1e-11
"""Weight, beside that of all observations, of "nothing is to change"."""
_ENOUGH = 1e-13


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What the samples of each pair say, (pairs, bands) each."""

    number: Floats
    """Effective number of samples."""
    mean_a: Floats
    mean_b: Floats
    var_a: Floats
    var_b: Floats
    covariance: Floats


class Network:
    """Images and the overlaps between them, and the lines found so far.

    Parameters
    ----------
    first, second
        (pairs,) images of each pair.
    images
        How many there are.
    component
        (images,) which hang together.
    """

    def __init__(self, first: Integers, second: Integers, images: int, component: Integers) -> None:
        self.first, self.second, self.images = first, second, images
        self.component = component
        self.members = np.bincount(component).astype(np.float64)
        self._orders = [np.argsort(ends, kind="stable") for ends in (first, second)]
        self._starts = [
            np.unique(ends[order], return_index=True)
            for ends, order in zip((first, second), self._orders, strict=True)
        ]

    def begin(self, moments: Moments) -> None:
        """Take the first observations, and begin with gain 1 and offset 0."""
        number = self._collect(moments.number, moments.number)
        total = self._collect(moments.number * moments.mean_a, moments.number * moments.mean_b)
        self.centre = total / np.where(number > 0, number, 1)
        pooled = np.sqrt(moments.var_a * moments.var_b)
        unit = np.sqrt(np.median(pooled, axis=0))
        self.unit = np.where(unit > 0, unit, np.maximum(1e-9 * np.abs(moments.mean_a).max(0), 1.0))
        self.log = np.zeros((self.images, pooled.shape[1]))
        self.level = self.centre / self.unit
        self.observe(moments)
        # Gains first, by the ratios alone; levels then begin near to where they end.
        self.log = self._solve_one(self.ratio, self.ratio_weight)
        gains = np.exp(self.log)
        misses = gains[self.first] * moments.mean_a - gains[self.second] * moments.mean_b
        offsets = self._solve_one(-misses / self.unit, moments.number)
        self.level = gains * self.centre / self.unit + offsets

    def observe(self, moments: Moments) -> None:
        """Take what the pairs say now."""
        self.moments = moments
        product = np.sqrt(moments.var_a * moments.var_b)
        flat = product <= 0
        safe = np.where(flat, 1.0, product)
        rho = np.where(flat, 0.0, np.clip(moments.covariance / safe, 0, 1))
        ratio = np.sqrt(np.where(flat, 1.0, moments.var_b) / np.where(flat, 1.0, moments.var_a))
        # Of the logarithms of the first's gain and the second's: first × g₁ is as second × g₂.
        self.ratio = np.log(ratio)
        free = np.maximum(moments.number - 2, 0)
        self.ratio_weight = free * rho**2 / (1 - rho**2 + _LEAST)
        scale = np.exp(self.log[self.first] + self.log[self.second]) * product / self.unit**2
        self.level_weight = moments.number / (2 * scale * (1 - rho) + _LEAST)

    def lines(self) -> tuple[Floats, Floats]:
        """Return gains and offsets, (images, bands)."""
        gains = np.exp(self.log)
        return gains, self.level * self.unit - gains * self.centre

    def step(self) -> float:
        """Improve gains and offsets once (Gauss and Newton); return by how much they moved.

        The largest change of a logarithm or of a level in units of the deviation.
        """
        gains = np.exp(self.log)
        one = gains[self.first] * (self.moments.mean_a - self.centre[self.first]) / self.unit
        two = gains[self.second] * (self.moments.mean_b - self.centre[self.second]) / self.unit
        miss_ratio = self.ratio - (self.log[self.first] - self.log[self.second])
        miss_level = -(one + self.level[self.first] - two - self.level[self.second])
        right = self._back(self.ratio_weight * miss_ratio, self.level_weight * miss_level, one, two)

        def normal(x: Floats) -> Floats:
            log, level = x
            ratio = log[self.first] - log[self.second]
            change = (
                one * log[self.first] + level[self.first]
                - two * log[self.second] - level[self.second]
            )  # fmt: skip
            return self._back(self.ratio_weight * ratio, self.level_weight * change, one, two)

        diagonal = np.stack([
            self._collect(
                self.ratio_weight + self.level_weight * one**2,
                self.ratio_weight + self.level_weight * two**2,
            ),
            self._collect(self.level_weight, self.level_weight),
        ])  # fmt: skip
        change = self._conjugate_gradients(normal, right, diagonal)
        longest = np.abs(change).max()
        # A first step may overshoot where contrasts differ very much.
        change *= min(1.0, 2.0 / longest) if longest > 0 else 1.0
        self.log = self.log + change[0]
        self.level = self.level + change[1]
        return float(min(longest, 2.0))

    def _solve_one(self, observed: Floats, weight: Floats) -> Floats:
        """Values of the images whose differences (first − second) are as observed."""

        def normal(x: Floats) -> Floats:
            part = weight * (x[0][self.first] - x[0][self.second])
            return self._collect(part, -part)[None]

        right = self._collect(weight * observed, -weight * observed)[None]
        found: Floats = self._conjugate_gradients(
            normal, right, self._collect(weight, weight)[None]
        )[0]
        return found

    def _back(self, ratio: Floats, level: Floats, one: Floats, two: Floats) -> Floats:
        """Bring what belongs to pairs back to their images: (2, images, bands)."""
        return np.stack([
            self._collect(ratio + one * level, -ratio - two * level),
            self._collect(level, -level),
        ])  # fmt: skip

    def _collect(self, to_first: Floats, to_second: Floats) -> Floats:
        """Sum (pairs, bands) over the pairs of each image: (images, bands)."""
        out = np.zeros((self.images, to_first.shape[1]))
        for values, order, (ends, starts) in zip(
            (to_first, to_second), self._orders, self._starts, strict=True
        ):
            out[ends] += np.add.reduceat(values[order], starts, axis=0)
        return out

    def _mean(self, x: Floats) -> Floats:
        """Mean over each component, at each of its images."""
        total = np.zeros((len(x), len(self.members), x.shape[2]))
        for part, into in zip(x, total, strict=True):
            np.add.at(into, self.component, part)
        found: Floats = (total / self.members[None, :, None])[:, self.component]
        return found

    def _conjugate_gradients(
        self, normal: Callable[[Floats], Floats], right: Floats, diagonal: Floats
    ) -> Floats:
        """Solve the equations of each band, all means over components being 0.

        Hestenes and Stiefel (1952), preconditioned by the diagonal.
        """
        typical = self._mean(diagonal)
        typical = np.where(typical > 0, typical, 1.0)
        prior = np.where(diagonal > 0, _PRIOR * diagonal, typical)
        inverse = 1 / (diagonal + prior)

        def apply(x: Floats) -> Floats:
            return normal(x) + prior * x + typical * self._mean(x)

        x = np.zeros_like(right)
        residual = right.copy()
        z = inverse * residual
        direction = z.copy()
        power = (residual * z).sum(axis=(0, 1))
        goal = _ENOUGH**2 * power
        for _ in range(8 * right.shape[0] * self.images + 50):
            going = power > goal
            if not going.any():
                break
            image = apply(direction)
            curve = (direction * image).sum(axis=(0, 1))
            length = np.where(going & (curve > 0), power / np.where(curve > 0, curve, 1), 0.0)
            x += length * direction
            residual -= length * image
            z = inverse * residual
            after = (residual * z).sum(axis=(0, 1))
            direction = z + np.where(going, after / np.where(power > 0, power, 1), 0.0) * direction
            power = np.where(going, after, power)
        return x
