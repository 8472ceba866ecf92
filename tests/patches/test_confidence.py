"""How sure labels are: kept beside them, and low ones left out."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.errors import LabelError, OptionError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.subset import SubsetDataset
from geoseg.patches.tile import tile

WriteRaster = Callable[..., Path]


def made(write_raster: WriteRaster) -> tuple[Path, Path, Path, np.ndarray, np.ndarray]:
    """A scene of 24 × 20 pixels, its labels 1 and 2 (and 9, no class), and confidences."""
    rng = np.random.default_rng(3)
    scene = rng.integers(1, 99, (2, 24, 20)).astype(np.uint8)
    scene[:, 0, :3] = 0
    labels = rng.choice([1, 2, 9], (24, 20), p=[0.5, 0.4, 0.1]).astype(np.uint8)
    sure = rng.choice([0, 0.25, 0.5, 0.7, 1, np.nan, -1], (24, 20)).astype(np.float32)
    paths = (
        write_raster("s.tif", scene, nodata=0, block=16),
        write_raster("l.tif", labels, block=16),
        write_raster("c.tif", sure, nodata=-1),
    )
    index = np.where((labels == 9) | (scene[0] == 0), 255, labels - 1)
    sure[sure < 0] = np.nan
    return *paths, index, sure


@pytest.mark.parametrize("storage", ["npy", "geotiff"])
@pytest.mark.parametrize("least", [None, 0.7])
def test_confidences_lie_beside_the_labels(
    write_raster: WriteRaster, tmp_path: Path, storage: Any, least: float | None
) -> None:
    scene, labels, sure, index, share = made(write_raster)
    data = tile(
        scene,
        tmp_path / "set",
        labels=labels,
        confidence=sure,
        min_confidence=least,
        classes="1=a,2=b",
        size=10,
        stride=5,
        split=(1, 0, 0),
        storage=storage,
    ).open()
    arrays = data.split("train")
    assert data.has_confidence
    assert arrays.labels is not None
    assert arrays.confidence is not None
    # 0.7 as the file has it is no less than 0.7.
    known = ~np.isnan(share) & (True if least is None else (share >= np.float32(least)))
    index = np.where(known, index, 255)
    wanted = np.where(index == 255, 0, np.rint(np.nan_to_num(share).astype(float) * 255))
    assert arrays.confidence.dtype == np.uint8
    corners = [(r, c) for r in (0, 5, 10, 14) for c in (0, 5, 10)]
    assert len(arrays) == len(corners)
    for place, (r, c) in enumerate(corners):
        at = np.s_[r : r + 10, c : c + 10]
        assert np.array_equal(arrays.labels[place], index[at])
        assert np.array_equal(arrays.confidence[place], wanted[at])
    described = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert described["confidence"] is True
    assert described["scenes"][0]["confidence"]["paths"] == ["c.tif"]
    assert described["scenes"][0]["confidence"]["fingerprint"]
    assert "--confidence c.tif" in described["command"]
    subset = SubsetDataset(data, {"val": [("train", np.array([4, 1]))]}).split("val")
    assert subset.confidence is not None
    assert np.array_equal(subset.confidence[0], arrays.confidence[4])


def test_padding_has_no_confidence(write_raster: WriteRaster, tmp_path: Path) -> None:
    arrays = (
        tile(
            write_raster("s.tif", np.ones((1, 3, 4), np.uint8)),
            tmp_path / "set",
            labels=write_raster("l.tif", np.ones((3, 4), np.uint8)),
            confidence=write_raster("c.tif", np.full((3, 4), 0.5, np.float32)),
            size=5,
            max_nodata=1,
            split=(1, 0, 0),
        )
        .open()
        .split("train")
    )
    assert arrays.confidence is not None
    wanted = np.zeros((5, 5), np.uint8)
    wanted[:3, :4] = 128
    assert np.array_equal(arrays.confidence[0], wanted)


def test_bytes_do_not_depend_on_the_number_of_workers(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, labels, sure, *_ = made(write_raster)
    # As of a large scene, of which the look ahead leaves confidences alone.
    monkeypatch.setattr("geoseg.patches.look._SMALL", 0)
    for workers in (1, 4):
        tile(
            scene,
            tmp_path / f"w{workers}",
            labels=labels,
            confidence=sure,
            min_confidence=0.3,
            size=6,
            workers=workers,
        )
    for name in ("train/confidence.npy", "train/labels.npy", "dataset.json"):
        assert filecmp.cmp(tmp_path / "w1" / name, tmp_path / "w4" / name, shallow=False)


@pytest.mark.parametrize(
    ("values", "dtype", "words"),
    [(80.0, np.float32, "80"), (-0.5, np.float64, "-0.5"), (200, np.uint8, "200")],
)
def test_what_is_no_share_is_refused(
    write_raster: WriteRaster, tmp_path: Path, values: float, dtype: Any, words: str
) -> None:
    with pytest.raises(LabelError, match=r"c\.tif") as caught:
        tile(
            write_raster("s.tif", np.ones((1, 8, 8), np.uint8)),
            tmp_path / "set",
            labels=write_raster("l.tif", np.ones((8, 8), np.uint8)),
            confidence=write_raster("c.tif", np.full((8, 8), values, dtype)),
            size=4,
        )
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_confidences_are_as_many_as_labels(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene, labels, sure, *_ = made(write_raster)
    with pytest.raises(LabelError, match="2 files of confidences for 1"):
        tile(scene, tmp_path / "set", labels=labels, confidence=[sure, labels], size=4)
    with pytest.raises(OptionError, match="--labels"):
        tile(scene, tmp_path / "set", confidence=sure, size=4)
    with pytest.raises(OptionError, match="--min-confidence"):
        tile(scene, tmp_path / "set", labels=labels, min_confidence=0.5, size=4)


def test_sets_that_say_nothing_of_all_this_are_older(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene, labels, *_ = made(write_raster)
    folder = tile(scene, tmp_path / "set", labels=labels, classes="1=a,2=b", size=10).folder
    described = json.loads((folder / "dataset.json").read_text())
    for key in ("labelling", "present", "confidence", "label_table", "patches_with_class"):
        del described[key]
    (folder / "dataset.json").write_text(json.dumps(described))
    data = PatchDataset.open(folder)
    assert (data.labelling, data.present, data.has_confidence) == ("pixels", 0.05, False)
    arrays = data.split("train")
    assert arrays.confidence is None
    assert arrays.presence is not None
    assert arrays.class_pixels is not None
    assert np.array_equal(arrays.presence == 1, arrays.class_pixels > 5)
