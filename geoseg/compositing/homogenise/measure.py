"""What is known of an image's readings before it is brought to a colour: one pass over it.

Invalid pixels are never seen. The result depends neither on the number of workers nor on how the
file is cut for reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise import _kernels
from geoseg.compositing.homogenise.standard import SHARE_PARTS
from geoseg.errors import OptionError
from geoseg.raster.scene import Scene
from geoseg.raster.statistics import Statistics, statistics_for
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window

__all__ = ["DARK_PARTS", "BandMeasure", "ImageStatistics", "LocalStatistics", "measure"]

DARK_PARTS = 1
"""Thousandths of the readings that are at most as bright as the dark object. Chavez (1988) takes
the foot of the histogram, where counts begin to rise; a share is that without looking, and a few
dead pixels do not move it."""

FEWEST = 0.25
"""Share of a square that must be valid for it to speak for itself."""

MOST_SQUARES = 1 << 20
"""Squares of an image, over which local means are taken."""

_WHOLE = 1 << 40
"""Side of a square that holds any image."""


@dataclass(frozen=True, kw_only=True)
class BandMeasure:
    """The valid readings of one band, in raw units; NaN throughout where there are none."""

    name: str
    mean: float
    deviation: float
    """Of the population."""
    quantiles: tuple[float, ...]
    """At `geoseg.compositing.homogenise.standard.SHARES`. Exact for 8 and 16 bits, else to within
    0.012 %."""
    dark: float
    """The dark object: the reading that a thousandth of all do not exceed."""

    def brought(self, gain: float, offset: float) -> BandMeasure:
        """Return what it is once each reading has become reading × gain + offset, gain above 0."""
        return replace(
            self,
            mean=self.mean * gain + offset,
            deviation=self.deviation * gain,
            quantiles=tuple(q * gain + offset for q in self.quantiles),
            dark=self.dark * gain + offset,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalStatistics:
    """Means and deviations over squares of pixels, from the image's upper left corner on.

    Squares at the right and the bottom may be cut. A square with less than a quarter of its pixels
    valid takes the mean of what its (up to eight) neighbours have, one ring after the other until
    all have something.
    """

    cell: int
    """Side of a square in pixels."""
    means: NDArray[np.float64]
    """(bands, rows, cols) of squares."""
    deviations: NDArray[np.float64]
    """(bands, rows, cols) of squares; of the population."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageStatistics:
    """What `measure` found."""

    name: str
    """The image, for people."""
    count: int
    """Valid pixels."""
    bands: tuple[BandMeasure, ...]
    """In the scene's order."""
    local: LocalStatistics | None = None
    """Where it was asked for, and where any pixel is valid."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(band.name for band in self.bands)

    @property
    def digests(self) -> tuple[str, ...]:
        """Digest of the readings of each band, by what was measured of them; none without any.

        Of count, mean, deviation and quantiles: not of where the readings lie, nor of the file.
        """
        return tuple(_digest(self.count, band) for band in self.bands) if self.count else ()

    def brought(self, gains: Sequence[float], offsets: Sequence[float]) -> ImageStatistics:
        """Return what they are once each reading has become reading × gain + offset, a band."""
        parts = zip(self.bands, gains, offsets, strict=True)
        local = self.local
        if local is not None:
            g, o = (np.array(x, np.float64)[:, None, None] for x in (gains, offsets))
            local = replace(local, means=local.means * g + o, deviations=local.deviations * g)
        return replace(self, bands=tuple(b.brought(g, o) for b, g, o in parts), local=local)


def _digest(count: int, band: BandMeasure) -> str:
    numbers = (band.mean, band.deviation, *band.quantiles)
    # Twelve digits: the last bits of a float may differ from one processor to another.
    text = " ".join([str(count), *(f"{number:.12g}" for number in numbers)])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def measure(
    scene: Scene, *, workers: int = 4, cell: int | None = None, window: Window | None = None
) -> ImageStatistics:
    """Measure the valid readings of a scene, in one pass.

    Parameters
    ----------
    scene
        The image.
    workers
        Threads.
    cell
        Side in pixels of the squares to take local means and deviations over; None for no such.
    window
        Part to look at, by default all.

    Raises
    ------
    OptionError
        There would be more than a million squares.
    RasterReadError
        A file cannot be read.
    """
    squares = None
    if cell is not None:
        squares = (-(-scene.grid.height // cell), -(-scene.grid.width // cell))
        if (number := squares[0] * squares[1]) > MOST_SQUARES:
            raise OptionError(
                f"{scene.name}: cells of {cell} px are {number:,}, and there may be "
                f"{MOST_SQUARES:,}; use larger ones (--dodge-cell)"
            )
    bands = [_Band(scene.dtype, cell, squares) for _ in scene.bands]
    strips = read_strips([scene], window=window, workers=workers)
    left = 0 if window is None else window.col
    with closing(strips), ThreadPoolExecutor(workers, "geoseg-measure") as pool:
        for strip in strips:
            valid = np.ascontiguousarray(strip.valid)
            if not valid.any():
                continue
            # A thread a band: so each is added up in the order of the rows.
            list(
                pool.map(
                    lambda band, data, row=strip.row, valid=valid: band.add(data, valid, row, left),
                    bands,
                    strip.arrays[0],
                )
            )
    found = tuple(band.result(b.name) for band, b in zip(bands, scene.bands, strict=True))
    count = bands[0].count
    local = None
    if cell is not None and count:
        local = _filled(bands, cell, scene)
    return ImageStatistics(name=scene.name, count=count, bands=found, local=local)


class _Band:
    """Gathers one band."""

    def __init__(
        self, dtype: np.dtype[Any], cell: int | None, squares: tuple[int, int] | None
    ) -> None:
        self._counted: Statistics = statistics_for(dtype, 1)
        self._kind = dtype if dtype.name in _kernels.KINDS else np.dtype(np.float64)
        self._cell = cell
        self.exact = dtype.kind in "iu" and dtype.itemsize <= 2
        self.shift: float | None = None
        self._total = np.zeros((3, 1, 1))
        self.sums = None if squares is None else np.zeros((3, *squares))
        """Count, sum and sum of squares of readings less `shift`, by squares."""

    def add(self, data: NDArray[Any], valid: NDArray[np.bool_], row: int, col: int) -> None:
        """Take in some rows, (rows, cols), those that follow the last."""
        if self.shift is None:
            self.shift = float(data.reshape(-1)[int(np.argmax(valid))])
        data = np.ascontiguousarray(data)
        flat = valid.reshape(-1)
        self._counted.add([self._counted.measure(data.reshape(1, -1), flat)])
        wide = data.astype(self._kind, copy=False)
        if not self.exact:
            _kernels.add_sums(wide, valid, row, col, _WHOLE, self.shift, *self._total)
        if self.sums is not None and self._cell is not None:
            _kernels.add_sums(wide, valid, row, col, self._cell, self.shift, *self.sums)

    @property
    def count(self) -> int:
        """Valid readings."""
        return self._counted.results(["?"])[0].count

    def result(self, name: str) -> BandMeasure:
        """Return all but what is local."""
        (found,) = self._counted.results([name])
        mean, deviation = found.mean, found.std
        if not self.exact and self.shift is not None:
            means, deviations = moments_of(self._total, self.shift)
            mean, deviation = float(means[0, 0]), float(deviations[0, 0])
        return BandMeasure(
            name=name,
            mean=mean,
            deviation=deviation,
            quantiles=self._counted.quantiles(SHARE_PARTS, 65536)[0],
            dark=self._counted.quantiles((DARK_PARTS,), 1000)[0][0],
        )


def moments_of(
    sums: NDArray[np.float64], shift: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means and deviations from counts, sums and sums of squares; 0 where nothing is."""
    count = np.maximum(sums[0], 1)
    mean = sums[1] / count
    return shift + mean, np.sqrt(np.maximum(sums[2] / count - mean * mean, 0))


