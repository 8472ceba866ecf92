"""``geoseg train`` as it is typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geoseg.cli import main
from geoseg.models.card import read_card
from geoseg.models.registry import names as network_names
from geoseg.patches import augment, sampling
from geoseg.training import losses, optim, schedule

QUICK = [
    "--model-option",
    "widths=4,8",
    "--epochs",
    "2",
    "--batch-size",
    "2",
    "--device",
    "cpu",
    "--threads",
    "1",
]


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "patches"
    counts = {}
    for split, number in (("train", 4), ("val", 2)):
        (folder / split).mkdir(parents=True)
        images = random.integers(0, 200, (number, 1, 16, 16)).astype(np.uint8)
        labels = (images[:, 0] // 100).astype(np.uint8)
        held = np.array([np.bincount(p.ravel(), minlength=2) for p in labels], np.int64)
        np.save(folder / split / "images.npy", images)
        np.save(folder / split / "labels.npy", labels)
        np.save(folder / split / "class_pixels.npy", held)
        counts[split] = held.sum(axis=0).tolist()
    band = {"name": "grey", "mean": 100.0, "std": 58.0, "min": 0, "max": 199, "percentiles": {}}
    description = {
        "format": "geoseg-patches",
        "version": 1,
        "storage": "npy",
        "size": 16,
        "stride": 16,
        "bands": ["grey"],
        "dtype": "uint8",
        "fill": 0,
        "max_nodata": 0.5,
        "classes": [
            {"id": 1, "name": "dark", "color": "#000000"},
            {"id": 2, "name": "bright", "color": "#ffffff"},
        ],
        "resolution": [1.0, 1.0],
        "crs_units": None,
        "statistics": {"bands": [{**band, "count": 1024}], "source": "train"},
        "class_pixels": counts,
        "splits": {"train": 4, "val": 2},
        "seed": 0,
    }
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


def status(*args: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["train", *map(str, args)])
    return int(left.value.code or 0)


def test_train_writes_a_model_and_says_how_good_it_is(
    patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    assert status(patches, "-o", model, *QUICK) == 0
    out, err = capsys.readouterr()
    assert "epoch 2/2  loss " in err
    assert "val loss" in err
    assert "dark" in out
    assert "bright" in out
    card = read_card(model)
    assert card.arguments == {"widths": [4, 8]}
    assert card.resolution is None  # the scene had no coordinate system
    assert (tmp_path / "model.curves.csv").exists()
    assert (tmp_path / "model.report.json").exists()


def test_json_is_one_object_and_quiet_is_quiet(
    patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    assert status(patches, "-o", model, *QUICK, "--json", "-q") == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert err == ""
    assert summary["model"] == str(model)
    assert summary["hash"] == read_card(model).hash
    assert {"accuracy", "miou", "confusion", "classes", "epoch"} <= summary.keys()


def _without_usage(err: str) -> list[str]:
    return [line for line in err.splitlines() if line and not line.startswith(("Usage", "Try"))]


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["--model", "vgg"], 1, "no network is called 'vgg'; there are:"),
        (["--model-option", "widths"], 2, "is not KEY=VALUE"),
        (["--model-option", "width=3"], 2, "has no option 'width'"),
        (["--loss", "ce + "], 2, "a name is missing at the end"),
        (["--augment", "spin"], 2, "no augmentation is called 'spin'"),
        (["--device", "abacus"], 2, "abacus"),
        (["--epochs", "0"], 2, "--epochs"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    patches: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    complaint: str,
) -> None:
    before = sorted(tmp_path.iterdir())
    assert status(patches, "-o", tmp_path / "m.safetensors", *QUICK, *words) == code
    err = capsys.readouterr().err
    assert complaint in err
    assert [line.startswith("Error") for line in _without_usage(err)] == [True]
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_no_data_set_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(tmp_path, "-o", tmp_path / "m.safetensors") == 1
    assert "is no data set of patches" in capsys.readouterr().err


def test_a_model_that_is_there_is_not_replaced_unasked(
    patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"precious")
    assert status(patches, "-o", model, *QUICK) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert model.read_bytes() == b"precious"
    assert status(patches, "-o", model, *QUICK, "--overwrite") == 0


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(patches: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    long = [*QUICK, "--epochs", "100000"]
    code = "import sys; from geoseg.cli import main; main(sys.argv[1:])"
    run = subprocess.Popen(
        [sys.executable, "-c", code, "train", str(patches), "-o", str(model), *long],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stderr is not None
    assert run.stderr.readline().startswith("epoch 1/100000")
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "--resume" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.checkpoint", "patches"]


def test_help_names_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("--help") == 0
    # Lines are broken behind hyphens too.
    words = " ".join(capsys.readouterr().out.split()).replace("- ", "-")
    for names in (
        network_names(),
        losses.names(),
        optim.names(),
        schedule.names(),
        sampling.names(),
        augment.names(),
    ):
        assert [name for name in names if name not in words] == []
    assert f"[default: {augment.DEFAULT.replace(' ', '')}]" in words
    for name in optim.names():
        assert f"{optim.default_rate(name):g}" in words
        assert f"{optim.default_decay(name):g}" in words
