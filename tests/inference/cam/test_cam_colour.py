"""Activation maps and weak labels of scenes that are brought to the colour of the training."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from geoseg.models.bundle import ModelBundle
from geoseg.models.card import read_card
from geoseg.testing.colours import even_standard

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(1, 300, (2, 61, 83), dtype=np.uint16)
PIXELS[:, 30:34, :20] = 0
VALID = (PIXELS != 0).all(axis=0)
CAST = np.where(VALID, PIXELS * np.array([[[3]], [[2]]], np.uint16) + 77, 0).astype(np.uint16)
COLOUR = even_standard(
    {
        name: (float(band[VALID].mean()), float(band[VALID].std()))
        for name, band in zip(("red", "nir"), PIXELS, strict=True)
    }
)


@pytest.fixture
def model(presence_bundle):
    bundle = presence_bundle()
    return ModelBundle(bundle.network, replace(bundle.card, colour=COLOUR))


def test_every_step_sees_the_colour_of_the_training(write_scene, model, run_cam, read, tmp_path):
    """Maps, refined labels, the regression, and what the network is measured by."""
    truth = RNG.choice(np.array([3, 5, 9], np.uint8), PIXELS.shape[1:])
    reference = write_scene(truth[None], name="truth.tif", nodata=255, band_names=("class",))
    made, scores = [], []
    for name, pixels in (("first", PIXELS), ("cast", CAST)):
        outputs = {
            kind: tmp_path / f"{name}-{kind}.tif" for kind in ("weak_labels", "confidence")
        } | {"fitted_model": tmp_path / f"{name}.safetensors"}
        result = run_cam(
            write_scene(pixels, name=f"{name}.tif"),
            tmp_path / f"{name}-maps.tif",
            model,
            labels={"combine": "logistic", "refine": True, "patches": 3},
            outputs=outputs,
            reference=reference,
        )
        made.append([read(tmp_path / f"{name}-maps.tif"), *map(read, list(outputs.values())[:2])])
        scores.append((result.scores.task.tolist(), result.scores.ways["logistic"].tolist()))
        assert any("brought to those of the training" in note for note in result.notes)
        assert read_card(outputs["fitted_model"]).colour == COLOUR
    for first, cast in zip(*made, strict=True):
        np.testing.assert_array_equal(first, cast)
    assert scores[0] == scores[1]


def test_the_scene_as_it_is_gives_other_maps_and_metadata_say_so(
    write_scene, model, run_cam, read, tmp_path
):
    scene, own, bare = write_scene(CAST), tmp_path / "own.tif", tmp_path / "bare.tif"
    run_cam(scene, own, model)
    result = run_cam(scene, bare, model, maps={"homogenise": "none"})
    assert any("taken as it is" in note for note in result.notes)
    assert not np.allclose(read(own)[:, VALID], read(bare)[:, VALID], atol=0.1)
    with rasterio.open(own) as one, rasterio.open(bare) as other:
        assert "homogenise" not in json.loads(one.tags()["GEOSEG_OPTIONS"])
        assert json.loads(other.tags()["GEOSEG_OPTIONS"])["homogenise"] == "none"
        assert "--homogenise none" in other.tags()["GEOSEG_COMMAND"]


def test_a_regression_that_was_fitted_in_another_colour_is_told(
    write_scene, model, run_cam, tmp_path
):
    truth = RNG.choice(np.array([3, 5, 9], np.uint8), PIXELS.shape[1:])
    reference = write_scene(truth[None], name="truth.tif", nodata=255, band_names=("class",))
    fitted, scene = tmp_path / "fitted.safetensors", write_scene(CAST)
    run_cam(
        scene,
        tmp_path / "maps.tif",
        model,
        maps={"homogenise": "none"},
        labels={"combine": "logistic", "patches": 3},
        outputs={"weak_labels": tmp_path / "weak.tif", "fitted_model": fitted},
        reference=reference,
    )
    kept = ModelBundle(model.network, read_card(fitted))
    result = run_cam(
        scene,
        tmp_path / "again.tif",
        kept,
        labels={"combine": "logistic"},
        outputs={"weak_labels": tmp_path / "weak2.tif"},
    )
    assert any("was fitted with homogenise none" in note for note in result.notes)
