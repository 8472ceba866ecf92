"""Refined scores follow the edges of the image, the same in blocks as in one piece."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.inference.cam.refine import Pamr, refine

Floats = NDArray[np.float32]
ONCE = Pamr(iterations=1, dilations=(1,))


def neighbours_of(
    row: int, col: int, valid: NDArray[np.bool_], dilations: tuple[int, ...]
) -> list[tuple[int, int]]:
    """Valid pixels in eight directions at the given distances."""
    found = []
    for d in dilations:
        for down in (-d, 0, d):
            for right in (-d, 0, d):
                r, c = row + down, col + right
                inside = 0 <= r < valid.shape[0] and 0 <= c < valid.shape[1]
                if (down or right) and inside and valid[r, c]:
                    found.append((r, c))
    return found


def slow_weights(
    image: NDArray[np.float64], here: tuple[int, int], others: list[tuple[int, int]], width: float
) -> NDArray[np.float64]:
    k = np.zeros(len(others))
    for band in image:
        readings = np.array([band[at] for at in [here, *others]])
        sigma = readings.std() + 1e-8
        k -= np.abs(readings[0] - readings[1:]) / (width * sigma) / len(image)
    power = np.exp(k - k.max())
    weights: NDArray[np.float64] = power / power.sum()
    return weights


def slow_refine(scores: Floats, image: Floats, valid: NDArray[np.bool_], pamr: Pamr) -> Any:
    """The formula, pixel by pixel, in float64."""
    now, wide = scores.astype(np.float64), image.astype(np.float64)
    for _ in range(pamr.iterations):
        after = now.copy()
        for row, col in zip(*np.nonzero(valid), strict=True):
            others = neighbours_of(row, col, valid, pamr.dilations)
            if others:
                weights = slow_weights(wide, (row, col), others, pamr.width)
                for m in range(len(now)):
                    after[m, row, col] = sum(
                        w * now[m][at] for w, at in zip(weights, others, strict=True)
                    )
        now = after
    return now


def made(seed: int, maps: int, bands: int, rows: int, cols: int, share: float = 0.8) -> Any:
    """Scores, readings in patches with some noise, and validity; NaN where it is False."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(maps, rows, cols)).astype(np.float32)
    coarse = rng.normal(size=(bands, rows // 5 + 1, cols // 5 + 1))
    image = np.kron(coarse, np.ones((5, 5)))[:, :rows, :cols]
    image = (image + 0.2 * rng.normal(size=image.shape)).astype(np.float32)
    valid = rng.random((rows, cols)) < share
    scores[:, ~valid] = np.nan
    image[:, ~valid] = np.nan
    return scores, image, valid


# -- the formula ----------------------------------------------------------------------------------


def test_equal_readings_make_it_the_mean_of_the_neighbours() -> None:
    scores = np.array([[[9, 0, 3], [0, 6, 0]]], np.float32)
    refined = refine(scores, np.ones((2, 2, 3), np.float32), np.ones((2, 3), bool), pamr=ONCE)
    wanted = [[[6 / 3, 18 / 5, 6 / 3], [15 / 3, 12 / 5, 9 / 3]]]
    np.testing.assert_allclose(refined, wanted, rtol=1e-6)


def test_an_edge_in_the_image_keeps_scores_apart() -> None:
    image = np.repeat([[[0, 0, 0, 1, 1, 1]]], 4, axis=1).astype(np.float32)
    scores = np.where(image > 0, 1, -1).astype(np.float32)
    scores[0, 2, 1], scores[0, 1, 4] = 1, -1  # two stray pixels
    refined = refine(scores, image, np.ones((4, 6), bool), pamr=Pamr())
    assert (np.sign(refined) == np.where(image > 0, 1, -1)).all()
    assert np.abs(refined[:, :, [2, 3]]).min() > 0.5  # no blur across


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    maps=st.integers(1, 3),
    bands=st.integers(1, 4),
    rows=st.integers(1, 9),
    cols=st.integers(1, 12),
    share=st.sampled_from([0.0, 0.2, 0.7, 1.0]),
    iterations=st.integers(1, 4),
    dilations=st.sampled_from([(1,), (1, 2), (2, 3), (1, 2, 4, 8), (20,)]),
    width=st.sampled_from([0.1, 0.03, 1.0]),
)
def test_it_is_the_formula(
    seed: int,
    maps: int,
    bands: int,
    rows: int,
    cols: int,
    share: float,
    iterations: int,
    dilations: tuple[int, ...],
    width: float,
) -> None:
    scores, image, valid = made(seed, maps, bands, rows, cols, share)
    pamr = Pamr(iterations=iterations, dilations=dilations, width=width)
    refined = refine(scores, image, valid, pamr=pamr)
    assert refined.dtype == np.float32
    np.testing.assert_allclose(refined, slow_refine(scores, image, valid, pamr), atol=1e-5)


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1e6])
def test_it_is_the_formula_far_from_zero_and_where_readings_hardly_differ(size: float) -> None:
    scores, image, valid = made(3, 2, 2, 8, 11)
    image = (image * np.float32(size)).astype(np.float32)
    pamr = Pamr(iterations=2, dilations=(1, 2))
    wanted = slow_refine(scores, image, valid, pamr)
    np.testing.assert_allclose(refine(scores, image, valid, pamr=pamr), wanted, atol=1e-5)


