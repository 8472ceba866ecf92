"""The readings and labels of a made scene, window by window. Knows nothing of files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import BandError, OptionError
from geoseg.raster.window import Window
from geoseg.testing.landscape import Landscape
from geoseg.testing.noise import UNIT, add_repeated
from geoseg.testing.spectra import (
    BANDS,
    GRAIN,
    LEVELS,
    MOST_GRAIN,
    NODATA,
    SPECTRA,
    STEPS,
    readings,
    reflectance,
)

UNLABELLED = 0
"""Label outside of the scene's footprint."""

_RIVER, _ROAD = 840, 300  # row of the first river, column of the first road, in a large scene
_GRAIN_PERIOD = 509
_GRAIN_SHIFT = 127  # rows and columns by which the grain of a band is off that of the one before
_CELL = 64  # of so many rows and columns, with one bad pixel at most
_ROWS = 64  # that are made together: what they take fits into a processor's own cache


class Maker:
    """Makes any window of one scene and of its labels; safe from any thread.

    Parameters
    ----------
    height, width
        Rows and columns of the scene.
    seed, bands, nodata_share, bad_pixels, label_noise
        See `geoseg.testing.scenes.made_scene`.
    is_float
        Whether readings are reflectance with NaN instead of digital numbers.

    Raises
    ------
    BandError
        A band that cannot be made.
    OptionError
        A share beyond its bounds.
    """

    def __init__(
        self,
        *,
        height: int,
        width: int,
        seed: int = 0,
        bands: Sequence[str] = BANDS,
        is_float: bool = False,
        nodata_share: float = 0.0,
        bad_pixels: float = 0.0,
        label_noise: float = 0.0,
    ) -> None:
        unknown = [band for band in bands if band not in BANDS]
        if unknown or not bands:
            raise BandError(
                f"made scenes have the bands {', '.join(BANDS)}, not {', '.join(unknown) or 'none'}"
            )
        self._bands = [BANDS.index(band) for band in bands]
        self._is_float = is_float
        self._footprint = footprint(height, width, nodata_share)
        self._bad_pixels = _share("bad_pixels", bad_pixels, 1 / _CELL**2)
        self._label_noise = _share("label_noise", label_noise, 1.0)
        first = (min(height * 3 // 5, _RIVER), min(width * 3 // 10, _ROAD))
        self._landscape = Landscape(seed, first=first)
        rng = np.random.default_rng((seed, 1))
        grain = np.rint(GRAIN * rng.standard_normal((_GRAIN_PERIOD, _GRAIN_PERIOD)))
        self._grain = (np.clip(grain, -MOST_GRAIN, MOST_GRAIN) + MOST_GRAIN).astype(np.uint16)
        # A pixel's four readings are looked up as one number of 64 bits.
        self._readings = readings().view(np.uint64).ravel()
        self._keys = rng.integers(1 << 63, size=2, dtype=np.uint64)

    def make(self, window: Window) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Make a window.

        Returns
        -------
        readings, labels
            (bands, rows, cols) uint16 with nodata 65535, or float32 with NaN; and (rows, cols)
            class ids, 0 outside of the footprint.
        """
        pixels = np.empty((len(self._bands), window.height, window.width), np.uint16)
        labels = np.empty((window.height, window.width), np.uint8)
        for row in range(window.row, window.row_stop, _ROWS):
            part = Window(row, window.col, min(_ROWS, window.row_stop - row), window.width)
            rows = slice(row - window.row, part.row_stop - window.row)
            self._expose(part, pixels[:, rows], labels[rows])
        if self._label_noise:
            self._mislabel(window, labels)
        if self._bad_pixels:
            self._spoil(window, pixels)
        self._cut_out(window, pixels, labels)
        return (reflectance(pixels) if self._is_float else pixels), labels

    def _expose(
        self, window: Window, pixels: NDArray[np.uint16], labels: NDArray[np.uint8]
    ) -> None:
        """Take the picture of a window of the country."""
        patch = self._landscape.read(window)
        labels[...] = patch.classes
        place = patch.classes.astype(np.int16)
        place *= LEVELS
        place += _level(patch.light)
        index = place.astype(np.intp)
        index *= LEVELS
        index += _level(patch.greenness)
        # "clip" spares numpy a check of every index before it starts.
        found = np.take(self._readings, index, mode="clip").view(np.uint16)
        for out, band in zip(pixels, self._bands, strict=True):
            out[...] = found.reshape(*index.shape, len(BANDS))[..., band]
            shift = band * _GRAIN_SHIFT
            place_of_grain = Window(window.row + shift, window.col + shift, *index.shape)
            add_repeated(out, self._grain, place_of_grain)

    def _spoil(self, window: Window, pixels: NDArray[np.uint16]) -> None:
        """Take the readings from single pixels: one of a cell, where the lot falls on it."""
        rows = np.arange(window.row // _CELL, (window.row_stop - 1) // _CELL + 1)
        cols = np.arange(window.col // _CELL, (window.col_stop - 1) // _CELL + 1)
        lot = _lots(rows, cols, self._keys[0])
        row = rows[:, np.newaxis] * _CELL + (lot & 63).astype(np.intp) - window.row
        col = cols * _CELL + (lot >> 6 & 63).astype(np.intp) - window.col
        hit = (lot >> 32) < int(self._bad_pixels * _CELL**2 * 2**32)
        hit &= (row >= 0) & (row < window.height) & (col >= 0) & (col < window.width)
        # One time in two all bands, else one of the four.
        band = (lot >> 12 & 7).astype(np.intp)
        for place, number in enumerate(self._bands):
            bad = hit & ((band >= len(BANDS)) | (band == number))
            pixels[place, row[bad], col[bad]] = NODATA

    def _mislabel(self, window: Window, labels: NDArray[np.uint8]) -> None:
        """Replace labels by classes drawn by lot, one in so many."""
        rows = np.arange(window.row, window.row_stop)
        lot = _lots(rows, np.arange(window.col, window.col_stop), self._keys[1])
        drawn = (lot % len(SPECTRA)).astype(np.uint8) + 1
        np.copyto(labels, drawn, where=(lot >> 32) < int(self._label_noise * 2**32))

    def _cut_out(
        self, window: Window, pixels: NDArray[np.uint16], labels: NDArray[np.uint8]
    ) -> None:
        """Leave the footprint alone."""
        edges = self._footprint[window.row : window.row_stop] - window.col
        if edges[:, 0].max() <= 0 and edges[:, 1].min() >= window.width:
            return
        cols = np.arange(window.width)
        outside = (cols < edges[:, :1]) | (cols >= edges[:, 1:])
        pixels[:, outside] = NODATA
        labels[outside] = UNLABELLED


def footprint(height: int, width: int, nodata_share: float) -> NDArray[np.int64]:
    """Return (rows, 2): first column of each row inside a scene's footprint, and first beyond it.

    The footprint stands aslant as that of a path and row does. Its corners lie on the raster's
    borders at a share p of each, seen from the upper left and the lower right, so the four
    triangles outside have 2 p (1 − p) of the area.
    """
    p = (1 - math.sqrt(1 - 2 * _share("nodata_share", nodata_share, 0.5))) / 2
    if p == 0:
        return np.tile(np.array([0, width], np.int64), (height, 1))
    down = (np.arange(height) + 0.5) / height
    left = np.maximum(p * (1 - down / (1 - p)), (1 - p) * (down + p - 1) / p)
    right = np.minimum(p + (1 - p) * down / p, 1 - p * (down - p) / (1 - p))
    edges: NDArray[np.int64] = np.rint(np.stack([left, right], axis=1) * width).astype(np.int64)
    return edges


def _level(values: NDArray[np.int16]) -> NDArray[np.int16]:
    """Turn light or greenness into a level of `readings`; changes `values`."""
    values //= UNIT // STEPS
    values += LEVELS // 2
    return np.clip(values, 0, LEVELS - 1, out=values)


def _lots(
    rows: NDArray[np.integer[Any]], cols: NDArray[np.integer[Any]], key: np.uint64
) -> NDArray[np.uint64]:
    """Return (rows, cols) 64 random bits for each place (the finaliser of SplitMix64)."""
    z = (rows.astype(np.uint64)[:, np.newaxis] << np.uint64(32)) + cols.astype(np.uint64)
    z = (z + np.uint64(1)) * key | np.uint64(1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> np.uint64(31))


def _share(name: str, value: float, most: float) -> float:
    if not 0 <= value <= most:
        raise OptionError(f"{name} is a share from 0 to {most:g}, not {value}")
    return value
