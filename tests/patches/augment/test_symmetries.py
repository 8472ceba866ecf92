"""Mirrorings and quarter turns."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.patches.augment import augment, make_augmentations
from geoseg.patches.augment.affine import Composed
from geoseg.patches.augment.symmetries import Flips, QuarterTurns


def batch(patches: int, rows: int, cols: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Patches in which each pixel's reading and label say where it came from."""
    place = np.arange(rows * cols).reshape(rows, cols)
    images = np.stack([np.stack([place + 1000 * p, -place]) for p in range(patches)])
    labels = np.stack([place % 251 for _ in range(patches)])
    return images.astype(np.float32), labels.astype(np.uint8)


def transformed(
    text: str, patches: int, rows: int, cols: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    images, labels = batch(patches, rows, cols)
    return augment(make_augmentations(text), images, labels, np.random.default_rng(seed))


@settings(max_examples=60, deadline=None)
@given(
    text=st.sampled_from(["flips", "rot90", "flips,rot90", "rot90,flips,flips", "none"]),
    rows=st.integers(1, 7),
    cols=st.integers(1, 7),
    seed=st.integers(0, 10**6),
)
def test_image_and_mask_move_together_and_no_pixel_is_lost(
    text: str, rows: int, cols: int, seed: int
) -> None:
    images, labels = transformed(text, 4, rows, cols, seed)
    for p in range(4):
        place = images[p, 0] - 1000 * p
        assert sorted(place.ravel()) == list(range(rows * cols))
        assert (images[p, 1] == -place).all()
        assert (labels[p] == place % 251).all()


def symmetries(text: str) -> Counter[bytes]:
    images, _ = transformed(text, 800, 3, 3, 1)
    places = (images[:, 0] - 1000 * np.arange(800)[:, None, None]).astype(np.uint8)
    return Counter(p.tobytes() for p in places)


@pytest.mark.parametrize(("text", "number"), [("flips", 4), ("rot90", 4), ("flips,rot90", 8)])
def test_every_symmetry_comes_about_as_often(text: str, number: int) -> None:
    found = symmetries(text)
    assert len(found) == number
    assert min(found.values()) > 0.6 * 800 / number


def test_patches_that_are_not_square_are_turned_upside_down_only() -> None:
    images, _ = transformed("rot90", 200, 2, 3, 0)
    found = {(i - 1000 * p).tobytes() for p, i in enumerate(images[:, 0])}
    place = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert found == {place.tobytes(), place[::-1, ::-1].tobytes()}


@pytest.mark.parametrize(("rows", "cols"), [(5, 5), (4, 4), (1, 1), (3, 6), (6, 3)])
def test_resampling_by_a_symmetry_moves_the_same_pixels_to_the_bit(rows: int, cols: int) -> None:
    steps = [Flips(), QuarterTurns()]
    images, labels = batch(40, rows, cols)
    images += np.float32(0.1)
    one_by_one = augment(steps, images.copy(), labels.copy(), np.random.default_rng(5))
    at_once = Composed(steps)(images, labels, np.random.default_rng(5))
    assert one_by_one[0].tobytes() == at_once[0].tobytes()
    assert one_by_one[1].tobytes() == at_once[1].tobytes()
