"""Transforms of image and mask together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.patches.augment import DEFAULT, augment, make_augmentations, names


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
    augment(make_augmentations(text), images, labels, np.random.default_rng(seed))
    return images, labels


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


def test_noise_is_drawn_for_each_reading_and_leaves_labels_alone() -> None:
    images, labels = batch(4, 64, 64)
    before, labels_before = images.copy(), labels.copy()
    augment(make_augmentations("noise(sigma=0.5)"), images, labels, np.random.default_rng(0))
    noise = images - before
    assert noise.std() == pytest.approx(0.5, rel=0.02)
    assert abs(noise.mean()) < 0.02
    assert abs(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]) < 0.05
    assert (labels == labels_before).all()
    assert images.dtype == np.float32


def test_the_generator_is_the_only_source_of_chance() -> None:
    text = "flips, rot90, noise"
    first, again = transformed(text, 5, 6, 6, 3), transformed(text, 5, 6, 6, 3)
    other = transformed(text, 5, 6, 6, 4)
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()


def test_the_default_is_all_symmetries() -> None:
    assert len(make_augmentations(DEFAULT)) == 2
    assert make_augmentations("none") == ()
    assert names() == ("flips", "noise", "rot90")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("flip", "no augmentation is called 'flip'"),
        ("noise(sigma=-1)", "noise's sigma must be from 0"),
        ("noise(sigma=loud)", "must be a number"),
        ("flips rot90", "--augment .* makes no sense there"),
        ("flips(often=2)", "has no option 'often'; it has: none"),
    ],
)
def test_an_augmentation_without_meaning_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        make_augmentations(text)
