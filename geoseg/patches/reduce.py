"""Patches at a reduced scale: n × n pixels become one.

Readings become the mean of the valid ones among them, to the bit as prediction's ``--scale 1:n``
does it; where none is valid, the fill value. Where n does not divide a side, the last pixels stand
for what is left.

Labels go by majority: a reduced pixel is a mixture of what it stands for, and the class of most of
it is what a map at that scale should say. (Nearest, the other usual way, takes one of n × n labels,
half a pixel off the middle where n is even; its small classes keep their area, but on pixels that
show something else.) Pixels without a label stand for themselves: if they are more than half, there
is none. Of classes that are as frequent, the one that comes first along the rows is taken, and not
that of the lower number, which would prefer some classes to others.

Imports numba: only for those who need it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled

NONE = 255


def mean_of_valid(raw: NDArray[Any], fill: float | None, factor: int) -> NDArray[np.float32]:
    """Return the means of `factor` × `factor` pixels.

    Parameters
    ----------
    raw
        (bands, rows, cols), readings of any type, in any memory order.
    fill
        A pixel is invalid if all its bands hold this value; None if all are valid. (A valid pixel
        that is at the fill in all bands cannot be told from an invalid one in a data set.)
    factor
        n.

    Returns
    -------
    means
        (bands, ⌈rows / n⌉, ⌈cols / n⌉) float32.
    """
    bands, rows, cols = raw.shape
    # Copies: a compiled loop takes no array that is mapped for reading alone.
    readings = np.array(raw, np.float32, order="C")
    if fill is None:
        valid = np.ones((rows, cols), np.bool_)
    else:
        # A whole number is compared with whole numbers without making them floats.
        value = int(fill) if raw.dtype.kind in "iu" and float(fill).is_integer() else fill
        valid = np.ascontiguousarray((raw != value).any(axis=0))
    means = np.empty((bands, -(-rows // factor), -(-cols // factor)), np.float32)
    _means(readings, valid, factor, np.float32(0 if fill is None else fill), means)
    return means


def majority(labels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the most frequent of `factor` × `factor` labels each.

    Parameters
    ----------
    labels
        (rows, cols) class index, 255 where there is none; in any memory order.
    factor
        n.

    Returns
    -------
    labels
        (⌈rows / n⌉, ⌈cols / n⌉) uint8.
    """
    rows, cols = labels.shape
    reduced = np.empty((-(-rows // factor), -(-cols // factor)), np.uint8)
    _majority(np.array(labels, order="C"), factor, reduced)
    return reduced


@compiled("void(float32[:, :, ::1], boolean[:, ::1], int64, float32, float32[:, :, ::1])")
def _means(
    readings: NDArray[np.float32],
    valid: NDArray[np.bool_],
    factor: int,
    fill: Any,
    means: NDArray[np.float32],
) -> None:
    rows, cols = valid.shape
    for row in range(means.shape[1]):
        for col in range(means.shape[2]):
            above, left = row * factor, col * factor
            below, right = min(above + factor, rows), min(left + factor, cols)
            count = 0
            for r in range(above, below):
                for c in range(left, right):
                    count += valid[r, c]
            for band in range(means.shape[0]):
                # In float32 and in this order, as prediction adds them.
                total = np.float32(0)
                for r in range(above, below):
                    for c in range(left, right):
                        if valid[r, c]:
                            total += readings[band, r, c]
                means[band, row, col] = total / np.float32(count) if count else fill


@compiled("void(uint8[:, ::1], int64, uint8[:, ::1])")
def _majority(labels: NDArray[np.uint8], factor: int, reduced: NDArray[np.uint8]) -> None:
    rows, cols = labels.shape
    counts = np.zeros(256, np.int64)
    for row in range(reduced.shape[0]):
        for col in range(reduced.shape[1]):
            above, left = row * factor, col * factor
            below, right = min(above + factor, rows), min(left + factor, cols)
            for r in range(above, below):
                for c in range(left, right):
                    counts[labels[r, c]] += 1
            pixels = (below - above) * (right - left)
            best, most = NONE, 0
            if 2 * counts[NONE] <= pixels:
                for r in range(above, below):
                    for c in range(left, right):
                        label = labels[r, c]
                        if label != NONE and counts[label] > most:
                            best, most = label, counts[label]
            for r in range(above, below):
                for c in range(left, right):
                    counts[labels[r, c]] = 0
            reduced[row, col] = best
