"""Many dates to one: an order statistic, the mean or the medoid of each pixel's valid readings.

Knows arrays alone: neither files nor sensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError

Method = Literal["median", "mean", "percentile", "medoid"]

MOST_DATES = 65535
"""Counts are 16 bits wide."""

TYPES = ("float32", "uint16", "int16")
"""Types of readings that can be reduced."""


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """How the dates of a pixel become one."""

    method: Method = "median"
    """``median``: of an even number of dates the mean of the two in the middle. ``mean``.
    ``percentile``: between two dates in proportion, as numpy's. ``medoid``: all bands of the one
    date whose readings are nearest to those of all others (least sum of Euclidean distances; of
    equals the first; Flood 2013, https://doi.org/10.3390/rs5126481)."""
    percentile: float | None = None
    """From 0 to 100, for ``percentile`` alone."""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise OptionError(
                f"method “{self.method}” is not known; there are: {', '.join(get_args(Method))}"
            )
        if (self.percentile is not None) != (self.method == "percentile"):
            raise OptionError(
                "a percentile goes with the method “percentile”, and no other; say "
                "--method percentile --percentile 25"
            )
        if self.percentile is not None and not 0 <= self.percentile <= 100:
            raise OptionError(f"percentile {self.percentile:g} does not lie between 0 and 100")

    def __str__(self) -> str:
        if self.percentile is None:
            return self.method
        return f"percentile {self.percentile:g}"


def reduce_dates(
    data: NDArray[Any],
    valid: NDArray[np.bool_],
    reduction: Reduction,
    *,
    scales: Sequence[float] | None = None,
    offsets: Sequence[float] | None = None,
    out: NDArray[np.float32] | None = None,
    counts: NDArray[np.uint16] | None = None,
    workers: int = 1,
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Reduce dates to one, pixel by pixel.

    Parameters
    ----------
    data
        (dates, bands, rows, cols) of float32, uint16 or int16, C-contiguous. No valid reading is
        NaN.
    valid
        (dates, rows, cols), True where a date has a reading in all bands.
    reduction
        How.
    scales, offsets
        One a band: the result is value × scale + offset, rounded to float32 once, at the end. By
        default 1 and 0.
    out, counts
        Where to put the result, C-contiguous.
    workers
        Threads; the result does not depend on it.

    Returns
    -------
    values, counts
        (bands, rows, cols) of float32, NaN where no date is valid; and (rows, cols) of uint16, how
        many dates are.

    Raises
    ------
    OptionError
        There are more dates than can be counted.
    ValueError
        Shapes or types are not as above.
    """
    from geoseg.compositing import _kernels  # noqa: PLC0415 — compiled when there is work for them

    if data.ndim != 4 or valid.shape != (data.shape[0], *data.shape[2:]) or not data.size:
        raise ValueError(f"readings of shape {data.shape} and a mask of {valid.shape}")
    if data.dtype.name not in TYPES or valid.dtype != np.bool_:
        raise ValueError(f"readings of {data.dtype}, masked by {valid.dtype}")
    dates, bands, rows, cols = data.shape
    if dates > MOST_DATES:
        raise OptionError(f"{dates} dates are more than can be counted; there may be {MOST_DATES}")
    out = np.empty((bands, rows, cols), np.float32) if out is None else out
    counts = np.empty((rows, cols), np.uint16) if counts is None else counts
    if out.shape != (bands, rows, cols) or out.dtype != np.float32:
        raise ValueError(f"the result is {out.dtype}{out.shape}, wanted {(bands, rows, cols)}")
    if counts.shape != (rows, cols) or counts.dtype != np.uint16:
        raise ValueError(f"counts are {counts.dtype}{counts.shape}, wanted {(rows, cols)}")
    for array in (data, valid, out, counts):
        if not array.flags.c_contiguous:
            raise ValueError("arrays must be C-contiguous")
    kernel = _kernel(
        data.reshape(dates, bands, -1),
        valid.reshape(dates, -1),
        reduction,
        np.array([1.0] * bands if scales is None else scales, np.float64),
        np.array([0.0] * bands if offsets is None else offsets, np.float64),
    )
    flat, numbers, mask = out.reshape(bands, -1), counts.reshape(-1), valid.reshape(dates, -1)

    def some(start: int, stop: int) -> None:
        _kernels.count(mask, start, stop, numbers)
        kernel(start, stop, flat)

    pixels = rows * cols
    if workers == 1 or pixels < 2 * _kernels.LANES:
        some(0, pixels)
        return out, counts
    step = -(-rows // workers) * cols
    with ThreadPoolExecutor(workers, "geoseg-reduce") as pool:
        jobs = [pool.submit(some, at, min(at + step, pixels)) for at in range(0, pixels, step)]
        for job in jobs:
            job.result()
    return out, counts


def _kernel(
    data: NDArray[Any],
    valid: NDArray[np.bool_],
    reduction: Reduction,
    scales: NDArray[np.float64],
    offsets: NDArray[np.float64],
) -> Callable[[int, int, NDArray[np.float32]], None]:
    """Return what writes pixels `start` to `stop` of the result."""
    from geoseg.compositing import _kernels  # noqa: PLC0415 — as above

    if len(scales) != data.shape[1] or len(offsets) != data.shape[1]:
        raise ValueError("one scale and one offset for each band")
    if reduction.method in ("mean", "medoid"):
        loop = getattr(_kernels, reduction.method)

        def centre(start: int, stop: int, out: NDArray[np.float32]) -> None:
            loop(data, valid, scales, offsets, start, stop, out)

        return centre
    share = 0.5 if reduction.percentile is None else reduction.percentile / 100
    ranks, weights = _ranks(data.shape[0], share)
    network = sorting_network(data.shape[0], int(ranks.max()) + 1)
    kind = data.dtype.type
    highest = kind(np.inf) if data.dtype.kind == "f" else kind(np.iinfo(data.dtype).max)

    def order(start: int, stop: int, out: NDArray[np.float32]) -> None:
        _kernels.pick(
            data, valid, highest, network, ranks, weights, scales, offsets, start, stop, out
        )

    return order


def _ranks(dates: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return between which ranks of n readings a share lies, and where; n from 0 to `dates`."""
    ranks = np.zeros((dates + 1, 2), np.int64)
    weights = np.zeros(dates + 1, np.float64)
    for number in range(1, dates + 1):
        place = share * (number - 1)
        low = min(math.floor(place), number - 1)
        ranks[number] = low, min(low + 1, number - 1)
        weights[number] = place - low
    return ranks, weights


@lru_cache(maxsize=64)
def sorting_network(number: int, wanted: int) -> NDArray[np.int64]:
    """Return pairs of places to compare and swap, in order, that sort `number` values.

    Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M), without
    what the lowest `wanted` values do not need.

    Returns
    -------
    (steps, 2): after a step the lesser value is at the first place, the greater at the second.
    """
    pairs: list[tuple[int, int]] = []
    top = 1 << max(0, (number - 1).bit_length() - 1)
    p = top if number > 1 else 0
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(number - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    live = set(range(wanted))
    kept: list[tuple[int, int]] = []
    for pair in reversed(pairs):
        if not live.isdisjoint(pair):
            live.update(pair)
            kept.append(pair)
    return np.array(kept[::-1], np.int64).reshape(-1, 2)
