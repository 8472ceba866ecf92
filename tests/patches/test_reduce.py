"""Patches at a reduced scale."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.patches.reduce import majority, mean_of_valid

sides = st.integers(1, 11)
factors = st.integers(1, 5)


def blocks(rows: int, cols: int, factor: int) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Place of each reduced pixel, and the pixels it stands for, along the rows."""
    return [
        (
            i,
            j,
            [
                (r, c)
                for r in range(rows)
                for c in range(cols)
                if r // factor == i and c // factor == j
            ],
        )
        for i in range(math.ceil(rows / factor))
        for j in range(math.ceil(cols / factor))
    ]


@settings(max_examples=60, deadline=None)
@given(
    rows=sides,
    cols=sides,
    factor=factors,
    dtype=st.sampled_from(["uint8", "int16", "uint16", "float32", "float64"]),
    fill=st.sampled_from([0, 3, None]),
    seed=st.integers(0, 999),
)
def test_means_are_those_of_the_valid_pixels(
    rows: int, cols: int, factor: int, dtype: str, fill: int | None, seed: int
) -> None:
    random = np.random.default_rng(seed)
    raw = (random.random((3, rows, cols)) * 200).astype(dtype)
    raw[:, random.random((rows, cols)) < 0.4] = 0 if fill is None else fill
    raw[0, random.random((rows, cols)) < 0.1] = 0 if fill is None else fill  # valid all the same
    raw.flags.writeable = False  # as if mapped from a file
    means = mean_of_valid(raw, fill, factor)
    assert means.dtype == np.float32
    for i, j, pixels in blocks(rows, cols, factor):
        valid = [p for p in pixels if fill is None or any(raw[b][p] != fill for b in range(3))]
        for b in range(3):
            wanted = (
                sum(float(raw[b][p]) for p in valid) / len(valid) if valid else float(fill or 0)
            )
            assert means[b, i, j] == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def vote(labels: NDArray[np.uint8], pixels: list[tuple[int, int]]) -> int:
    """The rule of the docstring, in plain Python."""
    seen = [int(labels[p]) for p in pixels]
    if seen.count(255) > len(seen) / 2:
        return 255
    counts = Counter(label for label in seen if label != 255)
    return next(label for label in seen if counts[label] == max(counts.values()))


@settings(max_examples=80, deadline=None)
@given(
    rows=sides,
    cols=sides,
    factor=factors,
    classes=st.lists(st.sampled_from([0, 1, 2, 254, 255]), min_size=1, unique=True),
    seed=st.integers(0, 999),
)
def test_labels_go_by_majority(
    rows: int, cols: int, factor: int, classes: list[int], seed: int
) -> None:
    labels = np.random.default_rng(seed).choice(classes, (rows, cols)).astype(np.uint8)
    labels.flags.writeable = False  # as if mapped from a file
    reduced = majority(labels, factor)
    for i, j, pixels in blocks(rows, cols, factor):
        assert reduced[i, j] == vote(labels, pixels)


@pytest.mark.parametrize(
    ("block", "label"),
    [
        ([[1, 1], [2, 0]], 1),
        ([[2, 1], [1, 2]], 2),  # as frequent: the first along the rows
        ([[0, 1], [1, 0]], 0),
        ([[255, 255], [1, 2]], 1),  # half is enough
        ([[255, 255], [255, 2]], 255),
        ([[255, 255], [255, 255]], 255),
    ],
)
def test_labels_of_a_block_are_as_worked_out_by_hand(block: list[list[int]], label: int) -> None:
    assert majority(np.array(block, np.uint8), 2).tolist() == [[label]]


def test_turned_views_are_taken_as_they_are() -> None:
    raw = np.arange(24, dtype=np.uint16).reshape(1, 4, 6)
    turned = np.rot90(raw, axes=(1, 2))
    assert (mean_of_valid(turned, None, 2) == mean_of_valid(turned.copy(), None, 2)).all()
    labels = np.arange(24, dtype=np.uint8).reshape(4, 6).T
    assert (majority(labels, 2) == majority(labels.copy(), 2)).all()


def test_a_fill_that_no_reading_can_hold_makes_none_invalid() -> None:
    raw = np.zeros((1, 2, 2), np.uint8)
    assert mean_of_valid(raw, -1.5, 2).tolist() == [[[0]]]
