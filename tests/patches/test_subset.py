"""Subsets of a data set: the chosen pixels, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.errors import DatasetError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.subset import SubsetDataset
from geoseg.patches.tile import tile

WriteRaster = Callable[..., Path]


@pytest.fixture(params=["npy", "geotiff"])
def dataset(
    write_raster: WriteRaster, tmp_path: Path, request: pytest.FixtureRequest
) -> PatchDataset:
    scene = np.arange(1, 513, dtype=np.uint16).reshape(2, 16, 16)
    labels = 1 + (np.arange(256).reshape(16, 16) % 3 == 0).astype(np.uint8)
    return tile(
        write_raster("s.tif", scene),
        tmp_path / "set",
        labels=write_raster("l.tif", labels),
        classes="1=a,2=b",
        size=4,
        split=(0.5, 0.25, 0.25),
        storage=request.param,
    ).open()


def places(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_parts_follow_each_other_in_the_order_given(dataset: PatchDataset) -> None:
    subset = SubsetDataset(dataset, {"train": [("val", places(1)), ("train", places(2, 0))]})
    train, val, found = dataset.split("train"), dataset.split("val"), subset.split("train")
    expected = np.stack([val.images[1], train.images[2], train.images[0]])
    assert subset.splits == {"train": 3}
    assert (len(found), found.images.shape, found.images.dtype) == (3, (3, 2, 4, 4), np.uint16)
    assert np.array_equal(found.images[:], expected)
    assert found.labels is not None
    assert val.labels is not None
    assert np.array_equal(found.labels[0], val.labels[1])
    assert found.class_pixels is not None
    counted = [np.bincount(found.labels[i].ravel(), minlength=2) for i in range(3)]
    assert np.array_equal(found.class_pixels, counted)
    assert subset.class_pixels["train"] == tuple(np.sum(counted, axis=0))


def test_patches_are_indexed_as_in_an_array(dataset: PatchDataset) -> None:
    subset = SubsetDataset(dataset, {"t": [("train", places(3, 1)), ("test", places(0, 1))]})
    images = subset.split("t").images
    everything = images[:]
    assert np.array_equal(images[-1], everything[-1])
    assert np.array_equal(images[np.int64(2)], everything[2])
    assert np.array_equal(images[1:3], everything[1:3])
    assert np.array_equal(images[np.array([3, 0, 3])], everything[[3, 0, 3]])
    assert np.array_equal(images[np.array([True, False, False, True])], everything[[0, 3]])
    assert np.array_equal(images[2, 1], everything[2, 1])
    assert np.array_equal(images[1:, 0, :2], everything[1:, 0, :2])
    assert np.array_equal(np.stack(list(images)), everything)
    with pytest.raises(IndexError):
        images[4]


def test_a_whole_split_is_the_array_itself(dataset: PatchDataset) -> None:
    every = np.arange(dataset.splits["train"])
    images = SubsetDataset(dataset, {"train": [("train", every)]}).split("train").images
    assert type(images) is type(dataset.split("train").images)


def test_everything_but_the_splits_stays(dataset: PatchDataset) -> None:
    subset = SubsetDataset(dataset, {"train": [("val", places(0))]})
    assert (subset.statistics, subset.bands, subset.legend) == (
        dataset.statistics,
        dataset.bands,
        dataset.legend,
    )
    assert subset.folder == dataset.folder


def test_an_empty_selection_is_an_empty_split(dataset: PatchDataset) -> None:
    found = SubsetDataset(dataset, {"val": [("val", places())]}).split("val")
    assert found.images.shape == (0, 2, 4, 4)
    assert found.class_pixels is not None
    assert found.class_pixels.shape == (0, 2)


def test_a_subset_of_a_subset_counts_in_the_first(dataset: PatchDataset) -> None:
    first = SubsetDataset(dataset, {"a": [("train", places(3, 2)), ("val", places(0))]})
    second = SubsetDataset(first, {"b": [("a", places(2, 0))]})
    expected = np.stack([dataset.split("val").images[0], dataset.split("train").images[3]])
    assert np.array_equal(second.split("b").images[:], expected)


def test_hashes_tell_selections_apart(dataset: PatchDataset) -> None:
    hashes = {
        dataset.hash(),
        *(
            SubsetDataset(dataset, selection).hash()
            for selection in (
                {"train": [("train", places(0, 1))]},
                {"train": [("train", places(1, 0))]},
                {"train": [("train", places(0)), ("train", places(1))]},
                {"val": [("train", places(0, 1))]},
                {"train": [("train", places(0))], "val": [("train", places(1))]},
            )
        ),
    }
    assert len(hashes) == 6
    again = SubsetDataset(PatchDataset.open(dataset.folder), {"train": [("train", places(0, 1))]})
    assert again.hash() in hashes


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"train": [("trian", [0])]}, "no split 'trian'"),
        ({"train": [("val", [99])]}, "asks for 99 to 99"),
        ({"train": [("val", [-1, 0])]}, "asks for -1 to 0"),
    ],
)
def test_what_is_not_there_is_told(
    dataset: PatchDataset, selection: dict[str, list[tuple[str, list[int]]]], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        SubsetDataset(dataset, {k: [(s, places(*p)) for s, p in v] for k, v in selection.items()})
    with pytest.raises(DatasetError, match="has no split 'val'"):
        SubsetDataset(dataset, {"train": [("train", places(0))]}).split("val")


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_any_selection_gives_the_rows_it_names(dataset: PatchDataset, data: st.DataObject) -> None:
    named = st.sampled_from([n for n, count in dataset.splits.items() if count])
    parts = []
    for split in data.draw(st.lists(named, max_size=4)):
        number = st.integers(0, dataset.splits[split] - 1)
        parts.append((split, places(*data.draw(st.lists(number, max_size=5)))))
    expected = [dataset.split(split).images[int(p)] for split, chosen in parts for p in chosen]
    images = SubsetDataset(dataset, {"x": parts}).split("x").images
    assert len(images) == len(expected)
    assert all(np.array_equal(images[i], one) for i, one in enumerate(expected))