# -- what follows from it -------------------------------------------------------------------------


def test_weights_sum_to_one_so_constants_stay() -> None:
    scores, image, valid = made(1, 2, 3, 60, 300)
    scores[0], scores[1] = 1, -7
    refined = refine(scores, image, valid, pamr=Pamr())
    assert np.abs(refined[0] - 1).max() < 2e-6
    assert np.abs(refined[1] / -7 - 1).max() < 2e-6


def test_scores_on_another_scale_are_refined_alike() -> None:
    scores, image, valid = made(2, 3, 2, 40, 50)
    straight = refine(scores * np.float32(3) - np.float32(2), image, valid, pamr=Pamr())
    np.testing.assert_allclose(
        straight, 3 * refine(scores, image, valid, pamr=Pamr()) - 2, atol=2e-5
    )


def test_results_lie_between_the_scores_there_were() -> None:
    scores, image, valid = made(4, 3, 2, 40, 50)
    refined = refine(scores, image, valid, pamr=Pamr())
    for before, after in zip(scores[:, valid], refined[:, valid], strict=True):
        assert before.min() - 1e-6 <= after.min() <= after.max() <= before.max() + 1e-6
        assert after.std() < before.std()


# -- invalid pixels -------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", [math.nan, math.inf, -3e38, 1e9])
def test_what_stands_in_invalid_pixels_reaches_no_other(junk: float) -> None:
    scores, image, valid = made(5, 2, 3, 30, 41)
    wanted = refine(scores, image, valid, pamr=Pamr())
    scores[:, ~valid] = 5
    image[:, ~valid] = junk
    refined = refine(scores, image, valid, pamr=Pamr())
    assert np.isfinite(wanted[:, valid]).all()
    assert np.array_equal(refined[:, valid], wanted[:, valid])
    assert (refined[:, ~valid] == 5).all()  # they keep their scores


def test_pixels_that_are_not_finite_are_invalid_whatever_is_said() -> None:
    scores, image, valid = made(5, 2, 3, 30, 41)
    wanted = refine(scores, image, valid, pamr=Pamr())
    everywhere = np.ones_like(valid)
    full = np.where(valid, scores, np.float32(5))
    assert np.array_equal(refine(full, image, everywhere, pamr=Pamr())[:, valid], wanted[:, valid])
    filled = np.where(valid, image, np.float32(5))
    assert np.array_equal(refine(scores, filled, everywhere, pamr=Pamr()), wanted, equal_nan=True)


def test_a_pixel_alone_keeps_its_scores() -> None:
    valid = np.zeros((5, 5), bool)
    valid[1, 1] = valid[2, 4] = True  # two columns and more apart, not in line
    scores = np.arange(25, dtype=np.float32).reshape(1, 5, 5)
    refined = refine(scores, np.zeros((1, 5, 5), np.float32), valid, pamr=Pamr())
    assert np.array_equal(refined, scores)


