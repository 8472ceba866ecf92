"""Photographs as data sets are published: labels of fewer pixels, files that are no good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import geoseg
from geoseg.cli import _run
from geoseg.models.card import read_card
from geoseg.raster.scene import Scene

CLASSES = "0=low,1=high"


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six photographs of 32 × 32 with labels of 16 × 16."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for name in "abcdef":
        labels = rng.integers(0, 2, (16, 16)).astype(np.uint8)
        seen = 50 + 100 * labels.repeat(2, 0).repeat(2, 1)[..., None]
        noise = rng.integers(0, 40, (32, 32, 3))
        Image.fromarray((seen + noise).astype(np.uint8)).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(labels).save(tmp_path / "labels" / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tile(*words: str) -> int:
    return _run(["tile", "images", "--labels", "labels", "--classes", CLASSES, *words, "-o", "set"])


def problems() -> dict[str, str]:
    content: dict[str, Any] = json.loads(Path("set/dataset.json").read_text())
    return {p["path"]: p["reason"] for p in content["problems"]}


def test_photographs_are_brought_to_their_labels_pixels(
    halves: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tile("--fit-labels", "--size", "16", "--split", "1,0,0") == 0
    said = capsys.readouterr()
    assert "photographs are brought to the pixels of their labels: means of 2 × 2" in said.err
    assert "scale: 1:2, as the labels are" in said.out
    dataset = geoseg.open_patches("set")
    assert (dataset.scale, dataset.size, dataset.dtype) == (2, 16, np.uint8)
    assert "--fit-labels" in dataset.metadata["command"]
    patches = dataset.split("train")
    with Image.open("images/a.png") as picture:
        pixels = np.asarray(picture).astype(float)
    means = np.rint(pixels.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))).transpose(2, 0, 1)
    assert (np.asarray(patches.images[0]) == means).all()
    with Image.open("labels/a.png") as picture:
        assert (np.asarray(patches.labels[0]) == np.asarray(picture)).all()


def test_a_model_of_such_a_set_sees_photographs_at_its_scale(
    halves: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tile("--fit-labels", "--size", "16") == 0
    words = ["--model", "unet", "--model-option", "widths=4,8", "--epochs", "1"]
    code = _run(["train", "set", *words, "-o", "m.safetensors", "--device", "cpu"])
    assert code == 0, capsys.readouterr().err
    assert read_card("m.safetensors").scale == 2
    words = ["--model", "m.safetensors", "--device", "cpu"]
    assert _run(["predict", "images", *words, "-o", "maps"]) == 0
    with Scene.open("maps/a.tif") as made:
        assert (made.grid.height, made.grid.width) == (32, 32)
    capsys.readouterr()
    assert _run(["evaluate", "maps", "labels", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "256" in json.dumps(found)


def test_maps_are_scored_at_the_pixels_of_coarser_labels(
    halves: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["recode", "labels", "--codes", "0=0,1=1", "--classes", CLASSES, "-o", "right"]
    assert _run(words) == 0
    Path("maps").mkdir()
    for name in "abcdef":
        with Image.open(f"labels/{name}.png") as picture:
            large = np.asarray(picture).repeat(2, 0).repeat(2, 1).copy()
        large[::2, ::2] = 1 - large[::2, ::2]  # one of four is wrong, and outvoted
        Image.fromarray(large).save(f"maps/{name}.png")
    capsys.readouterr()
    assert _run(["evaluate", "maps", "right"]) == 0
    said = capsys.readouterr()
    assert "pixel accuracy (PA)  1.0000" in said.out
    assert "1,536 px" in said.out


def test_sizes_that_differ_are_told_with_the_way_out(
    halves: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tile("--size", "16") == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "Error: labels/a.png: a has 32 × 32 px, its label 16 × 16: 2 to 1; bring it to their pixels"
        " with --fit-labels"
    )


def test_what_is_no_good_is_left_out_and_listed(
    halves: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save("images/a.png")
    Path("images/b.png").write_bytes(Path("images/b.png").read_bytes()[:900])
    Path("images/c.png").write_bytes(b"nothing")
    Path("labels/d.png").unlink()
    for name, side in (("g", 8), ("h", 16), ("i", 16), ("j", 13)):
        Image.open("images/e.png").save(f"images/{name}.png")
        Image.fromarray(np.ones((side, side), np.uint8)).save(f"labels/{name}.png")
    Path("labels/h.png").write_bytes(b"nothing")
    Image.fromarray(np.ones((16, 16, 3), np.uint8)).save("labels/i.png")
    assert tile("--fit-labels", "--size", "16") == 0
    found = problems()
    assert set(found) == {f"{name}.png" for name in "abcdghij"}
    assert str(halves) not in json.dumps(found)
    for name, reason in {
        "a": "all readings are 0",
        "b": "truncated or damaged",
        "c": "is not a raster",
        "d": "there is no label of its name",
        "g": "4 to 1; most are otherwise",
        "h": "is not a raster",
        "i": "has 3 bands: labels have one",
        "j": "do not fit 32 × 32 pixels",
    }.items():
        assert reason in found[f"{name}.png"], name
    assert sum(geoseg.open_patches("set").splits.values()) == 2
    assert "left out: a.png: all readings are 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["images", "--fit-labels"], 2, "--fit-labels is about --labels, and none are given"),
        (["images", "--labels", "colours"], 1, "of colours, make class rasters with geoseg recode"),
        (["images", "--labels", "odd", "--fit-labels"], 1, "--fit-labels can do nothing"),
        (["images", "--labels", "drawn"], 1, "make these first: geoseg rasterise drawn --like"),
        (["drawn", "--labels", "drawn"], 1, "make these first: geoseg rasterise drawn --like"),
        (["s.tif", "--labels", "s.tif", "--fit-labels"], 1, "--fit-labels is for photographs"),
    ],
)
def test_labels_that_cannot_be_used_are_one_line(
    halves: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    from geoseg.testing.scenes import tiny_scene  # noqa: PLC0415

    tiny_scene("s.tif", np.ones((32, 32), np.uint8))
    for name in ("colours", "odd", "drawn"):
        Path(name).mkdir()
    for name in "abcdef":
        Image.fromarray(np.ones((32, 32, 3), np.uint8)).save(f"colours/{name}.png")
        Image.fromarray(np.ones((15, 16), np.uint8)).save(f"odd/{name}.png")
        Path(f"drawn/{name}.json").write_text('{"shapes": [], "imagePath": "x.png"}')
        if words[0] == "drawn":
            Image.open(f"images/{name}.png").save(f"drawn/{name}.png")
    assert _run(["tile", *words, "--size", "16", "-o", "set"]) == code
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not Path("set").exists()


def test_a_factor_of_one_changes_nothing(halves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "abcdef":
        Image.open(f"images/{name}.png").resize((16, 16)).save(f"images/{name}.png")
    assert tile("--fit-labels", "--size", "16") == 0
    assert "--fit-labels changes nothing" in capsys.readouterr().err
    assert "scale" not in json.loads(Path("set/dataset.json").read_text())
