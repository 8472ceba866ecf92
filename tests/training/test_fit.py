"""Whole runs, small ones."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.errors import DatasetError, ModelError, OptionError, OutputError
from geoseg.models.bundle import load_bundle
from geoseg.models.normalise import normalise
from geoseg.patches.dataset import PatchDataset
from geoseg.training.fit import fit
from geoseg.training.loop import DivergedError
from geoseg.training.outputs import Fitted
from geoseg.training.records import EpochRecord
from geoseg.training.settings import Settings

FolderMaker = Callable[..., Path]


def tiny(**changes: Any) -> Settings:
    """Settings of a run that takes a moment."""
    defaults: dict[str, Any] = {
        "model": "unet-small",
        "model_options": {"widths": (4, 8)},
        "epochs": 3,
        "batch_size": 2,
        "lr": 0.01,
        "precision": "float32",
        "augment": "flips, rot90, noise(sigma=0.05)",
    }
    return Settings(**{**defaults, **changes})


def run(folder: Path, output: Path, settings: Settings | None = None, **options: Any) -> Fitted:
    return fit(folder, output, settings or tiny(), device="cpu", **options)


# -- learning -------------------------------------------------------------------------------------


def test_two_patches_are_learned_by_heart(patch_folder: FolderMaker, tmp_path: Path) -> None:
    fitted = run(
        patch_folder(train=2, val=0, unlabelled_share=0.2),
        tmp_path / "m.safetensors",
        tiny(epochs=150, augment="none", model_options={"widths": (16, 32)}, schedule="cosine"),
    )
    assert fitted.history[-1].train_loss < 0.02
    assert fitted.history[-1].train_accuracy == 1


def test_the_written_model_gives_the_scores_it_reports(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder(val=3)
    fitted = run(folder, tmp_path / "m.safetensors", tiny(epochs=4))
    bundle, val = load_bundle(tmp_path / "m.safetensors"), PatchDataset.open(folder).split("val")
    assert val.labels is not None
    images = normalise(torch.from_numpy(np.array(val.images)), bundle.card.mean, bundle.card.std)
    with torch.inference_mode():
        predicted = bundle.network(images).argmax(1).numpy()
    labels = np.array(val.labels)
    right = (predicted == labels)[labels != 255].mean()
    assert right == pytest.approx(fitted.report["accuracy"])
    best = max(fitted.history, key=lambda r: r.val_miou)
    assert fitted.report["epoch"] == best.epoch
    assert fitted.report["miou"] == pytest.approx(best.val_miou)
    assert bundle.card.training["scores"]["miou"] == fitted.report["miou"]


def test_the_card_rebuilds_the_model_and_says_how_it_came_about(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder(classes=4)
    fitted = run(folder, tmp_path / "m.safetensors", tiny(seed=5, loss="weighted-ce"))
    dataset, card = PatchDataset.open(folder), load_bundle(tmp_path / "m.safetensors").card
    assert card == fitted.card
    assert (card.network, card.arguments) == ("unet-small", {"widths": [4, 8]})
    assert (card.bands, card.mean, card.std) == (dataset.bands, dataset.mean, dataset.std)
    assert (card.legend, card.tile, card.resolution) == (dataset.legend, 16, 30.0)
    assert card.training["data"]["hash"] == dataset.hash()
    assert card.training["settings"]["seed"] == 5
    assert card.training["settings"]["loss"] == "weighted-ce"


def test_curves_have_a_line_an_epoch_and_the_report_all_scores(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    fitted = run(patch_folder(val=0), tmp_path / "m.safetensors", tiny(epochs=2))
    with (tmp_path / "m.curves.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["epoch"] for line in lines] == ["1", "2"]
    assert float(lines[1]["train_loss"]) == pytest.approx(fitted.history[1].train_loss, rel=1e-5)
    assert lines[0]["val_loss"] == ""  # there are no validation patches
    report = json.loads((tmp_path / "m.report.json").read_text(encoding="utf-8"))
    assert report == fitted.report
    assert (report["split"], report["epoch"]) == ("train", 2)
    assert [c["name"] for c in report["classes"]] == ["class 0", "class 1", "class 2"]
    confusion = np.array(report["confusion"])
    assert confusion.sum(axis=1).tolist() == [c["pixels"] for c in report["classes"]]


def test_classes_absent_from_training_do_no_harm(patch_folder: FolderMaker, tmp_path: Path) -> None:
    folder = patch_folder(classes=3)
    description = json.loads((folder / "dataset.json").read_text())
    description["classes"].append({"id": 99, "name": "never seen", "color": "#ffffff"})
    for counts in description.get("class_pixels", {}).values():
        counts.append(0)
    (folder / "dataset.json").write_text(json.dumps(description))
    for split in ("train", "val"):
        path = folder / split / "class_pixels.npy"
        np.save(path, np.pad(np.load(path), ((0, 0), (0, 1))))
    fitted = run(folder, tmp_path / "m.safetensors", tiny(loss="0.5*ce + 0.5*weighted-ce"))
    assert fitted.report["classes"][3]["recall"] is None
    assert np.isfinite([r.val_loss for r in fitted.history]).all()


def test_batches_without_a_label_do_no_harm(patch_folder: FolderMaker, tmp_path: Path) -> None:
    folder = patch_folder(train=4, val=2)
    for split, blank in (("train", 2), ("val", 2)):
        labels = np.load(folder / split / "labels.npy")
        pixels = np.load(folder / split / "class_pixels.npy")
        labels[:blank], pixels[:blank] = 255, 0
        if split == "train":
            # One labelled pixel: counted as labelled, and augmentation cannot lose it.
            labels[0, 0, 0], pixels[0, 1] = 1, 1
        np.save(folder / split / "labels.npy", labels)
        np.save(folder / split / "class_pixels.npy", pixels)
    fitted = run(folder, tmp_path / "m.safetensors", tiny(batch_size=1))
    assert np.isfinite([r.train_loss for r in fitted.history]).all()
    assert np.isnan([r.val_loss for r in fitted.history]).all()
    assert fitted.report["epoch"] == 3  # nothing to compare by: the last


def test_sgd_in_bfloat16_without_batch_norm_runs_too(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    settings = tiny(
        optimizer="sgd",
        precision="bfloat16",
        model_options={"widths": (4, 8), "batch_norm": False},
        schedule="step(every=1,factor=0.5)",
    )
    fitted = run(patch_folder(), tmp_path / "m.safetensors", settings)
    assert [r.rate for r in fitted.history] == pytest.approx([0.01, 0.005, 0.0025])


def test_a_model_can_be_stored_at_half_its_size(patch_folder: FolderMaker, tmp_path: Path) -> None:
    folder = patch_folder()
    for kind in ("float32", "float16"):
        settings = tiny(epochs=1, model_options={"widths": (16, 32)})
        run(folder, tmp_path / f"{kind}.safetensors", settings, stored_as=kind)
    whole, half = (tmp_path / f"{kind}.safetensors" for kind in ("float32", "float16"))
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    a, b = load_bundle(whole).network.state_dict(), load_bundle(half).network.state_dict()
    for key, value in a.items():
        torch.testing.assert_close(b[key], value, rtol=1e-3, atol=1e-5)
    with pytest.raises(OptionError, match="float32 or float16"):
        run(folder, tmp_path / "m.safetensors", stored_as="int8")


# -- same seed, same bytes ------------------------------------------------------------------------


def test_same_seed_same_bytes_and_another_seed_others(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder()
    contents = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / str(number) / "m.safetensors"
        path.parent.mkdir()
        torch.manual_seed(number)  # what went before must not matter
        run(folder, path, tiny(seed=seed))
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_torch_is_left_as_it_was_found(patch_folder: FolderMaker, tmp_path: Path) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    run(patch_folder(), tmp_path / "m.safetensors", threads=2)
    assert torch.equal(torch.rand(1), wanted)
    assert torch.get_num_threads() == 1


class CrashError(Exception):
    pass


def interrupt_after(batches: int, *, how: str = "crash") -> Callable[[int], None]:
    left = [batches]

    def count(patches: int) -> None:
        left[0] -= 1
        if left[0] == 0 and how == "ctrl-c":
            os.kill(os.getpid(), signal.SIGINT)
        elif left[0] == 0:
            raise CrashError

    return count


# Three batches to learn from and one to score in each epoch: in the middle of an epoch, at the end
# of its learning, while it is scored, and right at the start.
@pytest.mark.parametrize(("optimizer", "precision"), [("adamw", "float32"), ("sgd", "bfloat16")])
@pytest.mark.parametrize("batches", [1, 3, 4, 6])
def test_a_run_stopped_by_ctrl_c_goes_on_to_the_same_bytes(
    patch_folder: FolderMaker, tmp_path: Path, batches: int, optimizer: str, precision: str
) -> None:
    folder, settings = patch_folder(), tiny(optimizer=optimizer, precision=precision)
    whole, broken = tmp_path / "a" / "m.safetensors", tmp_path / "b" / "m.safetensors"
    for path in (whole, broken):
        path.parent.mkdir()
    wanted = run(folder, whole, settings)
    with pytest.raises(KeyboardInterrupt):
        run(folder, broken, settings, progress=interrupt_after(batches, how="ctrl-c"))
    assert [p.name for p in broken.parent.iterdir()] == ["m.checkpoint"]
    epochs: list[EpochRecord] = []
    found = run(folder, broken, settings, resume=True, on_epoch=epochs.append)
    assert broken.read_bytes() == whole.read_bytes()
    assert [r.epoch for r in epochs] == list(range((batches - 1) // 4 + 1, 4))
    assert sorted(p.name for p in broken.parent.iterdir()) == [
        "m.curves.csv",
        "m.curves.png",
        "m.report.html",
        "m.report.json",
        "m.safetensors",
    ]
    assert [{**r.to_json(), "seconds": 0} for r in found.history] == [
        {**r.to_json(), "seconds": 0} for r in wanted.history
    ]


# In the middle of epochs, while scoring, and in cycles of averaging.
@pytest.mark.parametrize("batches", [2, 5, 9, 11, 13, 15])
@pytest.mark.parametrize(
    "changes",
    [
        {"swa": "cycles=2, length=1", "epochs": 2, "sampler": "equibatch"},
        {"accumulate": 2, "schedule": "plateau(patience=0)", "epochs": 4},
        {
            "augment": "rotate(degrees=30), scale, gamma, brightness, noise, jitter",
            "sampler": "oversample(classes=[10])",
            "loss": "ce + 0.5*lovasz-softmax",
            "max_class_share": "11:0.9",
        },
    ],
    ids=["averaging", "accumulation", "augmentation"],
)
def test_whatever_was_asked_for_a_stopped_run_goes_on_to_the_same_bytes(
    patch_folder: FolderMaker, tmp_path: Path, batches: int, changes: dict[str, Any]
) -> None:
    folder, settings = patch_folder(), tiny(**changes)
    whole, broken = tmp_path / "a" / "m.safetensors", tmp_path / "b" / "m.safetensors"
    for path in (whole, broken):
        path.parent.mkdir()
    run(folder, whole, settings)
    with suppress(KeyboardInterrupt):
        run(folder, broken, settings, progress=interrupt_after(batches, how="ctrl-c"))
    if not broken.exists():
        run(folder, broken, settings, resume=True)
    assert broken.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("batches", [3, 9])
def test_a_run_that_crashed_goes_on_from_its_last_checkpoint_to_the_same_bytes(
    patch_folder: FolderMaker, tmp_path: Path, batches: int
) -> None:
    folder = patch_folder()
    whole, broken = tmp_path / "a" / "m.safetensors", tmp_path / "b" / "m.safetensors"
    for path in (whole, broken):
        path.parent.mkdir()
    run(folder, whole)
    with pytest.raises(CrashError):
        run(folder, broken, checkpoint_seconds=0, progress=interrupt_after(batches))
    run(folder, broken, resume=True)
    assert broken.read_bytes() == whole.read_bytes()


def test_resume_starts_a_run_that_has_not_begun(patch_folder: FolderMaker, tmp_path: Path) -> None:
    run(patch_folder(), tmp_path / "m.safetensors", resume=True)
    assert (tmp_path / "m.safetensors").exists()


def test_a_run_can_be_prolonged_where_it_was_stopped(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, output = patch_folder(), tmp_path / "m.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(folder, output, progress=interrupt_after(4, how="ctrl-c"))
    assert len(run(folder, output, tiny(epochs=5), resume=True).history) == 5


def test_only_the_same_run_goes_on(patch_folder: FolderMaker, tmp_path: Path) -> None:
    folder, output = patch_folder(), tmp_path / "m.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(folder, output, progress=interrupt_after(4, how="ctrl-c"))
    with pytest.raises(OptionError, match=r"other settings: lr 0\.01 \(now 0\.02\)"):
        run(folder, output, tiny(lr=0.02), resume=True)
    with pytest.raises(OptionError, match="other data"):
        run(patch_folder("others", seed=1), output, resume=True)
    with pytest.raises(OutputError, match="--resume, or start anew with --overwrite"):
        run(folder, output)
    checkpoint = tmp_path / "m.checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-50])
    with pytest.raises(ModelError, match="truncated"):
        run(folder, output, resume=True)
    run(folder, output, overwrite=True)
    assert not checkpoint.exists()


# -- which epoch is kept --------------------------------------------------------------------------


def test_the_last_epoch_is_kept_if_asked_for(patch_folder: FolderMaker, tmp_path: Path) -> None:
    settings = tiny(keep="last", lr=0.5, schedule="constant")
    fitted = run(patch_folder(), tmp_path / "m.safetensors", settings)
    assert fitted.report["epoch"] == 3
    assert fitted.report["accuracy"] == pytest.approx(fitted.history[-1].val_accuracy)


@pytest.mark.parametrize("measure", ["loss", "accuracy", "miou"])
def test_patience_ends_a_run_that_gets_no_better(
    patch_folder: FolderMaker, tmp_path: Path, measure: str
) -> None:
    settings = tiny(epochs=50, patience=2, lr=1e-9, best_by=measure, schedule="constant")
    fitted = run(patch_folder(), tmp_path / "m.safetensors", settings)
    best = fitted.report["epoch"]
    assert len(fitted.history) == best + 2 < 50
    values = [
        -r.val_loss if measure == "loss" else getattr(r, f"val_{measure}") for r in fitted.history
    ]
    assert max(values) == values[best - 1]


# -- what cannot be --------------------------------------------------------------------------------


def test_patience_counts_where_the_last_epoch_is_kept_too(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    settings = tiny(epochs=30, patience=2, lr=1e-12, keep="last")
    fitted = run(patch_folder(), tmp_path / "m.safetensors", settings)
    assert len(fitted.history) < 30
    assert fitted.report["epoch"] == len(fitted.history)


def test_a_reduction_of_training_alone_is_refused(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="use --downscale"):
        run(patch_folder(), tmp_path / "m.safetensors", tiny(augment="crop(size=8, downscale=2)"))
    fitted = run(
        patch_folder("two"),
        tmp_path / "m.safetensors",
        tiny(augment="crop(size=8, downscale=[1, 2])", epochs=1),
    )
    assert (fitted.card.tile, fitted.card.scale) == (8, 1)


def test_patches_of_which_nothing_would_be_left_are_refused(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="less than 8 pixels of a patch of 16"):
        run(patch_folder(), tmp_path / "m.safetensors", tiny(downscale=4))


def test_the_first_epoch_is_kept_at_once(patch_folder: FolderMaker, tmp_path: Path) -> None:
    there: list[bool] = []
    run(
        patch_folder(),
        tmp_path / "m.safetensors",
        on_epoch=lambda _: there.append((tmp_path / "m.checkpoint").exists()),
    )
    # Looked at before the epoch's own checkpoint is written.
    assert there == [False, True, True]


def test_without_workers_nothing_starts(patch_folder: FolderMaker, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--workers must be at least 1"):
        run(patch_folder(), tmp_path / "m.safetensors", workers=0)


def test_a_loss_that_is_no_number_stops_the_run_in_words(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    settings = tiny(lr=1e3, optimizer="sgd", model_options={"widths": (4, 8), "batch_norm": False})
    with pytest.raises(
        DivergedError, match=r"epoch 1: the loss became (nan|inf): use a lower --lr"
    ):
        run(patch_folder(), tmp_path / "m.safetensors", settings)
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("folder", "error", "complaint"),
    [
        ({"labelled": False}, DatasetError, "holds no labels to learn from"),
        ({"train": 0}, DatasetError, "has no training patches"),
        ({"unlabelled_share": 1.0}, DatasetError, "no training patch holds a labelled pixel"),
        ({"val": 0}, OptionError, "--patience needs validation patches"),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused(
    patch_folder: FolderMaker,
    tmp_path: Path,
    folder: dict[str, Any],
    error: type[Exception],
    complaint: str,
) -> None:
    with pytest.raises(error, match=complaint):
        run(patch_folder(**folder), tmp_path / "m.safetensors", tiny(patience=3))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"loss": "hinge"}, "no loss is called 'hinge'"),
        ({"augment": "flip"}, "no augmentation is called 'flip' .did you mean 'flips'"),
        ({"sampler": "equal"}, "no sampler is called"),
        ({"schedule": "cosine(floor=1)"}, "has no option 'floor'"),
        ({"optimizer": "lion"}, "no optimizer is called"),
        ({"precision": "int8"}, "no precision is called"),
        ({"model_options": {"depth": 3}}, "has no option 'depth'"),
        ({"model_options": {"widths": (4, 4, 4, 4, 4)}, "batch_size": 1}, "--batch-size 2 or more"),
    ],
)
def test_settings_without_meaning_are_refused(
    patch_folder: FolderMaker, tmp_path: Path, settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(OptionError, match=complaint):
        run(patch_folder(), tmp_path / "m.safetensors", tiny(**settings))


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"batch_size": 0}, {"patience": 0}, {"seed": -1}, {"lr": float("nan")}],
)
def test_numbers_without_meaning_are_refused_at_once(changes: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        tiny(**changes)


def test_an_output_that_cannot_be_is_refused_before_the_work(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder()
    with pytest.raises(OptionError, match="safetensors"):
        run(folder, tmp_path / "m.pt")
    with pytest.raises(OutputError, match="does not exist"):
        run(folder, tmp_path / "no" / "m.safetensors")
    (tmp_path / "m.report.json").write_text("{}")
    with pytest.raises(OutputError, match="--overwrite"):
        run(folder, tmp_path / "m.safetensors")


def test_a_band_that_never_varies_is_only_shifted(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder()
    description = json.loads((folder / "dataset.json").read_text())
    description["statistics"]["bands"][1]["std"] = 0.0
    (folder / "dataset.json").write_text(json.dumps(description))
    assert run(folder, tmp_path / "m.safetensors").card.std[1] == 1.0
    description["statistics"]["bands"][1]["std"] = None
    (folder / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(DatasetError):
        run(folder, tmp_path / "n.safetensors")
