"""``geoseg tile`` and ``geoseg train``: labels of whole patches, labels with confidences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from geoseg.cli import main
from geoseg.models.card import read_card

SIDE, ACROSS = 16, 8
QUICK = ["--epochs", "6", "--batch-size", "8", "--device", "cpu", "--threads", "1"]
SHALLOW = ["--model", "shallow-cnn", "--model-option", "widths=4,4,8,8"]


def geoseg(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([*map(str, words)])
    return int(left.value.code or 0)


def write(path: Path, pixels: NDArray[np.generic]) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        height=pixels.shape[0],
        width=pixels.shape[1],
        dtype=pixels.dtype,
        crs="EPSG:32633",
        transform=from_origin(5e5, 5.6e6, 10, 10),
    ) as file:
        file.write(pixels, 1)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> tuple[Path, NDArray[np.bool_]]:
    """A scene of 8 × 8 patches, half of them bright, and which."""
    random = np.random.default_rng(0)
    bright = random.permutation(ACROSS**2).reshape(ACROSS, ACROSS) % 2 == 0
    noise = random.integers(1, 60, (ACROSS * SIDE, ACROSS * SIDE))
    pixels = np.kron(bright, np.ones((SIDE, SIDE), np.int64)) * 100 + noise
    return write(tmp_path / "scene.tif", pixels.astype(np.uint8)), bright


@pytest.fixture
def patches(tmp_path: Path, scene: tuple[Path, NDArray[np.bool_]]) -> Path:
    path, bright = scene
    lines = [
        f"scene,{row * SIDE},{col * SIDE},{'lit' if bright[row, col] else 'dim; dull'}"
        for row in range(ACROSS)
        for col in range(ACROSS)
    ]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["scene,row,col,classes", *lines]) + "\n", encoding="utf-8")
    folder = tmp_path / "patches"
    assert geoseg("tile", path, "--label-table", table, "--size", SIDE, "-o", folder, "-q") == 0
    return folder


def test_a_table_of_classes_becomes_a_network_that_knows_them(
    patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.safetensors"
    words = [*SHALLOW, *QUICK, "--optimizer", "adam", "--lr", "0.02"]
    assert geoseg("train", patches, "-o", model, *words) == 0
    out = capsys.readouterr().out
    report = json.loads((tmp_path / "m.report.json").read_text(encoding="utf-8"))
    assert report["accuracy"] > report["majority"]
    assert f"accuracy {report['accuracy']:.4f}" in out
    assert f"majority guess {report['majority']:.4f}" in out
    lines = [line.split() for line in out.splitlines()]
    (header,) = [line for line in lines if line[:1] == ["class"]]
    assert " ".join(header[1:5]) == "precision recall F1 there"
    assert " ".join(header[5:]) == "found missed invented rightly not"
    for entry, counts in zip(report["classes"], report["confusion"], strict=True):
        ((neither, invented), (missed, found)) = counts
        assert entry["patches"] == missed + found
        (line,) = [line for line in lines if line[:1] == [entry["name"]]]
        numbers = (entry["patches"], found, missed, invented, neither)
        assert line[4:] == [str(n) for n in numbers]
        assert line[3] == f"{entry['f1']:.4f}"


def test_folds_of_labels_of_whole_patches_are_trained_each(patches: Path, tmp_path: Path) -> None:
    words = [*SHALLOW, *QUICK, "--epochs", "1", "--folds", "2", "--jobs", "2", "-q"]
    assert geoseg("train", patches, "-o", tmp_path / "runs", *words) == 0
    found = json.loads((tmp_path / "runs" / "comparison.json").read_text(encoding="utf-8"))
    assert [run["settings"]["fold"] for run in found["runs"]] == [1, 2]
    assert all(run["scores"]["accuracy"] is not None for run in found["runs"])


def test_a_network_of_pixels_on_labels_of_whole_patches_is_refused_in_a_line(
    patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert geoseg("train", patches, "-o", tmp_path / "m.safetensors", *QUICK) == 1
    err = capsys.readouterr().err
    assert "holds labels of whole patches: use --model shallow-cnn or resnet50-cam" in err
    assert sum(line.startswith("Error") for line in err.splitlines()) == 1


def test_confidences_are_tiled_learned_by_and_compared(
    scene: tuple[Path, NDArray[np.bool_]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, bright = scene
    labels = 1 + np.kron(bright, np.ones((SIDE, SIDE), np.uint8))
    sure = np.random.default_rng(1).random(labels.shape).astype(np.float32)
    folder, model = tmp_path / "patches", tmp_path / "m.safetensors"
    words = ["--labels", write(tmp_path / "labels.tif", labels.astype(np.uint8))]
    words += ["--confidence", write(tmp_path / "sure.tif", sure)]
    assert geoseg("tile", path, *words, "--size", SIDE, "-o", folder, "-q") == 0
    small = ["--model-option", "widths=4,8", *QUICK, "--epochs", "1"]
    assert geoseg("train", folder, "-o", model, *small, "--confidence", "0.5", "-q") == 0
    assert read_card(model).training["settings"]["confidence"] == 0.5
    compare = ["--compare", "confidence=none; 0.5; weight", "-q"]
    assert geoseg("train", folder, "-o", tmp_path / "runs", *small, *compare) == 0
    found = json.loads((tmp_path / "runs" / "comparison.json").read_text(encoding="utf-8"))
    assert [run["settings"]["confidence"] for run in found["runs"]] == ["none", 0.5, "weight"]
    capsys.readouterr()
    assert geoseg("train", folder, "-o", tmp_path / "n.safetensors", "--confidence", "half") != 0
    assert "--confidence must be weight, none or a share" in capsys.readouterr().err
