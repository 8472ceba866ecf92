"""How much images differ where they meet, and samples of what they share.

Every pair of images is read once, strip by strip: the ground that both cover, or, where they only
lie side by side, the two lines along their border. Memory depends on the width of the overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.homogenise._pair_kernels import KINDS, add_pixels
from geoseg.compositing.homogenise.pairs import Pair
from geoseg.errors import GridError
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.statistics import statistics_for
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window

__all__ = ["Samples", "Seam", "overall", "overall_median", "read_pairs"]

SAMPLES = 1 << 20
"""Readings (cells × bands) of both images that all pairs share; so memory is bounded whatever their
number."""
_MOST_CELLS, _FEWEST_CELLS = 4096, 16
"""Of a pair."""
_LEAST_FILLED = 0.5
"""Share of a cell's pixels that must be valid in both images."""
_ROUNDING = 1 / 12
"""Variance of what rounding to whole numbers takes away."""
_LEAST = float(np.finfo(np.float32).tiny)
"""Less is nothing: quantiles of floats are told from within a bin, also that around 0."""
_SMALL_PIXELS = 1 << 18
"""Pairs up to this size are read at once, several side by side; larger ones in strips."""


@dataclass(frozen=True, kw_only=True)
class Seam:
    """How much two images differ where they meet; one number a band."""

    pair: Pair
    """The two."""
    pixels: int
    """Pixels (of a border, pairs of neighbours) at which both have a reading."""
    difference: tuple[float, ...]
    """Mean of first − second, in units of the readings; NaN without pixels."""
    absolute: tuple[float, ...]
    """Mean of |first − second|."""
    deviation: tuple[float, ...]
    """Pooled standard deviation of both sides, √((s₁² + s₂²) / 2); of whole numbers not below that
    of rounding."""

    median: tuple[float, ...]
    """Median of |first − second|: that of the pixel in the middle, so that clouds which only one
    image has do not count. Exact for 8 and 16 bits, else to within 0.012 %."""

    @property
    def relative(self) -> tuple[float, ...]:
        """`absolute` in units of `deviation`: changing both images' contrast leaves it alone."""
        return tuple(map(_ratio, self.absolute, self.deviation))

    @property
    def relative_median(self) -> tuple[float, ...]:
        """`median` in the same units."""
        return tuple(map(_ratio, self.median, self.deviation))


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What two images read at the same places: means over cells of the ground that they share."""

    first: int
    """Position of an image in the group."""
    second: int
    """Position of the other."""
    a: NDArray[np.float64]
    """(samples, bands) of the first."""
    b: NDArray[np.float64]
    """(samples, bands) of the second."""
    weight: NDArray[np.float64]
    """(samples,) pixels in each."""


def overall(seams: Sequence[Seam]) -> float:
    """Return the mean over all pixels of all seams and bands of the relative difference.

    NaN where there is none.
    """
    total = sum(seam.pixels for seam in seams)
    if not total:
        return math.nan
    parts = [s.pixels * sum(s.relative) / len(s.relative) for s in seams if s.pixels]
    return sum(parts) / total


def overall_median(seams: Sequence[Seam]) -> float:
    """Return the mean over all seams and bands of the relative median, by pixels; NaN of none."""
    found = [seam for seam in seams if seam.pixels]
    total = sum(seam.pixels for seam in found)
    parts = [s.pixels * sum(s.relative_median) / len(s.relative_median) for s in found]
    return sum(parts) / total if total else math.nan


def read_pairs(
    scenes: Sequence[Scene],
    pairs: Sequence[Pair],
    *,
    workers: int = 4,
    sample: bool = False,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Seam], list[Samples]]:
    """Measure all pairs, and sample those that overlap.

    Parameters
    ----------
    scenes
        Of the same bands, in the order that the pairs count by.
    pairs
        See `geoseg.compositing.homogenise.pairs.find_pairs`.
    workers
        Threads; the result does not depend on it.
    sample
        Whether samples are wanted.
    progress
        Called with numbers of pixels done.

    Returns
    -------
    seams, samples
        A seam for each pair, in order; samples of the overlaps in which there are any.

    Raises
    ------
    RasterReadError
        A file cannot be read.
    """
    overlaps = sum(pair.kind == "overlap" for pair in pairs)
    cells = _cells(overlaps, len(scenes[0].bands)) if sample and overlaps else 0
    tell = progress or (lambda _: None)

    def read(pair: Pair, threads: int) -> _Sums:
        sums = _Sums(scenes[pair.first], scenes[pair.second], pair, cells)
        sums.read(threads)
        tell(pair.grid.window.area)
        return sums

    found: dict[int, _Sums] = {}
    small = [k for k, pair in enumerate(pairs) if pair.grid.window.area <= _SMALL_PIXELS]
    with ThreadPoolExecutor(workers, "geoseg-pairs") as pool:
        try:
            done = pool.map(lambda k: read(pairs[k], 1), small)
            found.update(zip(small, done, strict=True))
        finally:
            pool.shutdown(cancel_futures=True)
    for k, pair in enumerate(pairs):
        if k not in found:
            found[k] = read(pair, workers)
    ordered = [found[k] for k in range(len(pairs))]
    samples = [sums.samples() for sums in ordered if cells and sums.pair.kind == "overlap"]
    return [sums.seam() for sums in ordered], [one for one in samples if len(one.weight)]


def _cells(pairs: int, bands: int) -> int:
    return max(_FEWEST_CELLS, min(_MOST_CELLS, SAMPLES // (pairs * bands)))


class _Sums:
    """Sums over the pixels of one pair."""

    def __init__(self, one: Scene, other: Scene, pair: Pair, cells: int) -> None:
        self.scenes, self.pair = (one, other), pair
        bands, grid = len(one.bands), pair.grid
        self.count = 0
        self.medians: tuple[float, ...] = ()
        self.shifts, self.sums = np.zeros((bands, 2)), np.zeros((bands, 6))
        wanted = cells if pair.kind == "overlap" else 0
        side = math.ceil(math.sqrt(grid.height * grid.width / wanted)) if wanted else 0
        # A narrow overlap has cells as wide as itself.
        self.wide = min(side, grid.width)
        self.tall = math.ceil(grid.height * grid.width / (wanted * self.wide)) if wanted else 0
        across = -(-grid.width // self.wide) if wanted else 0
        down = -(-grid.height // self.tall) if wanted else 0
        self.cells = np.zeros((down, across, bands, 2))
        self.filled = np.zeros((down, across), np.int64)
        kind = np.result_type(one.dtype, other.dtype)
        self.dtype = kind if kind.name in KINDS else np.dtype(np.float64)
        self.whole = one.dtype.kind in "iu" and other.dtype.kind in "iu"
        self.limits = -math.inf, math.inf
        if self.whole:
            kinds = [np.iinfo(one.dtype), np.iinfo(other.dtype)]
            self.limits = float(max(k.min for k in kinds)), float(min(k.max for k in kinds))

    def read(self, workers: int) -> None:
        """Read the pair from top to bottom."""
        # By the type of the readings: of whole ones differences are whole, and have no sign.
        bits = {"u": self.dtype, "i": np.dtype(f"u{self.dtype.itemsize}")}
        kind = bits.get(self.dtype.kind, self.dtype)
        sizes = statistics_for(kind, len(self.sums))
        for row, *pixels, valid in self._parts(workers):
            if not valid.any():
                continue
            a, b = (one.astype(self.dtype, copy=False) for one in pixels)
            if self.count == 0:
                row_at, col_at = divmod(int(valid.argmax()), valid.shape[1])
                self.shifts[:, 0] = a[:, row_at, col_at]
                self.shifts[:, 1] = b[:, row_at, col_at]
            size = (np.maximum(a, b) - np.minimum(a, b)).view(kind).reshape(len(a), -1)
            sizes.add([sizes.measure(size, valid.reshape(-1))])
            self.count += add_pixels(
                a,
                b,
                valid,
                row,
                self.tall,
                self.wide,
                *self.limits,
                self.shifts,
                self.sums,
                self.cells,
                self.filled,
            )
        if self.count:
            found = (band[0] for band in sizes.quantiles((1,), 2))
            self.medians = tuple(value if value >= _LEAST else 0.0 for value in found)

    def _parts(
        self, workers: int
    ) -> Iterator[tuple[int, NDArray[Any], NDArray[Any], NDArray[np.bool_]]]:
        """Pixels of both from top to bottom; of a border, those of its two lines."""
        pair, grid = self.pair, self.pair.grid
        try:
            views = [scene.on_grid(grid) for scene in self.scenes]
        except GridError:
            return  # their bounds meet, and they do not
        if pair.kind == "border":
            yield from self._lines(views)
            return
        if grid.window.area <= _SMALL_PIXELS:  # starting threads would take longer than reading
            one, other = (view.read(grid.window) for view in views)
            yield 0, one.data, other.data, np.ascontiguousarray(one.valid & other.valid)
            return
        for strip in read_strips(views, workers=workers, convert=_both, prefetch=0):
            a, b = strip.arrays
            yield strip.row, a, b, np.ascontiguousarray(strip.valid)

    def _lines(
        self, views: Sequence[Scene]
    ) -> Iterator[tuple[int, NDArray[Any], NDArray[Any], NDArray[np.bool_]]]:
        grid, along_rows = self.pair.grid, self.pair.along == "rows"
        places = [0, (grid.width if along_rows else grid.height) - 1]
        if self.pair.second_leads:
            places.reverse()
        read = []
        for view, place in zip(views, places, strict=True):
            line = (
                Window(0, place, grid.height, 1) if along_rows else Window(place, 0, 1, grid.width)
            )
            read.append(view.read(line))
        one, other = read
        yield 0, one.data, other.data, np.ascontiguousarray(one.valid & other.valid)

    def seam(self) -> Seam:
        """Return the measure of it all."""
        bands, n = len(self.sums), self.count
        if n == 0:
            nothing = (math.nan,) * bands
            return Seam(
                pair=self.pair,
                pixels=0,
                difference=nothing,
                absolute=nothing,
                deviation=nothing,
                median=nothing,
            )
        means = self.sums / n
        variance = (means[:, [1, 3]] - means[:, [0, 2]] ** 2).clip(min=0)
        variance[variance < 1e-14 * means[:, [1, 3]]] = 0  # what is left of rounding sums
        pooled = variance.mean(axis=1)
        if self.whole:
            pooled = np.maximum(pooled, _ROUNDING)
        return Seam(
            pair=self.pair,
            pixels=n,
            difference=tuple(means[:, 5].tolist()),
            absolute=tuple(means[:, 4].tolist()),
            deviation=tuple(np.sqrt(pooled).tolist()),
            median=self.medians,
        )

    def samples(self) -> Samples:
        """Return the means over the cells of which enough is valid."""
        grid, (down, across) = self.pair.grid, self.filled.shape
        heights = np.minimum(np.arange(1, down + 1) * self.tall, grid.height)
        widths = np.minimum(np.arange(1, across + 1) * self.wide, grid.width)
        area = np.outer(np.diff(heights, prepend=0), np.diff(widths, prepend=0))
        kept = (self.filled >= _LEAST_FILLED * area) & (self.filled > 0)
        weight = self.filled[kept].astype(np.float64)
        means = self.cells[kept] / weight[:, None, None] + self.shifts
        return Samples(
            first=self.pair.first,
            second=self.pair.second,
            a=np.ascontiguousarray(means[..., 0]),
            b=np.ascontiguousarray(means[..., 1]),
            weight=weight,
        )


def _both(
    pixels: list[Pixels], _window: Window
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
    one, other = pixels
    return (one.data, other.data), one.valid & other.valid


def _ratio(part: float, whole: float) -> float:
    if part == 0:
        return 0.0
    return part / whole if whole > 0 else math.inf * part
