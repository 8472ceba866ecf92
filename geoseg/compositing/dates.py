"""Dates on one grid: what a window of it holds of each, masked by the quality bands.

Knows products and grids; knows nothing of how dates become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.masks import ClearRule, clear, flagged
from geoseg.compositing.product import Product, ProductBand
from geoseg.compositing.reduce import TYPES
from geoseg.errors import BandError
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

_NOT_BY_DEFAULT = ("pan", "cirrus", "thermal", "thermal2", "water vapour")


def shared_bands(products: Sequence[Product]) -> tuple[str, ...]:
    """Return what to composite by default: bands that every product has, in the first's order.

    Panchromatic, cirrus and thermal bands are left out where there are others: they have pixels of
    another size, or gaps of their own.

    Raises
    ------
    BandError
        The products share no band.
    """
    first = products[0]
    names = [n for n in first.band_names if all(n in other.band_names for other in products)]
    if not names:
        other = next(p for p in products if not set(p.band_names) & set(first.band_names))
        raise BandError(
            f"{other.source} shares no band with {first.source} ({', '.join(other.band_names)}; "
            f"{', '.join(first.band_names)}); name the bands alike (--band-names), or say what "
            "took the scenes (--sensor)"
        )
    return tuple(n for n in names if n not in _NOT_BY_DEFAULT) or tuple(names)


def not_shared(products: Sequence[Product], names: Sequence[str]) -> tuple[str, ...]:
    """Name bands that some product has, or should have, and that are not composited by default."""
    every = dict.fromkeys(
        band.name for product in products for band in (*product.bands, *product.missing)
    )
    quality = {name for name in every if name.startswith("QA")}
    return tuple(n for n in every if n not in {*names, *_NOT_BY_DEFAULT} and n not in quality)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How readings of several dates are held together."""

    dtype: np.dtype[Any]
    """Type of the stack, one of `geoseg.compositing.reduce.TYPES`."""
    scales: tuple[float, ...]
    """What is still to be done when dates are reduced, one a band: value × scale + offset."""
    offsets: tuple[float, ...]
    """See `scales`."""


@dataclass(frozen=True, kw_only=True)
class Date:
    """One product on the grid of the composite."""

    name: str
    """For people."""
    scenes: tuple[Scene, ...]
    """Its bands, a scene for each size of pixels; on the grid with `rule.reach` pixels more on
    every side, as are the quality bands: what is masked grows into a window from there, and
    positions are looked up once for both."""
    bands: tuple[ProductBand, ...]
    """The bands, in the composite's order."""
    quality: Scene | None
    """Its quality bands; None if it has none."""
    kind: str
    """Code of the quality bands; see `geoseg.compositing.masks`."""
    rule: ClearRule
    """What counts as clear."""
    word: str = ""
    """What names it on a command line; see `Product.word`."""

    @property
    def read_scenes(self) -> tuple[Scene, ...]:
        """All scenes that are read, the quality bands' too."""
        return self.scenes if self.quality is None else (*self.scenes, self.quality)

    @property
    def paths(self) -> tuple[str, ...]:
        """Files that are read."""
        return tuple(dict.fromkeys(path for scene in self.read_scenes for path in scene.paths))

    @property
    def files(self) -> list[str]:
        """Those in the file system, sources of VRTs too."""
        return [path for scene in self.read_scenes for path in scene.files]

    def fingerprint(self) -> str:
        """Digest of the files' contents; see `geoseg.raster.fingerprint`."""
        return fingerprint_files(self.paths)

    def read(
        self, window: Window, area: NDArray[np.bool_] | None, reading: Reading, out: NDArray[Any]
    ) -> NDArray[np.bool_] | None:
        """Read a window of the grid.

        Parameters
        ----------
        window
            Rows and columns of the grid.
        area
            (rows, cols), True where a reading is wanted; None for everywhere.
        reading
            Whether readings are scaled now or later.
        out
            (bands, rows, cols) of the reading's type to read into.

        Returns
        -------
        (rows, cols), True where every band has a reading and it is clear; None where that is
        nowhere, and then `out` holds nothing of use.

        Raises
        ------
        RasterReadError
            A file cannot be read there.
        """
        valid = np.ones((window.height, window.width), bool) if area is None else area.copy()
        if self.quality is not None:
            valid &= self._clear(self.quality, window)
            if not valid.any():
                return None
        reach = self.rule.reach
        there = Window(window.row + reach, window.col + reach, window.height, window.width)
        for scene in self.scenes:
            places = [self._place(name) for name in scene.band_names]
            straight = len(self.scenes) == 1 and scene.dtype == out.dtype
            pixels = scene.read(there, out=out if straight else None)
            valid &= pixels.valid
            if not valid.any():
                return None
            if straight and out.dtype.kind != "f":
                continue  # what was read is what is held
            for place, band in zip(places, pixels.data, strict=True):
                _convert(band, self.bands[place], reading.dtype, out[place])
        return valid

    def flags(self, window: Window) -> tuple[int, dict[str, int]]:
        """Count what the quality bands say of a window of the grid.

        Returns
        -------
        readings, flagged
            Pixels that are no fill; and of these, how many carry each flag that hides them.
        """
        if self.quality is None:
            return 0, {}
        reach = self.rule.reach
        there = Window(window.row + reach, window.col + reach, window.height, window.width)
        pixels = self.quality.read(there)
        codes = dict(zip(self.quality.band_names, pixels.data, strict=True))
        return flagged(self.kind, codes, self.rule, pixels.valid)

    def _place(self, name: str) -> int:
        return next(i for i, band in enumerate(self.bands) if band.name == name)

    def _clear(self, quality: Scene, window: Window) -> NDArray[np.bool_]:
        reach = self.rule.reach
        wide = Window(window.row, window.col, window.height + 2 * reach, window.width + 2 * reach)
        pixels = quality.read(wide)
        if not pixels.valid.any():
            return np.zeros((window.height, window.width), bool)
        codes = dict(zip(quality.band_names, pixels.data, strict=True))
        inner = (slice(reach, reach + window.height), slice(reach, reach + window.width))
        return clear(self.kind, codes, self.rule, pixels.valid)[inner]


def _convert(band: NDArray[Any], of: ProductBand, dtype: np.dtype[Any], out: NDArray[Any]) -> None:
    """Bring readings to the type of the stack; scaled if that is no type of whole numbers."""
    if dtype.kind == "f" and (of.scale, of.offset) != (1.0, 0.0):
        np.add(band.astype(np.float64) * of.scale, of.offset, out=out, casting="same_kind")
    else:
        np.copyto(out, band, casting="unsafe")


def common_reading(dates: Sequence[Date]) -> Reading:
    """Return how readings of these dates are held together.

    Whole numbers of up to 16 bits that mean the same on every date stay what they are until they
    are reduced: half the memory, and nothing is rounded. All else is scaled to float32 first.
    """
    bands = [[(band.scale, band.offset) for band in date.bands] for date in dates]
    common = np.result_type(*(scene.dtype for date in dates for scene in date.scenes))
    if common == np.uint8:
        common = np.dtype(np.uint16)
    if common.kind in "ui" and common.name in TYPES and all(b == bands[0] for b in bands):
        return Reading(
            dtype=common,
            scales=tuple(scale for scale, _ in bands[0]),
            offsets=tuple(offset for _, offset in bands[0]),
        )
    return Reading(
        dtype=np.dtype(np.float32),
        scales=(1.0,) * len(bands[0]),
        offsets=(0.0,) * len(bands[0]),
    )
