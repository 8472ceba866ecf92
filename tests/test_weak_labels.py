"""From labels of whole patches to a map of pixels, by the command line alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio

from geoseg.cli import _run
from geoseg.testing.scenes import made_scene


@pytest.fixture
def geoseg(capsys):
    """Run a command and return its summary."""

    def run(*words):
        status = _run([*map(str, words), "--json"])
        streams = capsys.readouterr()
        assert status == 0, streams.err
        return json.loads(streams.out)

    return run


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_a_network_of_pixels_learns_from_labels_of_whole_patches(geoseg, tmp_path):
    scene, labels = tmp_path / "scene.tif", tmp_path / "labels.tif"
    made_scene(scene, height=288, width=288, seed=3, labels=labels, nodata_share=0.1)
    patches, presence = tmp_path / "patches", tmp_path / "presence.safetensors"
    geoseg(
        *("tile", scene, "--labels", labels, "--size", 16),
        *("--split", "0.8,0.2,0", "-o", patches),
    )
    learned = geoseg(
        *("train", patches, "-o", presence, "--model", "shallow-cnn"),
        *("--model-option", "widths=8,8,16,16", "--optimizer", "adam", "--lr", "0.005"),
        *("--batch-size", 16, "--epochs", 8, "--threads", 2, "--device", "cpu"),
    )
    assert learned
    weak, sure = tmp_path / "weak.tif", tmp_path / "sure.tif"
    words = [scene, "-m", presence, "--known", patches, "--weak-labels", weak]
    made = geoseg(
        *("cam", *words, "--confidence", sure, "--reference", labels),
        *("-o", tmp_path / "cam.tif"),
    )
    scores = made["scores"]
    assert scores["task_accuracy"] > scores["majority_guess"]
    accuracy = scores["ways"]["argmax"]["accuracy"]
    assert accuracy > scores["pixel_majority"] + 0.05
    found, truth = read(weak), read(labels)
    both = (found != 255) & (truth != 255)
    assert (found == truth)[both].mean() == pytest.approx(accuracy, abs=1e-3)

    again, model = tmp_path / "again", tmp_path / "pixels.safetensors"
    geoseg(
        *("tile", scene, "--labels", weak, "--confidence", sure, "--size", 48),
        *("--split", "0.7,0.3,0", "-o", again),
    )
    geoseg(
        *("train", again, "-o", model, "--model-option", "widths=8,16"),
        *("--epochs", 2, "--batch-size", 4, "--threads", 2, "--device", "cpu"),
    )
    geoseg("predict", scene, "-m", model, "-o", tmp_path / "map.tif")
    scored = geoseg("evaluate", tmp_path / "map.tif", labels)
    assert 0 < scored["scores"]["pixel_accuracy"] <= 1
    assert set(np.unique(read(tmp_path / "map.tif"))) <= set(np.unique(found))


@pytest.mark.realdata
@pytest.mark.slow
def test_weak_labels_of_a_real_scene_are_better_than_the_commonest_class(
    real_data, geoseg, tmp_path
):
    scene = real_data / "zion" / "zion512_landsat8_b2345.tif"
    labels = real_data / "zion" / "zion512_lc5.tif"
    classes = "1=water,2=developed,3=barren,4=forest,5=open land"
    patches, presence = tmp_path / "patches", tmp_path / "presence.safetensors"
    geoseg(
        *("tile", scene, "--labels", labels, "--classes", classes, "--size", 24),
        *("--split", "0.8,0.2,0", "-o", patches),
    )
    geoseg(
        *("train", patches, "-o", presence, "--model", "shallow-cnn", "--optimizer", "adam"),
        *("--lr", "0.002", "--batch-size", 32, "--epochs", 12, "--threads", 2),
        *("--device", "cpu"),
    )
    words = ["cam", scene, "-m", presence, "--reference", labels, "--patches", 50]
    cam, weak = tmp_path / "cam.tif", tmp_path / "weak.tif"
    made = geoseg(
        *words, "--combine", "logistic", "--known", patches, "--weak-labels", weak, "-o", cam
    )
    scores = made["scores"]
    assert scores["task_accuracy"] > scores["majority_guess"]
    assert scores["ways"]["logistic"]["accuracy"] > scores["pixel_majority"] + 0.1
    # No seam with tiles that overlap; side by side, as in the paper, there are seams.
    beside = geoseg(*words[:4], "--stride", 24, "--upsampling", "repeat", "-o", cam, "--overwrite")
    assert made["seam_ratio"] < 1.2
    assert beside["seam_ratio"] > 1.5
    with rasterio.open(cam) as one, rasterio.open(scene) as other:
        assert (one.shape, one.transform, one.crs) == (other.shape, other.transform, other.crs)
        assert one.descriptions == ("water", "developed", "barren", "forest", "open land")
    assert set(np.unique(read(weak))) <= {1, 2, 3, 4, 5, 255}
