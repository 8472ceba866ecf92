"""Data sets, models and comparisons by Python functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import geoseg
from geoseg.errors import DatasetError, OptionError


def test_patches_train_a_model_that_predicts(work, tmp_path):
    folder, pixels, truth = work
    said: list[str] = []
    made = geoseg.tile(
        folder / "scene.tif",
        tmp_path / "patches",
        labels=folder / "labels.tif",
        size=8,
        split=(0.8, 0.2, 0),
        workers=1,
        say=said.append,
    )
    patches = geoseg.open_patches(made.folder)
    arrays = patches.split("train")
    assert arrays.images.shape[1:] == (2, 8, 8)
    seen: list[int] = []
    fitted = geoseg.train(
        patches,
        tmp_path / "m.safetensors",
        model="pointwise",
        epochs=2,
        device="cpu",
        threads=1,
        on_epoch=lambda record: seen.append(record.epoch),
    )
    assert len(seen) == len(fitted.history) == 2
    found = geoseg.predict_array(tmp_path / "m.safetensors", pixels, nodata=0, workers=1)
    assert set(np.unique(found.classes[truth != 255])) <= {3, 5}


def test_a_split_is_a_data_set_for_a_loader(work, tmp_path):
    folder, _, _ = work
    how = {"size": 8, "split": (0.8, 0.2, 0), "workers": 1}
    for storage in ("npy", "geotiff"):
        geoseg.tile(
            folder / "scene.tif",
            tmp_path / storage,
            labels=folder / "labels.tif",
            storage=storage,
            **how,
        )
        patches = geoseg.open_patches(tmp_path / storage).split("train")
        images, labels = zip(*DataLoader(patches, batch_size=4), strict=True)
        seen = torch.cat(images), torch.cat(labels)
        assert [one.dtype for one in seen] == [torch.float32, torch.int64]
        assert (seen[0].numpy() == patches.images[:]).all()
        assert patches.labels is not None
        assert (seen[1].numpy() == patches.labels[:]).all()
        assert (patches[-1][0] == patches.images[len(patches) - 1]).all()
        with pytest.raises(IndexError):
            _ = patches[len(patches)]
    geoseg.tile(folder / "scene.tif", tmp_path / "bare", **how)
    with pytest.raises(DatasetError, match="no labels"):
        _ = geoseg.open_patches(tmp_path / "bare").split("train")[0]


def test_compare_makes_a_row_a_setting_and_goes_on_from_what_is_there(work, tmp_path):
    folder, _, _ = work
    geoseg.tile(
        folder / "scene.tif",
        tmp_path / "patches",
        labels=folder / "labels.tif",
        size=8,
        split=(0.8, 0.2, 0),
        workers=1,
    )
    states: list[str] = []
    for _ in range(2):
        found = geoseg.compare(
            tmp_path / "patches",
            tmp_path / "runs",
            {"loss": ["ce", "focal"]},
            model="pointwise",
            epochs=1,
            device="cpu",
            threads=1,
            on_run=lambda _, outcome: states.append(outcome["state"]),
        )
    assert [row["settings"] for row in found.content["groups"]] == [
        {"loss": "ce"},
        {"loss": "focal"},
    ]
    assert states == ["trained", "trained", "there", "there"]
    assert sorted(path.name for path in found.paths.values()) == [
        "comparison.csv",
        "comparison.html",
        "comparison.json",
    ]
    alone = geoseg.compare(
        tmp_path / "patches",
        tmp_path / "alone",
        {"loss": "focal", "seed": 3},
        model="pointwise",
        epochs=1,
        device="cpu",
        threads=1,
    )
    assert len(alone.content["groups"]) == 1
    with pytest.raises(OptionError, match="did you mean"):
        geoseg.compare(tmp_path / "patches", tmp_path / "more", {"los": ["ce"]})
