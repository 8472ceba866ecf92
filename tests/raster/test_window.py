"""Windows: arithmetic on rectangles, against sets of pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.raster.window import Window

windows = st.builds(
    Window,
    row=st.integers(-5, 8),
    col=st.integers(-5, 8),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
)


def pixels(window: Window) -> set[tuple[int, int]]:
    return {
        (r, c)
        for r in range(window.row, window.row + window.height)
        for c in range(window.col, window.col + window.width)
    }


def test_stops_lie_after_the_last_pixel() -> None:
    window = Window(2, 3, 4, 5)
    assert (window.row_stop, window.col_stop, window.area) == (6, 8, 20)


def test_slices_are_relative_to_the_origin() -> None:
    array = np.arange(100).reshape(10, 10)
    assert array[Window(2, 3, 1, 2).slices()].tolist() == [[23, 24]]
    assert array[Window(12, 23, 1, 2).slices(row_origin=10, col_origin=20)].tolist() == [[23, 24]]


@given(windows, windows)
def test_intersection_is_that_of_the_pixels(one: Window, other: Window) -> None:
    shared = one.intersection(other)
    assert (pixels(shared) if shared else set()) == pixels(one) & pixels(other)


@given(windows, windows)
def test_contains_is_subset_of_pixels(one: Window, other: Window) -> None:
    assert one.contains(other) == (pixels(other) <= pixels(one))
