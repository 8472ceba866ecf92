"""Folds: every patch validated once, and no ground learned from that is validated on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import DatasetError, OptionError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.folds import Fold, Places, make_folds, places_of, share_out, shares_ground
from geoseg.patches.subset import SubsetDataset
from geoseg.patches.tile import tile

WriteRaster = Callable[..., Path]


def tiled(write_raster: WriteRaster, folder: Path, **options: Any) -> PatchDataset:
    random = np.random.default_rng(0)
    scene = random.integers(1, 200, (1, 48, 64)).astype(np.uint16)
    labels = np.ones((48, 64), np.uint8)
    labels[:, 20:] = 2
    defaults = {"classes": "1=a,2=b", "size": 8, "stride": 8, "split": (0.6, 0.2, 0.2)}
    return tile(
        write_raster("s.tif", scene),
        folder,
        labels=write_raster("l.tif", labels),
        **{**defaults, **options},
    ).open()


def members(parts: tuple[tuple[str, np.ndarray], ...]) -> set[tuple[str, int]]:
    return {(split, int(p)) for split, places in parts for p in places}


def ground(dataset: PatchDataset, parts: tuple[tuple[str, np.ndarray], ...]) -> set[Any]:
    """Pixels that patches cover, one by one."""
    covered = set()
    for split, chosen in parts:
        places = places_of(dataset, split)
        for p in chosen:
            r0, c0, r1, c1 = places.box[p].astype(int).tolist()
            pixels = ((r, c) for r in range(r0, r1) for c in range(c0, c1))
            covered |= {(int(places.frame[p]), *pixel) for pixel in pixels}
    return covered


@pytest.mark.parametrize(("stride", "count"), [(8, 2), (8, 5), (4, 3)])
def test_each_patch_is_validated_once_and_no_ground_is_shared(
    write_raster: WriteRaster, tmp_path: Path, stride: int, count: int
) -> None:
    dataset = tiled(write_raster, tmp_path / "set", stride=stride)
    folds = make_folds(dataset, count)
    every = {(s, p) for s in ("train", "val") for p in range(dataset.splits[s])}
    validated = [members(fold.val) for fold in folds]
    assert [fold.number for fold in folds] == list(range(1, count + 1))
    assert set().union(*validated) == every
    assert sum(map(len, validated)) == len(every)
    for fold, val in zip(folds, validated, strict=True):
        train = members(fold.train)
        assert not train & val
        assert len(train) + len(val) + fold.left_out == len(every)
        validation_ground = ground(dataset, fold.val)
        assert not ground(dataset, fold.train) & validation_ground
        # Nothing is left out without need.
        for split, p in every - train - val:
            assert ground(dataset, ((split, np.array([p])),)) & validation_ground


def test_folds_are_even_and_hold_every_class(write_raster: WriteRaster, tmp_path: Path) -> None:
    dataset = tiled(write_raster, tmp_path / "set", split=(0.8, 0.2, 0))
    for fold in make_folds(dataset, 4):
        subset = fold.of(dataset)
        assert subset.splits["val"] == pytest.approx(12, abs=4)
        assert all(n > 0 for n in subset.class_pixels["val"])


def test_a_fold_is_a_data_set_with_its_own_splits(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    dataset = tiled(write_raster, tmp_path / "set")
    folds = make_folds(dataset, 3)
    subset = folds[1].of(dataset)
    assert set(subset.splits) == {"train", "val", "test"}
    assert subset.splits["test"] == dataset.splits["test"]
    assert subset.splits["val"] == len(members(folds[1].val))
    assert len({fold.of(dataset).hash() for fold in folds}) == 3


def test_same_seed_gives_the_same_folds(write_raster: WriteRaster, tmp_path: Path) -> None:
    dataset = tiled(write_raster, tmp_path / "set")

    def vals(seed: int) -> list[set[tuple[str, int]]]:
        return [members(fold.val) for fold in make_folds(dataset, 3, seed=seed)]

    assert vals(4) == vals(4)


def test_photographs_go_to_folds_whole(write_raster: WriteRaster, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    scenes, labels = [], []
    for name in "abcdef":
        picture = random.integers(1, 200, (3, 16, 24)).astype(np.uint8)
        truth = random.integers(1, 3, (16, 24)).astype(np.uint8)
        nowhere = {"crs": None, "transform": None}
        scenes.append(
            write_raster(f"{name}.tif", picture, names=["red", "green", "blue"], **nowhere)
        )
        labels.append(write_raster(f"{name}_labels.tif", truth, **nowhere))
    dataset = tile(
        scenes,
        tmp_path / "set",
        labels=labels,
        classes="1=a,2=b",
        size=8,
        split=(1, 0, 0),
        assume_aligned=True,
    ).open()
    frames = places_of(dataset, "train").frame
    folds = make_folds(dataset, 3)
    held = [{int(frames[p]) for _, p in members(fold.val)} for fold in folds]
    assert sorted(map(len, held)) == [2, 2, 2]
    assert set().union(*held) == set(range(6))
    assert all(fold.left_out == 0 for fold in folds)


def test_scenes_in_other_coordinates_share_their_ground(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    data = np.ones((1, 16, 16), np.uint16)
    east = Affine(30.0, 0.0, 500_240.0, 0.0, -30.0, 4_000_000.0)  # eight pixels further
    dataset = tile(
        [write_raster("a.tif", data), write_raster("b.tif", data, transform=east)],
        tmp_path / "set",
        labels=[
            write_raster("la.tif", data.astype(np.uint8)),
            write_raster("lb.tif", data.astype(np.uint8), transform=east),
        ],
        classes="1=a",
        size=8,
        split=(1, 0, 0),
    ).open()
    places = places_of(dataset, "train")
    assert places.frame.tolist() == [0] * 8
    assert places.box[4].tolist() == [0, 8, 8, 16]
    assert shares_ground(places, np.arange(4, 8), np.arange(4)).tolist() == [True, False] * 2


@pytest.mark.parametrize("count", [1, 0, 1001])
def test_numbers_of_folds_without_meaning_are_refused(
    write_raster: WriteRaster, tmp_path: Path, count: int
) -> None:
    with pytest.raises(OptionError, match="--folds must be from 2"):
        make_folds(tiled(write_raster, tmp_path / "set"), count)


def test_too_many_folds_are_told(write_raster: WriteRaster, tmp_path: Path) -> None:
    dataset = tiled(write_raster, tmp_path / "set", stride=1, size=40, split=(1, 0, 0))
    with pytest.raises(DatasetError, match="use fewer folds"):
        make_folds(dataset, 5)


def test_a_missing_or_wrong_index_is_told(write_raster: WriteRaster, tmp_path: Path) -> None:
    dataset = tiled(write_raster, tmp_path / "set")
    index = dataset.folder / "index.gpkg"
    index.rename(tmp_path / "kept.gpkg")
    with pytest.raises(DatasetError, match="nobody knows where the patches lie"):
        make_folds(dataset, 2)
    index.write_text("no database")
    with pytest.raises(DatasetError, match="cannot be read"):
        make_folds(dataset, 2)
    index.unlink()
    (tmp_path / "kept.gpkg").rename(index)
    metadata = {**dataset.metadata, "scenes": []}
    with pytest.raises(DatasetError, match="does not agree"):
        make_folds(PatchDataset(dataset.folder, metadata), 2)


def test_folds_of_a_subset_are_folds_of_its_patches(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    dataset = tiled(write_raster, tmp_path / "set", split=(1, 0, 0))
    chosen = np.arange(dataset.splits["train"])[::-2].copy()
    subset = SubsetDataset(dataset, {"train": [("train", chosen)]})
    assert np.array_equal(places_of(subset, "train").box, places_of(dataset, "train").box[chosen])
    folds: tuple[Fold, ...] = make_folds(subset, 2)
    assert sum(len(members(fold.val)) for fold in folds) == len(chosen)


boxes = st.tuples(
    st.integers(0, 2), st.integers(0, 30), st.integers(0, 30), st.integers(1, 9), st.integers(1, 9)
)


@settings(max_examples=60, deadline=None)
@given(mine=st.lists(boxes, min_size=1, max_size=12), theirs=st.lists(boxes, max_size=12))
def test_shared_ground_is_that_of_a_pixel_by_pixel_look(
    mine: list[tuple[int, ...]], theirs: list[tuple[int, ...]]
) -> None:
    every = [*mine, *theirs]
    box = np.array([(r, c, r + h, c + w) for _, r, c, h, w in every], float)
    places = Places(frame=np.array([b[0] for b in every], np.int64), box=box)

    def pixels(b: tuple[int, ...]) -> set[tuple[int, int, int]]:
        frame, row, col, height, width = b
        return {(frame, r, c) for r in range(row, row + height) for c in range(col, col + width)}

    covered = set().union(*map(pixels, theirs)) if theirs else set()
    found = shares_ground(places, np.arange(len(mine)), np.arange(len(mine), len(every)))
    assert found.tolist() == [bool(pixels(b) & covered) for b in mine]


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 12),
    cols=st.integers(1, 12),
    count=st.integers(2, 6),
    seed=st.integers(0, 1000),
    stride=st.sampled_from([8.0, 4.0]),
)
def test_every_patch_gets_a_fold(
    rows: int, cols: int, count: int, seed: int, stride: float
) -> None:
    corner = np.array([(r * stride, c * stride) for r in range(rows) for c in range(cols)])
    places = Places(
        frame=np.zeros(len(corner), np.int64), box=np.concatenate([corner, corner + 8], axis=1)
    )
    held = np.random.default_rng(seed).integers(0, 9, (len(corner), 3))
    fold = share_out(places, count, size=8, seed=seed, class_pixels=held)
    assert fold.shape == (rows * cols,)
    assert 0 <= fold.min() <= fold.max() < count
