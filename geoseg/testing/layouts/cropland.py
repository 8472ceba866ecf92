"""A yearly composite of Landsat 8 with codes of the Cropland Data Layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.legend.written import parse_legend
from geoseg.raster.plain import PlainWriter, plain_grid
from geoseg.testing.layouts.drawing import Floats, noise, regions, rng_of

BANDS = ("coastal", "blue", "green", "red", "nir", "swir1", "swir2")
CODES = parse_legend(
    "1=Corn:#ffd300,5=Soybeans:#267000,24=Winter Wheat:#a57000,36=Alfalfa:#ffa5e2,"
    "111=Open Water:#4b70a3,121=Developed/Open Space:#999999,141=Deciduous Forest:#93cc93,"
    "176=Grass/Pasture:#e8ffbf"
)
"""The layer's codes, names and colours of what lies on the made ground."""

# Reflectance of each code in percent, a median of one year; corn and soybean are close.
_SPECTRA = {
    1: (3.2, 4.0, 7.0, 6.0, 33.0, 19.0, 11.0),
    5: (3.2, 4.0, 7.4, 5.8, 36.0, 21.5, 11.5),
    24: (4.0, 5.0, 8.0, 9.5, 25.0, 24.0, 16.0),
    36: (3.0, 3.8, 7.2, 5.2, 38.0, 18.0, 9.0),
    111: (4.5, 4.2, 4.4, 3.2, 2.4, 1.4, 0.9),
    121: (6.0, 7.0, 9.0, 10.0, 21.0, 20.0, 15.0),
    141: (2.2, 2.6, 4.6, 3.4, 29.0, 13.0, 6.0),
    176: (3.4, 4.2, 7.4, 7.0, 27.0, 20.0, 12.0),
}
_COUNTRY = (  # what is grown in each kind of country, in the order of the codes
    (0.52, 0.38, 0.03, 0.02, 0.0, 0.05, 0.0, 0.0),
    (0.12, 0.16, 0.06, 0.14, 0.0, 0.04, 0.0, 0.48),
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.03, 0.9, 0.07),
    (0.0, 0.0, 0.0, 0.0, 0.9, 0.1, 0.0, 0.0),
)
_FIELD = 9  # side of a small field in pixels of 30 m


def made_cropland(
    folder: str | Path, *, size: int = 400, seed: int = 0, missing: float = 0.04
) -> Path:
    """Make ``composite.tif``, seven bands of reflectance, and ``cdl.tif``, codes with names.

    Farm land, pasture, forest and water lie in regions larger than patches of 50 px, so that
    patches differ in which classes they hold. Forest and water have no fields.

    Parameters
    ----------
    folder
        Where both are made.
    size
        Side in pixels of 30 m.
    seed
        Decides what lies where.
    missing
        Share of the pixels, in blots, that no date saw: NaN.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = rng_of(seed, 4)
    codes = _codes(rng, size)
    readings = _readings(rng, codes)
    unseen = noise(rng, size, size, longest=40, exponent=3.5)
    readings[:, unseen > np.quantile(unseen, 1 - missing)] = np.nan
    grid = plain_grid(size, size, crs="EPSG:32615", origin=(450_015.0, 4_650_015.0))
    with PlainWriter(
        folder / "composite.tif",
        grid,
        band_names=BANDS,
        dtype="float32",
        nodata=float("nan"),
        overwrite=True,
    ) as file:
        file.write(grid.window, readings)
    with PlainWriter(
        folder / "cdl.tif",
        grid,
        band_names=("cropland",),
        dtype="uint8",
        nodata=0,
        legend=CODES,
        overwrite=True,
    ) as file:
        file.write(grid.window, codes)
    return folder


def _codes(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    country = regions(rng, (0.42, 0.27, 0.25, 0.06), size, size, longest=90)
    shares = np.cumsum(_COUNTRY, axis=1)
    side = -(-size // _FIELD) + 1
    # A field is one lot, or two or four of them: neighbours are made alike.
    lots = rng.random((side, side))
    for shift in ((0, 1), (1, 0)):
        alike = rng.random((side, side)) < 0.3
        lots = np.where(alike, np.roll(lots, shift, (0, 1)), lots)
    drawn = np.kron(lots, np.ones((_FIELD, _FIELD)))[:size, :size]
    place = (drawn[..., None] >= shares[country]).sum(axis=2)
    # Roads between sections are developed ground.
    at = np.arange(size) % (6 * _FIELD) == 0
    roads = (at[:, None] | at[None, :]) & (country < 2)
    place[roads] = 5
    table = np.asarray(CODES.ids, np.uint8)
    return np.asarray(table[np.minimum(place, len(CODES) - 1)])


def _readings(rng: np.random.Generator, codes: NDArray[np.uint8]) -> Floats:
    size = len(codes)
    table = np.zeros((256, len(BANDS)), np.float32)
    for code, spectrum in _SPECTRA.items():
        table[code] = spectrum
    readings = table[codes].transpose(2, 0, 1) / 100
    side = -(-size // _FIELD) + 1
    tone = np.kron(rng.normal(0, 0.10, (side, side)), np.ones((_FIELD, _FIELD)))[:size, :size]
    soil = noise(rng, size, size, longest=120, exponent=3)
    rough = noise(rng, size, size, longest=5, exponent=1.5) * np.where(codes == 141, 0.14, 0.05)
    bright = 1 + tone * ~np.isin(codes, (111, 141)) + 0.05 * soil + rough
    # What grows well reflects more of the near infrared and less of the rest.
    vigour = noise(rng, size, size, longest=30, exponent=2.5)[None]
    slope = np.asarray([-0.02, -0.03, -0.02, -0.06, 0.06, -0.03, -0.05])[:, None, None]
    readings = readings * bright * (1 + slope * vigour)
    readings += rng.normal(0, 0.004, readings.shape)
    return np.asarray(np.maximum(readings, 0.001), np.float32)
