"""Compiled counts against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.patches.kernels import count_cells


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.data())
def test_cells_hold_the_pixels_in_them(
    height: int, width: int, side: int, data: st.DataObject
) -> None:
    row, col = data.draw(st.integers(0, side - 1)), data.draw(st.integers(0, side - 1))
    mask = np.random.default_rng(0).random((height, width)) < 0.5
    shape = ((row + height - 1) // side + 1, (col + width - 1) // side + 1)
    counts = np.zeros(shape, np.int64)
    count_cells(mask, row, col, side, counts)
    wanted = np.zeros(shape, int)
    for i, j in zip(*np.nonzero(mask), strict=True):
        wanted[(row + i) // side, (col + j) // side] += 1
    assert np.array_equal(counts, wanted)
