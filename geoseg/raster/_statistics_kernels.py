"""Compiled loops over readings, for statistics; they hold no lock, so that threads run them.

Pixels come flat and contiguous: readings as (bands, pixels), validity as (pixels,), True = valid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

PAGE_BITS = 10
"""Leading bits of a float's key that choose a page: sign, exponent, first bit of the fraction."""
BIN_BITS = 12
"""Bits of the key after those, which choose a bin in the page."""
COUNT, MEAN, M2, MINIMUM, MAXIMUM = range(5)
"""Columns of `moments`."""


@compiled(
    "void(uint8[:, ::1], boolean[::1], boolean, int64[:, ::1])",
    "void(uint16[:, ::1], boolean[::1], boolean, int64[:, ::1])",
)
def count_values(
    values: NDArray[Any], valid: NDArray[np.bool_], everything: bool, counts: NDArray[np.int64]
) -> None:
    """Add valid readings to ``counts[band, reading]``; with `everything` all pixels are valid."""
    for band in range(values.shape[0]):
        row = counts[band]
        if everything:
            for value in values[band]:
                row[value] += 1
        else:
            for i in range(valid.size):
                if valid[i]:
                    row[values[band, i]] += 1


@compiled(
    "void(float32[:, ::1], boolean[::1], float64[:, ::1])",
    "void(float64[:, ::1], boolean[::1], float64[:, ::1])",
)
def moments(values: NDArray[Any], valid: NDArray[np.bool_], out: NDArray[np.float64]) -> None:
    """Fill ``out[band] = count, mean, sum of squared deviations, minimum, maximum``.

    Over finite valid readings, in float64 and in two passes, so that a large mean costs no digits.
    """
    for band in range(values.shape[0]):
        count, total, low, high = 0, 0.0, np.inf, -np.inf
        for i in range(valid.size):
            value = np.float64(values[band, i])
            if valid[i] and np.isfinite(value):
                count += 1
                total += value
                low, high = min(low, value), max(high, value)
        mean = total / count if count else 0.0
        squares = 0.0
        for i in range(valid.size):
            value = np.float64(values[band, i])
            if valid[i] and np.isfinite(value):
                squares += (value - mean) ** 2
        out[band, 0] = count
        out[band, 1] = mean
        out[band, 2] = squares
        out[band, 3] = low
        out[band, 4] = high


@compiled("int64(int64)")
def float_key(bits: Any) -> Any:
    """Place of a float32 in the order of all float32, from its bits: 0 … 2³² − 1."""
    if bits & 0x80000000:
        return 0xFFFFFFFF - bits
    return bits + 0x80000000


@compiled("void(uint32[:, ::1], boolean[::1], boolean[:, ::1])")
def find_pages(
    bits: NDArray[np.uint32], valid: NDArray[np.bool_], wanted: NDArray[np.bool_]
) -> None:
    """Set ``wanted[band, page]`` where a valid reading (its bits) falls into that page."""
    for band in range(bits.shape[0]):
        for i in range(valid.size):
            if valid[i]:
                wanted[band, float_key(np.int64(bits[band, i])) >> 22] = True


@compiled("void(uint32[:, ::1], boolean[::1], int64[:, ::1], int64[:, ::1])")
def count_floats(
    bits: NDArray[np.uint32],
    valid: NDArray[np.bool_],
    table: NDArray[np.int64],
    pages: NDArray[np.int64],
) -> None:
    """Add valid readings (their bits) to ``pages[table[band, page], bin]``; the pages are there."""
    for band in range(bits.shape[0]):
        for i in range(valid.size):
            if valid[i]:
                key = float_key(np.int64(bits[band, i])) >> 10
                pages[table[band, key >> 12], key & 0xFFF] += 1
