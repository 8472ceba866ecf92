from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from geoseg.assessment.confusion import NOTHING
from geoseg.assessment.measures.boundary import Boundary, BoundaryMeter
from geoseg.errors import OptionError

Classes = NDArray[np.uint8]
N = NOTHING


def measure(
    truth: Classes,
    found: Classes,
    distance: float,
    *,
    cuts: tuple[int, ...] = (),
    **options: object,
) -> Boundary:
    meter = BoundaryMeter(distance, predictions=1, classes=3, **options)  # type: ignore[arg-type]
    borders = [0, *cuts, len(truth)]
    for top, bottom in itertools.pairwise(borders):
        meter.take(top, truth[top:bottom], found[np.newaxis, top:bottom])
    return meter.result(np.ones(3, bool))[0]


def of(rows: list[list[int]]) -> Classes:
    return np.array(rows, np.uint8)


# -- an oracle that asks scipy for distances ------------------------------------------------------


def distance_to(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    return distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)


def near(classes: Classes, c: int, distance: float) -> NDArray[np.bool_]:
    other = (classes != c) & (classes != N)
    return (classes == c) & (distance_to(other) <= distance)


def oracle(truth: Classes, found: Classes, distance: float, *, wrong: bool) -> dict[str, list[int]]:
    found = np.where(truth == N, N, found)
    if not wrong:
        truth = np.where(found == N, N, truth)
    trimap = np.any([near(truth, c, distance) for c in range(3)], axis=0)
    result: dict[str, list[int]] = {"true": [], "found": [], "bands": [], "trimap": []}
    for c in range(3):
        t, f = near(truth, c, 1), near(found, c, 1)
        result["true"] += [t.sum(), (t & (distance_to(f) <= distance)).sum()]
        result["found"] += [f.sum(), (f & (distance_to(t) <= distance)).sum()]
        tn, fn = near(truth, c, distance), near(found, c, distance)
        result["bands"] += [tn.sum(), fn.sum(), (tn & fn).sum()]
        one, other = trimap & (truth == c), trimap & (found == c)
        result["trimap"] += [one.sum(), other.sum(), (one & other).sum()]
    return {key: [int(n) for n in numbers] for key, numbers in result.items()}


maps = arrays.arrays(np.uint8, (14, 11), elements=st.sampled_from([0, 0, 0, 1, 1, 2, N]))
# Large patches as well: every pixel three times as long and wide.
patches = arrays.arrays(np.uint8, (5, 4), elements=st.sampled_from([0, 1, 2, N])).map(
    lambda a: np.ascontiguousarray(np.kron(a, np.ones((3, 3), np.uint8))[:14, :11])
)


@given(
    pair=st.tuples(maps | patches, maps | patches),
    distance=st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.3]),
    cut=st.integers(1, 13),
    wrong=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_distance_transforms_however_rows_are_cut(
    pair: tuple[Classes, Classes], distance: float, cut: int, wrong: bool
) -> None:
    truth, found = pair
    cuts = tuple(range(cut, 14, cut))
    got = measure(truth, found, distance, cuts=cuts, unpredicted_is_wrong=wrong, workers=2)
    expected = oracle(truth, found, distance, wrong=wrong)
    assert got.true_edges.reshape(-1).tolist() == expected["true"]
    assert got.found_edges.reshape(-1).tolist() == expected["found"]
    assert got.bands.reshape(-1).tolist() == expected["bands"]
    assert got.trimap.reshape(-1).tolist() == expected["trimap"]


def test_tall_maps_are_counted_alike_by_one_thread_and_by_four() -> None:
    random = np.random.default_rng(3)
    truth = np.kron(random.integers(0, 3, (40, 6), np.uint8), np.ones((7, 7), np.uint8))
    found = np.roll(truth, 1, axis=0)
    one = measure(truth, found, 2, workers=1)
    four = measure(truth, found, 2, cuts=(3, 200, 201), workers=4)
    assert np.array_equal(one.true_edges, four.true_edges)
    assert np.array_equal(one.trimap, four.trimap)


# -- worked by hand -------------------------------------------------------------------------------


def test_border_that_is_one_pixel_off_is_met_within_one_and_its_trimap_is_wrong() -> None:
    truth = of([[0, 0, 0, 1, 1, 1]] * 4)
    found = of([[0, 0, 1, 1, 1, 1]] * 4)
    got = measure(truth, found, 1)
    assert got.f1[:2].tolist() == [1, 1]
    # Near the true border, columns 2 and 3, one of two is right.
    assert got.trimap_iou[:2].tolist() == [0, 0.5]
    assert got.iou[:2].tolist() == [0, 0]
    assert np.isnan([got.f1[2], got.iou[2], got.recall[2]]).all()
    assert got.mean(got.trimap_iou) == 0.25


def test_border_that_is_farther_off_than_the_distance_is_missed() -> None:
    truth = of([[0, 0, 0, 0, 1, 1, 1, 1]] * 2)
    found = of([[0, 1, 1, 1, 1, 1, 1, 1]] * 2)
    assert measure(truth, found, 2).f1[:2].tolist() == [0, 0]
    assert measure(truth, found, 3).f1[:2].tolist() == [1, 1]


def test_border_of_only_one_map_scores_nothing() -> None:
    got = measure(of([[0, 0, 0]]), of([[0, 1, 0]]), 1)
    assert got.f1[:2].tolist() == [0, 0]


def test_edge_of_the_map_and_of_the_labels_is_no_border() -> None:
    got = measure(of([[0, 0, N], [0, 0, N]]), of([[0, 0, 1], [0, 0, 1]]), 2)
    assert got.true_edges.sum() == got.found_edges.sum() == 0
    assert np.isnan(got.f1).all()
    assert np.isnan(got.mean(got.f1))


@pytest.mark.parametrize("distance", [0.5, 101, float("nan")])
def test_distance_out_of_range_is_refused(distance: float) -> None:
    with pytest.raises(OptionError, match="within 1 to 100 pixels"):
        BoundaryMeter(distance, predictions=1, classes=2)
