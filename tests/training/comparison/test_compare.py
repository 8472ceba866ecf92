"""Comparisons: the grid is trained once, scored, and laid out as a table."""

from __future__ import annotations

import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.errors import DatasetError, GeosegError, OptionError, OutputError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.subset import SubsetDataset
from geoseg.raster.vector import write_footprints
from geoseg.training.comparison.compare import Comparison, compare
from geoseg.training.comparison.plan import How, PlannedRun
from geoseg.training.comparison.scoring import score_model
from geoseg.training.comparison.table import comparison_csv, group_runs
from geoseg.training.fit import fit
from geoseg.training.settings import Settings

FolderMaker = Callable[..., Path]

BASE: dict[str, Any] = {
    "model": "pointwise",
    "epochs": 2,
    "batch_size": 3,
    "lr": 0.01,
    "precision": "float32",
}
GRID = {"loss": ["ce", "weighted-ce"], "seed": ["0", "1"]}


def run(
    dataset: Path | PatchDataset, folder: Path, grid: Mapping[str, Any], **options: Any
) -> Comparison:
    settings = Settings(**{**BASE, **options.pop("base", {})})
    names = {field.name for field in fields(How)}
    asked = {name: options.pop(name) for name in names & options.keys()}
    how = How(**{"device": "cpu", "threads": 1} | asked)
    return compare(dataset, folder, settings, grid, how, **options)


def states(log: list[tuple[str, str]]) -> Callable[[PlannedRun, Mapping[str, Any]], None]:
    return lambda planned, outcome: log.append((planned.title, outcome["state"]))


def give_places(folder: Path, *, size: int = 16) -> Path:
    """Say of a made set that its patches lie in one row, training patches first."""
    path = folder / "dataset.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    splits = [(name, place) for name, n in described["splits"].items() for place in range(n)]
    grid = {"crs": "EPSG:32612", "transform": [30.0, 0, 0, 0, -30.0, 0], "height": size}
    described["scenes"] = [{"name": "s", "width": size * len(splits), **grid}]
    path.write_text(json.dumps(described), encoding="utf-8")
    columns = {
        "scene": ["s"] * len(splits),
        "row": [0] * len(splits),
        "col": [size * n for n in range(len(splits))],
        "split": [name for name, _ in splits],
        "position": [place for _, place in splits],
    }
    ring = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)]
    write_footprints(folder / "index.gpkg", "patches", columns, [ring] * len(splits), None)
    return folder


def test_every_combination_is_trained_and_written_down(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder()
    found = run(folder, tmp_path / "out", GRID)
    assert found.content["keys"] == ["loss", "seed"]
    assert found.content["scored_on"] == "validation"
    runs = found.content["runs"]
    assert [r["settings"] for r in runs] == [
        {"loss": loss, "seed": seed} for loss in ("ce", "weighted-ce") for seed in (0, 1)
    ]
    assert runs[0]["model"] == "ce_seed-0.safetensors"
    for r in runs:
        # The scores are those that anybody gets who scores the model.
        model = tmp_path / "out" / r["model"]
        again = score_model(
            model, PatchDataset.open(folder), "val", device=torch.device("cpu"), batch_size=1
        )
        assert r["scores"]["accuracy"] == pytest.approx(again["accuracy"])
        assert r["scores"]["miou"] == pytest.approx(again["miou"])
        assert r["scores"] == r["validation"]
        assert r["error"] is None
    assert json.loads(found.paths["json"].read_text(encoding="utf-8")) == found.content
    with found.paths["csv"].open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["miou"]) for line in lines] == pytest.approx(
        [r["scores"]["miou"] for r in runs], rel=1e-5
    )
    # Seeds make one row.
    groups = found.content["groups"]
    assert [g["settings"] for g in groups] == [{"loss": "ce"}, {"loss": "weighted-ce"}]
    for place, group in enumerate(groups):
        values = [r["scores"]["miou"] for r in runs[2 * place : 2 * place + 2]]
        assert group["n"] == 2
        assert group["mean"]["miou"] == pytest.approx(statistics.mean(values))
        assert group["std"]["miou"] == pytest.approx(statistics.stdev(values))
    page = found.paths["page"].read_text(encoding="utf-8")
    assert "weighted-ce" in page
    assert "class 2" in page


