"""Fields of noise that have no end: any window of them is read at the cost of a copy.

A field is the sum of two tiles that repeat with periods without common factor, so the sum repeats
only after more than a million pixels. What a field is mixed from costs nothing when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.window import Window

PERIODS = (1024, 1215)
"""Rows and columns after which the tiles repeat."""
UNIT = 1280
"""Integer that stands for one standard deviation."""
# Unequal, because two hillsides of equal height on top of each other look like neither.
_WEIGHTS = (0.9, 0.436)
_LINE_PERIOD = 1 << 16

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Field:
    """An endless field of mean 0 and deviation `UNIT`."""

    tiles: tuple[NDArray[np.int16], ...]
    """One (period, period) array for each of `PERIODS`."""

    def read(self, window: Window) -> NDArray[np.int16]:
        """Return (rows, cols) int16; the window may lie anywhere right of and below the origin."""
        out = np.zeros((window.height, window.width), np.int16)
        for tile in self.tiles:
            add_repeated(out, tile, window)
        return out


@dataclass(frozen=True, eq=False)
class Line:
    """Endless lines of noise of mean 0 and deviation 1."""

    values: Floats
    """One period."""

    def read(self, number: int, start: int, length: int) -> Floats:
        """Return values `start` … `start + length` − 1 of the line of that number, from 0."""
        # An odd step shares no factor with the period: neighbouring lines are far from each other.
        places = np.arange(start, start + length) + number * 5003
        return self.values[places % len(self.values)]


@dataclass(frozen=True)
class Paper:
    """Where one tile of each field is drawn; what is drawn on it repeats without a seam."""

    period: int
    """Rows and columns."""
    rng: np.random.Generator
    """Decides the noise."""

    def noise(self, exponent: float, longest: float, *, stretch: float = 1) -> Floats:
        """Return (period, period) Gaussian noise, mean 0 and deviation 1.

        Parameters
        ----------
        exponent
            Power falls as frequency to minus this: 2 for a texture as rough at every scale, 4 for
            rolling ground.
        longest
            Wavelength in pixels above which the spectrum is flat.
        stretch
            How much longer wavelengths are along the columns than along the rows.
        """
        rows = np.fft.fftfreq(self.period)[:, np.newaxis] * stretch
        cols = np.fft.rfftfreq(self.period)[np.newaxis, :]
        amplitude = (rows**2 + cols**2 + longest**-2) ** (-exponent / 4)
        amplitude[0, 0] = 0  # the mean
        spectrum = self.rng.standard_normal((2, *amplitude.shape), np.float32)
        tile = np.fft.irfft2(
            (spectrum[0] + 1j * spectrum[1]) * amplitude.astype(np.float32), s=(self.period,) * 2
        )
        return np.asarray(tile / tile.std(), np.float32)


def make_fields(
    rng: np.random.Generator, draw: Callable[[Paper], Mapping[str, Floats]]
) -> dict[str, Field]:
    """Make fields from what `draw` puts on paper, tile by tile; deviations are made equal.

    Parameters
    ----------
    rng
        Decides the noise.
    draw
        Returns (period, period) tiles by the name of their field.
    """
    tiles: dict[str, list[NDArray[np.int16]]] = {}
    for period, weight in zip(PERIODS, _WEIGHTS, strict=True):
        for name, tile in draw(Paper(period, rng)).items():
            scaled = (tile - tile.mean()) * (weight * UNIT / tile.std())
            tiles.setdefault(name, []).append(np.rint(scaled).astype(np.int16))
    return {name: Field(tuple(both)) for name, both in tiles.items()}


def make_line(rng: np.random.Generator, *, exponent: float, longest: float) -> Line:
    """Make lines with a spectrum as in `Paper.noise`."""
    frequency = np.fft.rfftfreq(_LINE_PERIOD)
    amplitude = (frequency**2 + longest**-2) ** (-exponent / 4)
    amplitude[0] = 0
    values = np.fft.irfft(np.fft.rfft(rng.standard_normal(_LINE_PERIOD)) * amplitude)
    return Line((values / values.std()).astype(np.float32))


def add_repeated(out: NDArray[Any], tile: NDArray[Any], window: Window) -> None:
    """Add a tile, laid side by side without end, to the pixels of a window.

    Parameters
    ----------
    out
        (rows, cols) of the window, changed in place.
    tile
        (rows, cols); its first pixel lies at the origin.
    window
        Which pixels `out` is.
    """
    rows, cols = tile.shape
    for top in range(window.row // rows * rows, window.row_stop, rows):
        for left in range(window.col // cols * cols, window.col_stop, cols):
            part = Window(top, left, rows, cols).intersection(window)
            if part is not None:
                at = part.slices(row_origin=window.row, col_origin=window.col)
                out[at] += tile[part.slices(row_origin=top, col_origin=left)]
