"""Transforms that change readings and leave pixels where they are."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.patches.augment.registry import Band, Images, Labels, register
from geoseg.terms import number


@register("noise")
class Noise:
    """Add Gaussian noise to every reading, drawn anew for each pixel and band.

    Each is one of 65,536 values, in the middles of equal shares of the distribution: a quarter of
    the time of a generator of real numbers, which would be the slowest of all transforms. So it
    never goes beyond 4.3 standard deviations, where one reading in 65,536 would.

    Parameters
    ----------
    sigma
        Standard deviation of the noise in units of the band's own standard deviation.
    """

    def __init__(self, sigma: float = 0.1) -> None:
        self.sigma = number("noise's sigma", sigma, minimum=0, maximum=10)
        self._values = _normal_values() * np.float32(self.sigma)

    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Transform a batch in place."""
        images += self._values.take(random.integers(0, 1 << 16, images.shape, np.uint16))
        return images, labels


@register("gamma")
class Gamma:
    """Bend the tones: with t the place of a reading between a band's minimum and maximum, t ↦ t^γ.

    One γ a patch, the same for all bands. Minimum and maximum are those of the training patches in
    raw units. A reading below the minimum (it has no place of its own in t) stays as it is, one
    above the maximum goes on along the same curve; a band that never varies is left alone. Of the
    deepglobe paper's augmentations. Decision on what is drawn: log γ is uniform, so that brighter
    and darker are as likely.

    Parameters
    ----------
    bands
        Statistics.
    low, high
        Bounds of γ.

    Raises
    ------
    OptionError
        There are no statistics, or `low` is above `high`.
    """

    def __init__(self, bands: Sequence[Band], low: float = 0.8, high: float = 1.25) -> None:
        _need(bands, "gamma")
        self.low = number("gamma's low", low, minimum=0.05, maximum=20)
        self.high = number("gamma's high", high, minimum=0.05, maximum=20)
        if self.low > self.high:
            raise OptionError(f"gamma's low {self.low:g} is above its high {self.high:g}")
        self._ranges = [_range(band) for band in bands]

    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Transform a batch in place."""
        _check_bands(images, len(self._ranges), "gamma")
        drawn = np.exp(random.uniform(np.log(self.low), np.log(self.high), size=len(images)))
        for image, exponent in zip(images, drawn.astype(np.float32), strict=True):
            for band, (low, length) in zip(image, self._ranges, strict=True):
                if length > 0:
                    place = (band - low) / length
                    inside = place > 0
                    np.power(place, exponent, out=place, where=inside)
                    np.copyto(band, low + length * place, where=inside)
        return images, labels


@register("brightness")
class Brightness:
    """Multiply all raw readings of a patch by one factor, as more or less light would.

    Parameters
    ----------
    bands
        Statistics. A raw 0 stays 0; so this makes sense for digital numbers and reflectances, not
        for heights or indices.
    by
        The factor is uniform from 1 − by to 1 + by.

    Raises
    ------
    OptionError
        There are no statistics.
    """

    def __init__(self, bands: Sequence[Band], by: float = 0.1) -> None:
        _need(bands, "brightness")
        self.by = number("brightness's by", by, minimum=0, maximum=1)
        # In the units of a normalised band: (factor · (x · std + mean) − mean) / std.
        self._dark = _column([band.mean / _std(band) for band in bands])

    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Transform a batch in place."""
        _check_bands(images, len(self._dark), "brightness")
        drawn = random.uniform(-self.by, self.by, size=len(images)).astype(np.float32)
        images *= 1 + drawn[:, None, None, None]
        images += drawn[:, None, None, None] * self._dark
        return images, labels


@register("jitter")
class Jitter:
    """Change the colours: multiply each band by a factor of its own and add an offset of its own.

    Never done by default, and not advised: the sugarcane paper found that colour jitter makes the
    segmentation worse, because its fields are told apart by texture and by the fine differences of
    colour that the jitter drowns. It is here for images whose colours are not to be trusted.

    What photographs know as jitter of hue and saturation has no meaning for any number of bands.
    Decision: an independent straight line for each band of each patch, about the band's mean.

    Parameters
    ----------
    gain
        A band's factor is uniform from 1 − gain to 1 + gain.
    offset
        What is added is uniform from −offset to offset, in units of the band's standard deviation.
    """

    def __init__(self, gain: float = 0.2, offset: float = 0.2) -> None:
        self.gain = number("jitter's gain", gain, minimum=0, maximum=1)
        self.offset = number("jitter's offset", offset, minimum=0, maximum=10)

    def __call__(
        self, images: Images, labels: Labels, random: np.random.Generator, /
    ) -> tuple[Images, Labels]:
        """Transform a batch in place."""
        drawn = random.uniform(-1, 1, size=(2, *images.shape[:2], 1, 1))
        images *= (1 + self.gain * drawn[0]).astype(np.float32)
        images += (self.offset * drawn[1]).astype(np.float32)
        return images, labels


@functools.cache
def _normal_values() -> NDArray[np.float32]:
    """Quantiles of the normal distribution, in the middle of 65,536 equal shares."""
    middle = NormalDist()
    half = [middle.inv_cdf((k + 0.5) / (1 << 16)) for k in range(1 << 15)]
    below = np.array(half, np.float32)
    return np.concatenate([below, -below[::-1]])


def _need(bands: Sequence[Band], name: str) -> None:
    if not bands:
        raise OptionError(f"augmentation {name!r} needs the statistics of the bands")


def _check_bands(images: Images, bands: int, name: str) -> None:
    if images.shape[1] != bands:
        raise OptionError(
            f"augmentation {name!r} was made for {bands} bands and is given {images.shape[1]}"
        )


def _std(band: Band) -> float:
    return band.std if band.std > 0 else 1.0


def _range(band: Band) -> tuple[np.float32, np.float32]:
    """Minimum, and its distance to the maximum, of a normalised band; 0 where it is not known."""
    low, high = ((end - band.mean) / _std(band) for end in (band.min, band.max))
    known = np.isfinite(low) and np.isfinite(high)
    return np.float32(low if known else 0), np.float32(high - low if known else 0)


def _column(values: Sequence[float]) -> NDArray[np.float32]:
    return np.nan_to_num(np.asarray(values, np.float32), posinf=0, neginf=0)[:, None, None]
