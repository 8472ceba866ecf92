"""Compiled loops over the dates of a pixel: order statistics, means, medoids.

Arrays come flattened: readings (dates, bands, pixels), what is valid (dates, pixels). A call does
the pixels `start` to `stop` and touches no others, so several threads may share one array.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

LANES = 128
"""Pixels that go through the network side by side: enough to fill vector registers, few enough
that their dates stay in the cache next to the processor."""

_PICK = (
    "void({0}[:, :, ::1], boolean[:, ::1], {0}, int64[:, ::1], int64[:, ::1], float64[::1],"
    " float64[::1], float64[::1], int64, int64, float32[:, ::1])"
)
_MEAN = (
    "void({0}[:, :, ::1], boolean[:, ::1], float64[::1], float64[::1], int64, int64,"
    " float32[:, ::1])"
)


@compiled("void(boolean[:, ::1], int64, int64, uint16[::1])")
def count(valid: NDArray[np.bool_], start: int, stop: int, counts: NDArray[np.uint16]) -> None:
    """Count the valid dates of each pixel."""
    for pixel in range(start, stop):
        counts[pixel] = 0
    for date in range(valid.shape[0]):
        for pixel in range(start, stop):
            counts[pixel] += valid[date, pixel]


@compiled("float64(float64, float64, float64)", inline=True)
def between(low: float, high: float, t: float) -> float:
    """Value at a share `t` of the way: rounded as numpy.percentile rounds, and numpy.median."""
    if t == 0.5:
        return (low + high) / 2
    if t < 0.5:
        return low + (high - low) * t
    return high - (high - low) * (1 - t)


@compiled(*(_PICK.format(kind) for kind in ("float32", "uint16", "int16")))
def pick(
    data: NDArray[np.generic],
    valid: NDArray[np.bool_],
    highest: np.generic,
    network: NDArray[np.int64],
    ranks: NDArray[np.int64],
    weights: NDArray[np.float64],
    scales: NDArray[np.float64],
    offsets: NDArray[np.float64],
    start: int,
    stop: int,
    out: NDArray[np.float32],
) -> None:
    """Write what lies between two ranks of each pixel's valid readings; NaN where there are none.

    Invalid readings become `highest`, which nothing exceeds, and the network sorts them behind. Of
    n valid ones the result is ``low + weights[n] · (high − low)`` with the readings of the ranks
    ``ranks[n]``, then scaled and offset.
    """
    dates, bands = data.shape[0], data.shape[1]
    lanes = np.empty((dates, LANES), data.dtype)
    counts = np.zeros(LANES, np.int64)
    for first in range(start, stop, LANES):
        size = min(LANES, stop - first)
        counts[:] = 0
        for date in range(dates):
            for lane in range(size):
                counts[lane] += valid[date, first + lane]
        for band in range(bands):
            for date in range(dates):
                row, seen = (
                    data[date, band, first : first + size],
                    valid[date, first : first + size],
                )
                for lane in range(size):
                    lanes[date, lane] = row[lane] if seen[lane] else highest
                for lane in range(size, LANES):
                    lanes[date, lane] = highest
            for step in range(network.shape[0]):
                upper, lower = lanes[network[step, 0]], lanes[network[step, 1]]
                for lane in range(LANES):
                    a, b = upper[lane], lower[lane]
                    upper[lane] = a if a < b else b
                    lower[lane] = b if a < b else a
            for lane in range(size):
                number = counts[lane]
                low = np.float64(lanes[ranks[number, 0], lane])
                high = np.float64(lanes[ranks[number, 1], lane])
                value = between(low, high, weights[number]) if number else np.nan
                out[band, first + lane] = value * scales[band] + offsets[band]


@compiled(*(_MEAN.format(kind) for kind in ("float32", "uint16", "int16")))
def mean(
    data: NDArray[np.generic],
    valid: NDArray[np.bool_],
    scales: NDArray[np.float64],
    offsets: NDArray[np.float64],
    start: int,
    stop: int,
    out: NDArray[np.float32],
) -> None:
    """Write the mean of each pixel's valid readings, summed in order of dates; NaN for none."""
    total = np.empty(LANES, np.float64)
    counts = np.empty(LANES, np.int64)
    for first in range(start, stop, LANES):
        size = min(LANES, stop - first)
        counts[:] = 0
        for date in range(data.shape[0]):
            for lane in range(size):
                counts[lane] += valid[date, first + lane]
        for band in range(data.shape[1]):
            total[:] = 0
            for date in range(data.shape[0]):
                row, seen = (
                    data[date, band, first : first + size],
                    valid[date, first : first + size],
                )
                for lane in range(size):
                    total[lane] += np.float64(row[lane]) if seen[lane] else 0.0
            for lane in range(size):
                number = counts[lane]
                value = total[lane] / number if number else np.nan
                out[band, first + lane] = value * scales[band] + offsets[band]


@compiled(*(_MEAN.format(kind) for kind in ("float32", "uint16", "int16")))
def medoid(
    data: NDArray[np.generic],
    valid: NDArray[np.bool_],
    scales: NDArray[np.float64],
    offsets: NDArray[np.float64],
    start: int,
    stop: int,
    out: NDArray[np.float32],
) -> None:
    """Write the readings of each pixel's most central valid date; NaN where there is none.

    Of the valid dates that which has the least sum of distances to the others, measured in scaled
    readings over all bands; of equals the first.
    """
    dates, bands = data.shape[0], data.shape[1]
    spectra = np.empty((dates, bands), np.float64)
    which = np.empty(dates, np.int64)
    sums = np.empty(dates, np.float64)
    for pixel in range(start, stop):
        number = 0
        for date in range(dates):
            if valid[date, pixel]:
                which[number] = date
                sums[number] = 0
                for band in range(bands):
                    spectra[number, band] = (
                        np.float64(data[date, band, pixel]) * scales[band] + offsets[band]
                    )
                number += 1
        if number == 0:
            for band in range(bands):
                out[band, pixel] = np.nan
            continue
        for one in range(number):
            for other in range(one + 1, number):
                square = 0.0
                for band in range(bands):
                    square += (spectra[one, band] - spectra[other, band]) ** 2
                distance = np.sqrt(square)
                sums[one] += distance
                sums[other] += distance
        best = 0
        for one in range(1, number):
            if sums[one] < sums[best]:
                best = one
        for band in range(bands):
            out[band, pixel] = spectra[best, band]
