from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.assessment.confusion import NOTHING
from geoseg.assessment.measures.seams import ClassSeamMeter, ClassSeams
from geoseg.raster.window import Window

Classes = NDArray[np.uint8]


def measure(
    classes: Classes, step: int, *, at: tuple[int, int] = (0, 0), rows: int = 100
) -> ClassSeams:
    meter = ClassSeamMeter(Window(*at, *classes.shape), step, maps=2)
    for row in range(0, len(classes), rows):
        part = classes[row : row + rows]
        meter.take(at[0] + row, np.zeros_like(part), part[np.newaxis])
    labels, found = meter.result()
    assert labels.line_changes == labels.other_changes == 0
    return found


def slowly(classes: Classes, step: int, at: tuple[int, int]) -> tuple[int, int, int, int]:
    result = [0, 0, 0, 0]
    for (row, col), one in np.ndenumerate(classes):
        for up, left in ((1, 0), (0, 1)):
            if row < up or col < left:
                continue
            other = classes[row - up, col - left]
            if NOTHING in (one, other):
                continue
            place = at[0] + row if up else at[1] + col
            kind = 0 if place % step == 0 else 2
            result[kind] += 1
            result[kind + 1] += int(one != other)
    return tuple(result)  # type: ignore[return-value]


@given(
    seed=st.integers(0, 999),
    step=st.integers(2, 5),
    rows=st.integers(1, 7),
    at=st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
@settings(max_examples=60, deadline=None)
def test_pairs_and_changes_are_counted_once_however_rows_come(
    seed: int, step: int, rows: int, at: tuple[int, int]
) -> None:
    classes = np.random.default_rng(seed).choice([0, 0, 1, 2, NOTHING], (7, 9)).astype(np.uint8)
    got = measure(classes, step, at=at, rows=rows)
    counted = (got.line_pairs, got.line_changes, got.other_pairs, got.other_changes)
    assert counted == slowly(classes, step, at)


def test_tiles_of_one_class_each_change_along_lines_alone() -> None:
    tiles = np.kron(np.indices((3, 3)).sum(axis=0) % 2, np.ones((4, 4))).astype(np.uint8)
    got = measure(tiles, 4)
    assert (got.line_share, got.other_share) == (1, 0)
    assert got.ratio == float("inf")
    assert measure(tiles, 3).ratio < 1


def test_flat_map_has_no_seam_and_one_without_lines_no_ratio() -> None:
    assert measure(np.zeros((8, 8), np.uint8), 4).ratio == 1
    assert np.isnan(measure(np.zeros((3, 3), np.uint8), 4).ratio)


def test_noise_has_a_ratio_near_one() -> None:
    noise = np.random.default_rng(0).integers(0, 3, (200, 200), np.uint8)
    assert measure(noise, 10).ratio == pytest.approx(1, abs=0.02)
