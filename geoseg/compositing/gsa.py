"""Adaptive Gram–Schmidt pansharpening (GSA): what is fitted, and what is done with it.

Knows numbers; knows neither files nor grids.

The panchromatic band P, averaged over the pixels of the multispectral bands M, is explained by them
through least squares: the intensity I = w₀ + Σ wₖ Mₖ. Each band then gets the detail that P has and
I, made of the bands brought to P's pixels, has not, times its gain:

    Mₖ↑ + gₖ (P − I↑),    gₖ = cov(Mₖ, I) / var(I)

So the detail needs no matching of histograms: intensity and panchromatic band have one mean, and
what of P the bands do not explain stays in the detail.

Sources
-------
B. Aiazzi, S. Baronti and M. Selva, "Improving component substitution pansharpening through
multivariate regression of MS + Pan data", IEEE Transactions on Geoscience and Remote Sensing 45
(10), 2007, 3230–3239: the weights, section III; the gains, equation 6.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.jit import compiled

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SINGULAR = 1e-10
"""Directions in which the bands vary less than this share of the strongest carry nothing."""
_NOTHING = 1e-9
"""Share of the panchromatic band's variance under which the bands explain nothing of it."""
_ROWS = 32


@dataclass
class Moments:
    """Means and covariances of bands and panchromatic band, gathered row by row.

    Rows are added one after the other, each summed up by itself: the result depends on the pixels
    and their order alone, not on how many rows come at once.
    """

    bands: int
    """How many bands."""
    pixels: int = 0
    """How many pixels were seen."""
    _shift: Floats = field(init=False)
    _sums: Floats = field(init=False)
    _products: Floats = field(init=False)

    def __post_init__(self) -> None:
        size = self.bands + 1
        self._shift = np.zeros(size)
        self._sums = np.zeros(size)
        self._products = np.zeros((size, size))

    def add(self, bands: NDArray[Any], pan: Floats, valid: Mask) -> None:
        """Add rows.

        Parameters
        ----------
        bands
            (bands, rows, cols).
        pan
            (rows, cols), the panchromatic band on the bands' pixels.
        valid
            (rows, cols), True where all have a reading.
        """
        for start in range(0, len(pan), _ROWS):
            at = slice(start, start + _ROWS)
            values = np.empty((self.bands + 1, *pan[at].shape))
            values[:-1], values[-1] = bands[:, at], pan[at]
            there = np.ascontiguousarray(valid[at])
            if not self.pixels and there.any():
                row, col = np.unravel_index(np.argmax(there), there.shape)
                self._shift = values[:, row, col].copy()  # so that squares stay small
            self.pixels += _add(values, there, self._shift, self._sums, self._products)

    @property
    def means(self) -> Floats:
        """(bands + 1,), the panchromatic band's last."""
        return self._shift + self._sums / max(1, self.pixels)

    @property
    def covariances(self) -> Floats:
        """(bands + 1, bands + 1), of all that was seen."""
        n = max(1, self.pixels)
        found: Floats = self._products / n - np.outer(self._sums / n, self._sums / n)
        return found


@compiled("int64(float64[:,:,::1], boolean[:,::1], float64[::1], float64[::1], float64[:,::1])")
def _add(values: Floats, valid: Mask, shift: Floats, sums: Floats, products: Floats) -> int:
    """Add rows to sums; return the number of pixels."""
    size = len(values)
    row_sums, row_products, pixel = np.empty(size), np.empty((size, size)), np.empty(size)
    pixels = 0
    for i in range(valid.shape[0]):
        row_sums[:] = 0.0
        row_products[:] = 0.0
        for j in range(valid.shape[1]):
            if not valid[i, j]:
                continue
            pixels += 1
            for k in range(size):
                pixel[k] = values[k, i, j] - shift[k]
                row_sums[k] += pixel[k]
                for m in range(k + 1):
                    row_products[k, m] += pixel[k] * pixel[m]
        for k in range(size):
            sums[k] += row_sums[k]
            for m in range(k + 1):
                products[k, m] += row_products[k, m]
                products[m, k] = products[k, m]
    return pixels


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """How detail is made and injected."""

    weights: tuple[float, ...]
    """Of the bands in the intensity."""
    constant: float
    """What the intensity has besides."""
    gains: tuple[float, ...]
    """How much of the detail each band gets."""
    explained: float
    """Share of the averaged panchromatic band's variance that the bands explain, 0 to 1 (R²)."""

    @classmethod
    def of(cls, moments: Moments) -> Fusion:
        """Fit it.

        Raises
        ------
        GridError
            There are too few pixels, or the bands explain nothing of the panchromatic band.
        """
        if moments.pixels < moments.bands + 2:
            raise GridError(
                f"bands and panchromatic band share {moments.pixels} pixels with readings, which "
                "is too few to compare them; are they of one place?"
            )
        means, covariances = moments.means, moments.covariances
        among, with_pan = covariances[:-1, :-1], covariances[:-1, -1]
        deviations = np.sqrt(np.maximum(np.diag(among), 0))
        scale = np.where(deviations > 0, 1 / np.where(deviations > 0, deviations, 1), 0)
        inverse = np.linalg.pinv(among * np.outer(scale, scale), rcond=_SINGULAR, hermitian=True)
        weights = scale * (inverse @ (scale * with_pan))
        with_intensity = among @ weights
        variance = float(weights @ with_intensity)
        if not variance > _NOTHING * covariances[-1, -1]:
            raise GridError(
                "the bands explain nothing of the panchromatic band; are they of one place and "
                "date, and do they lie on each other?"
            )
        return cls(
            weights=tuple(float(w) for w in weights),
            constant=float(means[-1] - weights @ means[:-1]),
            gains=tuple(float(g) for g in with_intensity / variance),
            explained=min(1.0, variance / float(covariances[-1, -1])),
        )

    def sharpen(self, bands: NDArray[Any], pan: NDArray[Any]) -> Floats:
        """Inject the detail.

        Parameters
        ----------
        bands
            (bands, rows, cols), brought to the panchromatic band's pixels.
        pan
            (rows, cols).

        Returns
        -------
        (bands, rows, cols).
        """
        detail = pan.astype(np.float64) - self.constant
        for band, weight in zip(bands, self.weights, strict=True):
            detail -= weight * band.astype(np.float64)
        found = np.empty(bands.shape)
        for k, (band, gain) in enumerate(zip(bands, self.gains, strict=True)):
            np.multiply(detail, gain, out=found[k])
            found[k] += band
        return found
