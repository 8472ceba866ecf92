"""Networks that learn which classes a patch holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from geoseg.errors import ModelError, OptionError
from geoseg.inference.members import make_ensemble
from geoseg.models.bundle import load_bundle
from geoseg.models.normalise import normalise
from geoseg.patches.dataset import PatchDataset
from geoseg.training.fit import fit
from geoseg.training.losses import LossContext, make_loss
from geoseg.training.settings import Settings

FolderMaker = Callable[..., Path]


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
    loss = make_loss("presence", LossContext(classes=2, class_pixels=(1, 1), present=0.5))
    logits = torch.tensor([[0.0, 2.0], [-1.0, 3.0], [5.0, 5.0]], dtype=torch.float64)
    labels = torch.tensor([[[0, 0, 1]], [[1, 1, 255]], [[255, 255, 255]]])
    p = 1 / (1 + np.exp(-logits.numpy()))
    first = -np.log(p[0, 0]) - np.log(1 - p[0, 1])
    second = -np.log(1 - p[1, 0]) - np.log(p[1, 1])
    assert loss(logits, labels).item() == pytest.approx((first + second) / 2)


def test_the_loss_of_nothing_labelled_is_nothing() -> None:
    loss = make_loss("presence", LossContext(classes=2, class_pixels=(1, 1)))
    logits = torch.randn(2, 2, requires_grad=True)
    value = loss(logits, torch.full((2, 3, 3), 255))
    value.backward()  # type: ignore[no-untyped-call]
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()
