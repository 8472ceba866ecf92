"""Areas that polygons cover, by hand and against counted cells."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.raster.cover.areas import Coverage


def ring(x: float, y: float, side: float) -> list[tuple[float, float]]:
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)]


def test_what_several_features_cover_counts_once_a_group() -> None:
    shapes = np.array([shapely.box(0, 0, 3, 4), shapely.box(2, 0, 4, 4), shapely.MultiPolygon()])
    groups = np.array([[1, 1, 0], [1, 0, 1], [1, 0, 1]], bool)
    found = Coverage(shapes, groups).areas(np.array([ring(0, 0, 4), ring(4, 0, 4)]))
    # The second outline shares a border with a feature, and no ground.
    assert found.tolist() == [[16, 12, 8], [0, 0, 0]]


def test_rotated_outlines_are_cut_along_their_sides() -> None:
    diamond = np.array([[(0, -1), (1, 0), (0, 1), (-1, 0), (0, -1)]], float)
    found = Coverage(np.array([shapely.box(0, -9, 9, 9)]), np.ones((1, 1), bool)).areas(diamond)
    assert found[0, 0] == pytest.approx(1.0)


def test_no_outline_and_no_feature_are_covered_by_nothing() -> None:
    none = Coverage(np.array([], object), np.zeros((0, 2), bool))
    assert none.areas(np.array([ring(0, 0, 1)])).tolist() == [[0, 0]]
    assert none.areas(np.zeros((0, 5, 2))).shape == (0, 2)


def test_lines_beside_polygons_are_in_no_ones_way() -> None:
    # Two teeth that end at the border of the outline: polygon and line are in the intersection.
    comb = shapely.Polygon([(0, 0), (8, 0), (8, 4), (6, 4), (6, 1), (2, 1), (2, 2), (0, 2)])
    shapes = np.array([comb, shapely.box(0, 0, 8, 4)])
    found = Coverage(shapes, np.ones((2, 1), bool)).areas(np.array([ring(2, 1, 4), ring(0, 0, 2)]))
    assert found.tolist() == [[12], [4]]


_BOX = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 8)] * 2)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(_BOX, st.booleans()), min_size=1, max_size=6), st.integers(1, 6))
def test_areas_are_those_of_counted_cells(boxes: list, side: int) -> None:
    shapes = np.array([shapely.box(x, y, x + w, y + h) for (x, y, w, h), _ in boxes])
    groups = np.array([[True, second] for _, second in boxes])
    corners = [(x, y) for x in range(0, 14, side) for y in range(0, 14, side)]
    found = Coverage(shapes, groups).areas(np.array([ring(x, y, side) for x, y in corners], float))
    cells = np.zeros((2, 40, 40), bool)
    for (x, y, w, h), second in boxes:
        cells[0, x : x + w, y : y + h] = True
        cells[1, x : x + w, y : y + h] |= second
    wanted = [cells[:, x : x + side, y : y + side].sum((1, 2)) for x, y in corners]
    assert np.allclose(found, wanted)
