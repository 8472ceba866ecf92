"""Random parts of patches."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.patches.augment.crop import Crop


@settings(max_examples=50, deadline=None)
@given(
    rows=st.integers(4, 9),
    cols=st.integers(4, 9),
    size=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_a_crop_is_a_whole_square_of_the_patch(rows: int, cols: int, size: int, seed: int) -> None:
    place = np.arange(rows * cols).reshape(rows, cols)
    images = np.stack([place, -place])[None].astype(np.float32)
    cut, mask = Crop(size)(images, place[None].astype(np.uint8), np.random.default_rng(seed))
    assert cut.shape == (1, 2, size, size)
    row, col = divmod(int(mask[0, 0, 0]), cols)
    wanted = place[row : row + size, col : col + size]
    assert (mask[0] == wanted).all()
    assert (cut[0, 0] == wanted).all()
    assert (cut[0, 1] == -wanted).all()


def test_every_place_and_factor_comes_about_as_often() -> None:
    random = np.random.default_rng(0)
    found = Counter(Crop(2, (1, 2)).draw(5, 4, random) for _ in range(8000))
    by_factor = Counter({f: sum(n for a, n in found.items() if a.factor == f) for f in (1, 2)})
    assert {f: n / 8000 for f, n in by_factor.items()} == pytest.approx({1: 0.5, 2: 0.5}, abs=0.03)
    assert len([a for a in found if a.factor == 1]) == 4 * 3
    assert {(a.row, a.col) for a in found if a.factor == 2} == {(0, 0), (1, 0)}
    assert min(found.values()) > 0.7 * 4000 / 12


def test_a_reduced_crop_is_means_and_majorities() -> None:
    images = np.array([[[[1, 3, 5, 5], [5, 7, 5, 5], [0, 0, 8, 0], [0, 4, 0, 0]]]], np.float32)
    labels = np.array([[[1, 1, 2, 2], [2, 1, 0, 2], [3, 3, 255, 255], [0, 0, 255, 0]]], np.uint8)
    cut, mask = Crop(2, 2)(images, labels, np.random.default_rng(0))
    assert cut[0, 0].tolist() == [[4, 5], [1, 2]]
    assert mask[0].tolist() == [[1, 2], [3, 255]]


def test_a_patch_that_is_too_small_for_any_factor_is_refused() -> None:
    crop = Crop(4, (1, 3))
    assert crop.draw(12, 12, np.random.default_rng(0)).side == 4
    with pytest.raises(OptionError, match="needs patches of 12 pixels, and these are of 12 × 11"):
        crop.draw(12, 11, np.random.default_rng(0))
