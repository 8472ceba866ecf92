"""Windows under the server's limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from shapely import Polygon

from geoseg.compositing.earthengine.plan import (
    MOST_BYTES,
    MOST_EXPORTED,
    Layer,
    check_exported,
    check_size,
    quarters,
    window_side,
    windows,
)
from geoseg.errors import OptionError
from geoseg.raster.cover.region import Region
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window


def layer(bands: int) -> Layer:
    fields = [*((f"b{n}", "<f4") for n in range(bands)), ("clear", "<u2")]
    return Layer(key="composite", dtype=np.dtype(fields))


def grid(height: int, width: int) -> Grid:
    return Grid(
        crs=CRS.from_epsg(32633),
        transform=Affine(1, 0, 0, 0, -1, 0),
        height=height,
        width=width,
    )


@given(st.integers(1, 1023), st.one_of(st.none(), st.integers(16, 32768)))
def test_a_window_is_never_more_than_the_server_sends(bands, wanted):
    side = window_side([layer(bands)], wanted)
    assert side * side * layer(bands).dtype.itemsize <= MOST_BYTES
    assert 16 <= side <= 32768
    assert wanted is None or side <= wanted


def test_more_bands_than_the_server_sends_are_refused():
    with pytest.raises(OptionError, match="1025 bands are more than the 1024"):
        layer(1024)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(16, 40))
def test_windows_cover_every_pixel_once(height, width, side):
    seen = np.zeros((height, width), int)
    for window in windows(grid(height, width), side, None, (0, 0)):
        seen[window.row : window.row_stop, window.col : window.col_stop] += 1
    assert (seen == 1).all()


@given(st.integers(1, 9), st.integers(1, 9))
def test_quarters_cover_a_window_once(height, width):
    seen = np.zeros((height + 2, width + 3), int)
    for window in quarters(Window(2, 3, height, width)):
        seen[window.row : window.row_stop, window.col : window.col_stop] += 1
    assert (seen[2:, 3:] == (height * width > 1)).all()
    assert seen.sum() == (height * width if height * width > 1 else 0)


def test_windows_without_a_pixel_of_the_area_are_left_out():
    whole = grid(100, 100)
    area = Region([Polygon([(40, -40), (60, -40), (60, -60), (40, -60)])], whole, source="x")
    part = whole.crop(Window(30, 30, 64, 64))
    found = windows(part, 16, area, (30, 30))
    assert {(w.row, w.col) for w in found} == {(r, c) for r in (0, 16) for c in (0, 16)}


@pytest.mark.parametrize(
    ("height", "width", "side", "words"),
    [
        (30_000, 30_000, 1024, None),
        (30_000, 30_000, 128, None),
        (100_000, 200_000, 1024, None),
        (100_001, 200_000, 1024, r"200,000 × 100,001 px .*\(--scale\).*--export"),
        (2_130_000, 11_520_000, 1024, r"requests of 1024 × 1024 px; .*a smaller --region$"),
        (30_000, 30_000, 16, "3,515,625 requests of 16 × 16 px.*larger --request-size"),
    ],
)
def test_a_large_job_passes_and_an_absurd_one_does_not(height, width, side, words):
    if words is None:
        check_size(grid(height, width), side)
        return
    with pytest.raises(OptionError, match=words):
        check_size(grid(height, width), side)


def test_an_export_may_be_much_larger():
    side = math.isqrt(MOST_EXPORTED)
    check_exported(grid(side, side))
    with pytest.raises(OptionError, match="more than Earth Engine exports"):
        check_exported(grid(side + 1, side + 1))