def test_the_same_call_again_trains_nothing_and_a_larger_grid_only_what_is_new(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, out = patch_folder(), tmp_path / "out"
    grid = {"loss": ["weighted-ce"], "seed": [0, 1]}
    first = run(folder, out, grid)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    log: list[tuple[str, str]] = []
    second = run(folder, out, grid, on_run=states(log))
    assert [state for _, state in log] == ["there"] * 2
    assert second.content == first.content
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    log.clear()
    started: list[str] = []
    third = run(
        folder,
        out,
        {**grid, "seed": [0, 1, 2]},
        on_run=states(log),
        on_start=lambda planned: started.append(planned.title),
    )
    assert started == ["loss weighted-ce, seed 2"]
    assert [t for t, state in log if state == "trained"] == started
    assert [g["n"] for g in third.content["groups"]] == [3]


def test_overwrite_trains_all_anew_to_the_same_bytes(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, out = patch_folder(), tmp_path / "out"
    run(folder, out, {"seed": [3]})
    before = (out / "seed-3.safetensors").read_bytes()
    log: list[tuple[str, str]] = []
    run(folder, out, {"seed": [3]}, overwrite=True, on_run=states(log))
    assert log == [("seed 3", "trained")]
    assert (out / "seed-3.safetensors").read_bytes() == before


def test_models_of_other_settings_or_data_are_not_taken_for_one_s_own(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(patch_folder(), out, {"seed": [0]})
    with pytest.raises(OutputError, match=r"other settings or data \(epochs 2, now 3"):
        run(tmp_path / "patches", out, {"seed": [0]}, base={"epochs": 3})
    with pytest.raises(OutputError, match="other patches"):
        run(patch_folder("others", seed=9), out, {"seed": [0]})


def test_an_interrupted_run_goes_on_from_its_checkpoint(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, out = patch_folder(), tmp_path / "out"
    whole = run(folder, tmp_path / "whole", {"seed": [0, 1]}).folder / "seed-1.safetensors"
    count = 0

    def interrupt(planned: PlannedRun, record: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:  # the first epoch of the second run
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(folder, out, {"seed": [0, 1]}, on_epoch=interrupt)
    assert (out / "seed-1.checkpoint").exists()
    assert not (out / "seed-1.safetensors").exists()
    epochs: list[int] = []
    run(folder, out, {"seed": [0, 1]}, on_epoch=lambda _, r: epochs.append(r.epoch))
    assert epochs == [2]
    assert (out / "seed-1.safetensors").read_bytes() == whole.read_bytes()


def test_the_table_of_another_comparison_is_not_replaced_unasked(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, out = patch_folder(), tmp_path / "out"
    run(folder, out, {"seed": [0, 1]})
    before = (out / "comparison.json").read_bytes()
    for grid in ({"seed": [0]}, {"lr": [0.1, 0.2]}):
        with pytest.raises(OutputError, match="table of another comparison"):
            run(folder, out, grid)
    with pytest.raises(OutputError, match="settings or data"):
        run(patch_folder("others", seed=3), out, {"seed": [0, 1]})
    assert (out / "comparison.json").read_bytes() == before
    run(folder, out, {"seed": [0]}, overwrite=True)
    assert (out / "comparison.json").read_bytes() != before


def test_runs_of_a_comparison_have_all_gone_through_the_same_schedule(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, out = patch_folder(), tmp_path / "out"

    def interrupt(planned: PlannedRun, record: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(folder, out, {"seed": [0]}, base={"epochs": 3}, on_epoch=interrupt)
    assert (out / "seed-0.checkpoint").exists()
    found = run(folder, out, {"seed": [0]}, base={"epochs": 5})
    whole = run(folder, tmp_path / "whole", {"seed": [0]}, base={"epochs": 5})
    assert (found.folder / "seed-0.safetensors").read_bytes() == (
        whole.folder / "seed-0.safetensors"
    ).read_bytes()


def test_a_test_split_is_scored_of_itself_and_once(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder()
    described = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    (folder / "val").rename(folder / "test")
    described["splits"] = {"train": 6, "test": 2}
    described["class_pixels"]["test"] = described["class_pixels"].pop("val")
    (folder / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    found = run(folder, tmp_path / "out", {"seed": [0]})
    (only,) = found.content["runs"]
    dataset = PatchDataset.open(folder)
    direct = score_model(
        tmp_path / "out" / only["model"], dataset, "test", device=torch.device("cpu")
    )
    assert found.content["scored_on"] == "test"
    assert only["scores"]["miou"] == direct["miou"]
    assert only["validation"] is None
    # What was noted beside the model is believed as long as the model is that one.
    noted = tmp_path / "out" / "seed-0.test.json"
    kept = json.loads(noted.read_text(encoding="utf-8"))
    kept["scores"]["miou"] = 0.125
    noted.write_text(json.dumps(kept), encoding="utf-8")
    assert (
        run(folder, tmp_path / "out", {"seed": [0]}).content["runs"][0]["scores"]["miou"] == 0.125
    )
    noted.write_text("{", encoding="utf-8")
    again = run(folder, tmp_path / "out", {"seed": [0]}).content["runs"][0]
    assert again["scores"]["miou"] == direct["miou"]


def test_another_data_set_is_tested_on_whole(patch_folder: FolderMaker, tmp_path: Path) -> None:
    other = patch_folder("other", seed=4)
    found = run(patch_folder(), tmp_path / "out", {"seed": [0]}, test=other)
    labels = [np.load(other / split / "labels.npy") for split in ("train", "val")]
    noted = json.loads((tmp_path / "out" / "seed-0.test.json").read_text(encoding="utf-8"))
    counted = np.sum(noted["scores"]["confusion"])
    assert counted == sum(int((each != 255).sum()) for each in labels)
    assert found.content["runs"][0]["validation"]["miou"] is not None
    with pytest.raises(DatasetError, match="tile again with --bands b0,b1"):
        run(tmp_path / "patches", tmp_path / "o2", {}, test=patch_folder("wrong", bands=3))


def test_folds_are_trained_apart_and_make_one_row(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = give_places(patch_folder(train=7, val=2))
    content = run(folder, tmp_path / "out", {"loss": ["weighted-ce"]}, folds=3).content
    assert content["keys"] == ["loss", "fold"]
    assert [r["settings"]["fold"] for r in content["runs"]] == [1, 2, 3]
    assert [g["n"] for g in content["groups"]] == [3]
    validated = 0
    for r in content["runs"]:
        card = json.loads(
            (tmp_path / "out" / r["model"]).with_suffix(".report.json").read_text(encoding="utf-8")
        )
        validated += np.sum(card["confusion"])
    labels = [np.load(folder / split / "labels.npy") for split in ("train", "val")]
    assert validated == sum(int((each != 255).sum()) for each in labels)


def test_without_a_grid_there_is_nothing_but_folds(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    content = run(give_places(patch_folder()), tmp_path / "out", {}, folds=2).content
    assert [r["model"] for r in content["runs"]] == ["fold-1.safetensors", "fold-2.safetensors"]
    assert content["groups"][0]["settings"] == {}


@pytest.mark.slow
def test_jobs_in_other_processes_give_the_same_models(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = give_places(patch_folder())
    grid = {"lr": [0.02]}
    one = run(folder, tmp_path / "one", grid, folds=2)
    epochs: list[tuple[int, int]] = []
    two = run(
        folder,
        tmp_path / "two",
        grid,
        folds=2,
        jobs=2,
        on_epoch=lambda planned, r: epochs.append((planned.number, r.epoch)),
    )
    assert sorted(epochs) == [(n, e) for n in (1, 2) for e in (1, 2)]
    for r in one.content["runs"]:
        assert (tmp_path / "two" / r["model"]).read_bytes() == (
            tmp_path / "one" / r["model"]
        ).read_bytes()

    def scores(found: Comparison) -> list[Any]:
        return [r["scores"] for r in found.content["runs"]]

    assert scores(one) == scores(two)


@pytest.mark.slow
def test_jobs_that_are_interrupted_leave_checkpoints(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder()
    code = (
        "import sys\n"
        "from geoseg.training.comparison.compare import compare\n"
        "from geoseg.training.comparison.plan import How\n"
        "from geoseg.training.settings import Settings\n"
        f"base = Settings(**{ {**BASE, 'epochs': 100_000}!r})\n"
        "say = lambda planned, r: print('epoch', flush=True)\n"
        "try:\n"
        "    compare(sys.argv[1], sys.argv[2], base, {'seed': [0, 1, 2]},\n"
        "            How(jobs=2, device='cpu', threads=2), on_epoch=say)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2])),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "epoch\n"
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, noise = process.communicate(timeout=60)
    assert process.returncode == 130, noise
    assert time.monotonic() - began < 30
    assert list((tmp_path / "out").glob("seed-*.checkpoint"))
    assert not list((tmp_path / "out").glob("*.safetensors"))


@pytest.mark.slow
def test_errors_of_other_processes_arrive_in_words(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, out = patch_folder(), tmp_path / "out"

    def spoil(planned: PlannedRun) -> None:
        (out / f"seed-{planned.settings.seed}.checkpoint").write_bytes(b"no checkpoint")

    with pytest.raises(GeosegError, match=r"seed-\d\.checkpoint"):
        run(folder, out, {"seed": [0, 1]}, jobs=2, on_start=spoil)


def test_a_run_that_diverges_is_noted_and_the_others_go_on(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    log: list[tuple[str, str]] = []
    found = run(
        patch_folder(),
        tmp_path / "out",
        {"lr": ["1e38", "0.01"]},
        base={"optimizer": "sgd", "epochs": 4},
        on_run=states(log),
    )
    assert [state for _, state in log] == ["diverged", "trained"]
    first, second = found.content["runs"]
    assert "the loss became" in first["error"]
    assert first["scores"]["miou"] is None
    assert [c["name"] for c in first["scores"]["classes"]] == ["class 0", "class 1", "class 2"]
    assert second["error"] is None
    assert [(g["n"], g["failed"]) for g in found.content["groups"]] == [(0, 1), (1, 0)]
    assert "the loss became" in found.paths["csv"].read_text(encoding="utf-8")
    assert not list(found.folder.glob("*.checkpoint"))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"loss": ["ce", "no-such-loss"]}, "loss no-such-loss.*no loss is called"),
        ({"model": ["pointwise", "no-such-network"]}, "no network is called"),
        ({"sampler": ["random", "no-such-sampler"]}, "no sampler is called"),
        ({"los": ["ce"]}, "did you mean 'loss'"),
    ],
)
def test_what_is_wrong_with_the_last_run_is_told_before_the_first(
    patch_folder: FolderMaker, tmp_path: Path, grid: dict[str, Any], message: str
) -> None:
    started: list[str] = []
    with pytest.raises(GeosegError, match=message):
        run(
            patch_folder(),
            tmp_path / "out",
            grid,
            on_start=lambda planned: started.append(planned.title),
        )
    assert started == []
    assert not (tmp_path / "out").exists()


def test_impossible_numbers_and_folders_are_refused(
    patch_folder: FolderMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = patch_folder()
    with pytest.raises(OptionError, match="--jobs must be"):
        run(folder, tmp_path / "out", {}, jobs=0)
    with pytest.raises(OutputError, match="does not exist; make it first"):
        run(folder, tmp_path / "no" / "such", {})
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is no folder"):
        run(folder, tmp_path / "file", {})
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OptionError, match="not with torchrun"):
        run(folder, tmp_path / "out", {})


def test_a_subset_can_be_trained_on_as_it_is(patch_folder: FolderMaker, tmp_path: Path) -> None:
    dataset = PatchDataset.open(patch_folder())
    every = {
        "train": [("train", np.arange(6))],
        "val": [("val", np.arange(2))],
    }
    fit(dataset, tmp_path / "a.safetensors", Settings(**BASE), device="cpu", threads=1)
    fitted = fit(
        SubsetDataset(dataset, every),
        tmp_path / "b.safetensors",
        Settings(**BASE),
        device="cpu",
        threads=1,
    )
    first = json.loads((tmp_path / "a.report.json").read_text(encoding="utf-8"))
    assert fitted.report["confusion"] == first["confusion"]
    assert fitted.card.training["data"]["hash"] != dataset.hash()


# -- the table, worked out by hand ----------------------------------------------------------------


def scored(accuracy: float | None, miou: float | None, iou: float | None) -> dict[str, Any]:
    classes = [{"name": "water", "iou": iou, "recall": iou}]
    return {"accuracy": accuracy, "miou": miou, "classes": classes}


def test_undefined_scores_and_failed_runs_do_not_enter_means() -> None:
    runs = [
        {"settings": {"loss": "a", "seed": 0}, "scores": scored(0.5, 0.2, 0.1)},
        {"settings": {"loss": "b", "seed": 0}, "scores": scored(0.9, 0.9, 0.9)},
        {"settings": {"loss": "a", "seed": 1}, "scores": scored(0.7, 0.4, None)},
        {"settings": {"loss": "a", "seed": 2}, "scores": scored(None, None, None)},
    ]
    first, second = group_runs(runs)
    assert (first["settings"], first["n"], first["failed"]) == ({"loss": "a"}, 2, 1)
    assert first["mean"]["accuracy"] == pytest.approx(0.6)
    assert first["std"]["miou"] == pytest.approx(0.2 / 2**0.5)  # 0.2 and 0.4 by hand
    assert first["mean"]["classes"][0]["iou"] == 0.1
    assert first["std"]["classes"][0]["iou"] is None
    assert second["std"]["accuracy"] is None


def test_the_csv_leaves_undefined_scores_empty() -> None:
    run = {
        "settings": {"loss": "0.5*ce, and more", "seed": 0},
        "model": "m.safetensors",
        "scores": scored(0.5, None, None),
        "epoch": 3,
        "seconds": 1.5,
        "error": None,
    }
    text = comparison_csv({"keys": ["loss", "seed"], "scored_on": "test", "runs": [run]})
    assert text.splitlines() == [
        "loss,seed,model,scored_on,accuracy,miou,iou water,recall water,epoch,seconds,error",
        '"0.5*ce, and more",0,m.safetensors,test,0.5,,,,3,1.5,',
    ]
