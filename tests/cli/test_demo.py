"""``geoseg demo``: everything is there, whole or not at all, and what it says is true."""

from __future__ import annotations

import json
import os
import re

import numpy as np
import pytest
import rasterio

from geoseg.cli import _run
from geoseg.testing import demo
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.spectra import LEGEND, SPECTRA

FILES = {
    "README.txt",
    "confidence.qml",
    "confidence.tif",
    "evaluation.json",
    "labels.qml",
    "labels.tif",
    "labels.tif.aux.xml",
    "map.qml",
    "map.tif",
    "map.tif.aux.xml",
    "patches",
    "probabilities.qml",
    "probabilities.tif",
    "scene.qml",
    "scene.tif",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that gives a pixel the class whose mean is nearest, rare ones less readily."""
    means = np.array([spectrum.mean for spectrum in SPECTRA.values()]) / 1000
    rare = np.isin(LEGEND.names, ["developed", "herbaceous", "wetland"])
    path = tmp_path_factory.mktemp("model") / "nearest.safetensors"
    pointwise_bundle(
        2 * means,
        -(means**2).sum(axis=1) - 9 * rare,
        legend=LEGEND,
        std=[1000] * 4,
        path=path,
        name="nearest",
    )
    return path


@pytest.fixture(autouse=True)
def small(monkeypatch, model, tmp_path):
    monkeypatch.setattr(demo, "_HEIGHT", 420)
    monkeypatch.setattr(demo, "_WIDTH", 360)
    monkeypatch.setenv("GEOSEG_MODEL", str(model))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def made(tmp_path):
    assert _run(["demo", "-q"]) == 0
    return tmp_path / "geoseg-demo"


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def test_demo_makes_every_kind_of_output(tmp_path, capsys):
    assert _run(["demo", "-q"]) == 0
    made = tmp_path / "geoseg-demo"
    assert {path.name for path in made.iterdir()} == FILES
    assert {"index.gpkg", "index.qml", "dataset.json", "train"} <= set(os.listdir(made / "patches"))
    assert os.listdir(tmp_path) == ["geoseg-demo"]
    said = capsys.readouterr()
    assert said.err == ""
    for name in re.findall(r"^  \d  (\S+)", said.out, re.MULTILINE):
        assert (made / name).is_file()
    assert said.out.endswith((made / "README.txt").read_text(encoding="utf-8").split("\n\n", 1)[1])


def test_every_raster_lies_on_the_scene(made):
    with rasterio.open(made / "scene.tif") as scene:
        place = scene.crs, scene.transform, scene.shape
    for name in ("map", "labels", "confidence", "probabilities"):
        with rasterio.open(made / f"{name}.tif") as file:
            assert (file.crs, file.transform, file.shape) == place


def test_invalid_pixels_have_no_class_and_all_others_have_one(made):
    invalid = (read(made / "scene.tif") == 65535).any(axis=0)
    assert invalid.any()
    assert np.array_equal(read(made / "map.tif")[0] == 255, invalid)
    assert np.array_equal(np.isnan(read(made / "confidence.tif")[0]), invalid)


def test_scores_are_those_of_the_files(made):
    found, truth = read(made / "map.tif")[0], read(made / "labels.tif")[0]
    scored = (truth != 0) & (found != 255)
    accuracy = (found == truth)[scored].mean()
    report = json.loads((made / "evaluation.json").read_text(encoding="utf-8"))
    assert report["scores"]["pixel_accuracy"] == pytest.approx(accuracy)
    assert report["pixels"]["scored"] == scored.sum()
    assert accuracy > 0.6  # the scene looks like its classes
    assert f"{accuracy:.4f}" in (made / "README.txt").read_text(encoding="utf-8")


def test_no_file_tells_where_it_was_made(made, tmp_path):
    for path in made.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b".tmp" not in content, path
            assert os.fsencode(tmp_path) not in content, path


def test_the_commands_in_the_text_work_as_typed(made, monkeypatch, capsys):
    commands = re.findall(r"^  geoseg (.*)", (made / "README.txt").read_text(), re.MULTILINE)
    assert [words.split()[0] for words in commands] == [
        "info",
        "predict",
        "evaluate",
        "tile",
        "train",
    ]
    monkeypatch.chdir(made)
    for words in commands[:-1]:
        assert _run(words.split()) == 0, capsys.readouterr().err
    assert _run([*commands[-1].split(), "--model", "pointwise", "--epochs", "1", "-q"]) == 0
    assert np.array_equal(read(made / "my-map.tif"), read(made / "map.tif"))
    for name in ("train/images.npy", "train/labels.npy", "dataset.json"):
        assert (made / "my-patches" / name).read_bytes() == (made / "patches" / name).read_bytes()


def test_json_is_one_object_and_steps_are_told_on_standard_error(tmp_path, capsys):
    assert _run(["demo", "other", "--json", "--seed", "5"]) == 0
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert summary["folder"] == "other"
    assert summary["model"]["name"] == "nearest"
    for name in summary["files"]:
        assert (tmp_path / "other" / name).exists()
    assert sum(summary["patches"].values()) > 0
    assert summary["evaluation"]["scores"]["pixel_accuracy"] > 0.5
    assert len(said.err.splitlines()) == 4


def test_same_seed_gives_the_same_files_and_another_does_not(made, tmp_path):
    assert _run(["demo", "again", "-q", "--workers", "1"]) == 0
    for name in FILES - {"patches"}:
        assert (made / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    assert _run(["demo", "other", "-q", "--seed", "1"]) == 0
    assert not np.array_equal(read(made / "scene.tif"), read(tmp_path / "other" / "scene.tif"))


def test_a_demo_that_is_there_is_replaced_only_when_told(made, tmp_path, capsys):
    (made / "notes.txt").write_text("mine")
    assert _run(["demo", "-q"]) == 1
    assert "is there already; replace it with --overwrite" in capsys.readouterr().err
    assert (made / "notes.txt").exists()
    assert _run(["demo", "-q", "--overwrite"]) == 0
    assert {path.name for path in made.iterdir()} == FILES
    assert os.listdir(tmp_path) == ["geoseg-demo"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path, capsys):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "README.txt").write_text("My thesis")
    assert _run(["demo", "thesis", "--overwrite"]) == 1
    assert "holds something else than a demo" in capsys.readouterr().err
    assert (folder / "README.txt").read_text() == "My thesis"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "mine").mkdir()
    assert _run(["demo", "mine", "-q"]) == 0
    assert {path.name for path in (tmp_path / "mine").iterdir()} == FILES


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("nowhere/demo", "does not exist; make it first"),
        ("file", "is no folder"),
        (".", "names no folder"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_before_any_work(tmp_path, capsys, folder, words):
    (tmp_path / "file").write_text("")
    assert _run(["demo", folder]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["made_scene", "predict", "tile", "write_json"])
def test_an_interrupted_demo_leaves_nothing(tmp_path, monkeypatch, step):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, step, interrupt)
    assert _run(["demo"]) == 130
    assert os.listdir(tmp_path) == []


def test_without_a_model_the_error_is_one_line_and_nothing_is_left(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("GEOSEG_MODEL")
    monkeypatch.setattr("geoseg.models.builtin.BUILT_IN", "none.safetensors")
    assert _run(["demo", "-q"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert os.listdir(tmp_path) == []
