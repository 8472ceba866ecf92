"""Which classes patches hold, according to the network: counted once more, patch by patch."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from geoseg.inference.cam.activation import make_activations
from geoseg.inference.cam.reference import Reference
from geoseg.inference.cam.task import count_presence
from geoseg.inference.members import InputSpec
from geoseg.raster.scene import Scene

IDS = np.array([3, 5, 9], np.uint8)
RNG = np.random.default_rng(8)
PIXELS = RNG.integers(1, 300, (2, 45, 100), dtype=np.uint16)
PIXELS[0, :12, :11] = 0
PIXELS[1, 30:, 60:] = 0
TRUTH = IDS[np.kron(RNG.integers(0, 3, (9, 20)), np.ones((5, 5), int))]
TRUTH[:, 40:47] = 255
TRUTH[20, 3] = 7  # no class of the model


def counted(model, side, share):
    """(classes, 2, 2), in double precision and with exact shares, one patch at a time."""
    network = copy.deepcopy(model.network).double().eval()
    counts = np.zeros((3, 2, 2), np.int64)
    for row in range(0, 45 - side + 1, side):
        for col in range(0, 100 - side + 1, side):
            part = np.s_[row : row + side, col : col + side]
            raw, truth = PIXELS[:, *part].astype(np.float64), TRUTH[part]
            valid = (raw != 0).all(axis=0)
            labelled = valid & np.isin(truth, IDS)
            if labelled.sum() <= side * side / 2:
                continue
            x = torch.from_numpy((np.where(valid, raw, model.card.fill) - 100) / 50)
            with torch.no_grad():
                logits = network(x[None])[0].numpy()
            for k, one in enumerate(IDS):
                there = (truth[labelled] == one).sum() * 100 > share * side * side
                counts[k, int(there), int(logits[k] > 0)] += 1
    return counts


@pytest.fixture
def count(write_scene, presence_bundle):
    scene = write_scene(PIXELS)
    labels = write_scene(TRUTH[None], name="labels.tif", nodata=255, band_names=None)

    def made(side, share, **more):
        model = presence_bundle(tile=side, **more)
        with Scene.open(scene) as opened, Scene.open(labels) as truth:
            reference = Reference(truth, opened, model.card.legend, area=None, assume_aligned=False)
            return model, count_presence(
                opened,
                reference,
                make_activations(model, device=torch.device("cpu"), precision="float32"),
                InputSpec.of(model.card),
                side=side,
                present=share / 100,
                workers=3,
            )

    return made


@pytest.mark.parametrize("side", [6, 10, 15, 44])
@pytest.mark.parametrize("share", [5, 0, 25])
def test_counts_are_those_of_each_patch_by_itself(count, side, share):
    model, got = count(side, share)
    expected = counted(model, side, share)
    assert got.tolist() == expected.tolist()
    assert got.sum() > 0


def test_more_patches_in_a_row_than_are_computed_together_are_all_counted(count):
    model, got = count(3, 5)  # 33 in a row
    assert got.tolist() == counted(model, 3, 5).tolist()


def test_a_scene_smaller_than_a_patch_counts_nothing(count):
    _, got = count(46, 5)
    assert got.tolist() == np.zeros((3, 2, 2), int).tolist()


def test_a_run_counts_patches_of_the_size_that_the_model_learned(
    write_scene, presence_bundle, run_cam, tmp_path
):
    scene = write_scene(PIXELS)
    labels = write_scene(TRUTH[None], name="labels.tif", nodata=255, band_names=None)
    model = presence_bundle(tile=10)
    result = run_cam(scene, tmp_path / "cam.tif", model, maps={"tile": 20}, reference=labels)
    expected = counted(model, 10, 5)
    assert result.scores.task.tolist() == expected.tolist()
    right = expected[:, 0, 0].sum() + expected[:, 1, 1].sum()
    assert result.scores.presence.accuracy == pytest.approx(right / expected.sum())
    most = expected.sum(axis=2).max(axis=1).sum()
    assert result.scores.presence.majority == pytest.approx(most / expected.sum())


def test_of_a_model_of_reduced_scenes_patches_are_not_counted(
    write_scene, presence_bundle, run_cam, tmp_path
):
    scene = write_scene(PIXELS)
    labels = write_scene(TRUTH[None], name="labels.tif", nodata=255, band_names=None)
    model = presence_bundle(tile=10, scale=2)
    result = run_cam(scene, tmp_path / "cam.tif", model, reference=labels)
    assert result.scores.task is None
    assert result.scores.presence is None
