from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.inference import _runs

stretches = st.lists(
    st.tuples(st.integers(0, 255), st.sampled_from([1, 2, 3, 255, 256, 257, 512, 513])),
    min_size=1,
    max_size=12,
)


def packed(band: NDArray[np.uint8], halo: int = 0) -> NDArray[np.uint8]:
    begins, values, first = _runs.find_runs(band)
    return _runs.pack(begins, values, int(first[halo]))


@given(stretches=stretches, rows=st.integers(1, 3), halo=st.booleans())
def test_unpacked_is_what_was_packed(
    stretches: list[tuple[int, int]], rows: int, halo: bool
) -> None:
    row = np.concatenate([np.full(count, value, np.uint8) for value, count in stretches])
    band = np.ascontiguousarray(np.stack([np.roll(row, k) for k in range(rows + halo)]))
    pixels = np.empty(rows * row.size, np.uint8)
    _runs.unpack(packed(band, int(halo)), pixels)
    np.testing.assert_array_equal(pixels, band[int(halo) :].ravel())


@pytest.mark.parametrize(
    ("row", "size"),
    [
        pytest.param([7] * 256, 2, id="longest run of one pair"),
        pytest.param([7] * 257, 4, id="run of two pairs"),
        pytest.param([1, 1, 1, 2, 2], 4, id="a pair for each run"),
        pytest.param([1, 1, 2, 2], 4, id="as long as the pixels, so these"),
        pytest.param([1, 2, 3], 3, id="longer than the pixels, so these"),
    ],
)
def test_packed_is_never_longer_than_the_pixels(row: list[int], size: int) -> None:
    assert packed(np.array([row], np.uint8)).size == size


def test_runs_end_with_their_row() -> None:
    begins, values, first = _runs.find_runs(np.array([[5, 5, 6], [6, 6, 6]], np.uint8))
    assert begins.tolist() == [0, 2, 3, 6]
    assert values.tolist() == [5, 6, 6]
    assert first.tolist() == [0, 2, 3]
