"""Window arithmetic against pixels counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.patches.tiling import starts, windows
from geoseg.raster.window import Window


def test_last_patch_is_flush_with_the_border() -> None:
    assert starts(10, 4, 4) == [0, 4, 6]
    assert starts(10, 4, 3) == [0, 3, 6]
    assert starts(11, 4, 3) == [0, 3, 6, 7]
    assert starts(12, 4, 4) == [0, 4, 8]


def test_raster_no_longer_than_a_patch_has_one() -> None:
    assert starts(4, 4, 2) == [0]
    assert starts(3, 4, 4) == [0]


def test_windows_come_row_by_row() -> None:
    assert list(windows(3, 4, 2, 2)) == [
        Window(0, 0, 2, 2),
        Window(0, 2, 2, 2),
        Window(1, 0, 2, 2),
        Window(1, 2, 2, 2),
    ]


@pytest.mark.parametrize(
    ("length", "size", "stride"), [(5, 4, 5), (5, 4, 0), (5, 0, 1), (0, 4, 4), (5, 4, -1)]
)
def test_values_without_meaning_are_refused(length: int, size: int, stride: int) -> None:
    with pytest.raises(OptionError):
        starts(length, size, stride)


@given(st.integers(1, 400), st.integers(1, 60), st.data())
def test_every_pixel_is_covered_and_no_patch_reaches_outside(
    length: int, size: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, size))
    found = starts(length, size, stride)
    hits = np.zeros(max(length, size), int)
    for start in found:
        hits[start : start + size] += 1
    assert (hits[:length] > 0).all()
    assert found == sorted(set(found))
    if length >= size:
        assert found[-1] + size == length
        # All but the flush one lie on multiples of the stride, and none of those is left out.
        assert found[:-1] == list(range(0, found[-1], stride))
