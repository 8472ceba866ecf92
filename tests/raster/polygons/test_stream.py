from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio import features

from geoseg.raster.polygons.stream import Polygons, Tally, trace_polygons

_ = 255


def shapes_of(some: Polygons) -> NDArray[Any]:
    points = some.points.astype(np.float64)
    made = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, points, (some.ring_ends, some.polygon_ends)
    )
    return np.asarray(made, dtype=object)


def traced(pixels: Any, **options: Any) -> list[tuple[int, int, Any]]:
    """Value, number of pixels and polygon of each, in columns and rows."""
    rows = np.array(pixels, np.uint8)
    found = []
    for some in trace_polygons([rows], rows.shape[1], **options):
        values = zip(some.values.tolist(), some.pixels.tolist(), shapes_of(some), strict=True)
        found += list(values)
    return found


def box(col: int, row: int, width: int = 1, height: int = 1) -> Any:
    return shapely.box(col, row, col + width, row + height)


def same(found: Any, expected: Any) -> bool:
    return bool(shapely.equals(found, expected))


BANDS = pytest.mark.parametrize("band_rows", [1, 2, 3, 100])


def test_one_class_is_one_rectangle_with_four_corners() -> None:
    ((value, pixels, polygon),) = traced(np.full((3, 5), 7))
    assert (value, pixels) == (7, 15)
    assert polygon.exterior.coords[:] == [(0, 0), (0, 3), (5, 3), (5, 0), (0, 0)]
    assert len(polygon.interiors) == 0


@BANDS
def test_a_ring_has_a_hole_and_an_island_in_it_is_a_polygon_of_its_own(band_rows: int) -> None:
    pixels = [
        [1, 1, 1, 1, 1],
        [1, 2, 2, 2, 1],
        [1, 2, 3, 2, 1],
        [1, 2, 2, 2, 1],
        [1, 1, 1, 1, 1],
    ]
    found = traced(pixels, band_rows=band_rows)
    assert [(value, count) for value, count, _ in found] == [(3, 1), (2, 8), (1, 16)]
    island, ring, frame = (polygon for *_, polygon in found)
    assert same(island, box(2, 2))
    assert same(ring, shapely.difference(box(1, 1, 3, 3), box(2, 2)))
    assert same(frame, shapely.difference(box(0, 0, 5, 5), box(1, 1, 3, 3)))


@BANDS
def test_pixels_that_touch_at_a_corner_are_two_polygons(band_rows: int) -> None:
    found = traced([[1, 2], [2, 1]], band_rows=band_rows)
    assert [(value, count) for value, count, _ in found] == [(1, 1), (2, 1), (2, 1), (1, 1)]
    expected = [box(0, 0), box(1, 0), box(0, 1), box(1, 1)]
    assert all(same(p, e) for (*_, p), e in zip(found, expected, strict=True))


@BANDS
def test_a_component_that_touches_itself_is_valid_and_has_a_hole(band_rows: int) -> None:
    # The hole at (1, 1) touches what is outside at the corner (2, 2).
    found = traced([[1, 1, 1], [1, 2, 1], [1, 1, _]], band_rows=band_rows)
    assert [(value, count) for value, count, _ in found] == [(2, 1), (1, 7)]
    polygon = found[1][2]
    assert polygon.is_valid
    assert polygon.area == 7
    assert len(polygon.interiors) == 1
    assert same(shapely.Polygon(polygon.interiors[0]), box(1, 1))


def test_nodata_makes_no_polygon() -> None:
    assert traced(np.full((4, 4), _)) == []
    ((value, pixels, polygon),) = traced([[_, _, _], [_, 5, _], [_, _, _]])
    assert (value, pixels) == (5, 1)
    assert same(polygon, box(1, 1))


@BANDS
def test_a_checkerboard_is_a_polygon_for_each_pixel(band_rows: int) -> None:
    row, col = np.mgrid[:5, :6]
    found = traced((row + col) % 2, band_rows=band_rows)
    assert len(found) == 30
    expected = [box(c, r) for r in range(5) for c in range(6)]
    assert all(same(p, e) for (*_, p), e in zip(found, expected, strict=True))


@BANDS
def test_arms_that_meet_below_are_one_polygon(band_rows: int) -> None:
    found = traced([[1, 2, 1], [1, 2, 1], [1, 2, 1], [1, 1, 1]], band_rows=band_rows)
    assert [(value, count) for value, count, _ in found] == [(2, 3), (1, 9)]
    assert same(found[1][2], shapely.difference(box(0, 0, 3, 4), box(1, 0, 1, 3)))


@BANDS
def test_a_spiral_across_all_bands_is_one_polygon(band_rows: int) -> None:
    pixels = np.full((9, 9), _)
    pixels[0, :] = pixels[:, 8] = pixels[8, :] = pixels[2:, 0] = pixels[2, :7] = 4
    pixels[2:7, 6] = pixels[6, 2:7] = pixels[4:7, 2] = pixels[4, 2:5] = 4
    ((value, count, polygon),) = traced(pixels, band_rows=band_rows)
    assert (value, count) == (4, int((pixels == 4).sum()))
    assert polygon.is_valid
    assert polygon.area == count
    assert len(polygon.interiors) == 0


