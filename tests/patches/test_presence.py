"""The rule of image-level labels, to the pixel."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.patches.presence import least_pixels, presence_of_mask, present_in


@pytest.mark.parametrize(
    ("share", "pixels", "least"),
    [(0.05, 2500, 126), (0.29, 100, 30), (0.0, 100, 1), (0.5, 9, 5), (0.07, 100, 8), (0.1, 30, 4)],
)
def test_a_class_must_cover_strictly_more_than_its_share(
    share: float, pixels: int, least: int
) -> None:
    assert least_pixels(share, pixels) == least


@given(st.integers(0, 999), st.integers(1, 100_000))
def test_shares_are_taken_as_they_are_written(thousandths: int, pixels: int) -> None:
    least = least_pixels(thousandths / 1000, pixels)
    share = Fraction(thousandths, 1000)
    assert Fraction(least, pixels) > share >= Fraction(least - 1, pixels)


def test_patches_without_a_labelled_pixel_are_unknown() -> None:
    counts = np.array([[5, 6, 0], [0, 0, 0], [1, 0, 0]])
    found = present_in(counts, share=0.05, pixels=100)
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 1, 0], [255, 255, 255], [0, 0, 0]]


def test_a_mask_is_counted_with_its_unlabelled_pixels() -> None:
    mask = np.full((4, 5), 255, np.uint8)
    assert presence_of_mask(mask, 3, 0.05).tolist() == [255, 255, 255]
    mask[0, :2] = 1
    mask[3, 4] = 2
    # 1 of 20 is 5 % and no more.
    assert presence_of_mask(mask, 3, 0.05).tolist() == [0, 1, 0]
    assert presence_of_mask(mask.T, 3, 0.04).tolist() == [0, 1, 1]
