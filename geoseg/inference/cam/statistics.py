"""Mean, deviation and median of maps that are never whole in memory; all of them exact."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

_BINS = 1 << 16


class MapMoments:
    """Mean and deviation of each map over the pixels given, in float64.

    Parts are joined as in Chan, Golub, LeVeque (1979), so that nothing cancels.
    """

    def __init__(self, maps: int) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(maps)
        """(maps,)."""
        self._squares = np.zeros(maps)

    def add(self, values: NDArray[np.float32]) -> None:
        """Take in (maps, pixels), all of them finite."""
        count = values.shape[1]
        if count == 0:
            return
        wide = values.astype(np.float64)
        mean = wide.mean(axis=1)
        wide -= mean[:, None]
        squares = np.square(wide, out=wide).sum(axis=1)
        total = self.count + count
        step = mean - self.mean
        self.mean = self.mean + step * (count / total)
        self._squares += squares + step**2 * (self.count * count / total)
        self.count = total

    @property
    def std(self) -> NDArray[np.float64]:
        """(maps,), of the population; 0 for no pixels."""
        spread: NDArray[np.float64] = np.sqrt(self._squares / max(self.count, 1))
        return spread


def exact_medians(
    blocks: Callable[[], Iterable[NDArray[np.float32]]], maps: int
) -> NDArray[np.float64]:
    """Median of each map, by counting its values twice: by their upper and by their lower halves.

    Parameters
    ----------
    blocks
        Gives the values anew each time it is called: arrays (maps, …), NaN where there is none.
    maps
        Number of maps.

    Returns
    -------
    (maps,); of an even number of values the mean of the two in the middle. NaN without any.
    """
    upper = np.zeros((maps, _BINS), np.int64)
    for block in blocks():
        for number, one in enumerate(block):
            upper[number] += np.bincount(_keys(one) >> 16, minlength=_BINS)
    wanted = [_middle(counts) for counts in upper]
    lower = [{bin_: np.zeros(_BINS, np.int64) for bin_, _ in places} for places in wanted]
    for block in blocks():
        for number, one in enumerate(block):
            keys = _keys(one)
            for bin_ in lower[number]:
                inside = keys[keys >> 16 == bin_]
                lower[number][bin_] += np.bincount(inside & (_BINS - 1), minlength=_BINS)
    out = np.full(maps, np.nan)
    for number, places in enumerate(wanted):
        values = [
            _value(bin_ << 16 | _bin_of(lower[number][bin_], rank)[0]) for bin_, rank in places
        ]
        if values:
            out[number] = sum(values) / len(values)
    return out


def _middle(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Bins of the two values in the middle, and their ranks in there; nothing for no values."""
    total = int(counts.sum())
    return [_bin_of(counts, rank) for rank in ((total - 1) // 2, total // 2)] if total else []


def _bin_of(counts: NDArray[np.int64], rank: int) -> tuple[int, int]:
    """Bin of the value of a rank, counted from 0, and its rank among those of the bin."""
    up_to = np.cumsum(counts)
    bin_ = int(np.searchsorted(up_to, rank, side="right"))
    return bin_, rank - int(up_to[bin_] - counts[bin_])


def _keys(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Whole numbers in the order of the values, without those that are NaN."""
    flat = np.ascontiguousarray(values).reshape(-1)
    bits = flat[~np.isnan(flat)].view(np.uint32)
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return keys.astype(np.int64)


def _value(key: int) -> float:
    bits = key & 0x7FFFFFFF if key >> 31 else ~key & 0xFFFFFFFF
    return float(np.array([bits], np.uint32).view(np.float32)[0])
