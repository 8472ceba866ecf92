"""Data sets that are opened, and those that are damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geoseg.errors import DatasetError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.folds import make_folds
from geoseg.patches.storage import ArrayFile
from geoseg.patches.subset import SubsetDataset
from geoseg.patches.tile import tile
from geoseg.testing.colours import even_standard

WriteRaster = Callable[..., Path]


@pytest.fixture(params=["npy", "geotiff"])
def folder(write_raster: WriteRaster, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    scene = np.arange(1, 257, dtype=np.uint16).reshape(1, 16, 16)
    labels = np.ones((16, 16), np.uint8)
    labels[:, 8:] = 2
    return tile(
        write_raster("s.tif", scene),
        tmp_path / "set",
        labels=write_raster("l.tif", labels),
        classes="1=a,2=b",
        size=4,
        storage=request.param,
    ).folder


def test_opened_set_knows_what_is_in_it(folder: Path) -> None:
    data = PatchDataset.open(folder)
    assert (data.size, data.stride, data.bands) == (4, 4, ("band_1",))
    assert data.dtype == np.uint16
    assert data.resolution == (30.0, 30.0)
    assert data.crs_units == "metre"
    assert data.legend is not None
    assert data.legend.names == ("a", "b")
    assert sum(data.splits.values()) == 16
    arrays = data.split("train")
    assert len(arrays) == data.splits["train"]
    assert arrays.class_pixels is not None
    assert tuple(arrays.class_pixels.sum(axis=0)) == data.class_pixels["train"]
    assert data.mean == (arrays.images[:].mean(),)


def test_colour_of_a_set_is_opened_and_subsets_keep_it(folder: Path) -> None:
    path = folder / "dataset.json"
    described = json.loads(path.read_text())
    assert "colour" not in described
    assert PatchDataset.open(folder).colour is None
    before = PatchDataset.open(folder).hash()
    colour = even_standard({"band_1": (128.0, 70.0)})
    path.write_text(json.dumps(described | {"colour": colour.to_json()}))
    data = PatchDataset.open(folder)
    assert data.colour == colour
    assert data.hash() != before
    assert SubsetDataset(data, {"train": [("train", np.array([0]))]}).colour == colour
    fold, *_ = make_folds(data, 2)
    assert fold.of(data).colour == colour


def test_damaged_colour_of_a_set_is_refused(folder: Path) -> None:
    path = folder / "dataset.json"
    described = json.loads(path.read_text())
    colour = even_standard({"band_1": (128.0, 70.0)}).to_json()
    for damaged, says in [
        (colour | {"method": "magic"}, "'method' is none of moments"),
        (even_standard({"red": (128.0, 70.0)}).to_json(), "its colour is of other bands"),
        ([], "no JSON object"),
    ]:
        path.write_text(json.dumps(described | {"colour": damaged}))
        with pytest.raises(DatasetError, match=says) as caught:
            PatchDataset.open(folder)
        assert str(path) in str(caught.value)
        assert str(caught.value).endswith("tile the scenes again")


def test_images_are_read_by_number_slice_and_list(folder: Path) -> None:
    images = PatchDataset.open(folder).split("train").images
    everything = images[:]
    assert images.shape == everything.shape
    assert images.dtype == everything.dtype
    assert np.array_equal(images[2], everything[2])
    assert np.array_equal(images[1:3], everything[1:3])
    assert np.array_equal(images[np.array([3, 0, 3])], everything[[3, 0, 3]])
    assert np.array_equal(images[-1], everything[-1])


def test_no_set_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="geoseg tile"):
        PatchDataset.open(tmp_path)
    (tmp_path / "dataset.json").write_text('{"format": "coco"}')
    with pytest.raises(DatasetError, match="does not describe a data set"):
        PatchDataset.open(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match="is damaged"):
        PatchDataset.open(tmp_path)


def test_newer_and_damaged_descriptions_are_refused(folder: Path) -> None:
    path = folder / "dataset.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | {"version": 2}))
    with pytest.raises(DatasetError, match="update geoseg"):
        PatchDataset.open(folder)
    del described["bands"]
    path.write_text(json.dumps(described))
    with pytest.raises(DatasetError, match="damaged"):
        PatchDataset.open(folder)


def test_missing_splits_and_damaged_pixels_are_refused(folder: Path) -> None:
    data = PatchDataset.open(folder)
    with pytest.raises(DatasetError, match="no split 'holdout'"):
        data.split("holdout")
    if data.storage == "npy":
        pixels = folder / "train" / "images.npy"
        pixels.write_bytes(pixels.read_bytes()[:-1])
        with pytest.raises(DatasetError, match=r"images\.npy"):
            data.split("train")
    else:
        (folder / "train" / "images" / "s_r000000_c000000.tif").write_text("no raster")
        with pytest.raises(DatasetError, match=r"s_r000000_c000000\.tif"):
            data.split("train").images[:]
        (folder / "train" / "files.txt").write_text("one.tif\n")
        with pytest.raises(DatasetError, match="lists 1 patches"):
            data.split("train")


def test_hash_changes_with_the_set(folder: Path) -> None:
    data = PatchDataset.open(folder)
    before = data.hash()
    path = folder / "dataset.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    assert data.hash() != before


def test_empty_splits_have_no_patches(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene = write_raster("s.tif", np.ones((1, 4, 4), np.uint8))
    for storage in ("npy", "geotiff"):
        data = tile(
            scene,
            tmp_path / storage,
            size=4,
            split=(1, 0, 0),
            storage=storage,  # type: ignore[arg-type]
        ).open()
        assert len(data.split("test")) == 0
        assert data.split("test").images[:].shape == (0, 1, 4, 4)
        assert data.split("train").labels is None


def test_array_files_grow_out_of_order_and_shrink(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    file = ArrayFile(path, (2, 3), np.dtype(np.int16))
    items = np.arange(24, dtype=np.int16).reshape(4, 2, 3)
    for position in (2, 0, 3, 1):
        file.write(position, items[position])
    file.finish(3)
    file.close()
    assert np.array_equal(np.load(path), items[:3])
    assert path.stat().st_size == 256 + 3 * 12
