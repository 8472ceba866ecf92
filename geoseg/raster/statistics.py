"""Mean, deviation, extremes and quantiles of bands, from pixels as they pass.

Readings of 8 and 16 bits are counted value by value, so that everything is exact. Of other
readings, mean and deviation are merged in float64 in the order of the parts, extremes are exact,
and quantiles come from bins of 2⁻¹³ of a reading's size (0.012 %). None of it depends on how many
threads took part.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.raster import _statistics_kernels as kernels
from geoseg.raster._statistics_kernels import count_values
from geoseg.raster.bandstatistics import BandStatistics

__all__ = ["PERCENTILES", "Measured", "Statistics", "count_values", "statistics_for"]

PERCENTILES = (1, 2, 25, 50, 75, 98, 99)

Measured = NDArray[np.float64]
"""What `Statistics.measure` says of a part: (bands, 5), the columns of `kernels.moments`."""


class Statistics(Protocol):
    """Gathers the statistics of pixels that come in parts: the patches of a set, say."""

    def measure(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> Measured | None:
        """Take in a part, (bands, pixels) and (pixels,), contiguous; threads may do so at once."""

    def add(self, measured: Sequence[Measured | None]) -> None:
        """Take in, in the order of the parts, what `measure` returned."""

    def merge(self, other: Any) -> None:
        """Take in all that another one of the same kind has gathered, as coming after."""

    def counts(self) -> NDArray[np.int64]:
        """(3, n): band, key and number of all readings counted so far, as `add_counts` takes it."""

    def add_counts(self, found: NDArray[np.int64]) -> None:
        """Count readings that another one of the same kind counted; threads must not measure."""

    @property
    def moments(self) -> Measured | None:
        """What `add` gathered, (bands, 5), to be set bit for bit; None where it is nothing."""

    @moments.setter
    def moments(self, moments: Measured | None) -> None: ...

    def results(self, names: Sequence[str]) -> tuple[BandStatistics, ...]:
        """Statistics of each band; NaN where no reading was valid."""

    def quantiles(self, parts: Sequence[int], of: int) -> tuple[tuple[float, ...], ...]:
        """Of each band, the readings at the shares ``part / of``, between two as NumPy does.

        NaN where no reading was valid.
        """


def statistics_for(dtype: np.dtype[Any], bands: int) -> Statistics:
    """Return the kind of statistics that fits readings of a type."""
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        return CountedStatistics(dtype, bands)
    return BinnedStatistics(bands)


class CountedStatistics:
    """Counts every value of 8- and 16-bit readings."""

    def __init__(self, dtype: np.dtype[Any], bands: int) -> None:
        """Make empty counts, one table a band and thread."""
        # Readings are counted by their bits; signed ones are put into order at the end.
        self._unsigned = np.dtype(f"u{dtype.itemsize}")
        self._lowest = int(np.iinfo(dtype).min)
        self._counts = np.zeros((bands, 1 << 8 * dtype.itemsize), np.int64)
        self._tables: list[NDArray[np.int64]] = []
        self._free: list[NDArray[np.int64]] = []
        self._lock = threading.Lock()

    def measure(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Count one part."""
        with self._lock:
            if self._free:
                table = self._free.pop()
            else:
                table = np.zeros_like(self._counts)
                self._tables.append(table)
        kernels.count_values(values.view(self._unsigned), valid, bool(valid.all()), table)
        with self._lock:
            self._free.append(table)

    def add(self, measured: Sequence[Measured | None]) -> None:
        """Do nothing: counts have no order."""

    def _total(self) -> NDArray[np.int64]:
        return self._counts + sum(self._tables)

    def merge(self, other: CountedStatistics) -> None:
        """Add the other's counts."""
        self._counts += other._total()

    def counts(self) -> NDArray[np.int64]:
        """(3, n): band, bits and number of each reading."""
        total = self._total()
        bands, keys = np.nonzero(total)
        return np.stack([bands, keys, total[bands, keys]])

    def add_counts(self, found: NDArray[np.int64]) -> None:
        """Add counts."""
        bands, keys, numbers = found
        self._counts[bands, keys] += numbers  # no reading twice

    @property
    def moments(self) -> None:
        """None: counts say everything."""

    @moments.setter
    def moments(self, moments: Measured | None) -> None: ...

    def results(self, names: Sequence[str]) -> tuple[BandStatistics, ...]:
        """Exact statistics of each band."""
        ordered = self._ordered()
        return tuple(self._band(name, counts) for name, counts in zip(names, ordered, strict=True))

    def quantiles(self, parts: Sequence[int], of: int) -> tuple[tuple[float, ...], ...]:
        """Exact quantiles of each band."""
        return tuple(_quantiles(*self._ranked(counts), parts, of) for counts in self._ordered())

    def _ordered(self) -> NDArray[np.int64]:
        """Return counts of each band from the lowest reading to the highest."""
        return np.roll(self._total(), -self._lowest, axis=1)

    def _ranked(self, counts: NDArray[np.int64]) -> tuple[int, Callable[[int], float]]:
        """Return how many readings there are, and what gives the reading of a rank."""
        places = np.flatnonzero(counts)
        last_rank = np.cumsum(counts[places])
        values = [int(p) + self._lowest for p in places]

        def value(rank: int) -> float:
            return values[int(np.searchsorted(last_rank, rank, side="right"))]

        return int(counts.sum()), value

    def _band(self, name: str, counts: NDArray[np.int64]) -> BandStatistics:
        places = np.flatnonzero(counts)
        if not places.size:
            return _nothing(name)
        # Python's integers: the sum of squares of many bright pixels does not fit into 64 bits.
        values = [int(p) + self._lowest for p in places]
        number = [int(n) for n in counts[places]]
        total = sum(number)
        first = sum(v * n for v, n in zip(values, number, strict=True))
        second = sum(v * v * n for v, n in zip(values, number, strict=True))
        return BandStatistics(
            name=name,
            mean=first / total,
            std=math.sqrt((second * total - first * first) / (total * total)),
            min=float(values[0]),
            max=float(values[-1]),
            percentiles=_percentiles(*self._ranked(counts)),
            count=total,
        )


