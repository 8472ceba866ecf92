"""Compiled loops that count labels and pixels; they hold no lock, so that threads run them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.jit import compiled


@compiled("void(uint8[::1], int64[::1])")
def count_classes(labels: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
    """Add class indices to ``counts[index]``, of length 256."""
    for index in labels:
        counts[index] += 1


@compiled("void(boolean[:, ::1], int64, int64, int64, int64[:, ::1])")
def count_cells(
    mask: NDArray[np.bool_], row: int, col: int, side: int, counts: NDArray[np.int64]
) -> None:
    """Add the True pixels of each square cell to ``counts[cell row, cell column]``.

    The first pixel of `mask` is at (`row`, `col`) of the first cell; cells are `side` pixels wide.
    """
    for i in range(mask.shape[0]):
        cells = counts[(row + i) // side]
        start = 0
        for cell in range(cells.size):
            stop = min((cell + 1) * side - col, mask.shape[1])
            number = 0
            for j in range(start, stop):
                number += mask[i, j]
            cells[cell] += number
            start = stop
