"""Rotation, translation and scaling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.patches.augment import augment, make_augmentations
from geoseg.patches.augment.affine import Composed, Resampling, Rotate, Scale, Translate

Pair = tuple[NDArray[np.float32], NDArray[np.uint8]]


def batch(rows: int, cols: int, *, bands: int = 2, patches: int = 2, seed: int = 0) -> Pair:
    random = np.random.default_rng(seed)
    images = random.normal(size=(patches, bands, rows, cols)).astype(np.float32)
    return images, random.integers(0, 5, (patches, rows, cols)).astype(np.uint8)


class Fixed(Resampling):
    """A transform that draws nothing."""

    def __init__(self, *entries: float) -> None:
        self.matrix = np.array([*entries, 0, 0, 1], float).reshape(3, 3)

    def maps(
        self, patches: int, rows: int, cols: int, random: np.random.Generator
    ) -> NDArray[np.float64]:
        del rows, cols, random
        return np.tile(self.matrix, (patches, 1, 1))


NOTHING_DRAWN = np.random.default_rng(0)


def test_a_shift_by_whole_pixels_brings_ignore_in_and_continues_the_edge() -> None:
    images = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    labels = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
    moved, mask = Fixed(1, 0, 1, 0, 1, -1)(images, labels, NOTHING_DRAWN)
    assert mask[0].tolist() == [[255, 3, 4], [255, 6, 7], [255, 255, 255]]
    assert moved[0, 0].tolist() == [[3, 3, 4], [6, 6, 7], [6, 6, 7]]


def test_half_a_pixel_is_the_mean_of_neighbours() -> None:
    images = np.array([[[[0, 2, 8]]]], np.float32)
    labels = np.array([[[1, 2, 3]]], np.uint8)
    moved, mask = Fixed(1, 0, 0, 0, 1, 0.5)(images, labels, NOTHING_DRAWN)
    assert moved[0, 0].tolist() == [[1, 5, 8]]
    assert mask[0].tolist() == [[2, 3, 255]]


def test_enlarging_twice_keeps_the_middle() -> None:
    images = np.arange(5, dtype=np.float32).reshape(1, 1, 1, 5)
    labels = np.arange(5, dtype=np.uint8).reshape(1, 1, 5)
    moved, mask = Fixed(0.5, 0, 0, 0, 0.5, 0)(images, labels, NOTHING_DRAWN)
    assert moved[0, 0].tolist() == [[1, 1.5, 2, 2.5, 3]]
    assert mask[0].tolist() == [[1, 2, 2, 3, 3]]


def sources(matrix: NDArray[np.float64], rows: int, cols: int) -> NDArray[np.float64]:
    """Where each pixel of the result lies in the source, in plain Python: (2, rows, cols)."""
    out = np.empty((2, rows, cols))
    for i in range(rows):
        for j in range(cols):
            y, x = i - (rows - 1) / 2, j - (cols - 1) / 2
            out[0, i, j] = sum(m * v for m, v in zip(matrix[0], (y, x, 1.0), strict=True))
            out[1, i, j] = sum(m * v for m, v in zip(matrix[1], (y, x, 1.0), strict=True))
    out[0] += (rows - 1) / 2
    out[1] += (cols - 1) / 2
    return out


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 9),
    cols=st.integers(1, 9),
    angle=st.floats(-math.pi, math.pi),
    factor=st.floats(0.2, 5),
    shift=st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    seed=st.integers(0, 999),
)
def test_resampling_is_that_of_scipy_in_float64(
    rows: int, cols: int, angle: float, factor: float, shift: tuple[float, float], seed: int
) -> None:
    images, labels = batch(rows, cols, seed=seed)
    cos, sin = math.cos(angle) * factor, math.sin(angle) * factor
    step = Fixed(cos, -sin, shift[0], sin, cos, shift[1])
    moved, mask = step(images.copy(), labels.copy(), NOTHING_DRAWN)
    places = sources(step.matrix, rows, cols)
    for p in range(len(images)):
        for b in range(images.shape[1]):
            wanted = ndimage.map_coordinates(
                images[p, b].astype(np.float64), places, order=1, mode="nearest"
            )
            assert np.abs(moved[p, b] - wanted).max() < 4e-6
    for i in range(rows):
        for j in range(cols):
            row, col = places[:, i, j]
            if min(abs(row % 1 - 0.5), abs(col % 1 - 0.5)) < 1e-9:
                continue  # half-way: either neighbour will do
            row, col = round(row), round(col)
            inside = 0 <= row < rows and 0 <= col < cols
            for p in range(len(labels)):
                assert mask[p, i, j] == (labels[p, row, col] if inside else 255)


def test_several_steps_at_once_go_where_they_go_one_by_one() -> None:
    # A smooth picture, on which resampling thrice costs little, and its middle alone.
    y, x = np.mgrid[:65, :65] / 20
    images = np.stack([np.sin(y) * np.cos(x), y * x]).astype(np.float32)[None].repeat(6, axis=0)
    labels = np.zeros((6, 65, 65), np.uint8)
    steps = [Rotate(180), Translate(0.05), Scale(0.8, 1.25)]
    one_by_one = augment(steps, images, labels, np.random.default_rng(1))[0]
    at_once = Composed(steps)(images, labels, np.random.default_rng(1))[0]
    middle = (..., slice(24, 41), slice(24, 41))
    assert np.abs(one_by_one[middle] - at_once[middle]).max() < 4e-3
    assert np.abs(images[middle] - at_once[middle]).max() > 0.1


def test_one_resampling_blurs_less_than_three() -> None:
    images, labels = batch(64, 64, patches=8)
    text = "rotate, scale(low=1, high=1), translate(share=0.02)"
    transforms = make_augmentations(text)
    (composed,) = transforms
    assert isinstance(composed, Composed)
    once = composed(images, labels, np.random.default_rng(0))[0]
    thrice = augment(composed.steps, images, labels, np.random.default_rng(0))[0]
    inside = (..., slice(20, 44), slice(20, 44))
    assert once[inside].std() > 1.1 * thrice[inside].std()


@pytest.mark.parametrize("text", ["rotate(degrees=0)", "translate(share=0)", "scale(low=1,high=1)"])
def test_doing_nothing_changes_no_bit(text: str) -> None:
    images, labels = batch(7, 8)
    moved, mask = augment(
        make_augmentations(text), images.copy(), labels.copy(), np.random.default_rng(0)
    )
    assert moved.tobytes() == images.tobytes()
    assert mask.tobytes() == labels.tobytes()


def drawn(transform: Resampling) -> NDArray[np.float64]:
    return transform.maps(2000, 10, 20, np.random.default_rng(0))


def test_what_is_drawn_fills_its_bounds_evenly() -> None:
    turned = drawn(Rotate(30))
    angles = np.degrees(np.arctan2(turned[:, 0, 1], turned[:, 0, 0]))
    assert -30 <= angles.min() < -29
    assert 29 < angles.max() <= 30
    assert abs(np.mean(angles < 0) - 0.5) < 0.05
    moved = drawn(Translate(0.1))[:, :2, 2]
    assert np.abs(moved).max(axis=0) == pytest.approx([1, 2], rel=0.02)
    factors = 1 / drawn(Scale(0.5, 2))[:, 0, 0]
    assert 0.5 <= factors.min() < 0.51
    assert 1.97 < factors.max() <= 2
    assert abs(np.mean(factors < 1) - 0.5) < 0.05
    assert (drawn(Scale())[:, 0, 0] == drawn(Scale())[:, 1, 1]).all()