class BinnedStatistics:
    """Merges moments and counts bins, for readings of more than 16 bits and floating ones.

    A reading's bin is given by the leading 22 bits of its float32: sign, exponent and 13 bits of
    the fraction. Bins come in pages, and only pages that hold a reading take memory.
    """

    def __init__(self, bands: int) -> None:
        """Make empty statistics."""
        self._bands = bands
        self._moments = np.zeros((bands, 5))
        self._moments[:, kernels.MINIMUM] = np.inf
        self._moments[:, kernels.MAXIMUM] = -np.inf
        self._tables: list[_Pages] = []
        self._free: list[_Pages] = []
        self._lock = threading.Lock()

    def measure(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> Measured:
        """Count one part and return its moments."""
        with self._lock:
            if self._free:
                pages = self._free.pop()
            else:
                pages = _Pages(self._bands)
                self._tables.append(pages)
        exact = np.float32 if values.dtype in (np.float16, np.float32) else np.float64
        wide = np.ascontiguousarray(values, exact)
        moments = np.empty((self._bands, 5))
        kernels.moments(wide, valid, moments)
        with np.errstate(
            over="ignore"
        ):  # beyond float32: no percentile can tell them from infinity
            pages.count(wide.astype(np.float32, copy=False), valid)
        with self._lock:
            self._free.append(pages)
        return moments

    def add(self, measured: Sequence[Measured | None]) -> None:
        """Merge the moments of parts, in their order."""
        for moments in measured:
            if moments is not None:
                self._moments = _merged(self._moments, moments)

    def merge(self, other: BinnedStatistics) -> None:
        """Merge the other's moments after these, and add its counts."""
        self._moments = _merged(self._moments, other._moments)
        self.add_counts(other.counts())

    def counts(self) -> NDArray[np.int64]:
        """(3, n): band, leading 22 bits in the order of floats, and number of each bin."""
        parts = [np.zeros((3, 0), np.int64)]
        for band in range(self._bands):
            keys, numbers = _bins(self._tables, band)
            parts.append(np.stack([np.full(len(keys), band), keys, numbers]))
        return np.concatenate(parts, axis=1)

    def add_counts(self, found: NDArray[np.int64]) -> None:
        """Add counts to one table, so that there are no more tables than threads."""
        if not self._tables:
            self._tables.append(_Pages(self._bands))
            self._free.append(self._tables[0])
        self._tables[0].add(found)

    @property
    def moments(self) -> Measured:
        """What `add` gathered, (bands, 5)."""
        return self._moments

    @moments.setter
    def moments(self, moments: Measured | None) -> None:
        if moments is not None:
            self._moments = moments

    def results(self, names: Sequence[str]) -> tuple[BandStatistics, ...]:
        """Statistics of each band."""
        return tuple(self._band(name, band) for band, name in enumerate(names))

    def quantiles(self, parts: Sequence[int], of: int) -> tuple[tuple[float, ...], ...]:
        """Quantiles of each band, to within a bin."""
        return tuple(_quantiles(*self._ranked(band), parts, of) for band in range(self._bands))

    def _ranked(self, band: int) -> tuple[int, Callable[[int], float]]:
        """Return how many readings there are, and what gives the reading of a rank."""
        low = float(self._moments[band, kernels.MINIMUM])
        high = float(self._moments[band, kernels.MAXIMUM])
        keys, counts = _bins(self._tables, band)
        last_rank = np.cumsum(counts)

        def value(rank: int) -> float:
            """Return the reading of a rank, taken as evenly spread over its bin."""
            i = int(np.searchsorted(last_rank, rank, side="right"))
            below = _value_of_key(int(keys[i]) << 10)
            above = _value_of_key((int(keys[i]) + 1) << 10)
            within = (rank - int(last_rank[i] - counts[i]) + 0.5) / int(counts[i])
            return min(max(below + within * (above - below), low), high)

        return int(counts.sum()), value

    def _band(self, name: str, band: int) -> BandStatistics:
        count, mean, squares, low, high = (float(x) for x in self._moments[band])
        total, value = self._ranked(band)
        if not total:
            return _nothing(name)
        return BandStatistics(
            name=name,
            mean=mean,
            std=math.sqrt(squares / count),
            min=low,
            max=high,
            percentiles=_percentiles(total, value),
            count=int(count),
        )


class _Pages:
    """Counted bins of floats, one thread's."""

    def __init__(self, bands: int) -> None:
        self.table = np.full((bands, 1 << kernels.PAGE_BITS), -1, np.int64)
        self.pages = np.zeros((0, 1 << kernels.BIN_BITS), np.int64)

    def count(self, values: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Count one part's finite valid readings."""
        finite = np.isfinite(values)
        bits = values.view(np.uint32)
        if finite.all():
            self._count(bits, valid)
            return
        for band in range(len(values)):
            self._count(bits[band : band + 1], valid & finite[band], slice(band, band + 1))

    def _count(
        self, bits: NDArray[np.uint32], valid: NDArray[np.bool_], bands: slice = slice(None)
    ) -> None:
        table = self.table[bands]
        wanted = np.zeros(table.shape, np.bool_)
        kernels.find_pages(bits, valid, wanted)
        self._make_room(table, wanted)
        kernels.count_floats(bits, valid, table, self.pages)

    def _make_room(self, table: NDArray[np.int64], wanted: NDArray[np.bool_]) -> None:
        """See to it that some pages are there."""
        missing = wanted & (table < 0)
        if missing.any():
            new = int(missing.sum())
            table[missing] = len(self.pages) + np.arange(new)
            self.pages = np.vstack([self.pages, np.zeros((new, self.pages.shape[1]), np.int64)])

    def add(self, found: NDArray[np.int64]) -> None:
        """Add bins counted elsewhere, none of them twice: (3, n), band, key and number."""
        bands, keys, numbers = found
        wanted = np.zeros(self.table.shape, np.bool_)
        wanted[bands, keys >> kernels.BIN_BITS] = True
        self._make_room(self.table, wanted)
        pages = self.table[bands, keys >> kernels.BIN_BITS]
        self.pages[pages, keys & ((1 << kernels.BIN_BITS) - 1)] += numbers


def _bins(tables: Sequence[_Pages], band: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys (leading 22 bits) of the bins of a band that hold readings, rising, and their counts."""
    found: dict[int, NDArray[np.int64]] = {}
    for table in tables:
        for page in np.flatnonzero(table.table[band] >= 0).tolist():
            there = table.pages[table.table[band, page]]
            found[page] = found[page] + there if page in found else there
    keys, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for page in sorted(found):
        bins = np.flatnonzero(found[page])
        keys.append((page << kernels.BIN_BITS) + bins)
        counts.append(found[page][bins])
    return np.concatenate(keys), np.concatenate(counts)


def _value_of_key(key: int) -> float:
    """Return the float32 at a place in the order of all float32."""
    bits = key - 0x80000000 if key >= 0x80000000 else 0xFFFFFFFF - key
    return float(np.array([bits], np.uint32).view(np.float32)[0])


def _merged(one: Measured, two: Measured) -> Measured:
    """Moments of the union of two sets, band by band (Chan, Golub and LeVeque 1979, eq. 2.1)."""
    out = np.empty_like(one)
    n, m = one[:, kernels.COUNT], two[:, kernels.COUNT]
    total = n + m
    share = np.divide(m, total, out=np.zeros_like(m), where=total > 0)
    delta = two[:, kernels.MEAN] - one[:, kernels.MEAN]
    out[:, kernels.COUNT] = total
    out[:, kernels.MEAN] = one[:, kernels.MEAN] + delta * share
    out[:, kernels.M2] = one[:, kernels.M2] + two[:, kernels.M2] + delta * delta * n * share
    out[:, kernels.MINIMUM] = np.minimum(one[:, kernels.MINIMUM], two[:, kernels.MINIMUM])
    out[:, kernels.MAXIMUM] = np.maximum(one[:, kernels.MAXIMUM], two[:, kernels.MAXIMUM])
    return out


def _percentiles(count: int, value: Callable[[int], float]) -> dict[str, float]:
    found = _quantiles(count, value, PERCENTILES, 100)
    return {str(p): reading for p, reading in zip(PERCENTILES, found, strict=True)}


def _quantiles(
    count: int, value: Callable[[int], float], parts: Sequence[int], of: int
) -> tuple[float, ...]:
    """Quantiles, interpolated between the readings of neighbouring ranks as NumPy does."""
    if not count:
        return (math.nan,) * len(parts)
    found = []
    for part in parts:
        rank, rest = divmod(part * (count - 1), of)
        low = float(value(rank))
        found.append(low + (float(value(rank + 1)) - low) * rest / of if rest else low)
    return tuple(found)


def _nothing(name: str) -> BandStatistics:
    nan = math.nan
    return BandStatistics(
        name=name,
        mean=nan,
        std=nan,
        min=nan,
        max=nan,
        percentiles={str(p): nan for p in PERCENTILES},
        count=0,
    )
