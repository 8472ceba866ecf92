"""Spatial splits: no ground in two splits, shares as wanted, few patches lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.patches.splits import STRADDLES, Ground, Splitting, split_ground
from geoseg.patches.tiling import windows


def boxes(
    height: int, width: int, size: int, stride: int, *, row: float = 0, col: float = 0
) -> np.ndarray:
    return np.array(
        [
            (
                row + w.row,
                col + w.col,
                row + min(w.row_stop, height),
                col + min(w.col_stop, width),
            )
            for w in windows(height, width, size, stride)
        ],
        dtype=float,
    )


def ground(*scenes: np.ndarray, frames: Sequence[int] | None = None) -> Ground:
    frames = [0] * len(scenes) if frames is None else frames
    box = np.concatenate(scenes)
    return Ground(
        frame=np.repeat(frames, [len(s) for s in scenes]),
        box=box,
        expected=np.ones(len(box), bool),
    )


def shares_of(splitting: Splitting) -> np.ndarray:
    kept = splitting.split[splitting.split >= 0]
    return np.bincount(kept, minlength=3) / len(kept)


def pixels_in_two_splits(place: Ground, split: np.ndarray) -> int:
    """Ground is painted pixel by pixel, frame by frame."""
    count = 0
    for frame in np.unique(place.frame):
        members = np.flatnonzero((place.frame == frame) & (split >= 0))
        if not len(members):
            continue
        low = np.floor(place.box[members, :2].min(axis=0)).astype(int)
        high = np.ceil(place.box[members, 2:].max(axis=0)).astype(int)
        painted = np.zeros((3, *(high - low)), bool)
        for i in members:
            top, left = np.floor(place.box[i, :2]).astype(int) - low
            bottom, right = np.ceil(place.box[i, 2:]).astype(int) - low
            painted[split[i], top:bottom, left:right] = True
        count += int((painted.sum(axis=0) > 1).sum())
    return count


@settings(deadline=None, max_examples=60)
@given(
    st.integers(8, 90),
    st.integers(8, 90),
    st.integers(4, 20),
    st.data(),
)
def test_no_pixel_of_the_ground_is_in_two_splits(
    height: int, width: int, size: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(max(1, size // 4), size))
    block = data.draw(st.none() | st.integers(1, 5))
    scenes = [boxes(height, width, size, stride)]
    if data.draw(st.booleans()):
        # A second scene over part of the same ground, shifted by any number of pixels.
        row, col = data.draw(st.integers(-40, 40)), data.draw(st.integers(-40, 40))
        scenes.append(boxes(height, width, size, stride, row=row, col=col))
    place = ground(*scenes)
    seed = data.draw(st.integers(0, 9))
    found = split_ground(place, (0.6, 0.2, 0.2), size=size, seed=seed, block=block)
    assert found.split.min() >= STRADDLES
    assert pixels_in_two_splits(place, found.split) == 0


def test_same_ground_in_two_scenes_is_in_the_same_split() -> None:
    one = boxes(128, 128, 16, 16)
    two = boxes(128, 128, 16, 16, row=32, col=64)
    found = split_ground(ground(one, two), (0.6, 0.2, 0.2), size=16, seed=1)
    where = {tuple(box): s for box, s in zip(one, found.split[: len(one)], strict=True)}
    for box, s in zip(two, found.split[len(one) :], strict=True):
        assert where.get(tuple(box), s) == s
    assert (found.split >= 0).all()


def test_scenes_without_coordinates_share_no_ground() -> None:
    photographs = [boxes(16, 16, 16, 16) for _ in range(10)]
    found = split_ground(ground(*photographs, frames=range(10)), (0.8, 0.1, 0.1), size=16, seed=0)
    assert np.bincount(found.split, minlength=3).tolist() == [8, 1, 1]


@pytest.mark.parametrize(
    ("height", "width", "size", "stride", "most_lost"),
    [
        (1428, 564, 128, 64, 0.10),
        (1428, 1128, 128, 64, 0.09),
        (1428, 1128, 128, 128, 0.0),
        (8192, 8192, 256, 128, 0.05),
        (2048, 2048, 256, 256, 0.0),
    ],
)
def test_few_patches_are_lost_and_shares_are_near(
    height: int, width: int, size: int, stride: int, most_lost: float
) -> None:
    place = ground(boxes(height, width, size, stride))
    found = split_ground(place, (0.8, 0.1, 0.1), size=size, seed=0)
    assert (found.split == STRADDLES).mean() <= most_lost
    assert np.abs(shares_of(found) - (0.8, 0.1, 0.1)).max() < 0.03
    assert found.empty == ()


def test_given_blocks_are_kept() -> None:
    # 8 × 8 patches in blocks of 4 × 4: each block has one split, and two blocks are not training.
    place = ground(boxes(64, 64, 8, 8))
    found = split_ground(place, (0.5, 0.25, 0.25), size=8, seed=3, block=4)
    assert found.block_shape == (4, 4)
    by_block = found.split.reshape(2, 4, 2, 4).transpose(0, 2, 1, 3).reshape(4, 16)
    assert (by_block == by_block[:, :1]).all()
    assert sorted(by_block[:, 0].tolist()) == [0, 0, 1, 2]


def test_same_seed_same_splits_and_another_seed_others() -> None:
    place = ground(boxes(256, 256, 16, 16))
    first, again, other = (
        split_ground(place, (0.8, 0.1, 0.1), size=16, seed=seed).split for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_wanted_split_gets_a_patch_if_there_are_as_many_blocks() -> None:
    for seed in range(20):
        place = ground(boxes(48, 16, 16, 16))
        found = split_ground(place, (0.98, 0.01, 0.01), size=16, seed=seed)
        assert sorted(found.split.tolist()) == [0, 1, 2]
        assert found.empty == ()


def test_too_few_blocks_leave_the_smallest_share_empty() -> None:
    found = split_ground(ground(boxes(32, 16, 16, 16)), (0.7, 0.1, 0.2), size=16, seed=0)
    assert sorted(found.split.tolist()) == [0, 2]
    assert found.empty == (1,)
    alone = split_ground(ground(boxes(16, 16, 16, 16)), (0.7, 0.1, 0.2), size=16, seed=0)
    assert alone.split.tolist() == [0]
    assert alone.empty == (1, 2)


def test_only_patches_expected_to_be_kept_count() -> None:
    # The lower half has no data: both splits must come from the upper one.
    box = boxes(128, 64, 16, 16)
    place = Ground(frame=np.zeros(len(box), np.int64), box=box, expected=box[:, 0] < 64)
    for seed in range(10):
        found = split_ground(place, (0.5, 0.5, 0), size=16, seed=seed)
        kept = np.bincount(found.split[place.expected], minlength=3)
        assert kept.tolist() == [8, 8, 0]


def test_one_wanted_split_takes_all() -> None:
    found = split_ground(ground(boxes(40, 40, 16, 8)), (0, 0, 1), size=16, seed=0)
    assert (found.split == 2).all()
