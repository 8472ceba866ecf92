"""Differences across patch lines are told from those elsewhere."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.inference.cam.seams import SeamMeter, Seams

nan = math.nan


def measured(data: Any, rows: list[int], cols: list[int], cuts: tuple[int, ...] = ()) -> Seams:
    values = np.asarray(data, np.float32)
    meter = SeamMeter(rows, cols, values.shape[0], values.shape[2])
    edges = [0, *cuts, values.shape[1]]
    for first, stop in itertools.pairwise(edges):
        meter.add(first, values[:, first:stop])
    return meter.result()


def slow_seams(data: NDArray[np.float32], rows: list[int], cols: list[int]) -> dict[str, Any]:
    """Every pair by itself."""
    maps, height, width = data.shape
    found: dict[str, list[Any]] = {"lines": [], "others": [], "roughest": []}
    for m in range(maps):
        at: dict[float, list[float]] = {}
        for r in range(height):
            for c in range(width):
                for r0, c0, place, lines in ((r, c - 1, c, cols), (r - 1, c, r, rows)):
                    here, there = float(data[m, r, c]), float(data[m, r0, c0])
                    if r0 < 0 or c0 < 0 or not math.isfinite(here - there):
                        continue
                    before = max([line for line in lines if line <= place] + [0])
                    ends = [line for line in lines if line > place]
                    key = place - before
                    # Behind the last line only distances that occur between lines are told apart.
                    gaps = [b - a for ls in (rows, cols) for a, b in pairs_of(ls)]
                    known = ends or key < max([1, *gaps])
                    at.setdefault(key if known else math.inf, []).append(abs(here - there))
        lines_at = at.pop(0, [])
        found["lines"].append(lines_at)
        found["others"].append([d for ds in at.values() for d in ds])
        at.pop(math.inf, None)
        many = [ds for ds in at.values() if 2 * len(ds) >= max(1, len(lines_at))]
        found["roughest"].append(max([mean(ds) for ds in many], default=nan))
    return found


def pairs_of(lines: list[int]) -> list[tuple[int, int]]:
    every = sorted({0, *lines})
    return list(itertools.pairwise(every))


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else nan


def test_differences_by_hand() -> None:
    data = [[[0, 1, 4, 4], [0, 1, 4, nan], [2, 3, 6, 9]]]
    seams = measured(data, rows=[0, 2], cols=[0, 2])
    # Across column 2: 3, 3, 3; across row 2: 2, 2, 2. Elsewhere to the right: 1, 0; 1; 1, 3;
    # downwards: 0, 0, 0.
    assert (seams.line_pairs, seams.line_difference) == ((6,), (2.5,))
    assert (seams.other_pairs, seams.other_difference) == ((8,), (6 / 8,))
    assert seams.ratio == seams.ratios[0] == 2.5 / (6 / 8)


def test_the_edge_of_the_map_is_no_line() -> None:
    seams = measured([[[0, 1], [5, 6]]], rows=[0], cols=[0])
    assert seams.line_pairs == (0,)
    assert math.isnan(seams.ratio)
    assert seams.other_difference == (3.0,)


def test_overall_is_the_mean_of_the_maps_ratios() -> None:
    data = np.array([[[0, 2, 3]], [[0, 400, 500]], [[nan, 1, 1]]])
    seams = measured(data, rows=[], cols=[1])
    assert seams.ratios[:2] == (2.0, 4.0)
    assert math.isnan(seams.ratios[2])
    assert seams.ratio == 3.0


def test_a_constant_map_has_no_seam_and_one_that_jumps_at_lines_alone_has_nothing_else() -> None:
    assert measured(np.ones((1, 4, 4)), [2], [2]).ratio == 1.0
    assert measured([[[0, 0, 1, 1]]], [], [2]).ratio == math.inf


def test_noise_without_seams_has_a_ratio_of_one_and_steps_raise_it() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(3, 200, 300)).astype(np.float32)
    rows, cols = list(range(0, 200, 20)), list(range(0, 300, 20))
    assert abs(measured(data, rows, cols).ratio - 1) < 0.03
    steps = rng.normal(size=(3, 10, 15)) * 3
    data += np.kron(steps, np.ones((20, 20))).astype(np.float32)
    assert measured(data, rows, cols).ratio > 2


def test_a_lattice_of_repeated_pixels_is_no_seam_to_the_lattice_ratio() -> None:
    rng = np.random.default_rng(1)
    coarse = rng.normal(size=(2, 60, 60)).astype(np.float32)
    data = np.kron(coarse, np.ones((4, 4), np.float32))
    lines = list(range(0, 240, 48))
    plain = measured(data, lines, lines)
    assert 4 < plain.ratio < 5  # 11 of 47 pairs between lines lie on the lattice
    assert 0.8 < plain.lattice_ratio < 1.1
    data += np.kron(3 * rng.normal(size=(2, 5, 5)), np.ones((48, 48))).astype(np.float32)
    assert measured(data, lines, lines).lattice_ratio > 2


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    maps=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    rows=st.lists(st.integers(0, 10), max_size=4),
    cols=st.lists(st.integers(0, 10), max_size=4),
    holes=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_it_is_what_pair_by_pair_gives(
    seed: int,
    maps: int,
    height: int,
    width: int,
    rows: list[int],
    cols: list[int],
    holes: float,
) -> None:
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(maps, height, width)).astype(np.float32)
    data[rng.random(data.shape) < holes] = rng.choice([nan, math.inf])
    seams, slow = measured(data, rows, cols), slow_seams(data, rows, cols)
    assert seams.line_pairs == tuple(map(len, slow["lines"]))
    assert seams.other_pairs == tuple(map(len, slow["others"]))
    same = {"rel": 1e-12, "nan_ok": True}
    assert seams.line_difference == pytest.approx([mean(v) for v in slow["lines"]], **same)
    assert seams.other_difference == pytest.approx([mean(v) for v in slow["others"]], **same)
    assert seams.lattice_difference == pytest.approx(slow["roughest"], **same)


@given(cuts=st.sets(st.integers(0, 12)))
def test_how_rows_are_cut_into_strips_changes_no_bit(cuts: set[int]) -> None:
    data = np.random.default_rng(2).normal(size=(2, 12, 33)).astype(np.float32)
    data[0, 5, 7] = nan
    rows, cols = [0, 4, 7], [0, 10, 20, 30]
    assert measured(data, rows, cols, tuple(sorted(cuts))) == measured(data, rows, cols)


def test_rows_may_be_overwritten_once_they_were_taken() -> None:
    meter, room = SeamMeter([1], [], 1, 2), np.zeros((1, 1, 2), np.float32)
    meter.add(0, room)
    room[:] = 5
    meter.add(1, room)
    assert meter.result().line_difference == (5.0,)


def test_rows_out_of_order_or_of_another_shape_are_refused() -> None:
    meter = SeamMeter([2], [2], 1, 4)
    meter.add(0, np.zeros((1, 2, 4), np.float32))
    with pytest.raises(ValueError, match="row 3 came where row 2"):
        meter.add(3, np.zeros((1, 1, 4), np.float32))
    for shape in ((2, 1, 4), (1, 1, 5), (1, 4)):
        with pytest.raises(ValueError, match="expected"):
            meter.add(2, np.zeros(shape, np.float32))
