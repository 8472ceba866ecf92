"""Compiled loops for runs: the longest stretches of equal pixels in the rows of a band.

Also the form in which bands wait on disk. A class map has so few runs that this is a small part of
its pixels; writing all of those would cost more than finding the components.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled


@compiled("Tuple((int32[::1], uint8[::1], int64[::1]))(uint8[:, ::1])")
def find_runs(
    band: NDArray[np.uint8],
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
    """Find the runs of a band (rows, cols) of fewer than 2³¹ pixels.

    Returns
    -------
    begins
        (runs + 1,) where runs begin (row × width + column), and where the last one ends.
    values
        (runs,) their pixels.
    first
        (rows + 1,) the first run of every row, and how many runs there are.
    """
    height, width = band.shape
    count = height
    for row in range(height):
        pixels = band[row]
        changes = 0
        for col in range(1, width):
            changes += pixels[col] != pixels[col - 1]
        count += changes
    begins = np.empty(count + 1, np.int32)
    values = np.empty(count, np.uint8)
    first = np.empty(height + 1, np.int64)
    run = 0
    for row in range(height):
        first[row] = run
        pixels = band[row]
        origin = row * width
        begins[run] = origin
        run += 1
        for col in range(1, width):
            # Written before it is known to be one: faster than a branch.
            begins[run] = origin + col
            run += pixels[col] != pixels[col - 1]
        for k in range(first[row], run):
            values[k] = pixels[begins[k] - origin]
    begins[run] = height * width
    first[height] = run
    return begins, values, first


@compiled("uint8[::1](int32[::1], uint8[::1], int64)")
def pack(begins: NDArray[np.int32], values: NDArray[np.uint8], start: int) -> NDArray[np.uint8]:
    """Return the runs from `start` on as pairs of bytes: a value, and how often less one.

    Where that is no shorter, the pixels as they are: for `unpack`, the length tells which it is.
    """
    pixels = begins[values.size] - begins[start]
    size = 0
    for run in range(start, values.size):
        size += 2 * ((begins[run + 1] - begins[run] + 255) // 256)
    packed = np.empty(min(size, pixels), np.uint8)
    if size >= pixels:
        for run in range(start, values.size):
            packed[begins[run] - begins[start] : begins[run + 1] - begins[start]] = values[run]
        return packed
    place = 0
    for run in range(start, values.size):
        left = begins[run + 1] - begins[run]
        while left > 0:
            packed[place] = values[run]
            packed[place + 1] = min(left, 256) - 1
            place += 2
            left -= 256
    return packed


@compiled("void(uint8[::1], uint8[::1])")
def unpack(packed: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    """Fill `pixels` (pixels,) with what was packed."""
    if packed.size == pixels.size:
        pixels[:] = packed
        return
    place = 0
    for k in range(0, packed.size, 2):
        stop = place + packed[k + 1] + 1
        pixels[place:stop] = packed[k]
        place = stop


@compiled("void(uint8[:, ::1], int32[:, ::1], uint8[::1])")
def repaint(
    band: NDArray[np.uint8], changes: NDArray[np.int32], classes: NDArray[np.uint8]
) -> None:
    """Give runs of a band a new class.

    Parameters
    ----------
    band
        (rows, cols), changed in place.
    changes
        (runs, 2) where each run begins, from the first to the last, and its index into `classes`.
    classes
        New classes.
    """
    width = band.shape[1]
    for k in range(changes.shape[0]):
        row = changes[k, 0] // width
        col = changes[k, 0] - row * width
        old, new = band[row, col], classes[changes[k, 1]]
        # Runs to the right are still as they were, so this one ends where the value changes.
        if old != new:
            while col < width and band[row, col] == old:
                band[row, col] = new
                col += 1
