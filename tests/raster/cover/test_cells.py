"""Cells on pixels: sizes, aligned grids, and shares by hand and against intervals."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.errors import GridError, OptionError
from geoseg.raster.cover.cells import CellSize, cell_grid, check_like, pieces
from geoseg.raster.grid import Grid

UTM, DEGREES, FEET = (CRS.from_epsg(code) for code in (32612, 4326, 2263))


def grid(transform: Affine, height: int = 10, width: int = 12, crs: CRS | None = UTM) -> Grid:
    return Grid(crs=crs, transform=transform, height=height, width=width)


HERE = grid(Affine(30, 0, 300015, 0, -30, 4000010))


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("300m", 300, "m"),
        ("0.01 deg", 0.01, "deg"),
        ("1KM", 1, "km"),
        ("10px", 10, "px"),
        ("5", 5, ""),
    ],
)
def test_sizes_are_read(text: str, value: float, unit: str) -> None:
    assert CellSize.parse(text) == CellSize(value=value, unit=unit)


@pytest.mark.parametrize("text", ["", "m", "-3m", "0px", "3 acres", "3m2", "1e300m", "1e999px"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(OptionError, match="write 300m"):
        CellSize.parse(text)


def test_cells_have_borders_at_multiples_of_their_size() -> None:
    found = cell_grid(HERE, CellSize.parse("100m"), name="map")
    assert found.bounds() == (300000, 3999700, 300400, 4000100)
    assert found.transform == Affine(100, 0, 300000, 0, -100, 4000100)


def test_cells_of_pixels_begin_at_the_first_corner() -> None:
    found = cell_grid(HERE, CellSize.parse("5px"), name="map")
    assert (found.height, found.width) == (2, 3)
    assert found.transform == Affine(150, 0, 300015, 0, -150, 4000010)


def test_border_of_the_raster_is_one_of_the_cells_but_for_rounding() -> None:
    almost = grid(Affine(30, 0, 300000 + 1e-7, 0, -30, 3900000 - 1e-7))
    found = cell_grid(almost, CellSize.parse("60m"), name="map")
    assert (found.height, found.width) == (5, 6)


def test_metres_become_feet_where_the_system_has_them() -> None:
    found = cell_grid(
        grid(Affine(10, 0, 1e6, 0, -10, 2e5), crs=FEET), CellSize.parse("30ft"), name="m"
    )
    assert found.resolution[0] == pytest.approx(30, rel=1e-5)  # survey feet are a little longer


@pytest.mark.parametrize(
    ("raster", "size", "words"),
    [
        (grid(Affine(0.1, 0, 8, 0, -0.1, 50), crs=DEGREES), "300m", "give 0.01deg or 10px"),
        (HERE, "1deg", "give 300m or 10px"),
        (grid(Affine(1, 0, 0, 0, 1, 0), crs=None), "3m", "no coordinate system.*give 10px"),
        (grid(Affine(20, 5, 0, 5, -20, 0)), "300m", "rotated.*give the cell in pixels"),
    ],
)
def test_units_that_the_raster_lacks_are_refused(raster: Grid, size: str, words: str) -> None:
    with pytest.raises(GridError, match=words):
        cell_grid(raster, CellSize.parse(size), name="map")


def test_cells_far_below_pixels_are_refused() -> None:
    with pytest.raises(OptionError, match="far smaller than the pixels"):
        cell_grid(HERE, CellSize.parse("0.1m"), name="map")


@pytest.mark.parametrize(
    ("like", "words"),
    [
        (grid(Affine(30, 0, 0, 0, -30, 0), crs=DEGREES), "another coordinate system"),
        (grid(Affine(20, 5, 300015, 5, -20, 4000010)), "rotated.*--zones"),
        (grid(Affine(30, 0, 300375, 0, -30, 4000010)), "does not overlap"),
    ],
)
def test_grids_that_do_not_lie_along_are_refused(like: Grid, words: str) -> None:
    with pytest.raises(GridError, match=words):
        check_like(HERE, like, name="map", like_name="like")


def test_pixels_cut_in_the_middle_belong_to_both_cells() -> None:
    down, along = pieces(HERE, grid(Affine(60, 0, 300000, 0, -60, 4000010), 5, 7))
    # Cells begin half a pixel left of the raster and are two pixels long.
    assert along.pixels.tolist()[:5] == [0, 1, 1, 2, 3]
    assert along.cells.tolist()[:5] == [0, 0, 1, 1, 1]
    assert along.lengths.tolist()[:5] == [1, 0.5, 0.5, 1, 0.5]
    assert along.cell_lengths.tolist() == [2] * 7
    assert down.cells.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_south_up_rasters_fill_the_cells_from_below() -> None:
    down, _ = pieces(
        grid(Affine(30, 0, 0, 0, 30, 0), 4, 2), grid(Affine(60, 0, 0, 0, -60, 120), 2, 1)
    )
    assert down.cells.tolist() == [1, 1, 0, 0]


@given(
    st.integers(-200, 200),
    st.integers(1, 90),
    st.integers(1, 12),
    st.integers(1, 15),
    st.booleans(),
)
def test_shares_are_overlaps_of_intervals(
    start: int, length: int, count: int, size: int, flipped: bool
) -> None:
    # Pixels of 16 units from 0; cells of `length` units from `start`.
    step = -length if flipped else length
    cells = grid(Affine(step, 0, start, 0, -1, 0), 1, count)
    _, along = pieces(grid(Affine(16, 0, 0, 0, -1, 0), 1, size), cells)
    found = np.zeros((size, count))
    np.add.at(found, (along.pixels, along.cells), along.lengths)
    wanted = np.zeros((size, count))
    for p in range(size):
        for c in range(count):
            low, high = sorted((start + step * c, start + step * (c + 1)))
            wanted[p, c] = max(0, min(high, 16 * p + 16) - max(low, 16 * p)) / 16
    assert found == pytest.approx(wanted, abs=1e-9)
    assert (np.diff(along.pixels) >= 0).all()
    assert (along.lengths > 0).all()
