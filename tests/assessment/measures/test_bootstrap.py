from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.assessment.confusion import NOTHING, Confusion
from geoseg.assessment.measures import blocks as blocks_module
from geoseg.assessment.measures.blocks import BlockCounter, Blocks, scores_of
from geoseg.assessment.measures.bootstrap import OVERALL, Bootstrap, bootstrap, differences
from geoseg.errors import OptionError
from geoseg.raster.window import Window

Classes = NDArray[np.uint8]


def count(
    truth: Classes,
    found: Classes,
    sides: tuple[int, int],
    *,
    classes: int = 2,
    at: tuple[int, int] = (0, 0),
    step: int = 5,
) -> Blocks:
    window = Window(*at, *truth.shape)
    counter = BlockCounter(window, sides, predictions=len(found), classes=classes)
    for row in range(0, len(truth), step):
        part = np.ascontiguousarray(found[:, row : row + step])
        counter.take(at[0] + row, truth[row : row + step], part)
    return counter.result()


def random_maps(seed: int, shape: tuple[int, int] = (40, 32)) -> tuple[Classes, Classes]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, shape, np.uint8)
    wrong = random.random((2, *shape)) < np.array([0.1, 0.3])[:, None, None]
    return truth, np.where(wrong, 1 - truth, truth).astype(np.uint8)


def draw(blocks: Blocks, **options: object) -> Bootstrap:
    asked = {"unpredicted_is_wrong": False, "resamples": 200, "seed": 1} | options
    return bootstrap(blocks, np.ones(blocks.counts.shape[-1], bool), **asked)  # type: ignore[arg-type]


# -- blocks ---------------------------------------------------------------------------------------


def test_blocks_begin_at_the_rasters_first_pixel_and_hold_their_pixels_alone() -> None:
    truth = np.array([[0, 0, 1], [0, NOTHING, 1]], np.uint8)
    found = np.array([[[0, 1, 1], [NOTHING, 0, 0]]], np.uint8)
    # The window begins in the second column of the first block.
    blocks = count(truth, found, (2, 2), at=(2, 1))
    assert blocks.rows.tolist() == [2, 2]
    assert blocks.cols.tolist() == [0, 2]
    true, unpredicted, predicted, right = blocks.counts[0, 0]
    assert (true.tolist(), unpredicted.tolist()) == ([1, 0], [1, 0])
    assert (predicted.tolist(), right.tolist()) == ([1, 0], [1, 0])
    assert blocks.counts[1, 0].tolist() == [[1, 2], [0, 0], [1, 2], [0, 1]]


def test_blocks_without_labels_are_left_out() -> None:
    truth = np.full((4, 4), NOTHING, np.uint8)
    truth[3, 3] = 1
    blocks = count(truth, np.zeros((1, 4, 4), np.uint8), (2, 2))
    assert (blocks.rows.tolist(), blocks.cols.tolist()) == ([2], [2])


@given(
    seed=st.integers(0, 99), side=st.integers(1, 20), step=st.integers(1, 17), wrong=st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_blocks_add_up_to_the_scores_of_the_confusion(
    seed: int, side: int, step: int, wrong: bool
) -> None:
    random = np.random.default_rng(seed)
    truth, found = random.choice([0, 1, 2, NOTHING], (2, 17, 13)).astype(np.uint8)
    blocks = count(truth, found[np.newaxis], (side, side + 1), classes=3, step=step)
    kept = np.array([True, False, True])
    got = scores_of(blocks.counts[:, 0].sum(axis=0), kept, unpredicted_is_wrong=wrong)
    confusion = Confusion.from_arrays(truth, found, classes=3)
    expected = confusion.scores(leave_out=[1], unpredicted_is_wrong=wrong)
    assert got.labelled == expected.labelled
    for name in (*OVERALL, "recall", "precision", "iou", "f1"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))


def test_blocks_become_larger_rather_than_take_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "MOST_BYTES", 4 * 2 * 8 * 6)
    truth, found = random_maps(0, (8, 8))
    blocks = count(truth, found[:1], (2, 2))
    assert blocks.sides == (4, 4)
    assert len(blocks.counts) == 4


# -- intervals ------------------------------------------------------------------------------------


def test_intervals_are_those_of_scores_of_drawn_blocks() -> None:
    truth, found = random_maps(2, (8, 8))
    blocks = count(truth, found, (4, 4))
    got = draw(blocks, resamples=60, seed=7)
    # The same draws, scored pixel by pixel.
    random = np.random.Generator(np.random.PCG64(7))
    cells = [(r, c) for r in (0, 4) for c in (0, 4)]
    accuracy, apart = [], []
    for _ in range(60):
        picks = [cells[i] for i in random.integers(4, size=4)]
        parts = [np.s_[..., r : r + 4, c : c + 4] for r, c in picks]
        right = [np.mean([found[p][part] == truth[part] for part in parts]) for p in (0, 1)]
        accuracy.append(right[0])
        apart.append(right[1] - right[0])
    expected = np.quantile(accuracy, [0.025, 0.975])
    assert got.intervals[0].overall["pixel_accuracy"] == pytest.approx(expected)
    expected = np.quantile(apart, [0.025, 0.975])
    assert got.intervals[1].differences["pixel_accuracy"] == pytest.approx(expected)
    assert got.intervals[0].differences == {}


def test_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    blocks = count(*random_maps(3), (4, 4))
    assert draw(blocks) == draw(blocks)
    assert draw(blocks, seed=2) != draw(blocks)


def test_intervals_of_errors_that_hang_together_are_wider_by_large_blocks() -> None:
    truth = np.zeros((64, 64), np.uint8)
    patches = np.random.default_rng(0).integers(0, 2, (8, 8), np.uint8)
    found = np.kron(patches, np.ones((8, 8), np.uint8))[np.newaxis]

    def width(side: int) -> float:
        low, high = draw(count(truth, found, (side, side))).intervals[0].overall["pixel_accuracy"]
        return high - low

    # 64 independent patches: 4 · √(¼ / 64) = 0.25; pixels alone pretend 4096 of them.
    assert width(8) == pytest.approx(0.25, abs=0.05)
    assert width(1) < 0.05


def test_unpredicted_pixels_are_errors_where_asked() -> None:
    truth = np.zeros((4, 4), np.uint8)
    found = np.full((1, 4, 4), NOTHING, np.uint8)
    found[0, :, :2] = 0
    blocks = count(truth, found, (2, 2))
    low, high = draw(blocks).intervals[0].overall["pixel_accuracy"]
    assert (low, high) == (1, 1)
    low, high = draw(blocks, unpredicted_is_wrong=True).intervals[0].overall["pixel_accuracy"]
    assert low < 0.5 < high


def test_class_that_is_missing_from_most_draws_has_no_interval() -> None:
    truth = np.zeros((6, 6), np.uint8)
    blocks = count(truth, truth[np.newaxis].copy(), (2, 2))
    assert np.isnan(draw(blocks).intervals[0].classes["iou"][1]).all()


def test_one_block_is_refused() -> None:
    with pytest.raises(OptionError, match="smaller --block"):
        draw(count(*random_maps(4), (64, 64)))


def test_difference_of_scores_is_other_minus_first() -> None:
    one = Confusion(np.array([[3, 1], [0, 4]]), np.zeros(2)).scores()
    other = Confusion(np.array([[4, 0], [0, 4]]), np.zeros(2)).scores()
    assert differences(one, other)["pixel_accuracy"] == 1 / 8