def _filled(bands: Sequence[_Band], cell: int, scene: Scene) -> LocalStatistics:
    means, deviations = [], []
    speaks: NDArray[np.bool_] | None = None
    for band in bands:
        if band.sums is None or band.shift is None:
            continue
        if speaks is None:
            # A square that is cut by the border is held to what there is of it.
            rows, cols = (
                np.minimum((np.arange(n) + 1) * cell, size) - np.arange(n) * cell
                for n, size in zip(
                    band.sums.shape[1:], (scene.grid.height, scene.grid.width), strict=True
                )
            )
            pixels = rows[:, None] * cols[None, :]
            speaks = band.sums[0] >= np.maximum(pixels * FEWEST, 1)
            if not speaks.any():
                # None has a quarter: the fullest ones speak.
                speaks = band.sums[0] == band.sums[0].max()
        mean, deviation = moments_of(band.sums, band.shift)
        means.append(mean)
        deviations.append(deviation)
    there = np.zeros((1, 1), bool) if speaks is None else speaks
    return LocalStatistics(
        cell=cell,
        means=fill(np.array(means), there),
        deviations=fill(np.array(deviations), there),
    )


def fill(values: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give squares without a value the mean of their neighbours', ring by ring.

    Parameters
    ----------
    values
        (bands, rows, cols).
    there
        (rows, cols), True where there is a value; somewhere at least.
    """
    values, there = np.where(there, values, 0.0), there.copy()
    rows, cols = there.shape
    while not there.all():
        number = np.zeros((rows, cols))
        total = np.zeros_like(values)
        wide = np.pad(there, 1)
        around = np.pad(values, ((0, 0), (1, 1), (1, 1)))
        for down in range(3):
            for across in range(3):
                at = (slice(down, down + rows), slice(across, across + cols))
                number += wide[at]
                total += around[(slice(None), *at)]
        new = ~there & (number > 0)
        values[:, new] = total[:, new] / number[new]
        there |= new
    return values
