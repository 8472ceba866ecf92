"""Compiled loops of pixel-adaptive refinement: weights of a pixel's neighbours, and means by them.

Knows neither threads nor settings; `refine` does. Every function releases the interpreter lock and
fills some rows of its output, so several may run side by side. Inner loops run along the columns, a
piece of a row at a time so that what they touch stays in the cache; a pixel's neighbours are always
added in the same order, so its bits depend on neither rows, piece nor block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

_PIECE = 256
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_TINY = np.float32(1e-8)
_LOWEST = np.float32(-87)  # whose power is still a normal number
_LOG2_E = np.float32(1.4426950408889634)
# ln 2 in two parts: whole multiples of the first are exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_P0, _P1, _P2 = (
    np.float32(1.9875691500e-4),
    np.float32(1.3981999507e-3),
    np.float32(8.3334519073e-3),
)
_P3, _P4, _P5 = (
    np.float32(4.1665795894e-2),
    np.float32(1.6666665459e-1),
    np.float32(5.0000001201e-1),
)


@compiled("float32(float32)", inline=True)
def _exp(x: Any) -> Any:
    """Power of e, of x ≤ 0, to about 1e-7 of itself.

    The polynomial is that of Cephes (expf). A library's exponential may round otherwise in a
    vectorised loop than in what is left over at its end, and then bits would depend on the block.
    """
    x = max(x, _LOWEST)
    whole = np.int32(x * _LOG2_E - _HALF)  # towards zero, so the nearest
    n = np.float32(whole)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
    power = np.int32((whole + 127) << 23).view(np.float32)
    return (p * r * r + r + _ONE) * power


@compiled(
    "void(float32[:, ::1], float32[:, ::1], int64[:, ::1], int64, int64, int64, float32[::1],"
    " float32[::1], float32[::1])"
)
def _deviate(
    band: NDArray[np.float32],
    exists: NDArray[np.float32],
    steps: NDArray[np.int64],
    row: int,
    left: int,
    right: int,
    count: NDArray[np.float32],
    mean: NDArray[np.float32],
    spread: NDArray[np.float32],
) -> None:
    """Fill `spread` with the deviations of columns `left` to `right`; `mean` is for use within.

    Means are of differences to the pixel's own reading, so that nearly equal ones lose no digits.
    """
    rows, cols = band.shape
    mean[:] = _ZERO
    for k in range(steps.shape[0]):
        other, shift = row + steps[k, 0], steps[k, 1]
        low, high = max(left, -shift), min(right, cols - shift)
        if 0 <= other < rows and low < high:
            there = exists[other, low + shift : high + shift]
            theirs, own = band[other, low + shift : high + shift], band[row, low:high]
            total = mean[low - left : high - left]
            for i in range(high - low):
                total[i] += (theirs[i] - own[i]) * there[i]
    for i in range(right - left):
        mean[i] /= count[i]
        spread[i] = mean[i] * mean[i]  # the pixel itself differs by 0 from itself
    for k in range(steps.shape[0]):
        other, shift = row + steps[k, 0], steps[k, 1]
        low, high = max(left, -shift), min(right, cols - shift)
        if 0 <= other < rows and low < high:
            there = exists[other, low + shift : high + shift]
            theirs, own = band[other, low + shift : high + shift], band[row, low:high]
            middle, total = mean[low - left : high - left], spread[low - left : high - left]
            for i in range(high - low):
                d = (theirs[i] - own[i]) - middle[i]
                total[i] += d * d * there[i]
    for i in range(right - left):
        spread[i] = np.float32(np.sqrt(spread[i] / count[i]))


@compiled(
    "void(float32[:, ::1], int64[:, ::1], int64, int64, int64, float32[:, ::1], float32[::1],"
    " float32[::1], float32[::1])"
)
def _soften(
    exists: NDArray[np.float32],
    steps: NDArray[np.int64],
    row: int,
    left: int,
    right: int,
    weights: NDArray[np.float32],
    keep: NDArray[np.float32],
    most: NDArray[np.float32],
    total: NDArray[np.float32],
) -> None:
    """Turn likeness (k, in `weights` of one row) into weights; `most`, `total` are for use within.

    The power of the most alike neighbour is 1, so where there is one the sum cannot vanish.
    """
    rows, cols = exists.shape
    most[:] = -np.float32(np.inf)
    for k in range(steps.shape[0]):
        other, shift = row + steps[k, 0], steps[k, 1]
        low, high = max(left, -shift), min(right, cols - shift)
        if 0 <= other < rows and low < high:
            there = exists[other, low + shift : high + shift]
            likeness, top = weights[k, low:high], most[low - left : high - left]
            for i in range(high - low):
                top[i] = max(top[i], likeness[i] if there[i] > _ZERO else top[i])
    total[:] = _ZERO
    for k in range(steps.shape[0]):
        other, shift = row + steps[k, 0], steps[k, 1]
        low, high = max(left, -shift), min(right, cols - shift)
        if 0 <= other < rows and low < high:
            there = exists[other, low + shift : high + shift]
            likeness, top = weights[k, low:high], most[low - left : high - left]
            added = total[low - left : high - left]
            for i in range(high - low):
                # min: what does not exist may look more alike than all that does.
                likeness[i] = _exp(min(likeness[i] - top[i], _ZERO)) * there[i]
                added[i] += likeness[i]
    for i in range(right - left):
        some = exists[row, left + i] > _ZERO and total[i] > _ZERO
        keep[left + i] = _ZERO if some else _ONE
        total[i] = _ONE / total[i] if some else _ZERO
    for k in range(steps.shape[0]):
        likeness = weights[k, left:right]
        for i in range(right - left):
            likeness[i] *= total[i]


@compiled(
    "void(float32[:, :, ::1], float32[:, ::1], int64[:, ::1], float32, int64, int64,"
    " float32[:, :, ::1], float32[:, ::1])"
)
def weigh(
    image: NDArray[np.float32],
    exists: NDArray[np.float32],
    steps: NDArray[np.int64],
    width: float,
    first: int,
    stop: int,
    weights: NDArray[np.float32],
    keep: NDArray[np.float32],
) -> None:
    """Fill the weights of rows `first` to `stop`.

    Parameters
    ----------
    image
        (bands, rows, cols), finite everywhere.
    exists
        (rows, cols), 1 for a valid pixel and 0 for another.
    steps
        (neighbours, 2) rows down and columns right.
    width
        w of `geoseg.inference.cam.refine`.
    first, stop
        Rows to fill.
    weights
        (rows, neighbours, cols), filled: 0 for what does not exist, of sum 1 otherwise.
    keep
        (rows, cols), filled: 1 where a pixel has no neighbour or is invalid, else 0.
    """
    bands, rows, cols = image.shape
    mean = np.empty(_PIECE, np.float32)
    spread = np.empty(_PIECE, np.float32)
    count = np.empty(_PIECE, np.float32)
    for row in range(first, stop):
        for left in range(0, cols, _PIECE):
            right = min(left + _PIECE, cols)
            weights[row, :, left:right] = _ZERO
            count[:] = _ONE  # the pixel itself
            for k in range(steps.shape[0]):
                other, shift = row + steps[k, 0], steps[k, 1]
                low, high = max(left, -shift), min(right, cols - shift)
                if 0 <= other < rows and low < high:
                    there = exists[other, low + shift : high + shift]
                    total = count[low - left : high - left]
                    for i in range(high - low):
                        total[i] += there[i]
            for b in range(bands):
                band = image[b]
                _deviate(band, exists, steps, row, left, right, count, mean, spread)
                for i in range(right - left):
                    spread[i] = _ONE / (width * (spread[i] + _TINY) * np.float32(bands))
                for k in range(steps.shape[0]):
                    other, shift = row + steps[k, 0], steps[k, 1]
                    low, high = max(left, -shift), min(right, cols - shift)
                    if 0 <= other < rows and low < high:
                        theirs, own = band[other, low + shift : high + shift], band[row, low:high]
                        scale, likeness = (
                            spread[low - left : high - left],
                            weights[row, k, low:high],
                        )
                        for i in range(high - low):
                            likeness[i] -= np.abs(theirs[i] - own[i]) * scale[i]
            _soften(exists, steps, row, left, right, weights[row], keep[row], mean, spread)


@compiled(
    "void(float32[:, :, ::1], float32[:, :, ::1], float32[:, ::1], int64[:, ::1], int64,"
    " int64, float32[:, :, ::1])"
)
def average(
    scores: NDArray[np.float32],
    weights: NDArray[np.float32],
    keep: NDArray[np.float32],
    steps: NDArray[np.int64],
    first: int,
    stop: int,
    out: NDArray[np.float32],
) -> None:
    """Fill rows `first` to `stop` of `out` with means of neighbours; see `weigh`.

    `scores` and `out` are (maps, rows, cols); scores are finite everywhere.
    """
    maps, rows, cols = scores.shape
    neighbours = steps.shape[0]
    for row in range(first, stop):
        for left in range(0, cols, _PIECE):
            right = min(left + _PIECE, cols)
            for m in range(maps):
                before, after = scores[m, row, left:right], out[m, row, left:right]
                kept = keep[row, left:right]
                for i in range(right - left):
                    after[i] = before[i] * kept[i]
                for k in range(neighbours):
                    other, shift = row + steps[k, 0], steps[k, 1]
                    low, high = max(left, -shift), min(right, cols - shift)
                    if 0 <= other < rows and low < high:
                        theirs = scores[m, other, low + shift : high + shift]
                        w = weights[row, k, low:high]
                        total = out[m, row, low:high]
                        for i in range(high - low):
                            total[i] += theirs[i] * w[i]