def test_scores_and_image_stay_as_they_were() -> None:
    given = made(6, 2, 3, 30, 41)
    before = [a.copy() for a in given]
    refine(*given, pamr=Pamr())
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(given, before, strict=True))


# -- blocks and threads ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pamr", "rows_at_once", "cols_at_once"),
    [
        (Pamr(iterations=3, dilations=(1, 2, 4)), 7, 100),
        (Pamr(iterations=2, dilations=(1, 5)), 64, 263),
        (Pamr(), 45, 601),
    ],
)
def test_blocks_with_a_halo_give_the_bits_of_the_whole(
    pamr: Pamr, rows_at_once: int, cols_at_once: int
) -> None:
    scores, image, valid = made(7, 2, 2, 131, 601)
    height, width = valid.shape
    whole = refine(scores, image, valid, pamr=pamr)
    joined = np.full_like(whole, np.nan)
    for row in range(0, height, rows_at_once):
        for col in range(0, width, cols_at_once):
            top, left = max(0, row - pamr.reach), max(0, col - pamr.reach)
            around = (
                slice(top, min(height, row + rows_at_once + pamr.reach)),
                slice(left, min(width, col + cols_at_once + pamr.reach)),
            )
            block = refine(
                scores[:, *around], image[:, *around], valid[around], pamr=pamr, workers=2
            )
            inner = block[:, row - top :, col - left :][:, :rows_at_once, :cols_at_once]
            joined[:, row : row + rows_at_once, col : col + cols_at_once] = inner
    assert np.array_equal(joined, whole, equal_nan=True)


def test_a_shorter_halo_would_not_do() -> None:
    scores, image, valid = made(8, 1, 1, 60, 20, share=1)
    pamr = Pamr(iterations=3, dilations=(1, 2), width=1.0)
    assert pamr.reach == 6
    whole = refine(scores, image, valid, pamr=pamr)
    for halo, same in ((6, True), (5, False)):
        below = slice(30 - halo, None)
        part = refine(scores[:, below], image[:, below], valid[below], pamr=pamr)
        assert np.array_equal(part[:, halo:], whole[:, 30:]) == same


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_the_number_of_workers_changes_no_bit(workers: int) -> None:
    given = made(9, 3, 2, 100, 270)
    one = refine(*given, pamr=Pamr())
    assert refine(*given, pamr=Pamr(), workers=workers).tobytes() == one.tobytes()


def test_the_layout_in_memory_changes_no_bit() -> None:
    scores, image, valid = made(9, 3, 2, 40, 50)
    turned = refine(
        np.asfortranarray(scores), image[:, ::-1].copy()[:, ::-1], valid.T.copy().T, pamr=Pamr()
    )
    assert turned.tobytes() == refine(scores, image, valid, pamr=Pamr()).tobytes()


# -- settings -------------------------------------------------------------------------------------


def test_reach_is_iterations_times_the_longest_step() -> None:
    assert (Pamr().reach, Pamr().neighbours) == (80, 32)
    assert Pamr(iterations=3, dilations=(1, 5)).reach == 15


@pytest.mark.parametrize(
    "wrong",
    [
        {"iterations": 0},
        {"iterations": 1001},
        {"dilations": ()},
        {"dilations": (0, 1)},
        {"dilations": (2, 1)},
        {"dilations": (1, 1)},
        {"dilations": (1, 2000)},
        {"dilations": tuple(range(1, 20))},
        {"width": 0.0},
        {"width": math.nan},
        {"width": math.inf},
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as caught:
        Pamr(**wrong)
    assert "\n" not in str(caught.value)


def test_shapes_that_do_not_go_together_are_refused() -> None:
    scores, image, valid = made(0, 2, 2, 6, 7)
    for wrong in (
        (scores[0], image, valid),
        (scores, image[:, :5], valid),
        (scores, image, valid[:, :5]),
        (scores, image[:0], valid),
    ):
        with pytest.raises(ValueError, match="of"):
            refine(*wrong, pamr=Pamr())


def test_settings_load_no_compiler() -> None:
    code = "import sys, geoseg.inference.cam.refine; print({'numba', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
