"""Polygons become pixels: by hand, and against shapely pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.errors import GridError, OptionError
from geoseg.raster.grid import Grid
from geoseg.raster.labels.burn import (
    BACKGROUND,
    IGNORED,
    MARKED,
    Overlap,
    Painter,
    Reach,
    to_pixels,
)

B, X = BACKGROUND, IGNORED


def paint(
    shapes: list[object],
    codes: list[int],
    *,
    height: int = 4,
    width: int = 5,
    strip: int = 100,
    overlap: Overlap = "last",
    all_touched: bool = False,
    border: float | None = None,
    pixel: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.int16]:
    array = np.empty(len(shapes), dtype=object)
    array[:] = shapes
    painter = Painter(
        array,
        np.array(codes, np.int16),
        height=height,
        width=width,
        overlap=overlap,
        all_touched=all_touched,
        reach=None if border is None else Reach(distance=border, pixel=pixel),
    )
    return np.concatenate([rows for _, rows in painter.strips(strip)])


def test_a_pixel_has_the_polygon_that_its_centre_lies_in() -> None:
    found = paint([shapely.box(0.6, 0.4, 3.5, 2.5)], [7])
    assert found.tolist() == [[B, 7, 7, B, B], [B, 7, 7, B, B], [B] * 5, [B] * 5]


def test_neighbours_share_no_pixel_and_leave_none() -> None:
    one, other = shapely.box(0, 0, 2.5, 4), shapely.box(2.5, 0, 5, 4)
    found = paint([one, other], [0, 1], overlap="ignore")
    assert set(found.ravel().tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("overlap", "middle"), [("last", 2), ("first", 0), ("smallest", 1), ("largest", 0)]
)
def test_the_rule_of_overlaps_says_who_has_a_pixel(overlap: Overlap, middle: int) -> None:
    shapes = [shapely.box(0, 0, 5, 4), shapely.box(2, 1, 3, 2), shapely.box(1, 1, 4, 3)]
    found = paint(shapes, [0, 1, 2], overlap=overlap)
    assert found[1, 2] == middle
    assert found[0, 0] == 0


def test_where_classes_differ_an_overlap_can_be_ignored() -> None:
    shapes = [shapely.box(0, 0, 3, 1), shapely.box(1, 0, 4, 1), shapely.box(2, 0, 5, 1)]
    found = paint(shapes, [0, 0, 1], height=1, overlap="ignore")
    assert found.tolist() == [[0, 0, X, X, 1]]


def test_polygons_without_a_class_hide_what_is_below() -> None:
    found = paint([shapely.box(0, 0, 5, 1), shapely.box(2, 0, 3, 1)], [3, IGNORED], height=1)
    assert found.tolist() == [[3, 3, X, 3, 3]]


@pytest.mark.parametrize("overlap", ["last", "first", "smallest", "largest", "ignore"])
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_marked_is_ignored_whatever_else_has_it(overlap: Overlap, turned: bool) -> None:
    both = [(shapely.box(0, 0, 4, 1), 3), (shapely.box(2, 0, 5, 1), MARKED)]
    shapes, codes = zip(*(both[::-1] if turned else both), strict=True)
    found = paint(list(shapes), list(codes), height=1, overlap=overlap)
    assert found.tolist() == [[3, 3, X, X, X]]


def test_holes_are_holes() -> None:
    ring = shapely.box(0, 0, 5, 4).difference(shapely.box(1, 1, 4, 3))
    assert paint([ring], [1])[1:3, 1:4].tolist() == [[B] * 3] * 2


def test_all_touched_takes_every_pixel_that_has_a_part() -> None:
    found = paint([shapely.box(0.9, 0.9, 3.0, 2.1)], [1], all_touched=True)
    assert found.tolist() == [[1, 1, 1, B, B]] * 3 + [[B] * 5]
    sliver = shapely.Polygon([(0.1, 0.2), (4.9, 0.3), (4.9, 0.31)])
    assert paint([sliver], [1], all_touched=True).tolist()[0] == [1] * 5


def test_a_border_is_ignored_on_both_sides() -> None:
    found = paint([shapely.box(2, -9, 99, 99)], [1], height=1, border=1)
    assert found.tolist() == [[B, X, X, 1, 1]]  # centres at 0.5 and 1 are at most 1 away


def test_a_border_may_be_in_units_in_which_pixels_are_no_squares() -> None:
    found = paint([shapely.box(-99, 2, 99, 99)], [1], width=1, border=20, pixel=(1.0, 20.0))
    assert found[:, 0].tolist() == [B, X, X, 1]  # 30, 10, 10 and 30 away


def test_widths_of_borders_are_read_and_refused_in_words() -> None:
    utm = Grid(crs=CRS.from_epsg(32612), transform=Affine(2, 0, 0, 0, -3, 0), height=1, width=1)
    assert Reach.parse("1.5m", utm) == Reach(distance=1.5, pixel=(2, 3))
    assert Reach.parse("2 px", utm) == Reach(distance=2, pixel=(1, 1))
    feet = Grid(crs=CRS.from_epsg(2263), transform=Affine(1, 0, 0, 0, -1, 0), height=1, width=1)
    assert Reach.parse("1m", feet).distance == pytest.approx(3.2808, abs=1e-4)
    for text in ("0px", "-1m", "1ha", "nan"):
        with pytest.raises(OptionError, match="no width"):
            Reach.parse(text, utm)
    degrees = Grid(crs=CRS.from_epsg(4326), transform=Affine.identity(), height=1, width=1)
    photograph = Grid(crs=None, transform=Affine.identity(), height=1, width=1)
    for grid in (degrees, photograph):
        with pytest.raises(GridError, match="give it in px"):
            Reach.parse("1m", grid)


def test_polygons_come_to_pixels_of_turned_grids() -> None:
    grid = Grid(crs=None, transform=Affine(0, 2, 10, 2, 0, 20), height=4, width=4)
    moved = to_pixels(np.array([shapely.box(12, 20, 14, 28)], dtype=object), grid)
    assert shapely.bounds(moved).tolist() == [[0, 1, 4, 2]]


quarters = st.integers(-8, 40).map(lambda n: n / 4 + 1 / 16)
triangles = st.lists(st.tuples(quarters, quarters), min_size=3, max_size=3).map(shapely.Polygon)


@given(
    st.lists(triangles.filter(lambda t: t.area > 0.01), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from(["last", "first"]),
    st.sampled_from([None, 0.7, 1.3]),
    st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_painting_agrees_with_shapely_pixel_by_pixel(
    shapes: list[shapely.Polygon],
    all_touched: bool,
    overlap: Overlap,
    border: float | None,
    strip: int,
) -> None:
    height, width = 7, 8
    found = paint(
        list(shapes), list(range(len(shapes))), height=height, width=width, strip=strip,
        overlap=overlap, all_touched=all_touched, border=border,
    )  # fmt: skip
    order = list(enumerate(shapes))
    for row in range(height):
        for col in range(width):
            centre = shapely.Point(col + 0.5, row + 0.5)
            distances = [s.exterior.distance(centre) for s in shapes]
            if border is not None:
                if min(abs(d - border) for d in distances) < 1e-9:
                    continue
                if min(distances) < border:
                    assert found[row, col] == IGNORED
                    continue
            if min(distances) < 1e-9:
                continue
            cell = shapely.box(col, row, col + 1, row + 1)
            inside = [
                number
                for number, shape in order
                if (shape.intersection(cell).area > 1e-9 if all_touched else shape.covers(centre))
            ]
            wanted = BACKGROUND if not inside else inside[-1 if overlap == "last" else 0]
            assert found[row, col] == wanted, (row, col)
