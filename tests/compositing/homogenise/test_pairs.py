"""Which images overlap or lie side by side: by hand, and against a slow count of pixel centres."""

from __future__ import annotations

import time

import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.compositing.homogenise.pairs import find_pairs
from geoseg.raster.grid import Grid

UTM = CRS.from_epsg(32633)


def grid(row, col, height, width, *, pixel=10.0, crs=UTM, south_up=False):
    top = 5_000_000 - 10 * row
    t = Affine(pixel, 0, 500_000 + 10 * col, 0, -pixel, top)
    if south_up:
        t = Affine(pixel, 0, 500_000 + 10 * col, 0, pixel, top - pixel * height)
    return Grid(crs=crs, transform=t, height=height, width=width)


def place(pair):
    """Row, column, height and width of what a pair is compared on, from the common corner."""
    t = pair.grid.transform
    row, col = (5_000_000 - t.f) / 10, (t.c - 500_000) / 10
    return round(row, 6), round(col, 6), pair.grid.height, pair.grid.width


def test_the_shared_ground_of_two_images_is_found():
    (pair,) = find_pairs([grid(0, 0, 20, 30), grid(5, 25, 20, 30)])
    assert (pair.first, pair.second, pair.kind) == (0, 1, "overlap")
    assert place(pair) == (5, 25, 15, 5)


@pytest.mark.parametrize(
    ("other", "along", "leads", "lines"),
    [
        ((2, 30, 10, 8), "rows", False, (2, 29, 10, 2)),
        ((2, -8, 10, 8), "rows", True, (2, -1, 10, 2)),
        ((20, 4, 9, 90), "cols", False, (19, 4, 2, 26)),
        ((-9, -5, 9, 10), "cols", True, (-1, 0, 2, 5)),
        ((2, 31, 10, 8), "rows", False, (2, 29, 10, 3)),  # one pixel between
    ],
)
def test_images_side_by_side_share_a_border(other, along, leads, lines):
    (pair,) = find_pairs([grid(0, 0, 20, 30), grid(*other)])
    assert (pair.kind, pair.along, pair.second_leads) == ("border", along, leads)
    assert place(pair) == lines


def test_images_at_a_corner_or_two_pixels_apart_are_no_pair():
    assert find_pairs([grid(0, 0, 20, 30), grid(20, 30, 5, 5), grid(0, 32, 10, 5)]) == []


def test_two_images_are_compared_on_the_larger_pixels():
    fine, coarse = grid(0, 0, 40, 40, pixel=10), grid(10, 10, 8, 8, pixel=40)
    (pair,) = find_pairs([fine, coarse])
    assert (pair.first, pair.second) == (1, 0)
    # Seven and a half fit; the centre of the eighth lies on the border and outside.
    assert (pair.grid.height, pair.grid.width) == (7, 7)
    assert pair.grid.resolution == (40, 40)


def test_south_up_and_another_coordinate_system_overlap_as_well():
    one, other = grid(0, 0, 20, 30), grid(5, 5, 20, 30, south_up=True)
    (pair,) = find_pairs([one, other])
    assert place(pair) == (5, 5, 15, 25)
    far = Grid(
        crs=CRS.from_epsg(4326),
        transform=Affine(1e-4, 0, 15.0, 0, -1e-4, 45.155),
        height=100,
        width=100,
    )
    (pair,) = find_pairs([one, far])
    assert pair.kind == "overlap"


def test_images_without_a_place_are_in_no_pair():
    nowhere = grid(0, 0, 20, 30, crs=None)
    assert find_pairs([nowhere, nowhere, grid(0, 0, 4, 4)]) == []


boxes = st.tuples(
    st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 12), st.integers(1, 12)
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.lists(boxes, min_size=2, max_size=5))
def test_pairs_are_those_of_a_slow_search(given_boxes):
    found = {(p.first, p.second): p for p in find_pairs([grid(*box) for box in given_boxes])}
    cells = [
        {(r, c) for r in range(row, row + height) for c in range(col, col + width)}
        for row, col, height, width in given_boxes
    ]
    for i, one in enumerate(cells):
        for j in range(i + 1, len(cells)):
            shared = one & cells[j]
            pair = found.get((i, j))
            if shared:
                row, col, height, width = place(pair)
                assert pair.kind == "overlap"
                assert (row, col) == min(shared)
                assert height * width == len(shared)
                continue
            # A pixel apart, or none, along a side.
            near = [
                (abs(a - b), d)
                for a, d in one
                for b, e in cells[j]
                if (d == e and 1 <= abs(a - b) <= 2)
            ] + [
                (abs(d - e), a)
                for a, d in one
                for b, e in cells[j]
                if a == b and 1 <= abs(d - e) <= 2
            ]
            assert (pair is not None) == bool(near)
            assert pair is None or pair.kind == "border"


def test_a_thousand_images_take_no_time():
    grids = [grid(90 * row, 90 * col, 100, 100) for row in range(32) for col in range(32)]
    began = time.perf_counter()
    pairs = find_pairs(grids)
    assert time.perf_counter() - began < 20
    assert len(pairs) == 2 * 31 * 32 + 2 * 31 * 31
