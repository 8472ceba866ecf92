"""From rasters to a data set: every patch against an oracle that holds everything in memory."""

from __future__ import annotations

import filecmp
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.errors import OptionError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.tile import tile
from geoseg.patches.tiling import windows

WriteRaster = Callable[..., Path]
CLASSES = "1=water,2=forest,5=urban"


def made(
    height: int, width: int, *, bands: int = 2, dtype: str = "uint16", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A scene with a triangle of nodata (0) in a corner, and labels 1, 2, 5 and some 0 and 9."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(1, 2000, (bands, height, width)).astype(dtype)
    rows, cols = np.mgrid[:height, :width]
    scene[:, rows + cols < (height + width) // 4] = 0
    scene[0, -2:, -3:] = 0  # invalid in one band alone
    labels = rng.choice([1, 2, 5, 5, 5, 0, 9], (height, width)).astype(np.uint8)
    return scene, labels


def index_of(folder: Path) -> Any:
    return pyogrio.read_dataframe(folder / "index.gpkg", read_geometry=True)


def check_against_oracle(
    folder: Path,
    scene: np.ndarray,
    labels: np.ndarray | None,
    *,
    nodata: float,
    codes: tuple[int, ...] = (1, 2, 5),
    fill: float = 0,
    max_nodata: float = 0.5,
) -> None:
    data = PatchDataset.open(folder)
    size = data.size
    bands, height, width = scene.shape
    high, wide = max(height, size), max(width, size)
    padded = np.full((bands, high, wide), fill, scene.dtype)
    valid = np.zeros((high, wide), bool)
    valid[:height, :width] = ~((scene == nodata) | np.isnan(scene)).any(axis=0)
    padded[:, :height, :width] = scene
    padded[:, ~valid] = fill
    classes = np.full((high, wide), 255, np.uint8)
    if labels is not None:
        for index, code in enumerate(codes):
            classes[:height, :width][labels == code] = index
        classes[~valid] = 255
    index = index_of(folder)
    found = list(windows(height, width, size, data.stride))
    assert [(w.row, w.col) for w in found] == list(zip(index.row, index.col, strict=True))
    readings: list[np.ndarray] = []
    for w, row in zip(found, index.itertuples(), strict=True):
        at = np.s_[w.row : w.row_stop, w.col : w.col_stop]
        invalid = int((~valid[at]).sum())
        counts = [int((classes[at] == i).sum()) for i in range(len(codes))]
        assert row.nodata == pytest.approx(invalid / size**2)
        if invalid > max_nodata * size**2:
            assert row.reason == "too much nodata"
        elif row.reason != "straddles two splits":
            wanted = "no label" if labels is not None and not sum(counts) else ""
            assert (row.reason or "") == wanted
        if row.reason:
            assert row.split == ""
            assert row.position == -1
            continue
        arrays = data.split(row.split)
        assert np.array_equal(arrays.images[row.position], padded[:, *at])
        if labels is not None and arrays.labels is not None and arrays.class_pixels is not None:
            assert np.array_equal(arrays.labels[row.position], classes[at])
            assert arrays.class_pixels[row.position].tolist() == counts
        if row.split == "train":
            readings.append(padded[:, *at][:, valid[at]].astype(float))
    kept = index[index.split != ""]
    assert {s: int((kept.split == s).sum()) for s in data.splits} == data.splits
    for split in data.splits:
        positions = sorted(kept.position[kept.split == split])
        assert positions == list(range(len(positions)))
    everything = np.concatenate(readings, axis=1)
    for band, statistics in enumerate(data.statistics):
        values = everything[band]
        assert statistics.count == len(values)
        assert statistics.mean == pytest.approx(values.mean(), rel=1e-12)
        assert statistics.std == pytest.approx(values.std(), rel=1e-9)
        assert (statistics.min, statistics.max) == (values.min(), values.max())


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(5, 70),
    st.integers(5, 70),
    st.integers(4, 24),
    st.sampled_from(["uint8", "uint16", "int16", "float32"]),
    st.sampled_from([None, 16]),
    st.data(),
)
def test_every_patch_is_what_an_oracle_cuts(
    write_raster: WriteRaster,
    tmp_path: Path,
    height: int,
    width: int,
    size: int,
    dtype: str,
    block: int | None,
    data: st.DataObject,
) -> None:
    scene, labels = made(height, width, dtype="uint8" if dtype == "uint8" else dtype)
    labels[0, :] = 1
    options = {
        "size": size,
        "stride": data.draw(st.integers(max(1, size // 3), size)),
        "max_nodata": data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        "fill": data.draw(st.sampled_from([0, 7])),
    }
    options["max_nodata"] = max(options["max_nodata"], 0.5 if min(height, width) >= size else 1.0)
    output = tile(
        write_raster("scene.tif", scene, nodata=0, block=block),
        tmp_path / "set",
        labels=write_raster("labels.tif", labels, block=block),
        classes=CLASSES,
        split=(1, 0, 0) if data.draw(st.booleans()) else (0.6, 0.2, 0.2),
        workers=data.draw(st.sampled_from([1, 3])),
        overwrite=True,
        **options,
    )
    check_against_oracle(
        output.folder,
        scene,
        labels,
        nodata=0,
        fill=options["fill"],
        max_nodata=options["max_nodata"],
    )


def test_geotiff_patches_hold_the_same_as_arrays(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene, labels = made(40, 50)
    paths = (
        write_raster("scene.tif", scene, nodata=0, names=["red", "nir"]),
        write_raster("labels.tif", labels),
    )
    sets = [
        tile(
            paths[0],
            tmp_path / storage,
            labels=paths[1],
            classes=CLASSES,
            size=16,
            storage=storage,
            fill=3,
        ).open()
        for storage in ("npy", "geotiff")
    ]
    for split in ("train", "val", "test"):
        one, two = (data.split(split) for data in sets)
        assert one.images.shape == two.images.shape
        assert np.array_equal(one.images[:], two.images[:])
        assert one.labels is not None
        assert two.labels is not None
        assert np.array_equal(one.labels[:], two.labels[:])
        assert np.array_equal(one.class_pixels, two.class_pixels)
    assert sets[0].statistics == sets[1].statistics
    names = (tmp_path / "geotiff" / "train" / "files.txt").read_text().split()
    with rasterio.open(tmp_path / "geotiff" / "train" / "images" / names[-1]) as file:
        row, col = (int(part[1:]) for part in names[-1][: -len(".tif")].split("_")[-2:])
        assert file.descriptions == ("red", "nir")
        assert file.nodata == 0
        assert file.crs == "EPSG:32612"
        assert file.transform @ (0, 0) == (500_000 + 30 * col, 4_000_000 - 30 * row)
        wanted = scene[:, row : row + 16, col : col + 16].copy()
        wanted[:, (wanted == 0).any(axis=0)] = 0  # invalid in one band, nodata in all
        assert np.array_equal(file.read(), wanted)
    with rasterio.open(tmp_path / "geotiff" / "train" / "labels" / names[-1]) as file:
        assert file.nodata == 255


def same_tree(one: Path, two: Path) -> bool:
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    same, differing, odd = filecmp.cmpfiles(one, two, [str(f) for f in files], shallow=False)
    assert not odd
    return not differing and len(same) == len(files)


@pytest.mark.parametrize("storage", ["npy", "geotiff"])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_same_bytes_whatever_the_workers(
    write_raster: WriteRaster, tmp_path: Path, storage: Any, dtype: str
) -> None:
    scene, labels = made(90, 110, dtype=dtype)
    paths = write_raster("s.tif", scene, nodata=0, block=16), write_raster("l.tif", labels)
    for workers in (1, 4):
        tile(
            paths[0],
            tmp_path / f"w{workers}",
            labels=paths[1],
            size=16,
            stride=12,
            storage=storage,
            workers=workers,
            seed=5,
        )
    assert same_tree(tmp_path / "w1", tmp_path / "w4")


def test_scene_smaller_than_a_patch_is_padded(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene = np.arange(1, 13, dtype=np.uint8).reshape(1, 3, 4)
    labels = np.ones((3, 4), np.uint8)
    found = tile(
        write_raster("s.tif", scene),
        tmp_path / "set",
        labels=write_raster("l.tif", labels),
        size=5,
        max_nodata=0.6,
        split=(1, 0, 0),
        fill=99,
    ).open()
    arrays = found.split("train")
    wanted = np.full((1, 1, 5, 5), 99, np.uint8)
    wanted[0, 0, :3, :4] = scene
    assert np.array_equal(arrays.images[:], wanted)
    assert arrays.labels is not None
    assert (arrays.labels[0, :3, :4] == 0).all()
    assert (np.asarray(arrays.labels[0]) == 255).sum() == 25 - 12
    # 13 of 25 pixels are padding, and padding counts as nodata.
    assert index_of(tmp_path / "set").nodata[0] == pytest.approx(13 / 25)
    assert found.statistics[0].count == 12


def test_patch_with_exactly_the_allowed_nodata_is_kept(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    # 29 and 30 invalid readings of 100; 0.29 * 100 is 28.999… in binary.
    scene = np.ones((1, 10, 20), np.uint8)
    scene[0].reshape(10, 2, 10)[:, 0].flat[:] = 1
    scene[0, :3, :10] = 0
    scene[0, 0, 0] = 1
    scene[0, :3, 10:] = 0
    tile(
        write_raster("s.tif", scene, nodata=0),
        tmp_path / "set",
        size=10,
        max_nodata=0.29,
        split=(1, 0, 0),
    )
    index = index_of(tmp_path / "set")
    assert index.nodata.tolist() == pytest.approx([0.29, 0.30])
    assert [reason or "" for reason in index.reason] == ["", "too much nodata"]


def test_statistics_are_of_training_patches_alone(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = np.arange(1, 65, dtype=np.uint8).reshape(1, 8, 8)
    found = tile(write_raster("s.tif", scene), tmp_path / "set", size=2, split=(0.5, 0.5, 0)).open()
    images = found.split("train").images[:]
    assert found.statistics[0].mean == images.mean()
    assert found.metadata["statistics"]["source"] == "train"
    whole = tile(write_raster("s.tif", scene), tmp_path / "test", size=2, split=(0, 0, 1)).open()
    assert whole.statistics[0].mean == 32.5
    assert whole.metadata["statistics"]["source"] == "test"


def test_data_set_says_where_it_came_from_without_paths(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene, labels = made(16, 16)
    result = tile(
        write_raster("s.tif", scene, nodata=0),
        tmp_path / "set",
        labels=write_raster("l.tif", labels),
        size=8,
    )
    text = (result.folder / "dataset.json").read_text()
    assert str(tmp_path) not in text
    described = json.loads(text)
    assert described["command"].startswith("geoseg tile s.tif --labels l.tif --size 8 --stride 8")
    assert described["scenes"][0]["fingerprint"]
    assert described["versions"]["geoseg"]
    assert result.open().hash() == result.open().hash()
    assert result.summary["patches"] == described["splits"]
    assert "Mpx/s" in result.text


def test_data_set_may_be_replaced_and_nothing_else(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = write_raster("s.tif", np.ones((1, 8, 8), np.uint8))
    folder = tmp_path / "set"
    tile(scene, folder, size=8, split=(1, 0, 0))
    tile(scene, folder, size=4, split=(1, 0, 0), overwrite=True)
    assert PatchDataset.open(folder).size == 4
    assert sorted(os.listdir(tmp_path)) == ["s.tif", "set"]


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 300},
        {"size": 0},
        {"max_nodata": 1.5},
        {"min_labelled": -0.1},
        {"fill": float("nan")},
        {"split": "0.5"},
        {"split": "a,b,c"},
        {"split": (0, 0, 0)},
        {"split": (-1, 1, 1)},
        {"split_block": 0},
        {"storage": "zarr"},
        {"fill": 70000},
        {"fill": 0.5},
        {"classes": "1=a"},
    ],
)
def test_settings_without_meaning_are_refused(
    write_raster: WriteRaster, tmp_path: Path, options: Any
) -> None:
    scene = write_raster("s.tif", np.ones((1, 8, 8), np.uint16))
    with pytest.raises(OptionError) as caught:
        tile(scene, tmp_path / "set", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()
