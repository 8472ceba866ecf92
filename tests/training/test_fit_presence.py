"""Networks that learn which classes a patch holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.errors import DatasetError, ModelError, OptionError
from geoseg.inference.members import make_ensemble
from geoseg.models.bundle import load_bundle
from geoseg.models.normalise import normalise
from geoseg.patches.augment import make_augmentations
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.sampling import Order, make_sampler
from geoseg.training.comparison.compare import compare
from geoseg.training.comparison.plan import How
from geoseg.training.data import BatchMaker, LabelledPatches
from geoseg.training.fit import fit
from geoseg.training.losses import LossContext, make_loss
from geoseg.training.records import EpochRecord
from geoseg.training.settings import Settings

FolderMaker = Callable[..., Path]
CONTEXT = LossContext(classes=2, class_pixels=(1, 1))


def test_a_shallow_network_learns_what_is_there_and_reports_it_by_patches(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder(train=8, val=4, size=32)
    settings = Settings(model="shallow-cnn", epochs=2, batch_size=4, present=0.3, augment="flips")
    fitted = fit(folder, tmp_path / "m.safetensors", settings, device="cpu")
    report = fitted.report
    assert report["settings"]["loss"] == "presence"
    assert all("patches" in entry for entry in report["classes"])
    bundle = load_bundle(tmp_path / "m.safetensors")
    val = PatchDataset.open(folder).split("val")
    assert val.labels is not None
    images = normalise(torch.from_numpy(np.array(val.images)), bundle.card.mean, bundle.card.std)
    with torch.inference_mode():
        said = (bundle.network(images) > 0).numpy()
    labels = np.array(val.labels)
    there = np.stack([(labels == c).mean(axis=(1, 2)) > 0.3 for c in range(3)], axis=1)
    assert report["accuracy"] == pytest.approx((said == there).mean())
    assert report["majority"] == pytest.approx(
        np.maximum(there.mean(axis=0), 1 - there.mean(axis=0)).mean()
    )
    with pytest.raises(ModelError, match="which classes a patch holds and not where"):
        make_ensemble([bundle], device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("model", "loss", "complaint"),
    [
        ("shallow-cnn", "ce", "use --loss presence"),
        ("unet-small", "presence", "use --model shallow-cnn"),
    ],
)
def test_losses_of_the_other_kind_of_label_are_refused(
    patch_folder: FolderMaker, tmp_path: Path, model: str, loss: str, complaint: str
) -> None:
    with pytest.raises(OptionError, match=complaint):
        fit(
            patch_folder(),
            tmp_path / "m.safetensors",
            Settings(model=model, loss=loss),
            device="cpu",
        )


def test_the_loss_sums_over_classes_and_averages_over_patches_with_labels() -> None:
    loss = make_loss("presence", CONTEXT)
    logits = torch.tensor([[0.0, 2.0], [-1.0, 3.0], [5.0, 5.0]], dtype=torch.float64)
    labels = torch.tensor([[1, 0], [0, 1], [255, 255]])
    p = 1 / (1 + np.exp(-logits.numpy()))
    first = -np.log(p[0, 0]) - np.log(1 - p[0, 1])
    second = -np.log(1 - p[1, 0]) - np.log(p[1, 1])
    assert loss(logits, labels).item() == pytest.approx((first + second) / 2)


def test_unknown_entries_add_nothing_and_their_patch_counts_by_what_is_known() -> None:
    logits = torch.tensor([[0.5, float("inf")], [-1.0, float("nan")], [2.0, 1.0]])
    logits.requires_grad_()
    labels = torch.tensor([[1, 255], [255, 255], [0, 1]])
    value = make_loss("presence", CONTEXT)(logits, labels)
    each = [math.log1p(math.exp(-0.5)), math.log1p(math.exp(2.0)), math.log1p(math.exp(-1.0))]
    assert value.item() == pytest.approx(sum(each) / 2)
    value.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad != 0).tolist() == [[True, False], [False, False], [True, True]]


def test_the_loss_of_nothing_labelled_is_nothing() -> None:
    loss = make_loss("presence", CONTEXT)
    logits = torch.randn(2, 2, requires_grad=True)
    value = loss(logits, torch.full((2, 2), 255))
    value.backward()  # type: ignore[no-untyped-call]
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_labels_are_of_what_the_network_sees_of_a_patch(patch_folder: FolderMaker) -> None:
    held = LabelledPatches.of(PatchDataset.open(patch_folder(train=6)), "train")
    seen = {"mean": (0.0, 0.0), "std": (1.0, 1.0), "downscale": 2}
    transforms = make_augmentations("crop(size=4), rotate")
    chosen = Order.of(np.arange(6))
    masks = BatchMaker(held, transforms=transforms, **seen).make(chosen, (0, 0, 0))
    found = BatchMaker(held, transforms=transforms, share=0.2, **seen).make(chosen, (0, 0, 0))
    assert found[0].tobytes() == masks[0].tobytes()
    # Strictly more than a fifth of 16 pixels, labelled or not, is 4 or more.
    wanted = [[int((m == c).sum() >= 4) for c in range(3)] for m in masks[1]]
    assert found[1].tolist() == wanted
    assert (masks[1] == 255).any()


# -- labels of whole patches ---------------------------------------------------------------------


def test_labels_of_whole_patches_are_learned_from(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = mean_colour_folder(patch_folder)
    settings = Settings(
        model="shallow-cnn",
        model_options={"widths": (4, 4, 8, 8)},
        optimizer="adam",
        lr=0.02,
        epochs=12,
        batch_size=8,
        augment="flips, rot90, rotate(degrees=20)",
    )
    report = fit(folder, tmp_path / "m.safetensors", settings, device="cpu").report
    assert report["accuracy"] > report["majority"] + 0.2
    assert report["settings"]["present"] == 0.05
    assert report["settings"]["confidence"] is None
    val = np.load(folder / "val" / "presence.npy")
    assert [c["patches"] for c in report["classes"]] == (val == 1).sum(axis=0).tolist()
    assert np.sum(report["confusion"]) == (val != 255).sum()
    page = (tmp_path / "m.report.html").read_text(encoding="utf-8")
    assert "Confusion a class" in page
    assert "✓" in page


def mean_colour_folder(patch_folder: FolderMaker) -> Path:
    """Patches of one colour and some noise, each of which says which of two classes they hold."""
    folder = patch_folder(train=32, val=16, size=16, classes=2, of_patches=True)
    random = np.random.default_rng(1)
    for split, number in (("train", 32), ("val", 16)):
        colour = random.integers(0, 2, (number, 2))
        noise = random.integers(0, 60, (number, 2, 16, 16))
        np.save(
            folder / split / "images.npy",
            (20 + 100 * colour[:, :, None, None] + noise).astype("u2"),
        )
        presence = colour.astype(np.uint8)
        presence[random.random(presence.shape) < 0.1] = 255
        np.save(folder / split / "presence.npy", presence)
    return folder


def test_a_run_on_labels_of_whole_patches_goes_on_to_the_same_bytes(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = mean_colour_folder(patch_folder)

    def settings(epochs: int) -> Settings:
        return Settings(
            model="shallow-cnn",
            model_options={"widths": (2, 2, 2, 2)},
            epochs=epochs,
            schedule="constant",
            sampler="equibatch",
        )

    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    fit(folder, whole, settings(3), device="cpu", description="d", workers=1)
    epochs: list[EpochRecord] = []

    def stop(record: EpochRecord) -> None:
        epochs.append(record)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(
            folder,
            parts,
            settings(3),
            device="cpu",
            on_epoch=stop,
            description="d",
            checkpoint_seconds=0,
        )
    fit(folder, parts, settings(3), device="cpu", description="d", resume=True, workers=3)
    first, second = load_bundle(whole).network, load_bundle(parts).network
    for key, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], tensor), key


@pytest.mark.parametrize(
    ("settings", "error", "complaint"),
    [
        ({}, DatasetError, "holds labels of whole patches: use --model shallow-cnn"),
        ({"present": 0.1}, OptionError, "of whole patches already: leave it out"),
        ({"augment": "flips, crop(size=8)"}, OptionError, "'crop' would cut away"),
        ({"max_class_share": "10:0.5"}, OptionError, "--max-class-share counts pixels"),
        ({"sampler": "balance(positive=10)"}, OptionError, "--sampler balance counts pixels"),
        ({"confidence": 0.5}, OptionError, "have none; leave it out"),
    ],
)
def test_what_labels_of_whole_patches_cannot_give_is_refused_in_a_line(
    patch_folder: FolderMaker,
    tmp_path: Path,
    settings: dict[str, Any],
    error: type[Exception],
    complaint: str,
) -> None:
    folder = patch_folder(of_patches=True)
    options = {**({"model": "shallow-cnn"} if settings else {}), **settings}
    with pytest.raises(error, match=complaint):
        fit(folder, tmp_path / "m.safetensors", Settings(**options), device="cpu")


def test_damaged_labels_of_whole_patches_are_told(patch_folder: FolderMaker) -> None:
    folder = patch_folder(of_patches=True)
    presence = np.load(folder / "train" / "presence.npy")
    presence[2, 1] = 7
    np.save(folder / "train" / "presence.npy", presence)
    with pytest.raises(DatasetError, match=r"presence\.npy holds other values than 0, 1 and 255"):
        LabelledPatches.of(PatchDataset.open(folder), "train")


def test_patches_known_to_hold_nothing_are_learned_from_and_unknown_ones_are_not(
    patch_folder: FolderMaker,
) -> None:
    folder = patch_folder(of_patches=True, train=3)
    np.save(
        folder / "train" / "presence.npy",
        np.array([[0, 0, 0], [255, 255, 255], [255, 1, 0]], np.uint8),
    )
    pool = LabelledPatches.of(PatchDataset.open(folder), "train").pool((10, 11, 12))
    assert pool.labelled.tolist() == [0, 2]
    assert pool.class_pixels.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert sorted(make_sampler("random", pool, 0).order(0).patches) == [0, 2]
    assert set(make_sampler("equibatch", pool, 0).order(0).patches.tolist()) == {2}
    rare = make_sampler("oversample(classes=11)", pool, 0).order(0)
    assert sorted(rare.patches) == [0, 2, 2, 2, 2]


def test_a_comparison_and_its_test_set_take_labels_of_whole_patches(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder(of_patches=True, train=8, val=4, size=16)
    base = Settings(model="shallow-cnn", model_options={"widths": (2, 2, 2, 2)}, epochs=1)
    arguments = {"grid": {"seed": [0, 1]}, "how": How(device="cpu", threads=1)}
    found = compare(folder, tmp_path / "runs", base, **arguments, test=folder)
    assert all(run["scores"]["accuracy"] is not None for run in found.content["runs"])
    states: list[str] = []
    compare(
        folder,
        tmp_path / "runs",
        base,
        **arguments,
        test=folder,
        on_run=lambda _, outcome: states.append(outcome["state"]),
    )
    assert states == ["there", "there"]
    pixels = patch_folder("pixels", train=2, val=2, size=16)
    with pytest.raises(DatasetError, match="holds labels of whole patches"):
        compare(
            pixels,
            tmp_path / "others",
            Settings(model_options={"widths": (4, 8)}, epochs=1),
            **arguments,
            test=folder,
        )
