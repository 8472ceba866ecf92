"""What a look ahead expects is what becomes of patches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling

from geoseg.patches.plan import plan_patches
from geoseg.patches.tile import cut_patches, tile

WriteRaster = Callable[..., Path]


def collared(height: int, width: int) -> np.ndarray:
    """Ones with a slanted collar of zeros."""
    rows, cols = np.mgrid[:height, :width]
    inside = (rows + 2 * cols > height // 2) & (rows - cols < height // 3)
    return np.where(inside, 1, 0).astype(np.uint8)[np.newaxis]


def test_small_scenes_are_foreseen_exactly(write_raster: WriteRaster, tmp_path: Path) -> None:
    labels = np.zeros((96, 80), np.uint8)
    labels[20:70, 30:61] = 1
    plan = plan_patches(
        write_raster("s.tif", collared(96, 80), nodata=0),
        tmp_path / "set",
        labels=write_raster("l.tif", labels, nodata=0),
        size=16,
        stride=8,
        max_nodata=0.3,
        min_labelled=0.2,
        split=(1, 0, 0),
    )
    cut_patches(plan)
    table = plan.inputs.jobs[0].table
    kept = np.array([reason == "" for reason in table.reason])
    assert 0 < kept.sum() < len(kept)
    assert np.array_equal(table.expected, kept)


def test_large_scenes_are_foreseen_from_overviews_and_labels(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoseg.patches.look._SMALL", 0)
    monkeypatch.setattr("geoseg.patches.look._OVERVIEW_PIXELS", 4000)
    scene = write_raster("s.tif", collared(256, 256), nodata=0, block=32)
    with rasterio.open(scene, "r+") as file:
        file.build_overviews([2, 4], Resampling.nearest)
    plan = plan_patches(scene, tmp_path / "set", size=16)
    cut_patches(plan)
    table = plan.inputs.jobs[0].table
    kept = np.array([reason == "" for reason in table.reason])
    assert (table.expected == kept).mean() > 0.95
    assert 0.2 < kept.mean() < 0.8


def test_no_split_lies_where_there_are_no_labels(write_raster: WriteRaster, tmp_path: Path) -> None:
    # Only one sixteenth of the scene is labelled.
    labels = np.zeros((128, 128), np.uint8)
    labels[:32, 64:96] = 2
    for seed in range(5):
        data = tile(
            write_raster("s.tif", np.ones((1, 128, 128), np.uint8)),
            tmp_path / "set",
            labels=write_raster("l.tif", labels, nodata=0),
            size=8,
            seed=seed,
            split=(0.5, 0.25, 0.25),
            overwrite=True,
        ).open()
        assert data.splits == {"train": 8, "val": 4, "test": 4}


def test_labels_go_with_scenes_in_their_order_even_past_an_unreadable_one(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scenes, labels = [], []
    for i in range(3):
        scenes.append(write_raster(f"s{i}.tif", np.full((2, 4, 4), i + 1, np.uint8)))
        labels.append(write_raster(f"l{i}.tif", np.full((4, 4), i + 1, np.uint8)))
    scenes[1].write_text("no raster")
    data = tile(
        scenes, tmp_path / "set", labels=labels, classes="1=a,2=b,3=c", size=4, split=(1, 0, 0)
    ).open()
    assert data.class_pixels["train"] == (16, 0, 16)
    arrays = data.split("train")
    assert arrays.labels is not None
    for image, label in zip(arrays.images[:], arrays.labels[:], strict=True):
        assert (image[0] == label + 1).all()


def test_one_raster_of_labels_serves_all_scenes_that_it_covers(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    def at(col: int) -> Affine:
        return Affine(30, 0, 500_000 + 30 * col, 0, -30, 4_000_000)

    labels = np.repeat(np.array([[1, 2, 3]], np.uint8), 4, axis=1).repeat(4, axis=0)
    scenes = [
        write_raster(f"s{col}.tif", np.ones((2, 4, 4), np.uint8), transform=at(col))
        for col in (0, 8, 400)
    ]
    result = tile(
        scenes,
        tmp_path / "set",
        labels=write_raster("l.tif", labels),
        classes="1=a,2=b,3=c",
        size=4,
        split=(1, 0, 0),
    )
    assert result.open().class_pixels["train"] == (16, 0, 16)
    assert result.summary["problems"] == [
        {"path": "s400.tif", "reason": "the labels do not cover it"}
    ]