def test_polygons_come_by_their_last_row_and_then_by_their_first_pixel() -> None:
    found = traced([[1, 2, 3], [1, 4, 3], [1, 5, 3]], band_rows=1)
    assert [value for value, *_ in found] == [2, 4, 1, 3, 5]


def test_areas_are_summed_pixel_by_pixel() -> None:
    pixels = np.full((3, 130), 1, np.uint8)
    pixels[1, 60:70] = 2

    def areas(first: int, stop: int) -> NDArray[np.int64]:
        assert 0 <= first < stop <= 3
        # Row r, block b: 100 r + b.
        return np.arange(first, stop)[:, None] * 100 + np.arange(3)[None, :]

    found = {}
    for some in trace_polygons([pixels], 130, areas=areas, band_rows=2):
        found |= dict(zip(some.values.tolist(), some.areas.tolist(), strict=True))
    assert found[2] == 4 * 100 + 6 * 101
    everything = 64 * (0 + 100 + 200) + 64 * (1 + 101 + 201) + 2 * (2 + 102 + 202)
    assert found[1] == everything - found[2]


def test_what_is_too_small_is_left_out_and_counted() -> None:
    tally = Tally()
    found = traced([[1, 1, 2], [1, 1, 3], [3, 3, 3]], least_pixels=2, tally=tally)
    assert [value for value, *_ in found] == [1, 3]
    assert tally.polygons[[1, 2, 3]].tolist() == [1, 0, 1]
    assert tally.pixels[[1, 2, 3]].tolist() == [4, 0, 4]
    assert tally.left_out[2] == 1
    assert tally.left_out_pixels[2] == 1


def test_rows_may_come_in_any_portions() -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 3, (23, 17)).astype(np.uint8)
    whole = traced(pixels)
    found = []
    for some in trace_polygons(np.split(pixels, [1, 2, 9, 20]), 17, band_rows=4, workers=1):
        found += list(zip(some.values.tolist(), some.pixels.tolist(), shapes_of(some), strict=True))
    assert [(v, n, p.wkb) for v, n, p in found] == [(v, n, p.wkb) for v, n, p in whole]


def test_stopping_early_stops_the_workers() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 9, (50, 40)).astype(np.uint8) for _ in range(10)]
    stream = trace_polygons(rows, 40, band_rows=5)
    assert len(next(stream))
    stream.close()


@st.composite
def maps(draw: st.DrawFn) -> NDArray[np.uint8]:
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    values = st.sampled_from([0, 1, 254, 255][: draw(st.integers(2, 4))])
    cells = draw(st.lists(values, min_size=height * width, max_size=height * width))
    return np.array(cells, np.uint8).reshape(height, width)


@settings(max_examples=150, deadline=None)
@given(pixels=maps(), band_rows=st.integers(1, 13), workers=st.integers(1, 3))
def test_polygons_are_those_of_gdal(
    pixels: NDArray[np.uint8], band_rows: int, workers: int
) -> None:
    found = traced(pixels, band_rows=band_rows, workers=workers)
    expected = [
        (int(value), shapely.geometry.shape(shape))
        for shape, value in features.shapes(pixels, mask=pixels != _, connectivity=4)
    ]

    def canonical(value: int, shape: Any) -> tuple[int, bytes]:
        # Ours have vertices where neighbours meet; without those on straight lines both are alike.
        return value, shapely.normalize(shapely.simplify(shape, 0)).wkb

    assert sorted(canonical(v, p) for v, _, p in found) == sorted(canonical(*e) for e in expected)


@settings(max_examples=150, deadline=None)
@given(pixels=maps(), band_rows=st.integers(1, 13))
def test_polygons_are_valid_share_their_vertices_and_give_the_raster_back(
    pixels: NDArray[np.uint8], band_rows: int
) -> None:
    found = traced(pixels, band_rows=band_rows)
    polygons = np.array([p for *_, p in found], dtype=object)
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    assert shapely.area(polygons).tolist() == [count for _, count, _ in found]
    outside = np.full(pixels.shape, _, np.uint8)
    if found:
        features.rasterize([(p, v) for v, _, p in found], out=outside)
    assert np.array_equal(outside, pixels)


@settings(max_examples=50, deadline=None)
@given(pixels=maps(), band_rows=st.integers(1, 13), workers=st.integers(1, 3))
def test_neither_bands_nor_workers_change_a_byte(
    pixels: NDArray[np.uint8], band_rows: int, workers: int
) -> None:
    one = [(v, n, p.wkb) for v, n, p in traced(pixels, workers=1)]
    other = traced(pixels, band_rows=band_rows, workers=workers)
    assert [(v, n, p.wkb) for v, n, p in other] == one


@pytest.mark.slow
def test_what_is_kept_does_not_grow_with_the_height() -> None:
    rng = np.random.default_rng(1)
    part = np.kron(rng.integers(0, 5, (32, 16)), np.ones((4, 8))).astype(np.uint8)

    def peak(parts: int) -> int:
        tracemalloc.start()
        for some in trace_polygons((part for _ in range(parts)), 128, band_rows=64, workers=1):
            del some
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)
    assert peak(80) < 1.2 * peak(10)
