"""What classes look like to Landsat 8: facts, and readings made from them.

The numbers were measured on one scene of level 1 over the mountains and canyons of southern Utah
(18 August 2015, 30 m, digital numbers), inside the regions of the National Land Cover Database:
pixels whose eight neighbours have their class, without the one per cent farthest from the mean.
They are top of the atmosphere, of one place and one day, and good for making scenes to try things
on, no more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.legend.written import parse_legend

BANDS = ("blue", "green", "red", "nir")
"""Bands 2 to 5 of Landsat 8."""
NODATA = 65535
"""Reading outside of the scene's footprint."""


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """Readings of one class, in digital numbers."""

    mean: tuple[float, float, float, float]
    """Of `BANDS`."""
    std: tuple[float, float, float, float]
    """Of `BANDS`."""
    red_nir: float
    """Correlation of red with near infrared."""
    blue_on: tuple[float, float]
    """Regression of blue on red and on near infrared, all in standard deviations."""
    green_on: tuple[float, float]
    """Regression of green on red and on near infrared."""

    def loadings(self) -> NDArray[np.float64]:
        """Return (2, 4): change of `BANDS` by a unit of light, and by a unit of greenness.

        Light moves red and near infrared alike, greenness moves them apart; with both independent
        and of unit deviation, red and near infrared have their correlation.
        """
        light, green = math.sqrt((1 + self.red_nir) / 2), math.sqrt((1 - self.red_nir) / 2)
        red, nir = np.array([light, -green]), np.array([light, green])
        blue = self.blue_on[0] * red + self.blue_on[1] * nir
        green_band = self.green_on[0] * red + self.green_on[1] * nir
        each = np.stack([blue, green_band, red, nir], axis=1)
        return each * np.array(self.std, dtype=np.float64)


SPECTRA: dict[int, Spectrum] = {
    1: Spectrum(
        mean=(8324, 7453, 6563, 6128),
        std=(145, 169, 151, 161),
        red_nir=0.830,
        blue_on=(0.735, 0.198),
        green_on=(1.063, -0.140),
    ),
    2: Spectrum(
        mean=(10353, 10387, 11179, 15581),
        std=(652, 822, 1361, 1807),
        red_nir=0.182,
        blue_on=(0.922, -0.200),
        green_on=(0.968, -0.036),
    ),
    3: Spectrum(
        mean=(12356, 13489, 15665, 20099),
        std=(2245, 3201, 4224, 5781),
        red_nir=0.986,
        blue_on=(1.623, -0.712),
        green_on=(1.379, -0.421),
    ),
    4: Spectrum(
        mean=(8903, 8643, 8493, 15305),
        std=(504, 625, 1078, 1973),
        red_nir=-0.170,
        blue_on=(0.955, -0.082),
        green_on=(0.993, 0.125),
    ),
    5: Spectrum(
        mean=(10369, 10615, 12083, 15995),
        std=(733, 993, 1655, 1775),
        red_nir=0.706,
        blue_on=(1.071, -0.270),
        green_on=(0.954, -0.016),
    ),
    6: Spectrum(
        mean=(10389, 10856, 12797, 17353),
        std=(485, 726, 1200, 1560),
        red_nir=0.829,
        blue_on=(1.433, -0.812),
        green_on=(1.304, -0.464),
    ),
    7: Spectrum(
        mean=(9727, 9792, 10000, 19768),
        std=(687, 958, 1892, 3019),
        red_nir=-0.556,
        blue_on=(0.978, 0.025),
        green_on=(1.050, 0.158),
    ),
    8: Spectrum(
        mean=(9830, 9815, 10387, 16153),
        std=(507, 765, 1357, 1696),
        red_nir=0.432,
        blue_on=(0.939, -0.041),
        green_on=(0.916, 0.073),
    ),
}
"""What the class of an id looks like."""

LEGEND = parse_legend(
    "1=water,2=developed,3=barren,4=forest,5=shrub,6=herbaceous,7=cultivated,8=wetland"
)
"""Classes of made scenes: the groups of the National Land Cover Database."""

_SHOWN = {"red": (6300, 17000), "green": (6900, 14500), "blue": (7600, 13000)}
_DARKEST, _BRIGHTEST = (7600, 6500, 5700, 5300), (19000, 22000, 25700, 31900)
# So much of the deviations is left: what real ground varies by for reasons that made ground does
# not have, soils above all, would look like another class.
_SPREAD = 0.85

LEVELS = 128
"""Levels of light, and of greenness, that readings are made for."""
STEPS = 20
"""Levels in a standard deviation."""
GRAIN = 90
"""Deviation of what every band has for itself from pixel to pixel."""
MOST_GRAIN = 4 * GRAIN
"""Bound on that, either way."""


def readings() -> NDArray[np.uint16]:
    """Return (ids, light, greenness, bands): what each class looks like in each light.

    Ids count from 0, which is no class. Levels lie around `LEVELS` / 2. Readings are `MOST_GRAIN`
    too low, so that grain can be added as a whole number from 0 to twice that.
    """
    level = (np.arange(LEVELS) - LEVELS / 2 + 0.5) / STEPS * _SPREAD
    table = np.zeros((len(SPECTRA) + 1, LEVELS, LEVELS, len(BANDS)))
    for number, spectrum in SPECTRA.items():
        by_light, by_greenness = spectrum.loadings()
        table[number] = (
            np.array(spectrum.mean)
            + level[:, np.newaxis, np.newaxis] * by_light
            + level[:, np.newaxis] * by_greenness
        )
    return np.rint(np.clip(table, _DARKEST, _BRIGHTEST) - MOST_GRAIN).astype(np.uint16)


def reflectance(numbers: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Turn digital numbers into reflectance at the top of the atmosphere, nodata into NaN.

    The height of the sun is left out, as in the product's own scaling.
    """
    scaled = numbers * np.float32(2e-5) - np.float32(0.1)
    scaled[numbers == NODATA] = np.nan
    return scaled


def shown_range(*, is_float: bool) -> dict[str, tuple[float, float]]:
    """Return the darkest and the brightest reading to show of red, green and blue.

    Parameters
    ----------
    is_float
        Whether readings are reflectance instead of digital numbers.
    """
    if not is_float:
        return {band: (float(low), float(high)) for band, (low, high) in _SHOWN.items()}
    return {band: (2e-5 * low - 0.1, 2e-5 * high - 0.1) for band, (low, high) in _SHOWN.items()}
