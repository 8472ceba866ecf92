from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.raster.polygons.simplify import Simplifier
from geoseg.raster.polygons.stream import trace_polygons

_ = 255


def traced(
    pixels: Any, tolerance: float | None, *, metric: Any = (1, 0, 0, 1), **options: Any
) -> tuple[list[int], NDArray[Any]]:
    rows = np.array(pixels, np.uint8)
    values: list[int] = []
    shapes: list[Any] = []
    simplifier = None
    if tolerance is not None:
        simplifier = Simplifier(*rows.shape, tolerance=tolerance, metric=metric)
    for some in trace_polygons([rows], rows.shape[1], simplifier=simplifier, **options):
        made = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON,
            some.points.astype(np.float64),
            (some.ring_ends, some.polygon_ends),
        )
        values += some.values.tolist()
        shapes += list(made)
    if simplifier is not None:
        simplifier.__exit__(None, None, None)
    return values, np.array(shapes, dtype=object)


def staircase(size: int) -> NDArray[np.uint8]:
    row, col = np.mgrid[:size, :size]
    return np.where(col <= row, 1, 2).astype(np.uint8)


def test_a_staircase_becomes_a_straight_line_with_one_vertex() -> None:
    values, (upper, lower) = traced(staircase(40), 1)
    assert values == [2, 1]
    # Corners of the square, the two ends of the border, and the one vertex that an arc keeps.
    assert len(upper.exterior.coords) - 1 <= 6
    assert len(lower.exterior.coords) - 1 <= 6
    assert upper.area + lower.area == 1600
    shared = shapely.intersection(upper, lower)
    assert shared.length == pytest.approx(39 * 2**0.5, abs=0.1)


def test_below_the_size_of_a_step_nothing_changes() -> None:
    # The corner of a step lies 0.7 px from the line between its ends.
    _values, kept = traced(staircase(9), 0.7)
    _values, plain = traced(staircase(9), None)
    assert [p.wkb for p in kept] == [p.wkb for p in plain]
    _values, simple = traced(staircase(9), 0.71)
    assert len(shapely.get_coordinates(simple)) < len(shapely.get_coordinates(plain))


def test_distances_are_measured_in_the_metric() -> None:
    _values, plain = traced(staircase(9), None)
    for tolerance, changes in ((20, False), (22, True)):
        _values, found = traced(staircase(9), tolerance, metric=(30, 0, 0, -30))
        assert (
            len(shapely.get_coordinates(found)) < len(shapely.get_coordinates(plain))
        ) is changes


def test_a_lens_between_two_polygons_keeps_an_area() -> None:
    pixels = np.full((6, 30), 1)
    pixels[3:] = 2
    pixels[2:4, 10:20] = 3
    values, found = traced(pixels, 100)
    assert sorted(values) == [1, 2, 3]
    assert shapely.is_valid(found).all()
    assert (shapely.area(found) > 0).all()
    assert shapely.coverage_is_valid(found)


def test_single_pixels_remain_as_triangles_at_least() -> None:
    values, found = traced([[_, _, _], [_, 1, _], [_, _, _]], 50)
    assert values == [1]
    assert found[0].is_valid
    assert found[0].area > 0


def test_a_narrow_strait_is_not_closed() -> None:
    # Two shores whose corners reach between each other: simpler, they would cross.
    top = np.array([0, 0, 3, 0, 0, 3, 0, 0, 3, 0, 0]) + 4
    row = np.arange(14)[:, None]
    pixels = np.where(row < top, 1, np.where(row < top + 4, 3, 2))
    _values, found = traced(np.kron(pixels, np.ones((1, 2))), 6)
    assert len(found) == 3
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)


def test_a_long_straight_border_takes_no_time_to_speak_of() -> None:
    begin = time.perf_counter()
    _values, found = traced(staircase(3000), 2)
    assert time.perf_counter() - begin < 10  # with the square of the steps it would be minutes
    assert len(shapely.get_coordinates(found)) < 20


@pytest.mark.parametrize("tolerance", [0, -1, float("nan"), float("inf")])
def test_a_tolerance_that_is_none_is_refused(tolerance: float) -> None:
    with pytest.raises(OptionError, match="is none; give one above 0"):
        Simplifier(5, 5, tolerance=tolerance)


@st.composite
def maps(draw: st.DrawFn) -> NDArray[np.uint8]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 32)), draw(st.integers(1, 32))
    kind = draw(st.sampled_from(["noise", "blobs", "circles"]))
    if kind == "noise":
        pixels = rng.choice([0, 1, 2, _], (height, width))
    elif kind == "blobs":
        cells = rng.choice([0, 1, 2, _], (height // 4 + 2, width // 4 + 2))
        slope = rng.normal(0, 0.5, 2)
        row, col = np.mgrid[:height, :width]
        pixels = cells[
            ((row + slope[0] * col) // 4).astype(int) % cells.shape[0],
            ((col + slope[1] * row) // 4).astype(int) % cells.shape[1],
        ]
    else:
        row, col = np.mgrid[:height, :width]
        pixels = np.zeros((height, width), int)
        for value in (1, 2, _, 3):
            y, x, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(1, 12)
            pixels[(row - y) ** 2 + (col - x) ** 2 < r * r] = value
    return pixels.astype(np.uint8)


@settings(max_examples=150, deadline=None)
@given(
    pixels=maps(),
    tolerance=st.sampled_from([0.5, 0.8, 1.0, 2.0, 4.0, 60.0]),
    band_rows=st.integers(1, 33),
)
def test_simpler_polygons_are_a_coverage_near_to_the_full_one(
    pixels: NDArray[np.uint8], tolerance: float, band_rows: int
) -> None:
    values, full = traced(pixels, None)
    simple_values, simple = traced(pixels, tolerance, band_rows=band_rows)
    assert simple_values == values
    assert shapely.is_valid(simple).all()
    assert (shapely.area(simple) > 0).all()
    # No gaps and no overlaps: every inner edge is the edge of two, vertex for vertex.
    assert shapely.coverage_is_valid(simple)
    union = shapely.area(shapely.union_all(simple))
    assert shapely.area(simple).sum() == pytest.approx(union, abs=1e-6)
    rings = shapely.get_num_interior_rings(full)
    assert shapely.get_num_interior_rings(simple).tolist() == rings.tolist()
    corners = shapely.points(shapely.get_coordinates(full))
    if len(full):
        lines = shapely.union_all(shapely.boundary(simple))
        assert shapely.distance(corners, lines).max() <= tolerance * (1 + 1e-6)


@settings(max_examples=60, deadline=None)
@given(pixels=maps(), band_rows=st.integers(1, 33), workers=st.integers(1, 3))
def test_neither_bands_nor_workers_change_a_byte(
    pixels: NDArray[np.uint8], band_rows: int, workers: int
) -> None:
    _values, one = traced(pixels, 1.5, workers=1)
    _values, other = traced(pixels, 1.5, band_rows=band_rows, workers=workers)
    assert [p.wkb for p in other] == [p.wkb for p in one]
