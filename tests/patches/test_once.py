"""Pixels that several patches have, counted once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.patches.once import OnceLabels


@given(
    st.integers(1, 5),
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=12,
    ),
)
def test_every_pixel_is_labelled_in_the_first_patch_that_has_it(
    size: int, corners: list[tuple[str, int, int]]
) -> None:
    labels = OnceLabels(np.ones((len(corners), size, size), np.uint8), corners)
    seen: set[tuple[str, int, int]] = set()
    for number, (scene, row, col) in enumerate(corners):
        here = labels[number]
        for down, along in np.ndindex(size, size):
            pixel = (scene, row + down, col + along)
            assert here[down, along] == (255 if pixel in seen else 1)
        seen |= {(scene, row + down, col + along) for down, along in np.ndindex(size, size)}


def test_what_is_stored_stays_as_it_is() -> None:
    stored = np.full((2, 4, 4), 3, np.uint8)
    labels = OnceLabels(stored, [("a", 0, 0), ("a", 0, 2)])
    assert labels[1].tolist() == [[255, 255, 3, 3]] * 4
    assert (stored == 3).all()
    assert (len(labels), labels.shape, labels.dtype) == (2, (2, 4, 4), np.uint8)
