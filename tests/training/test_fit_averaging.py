"""Weight averaging in whole runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geoseg.errors import OptionError
from geoseg.models.bundle import load_bundle
from geoseg.training import run as run_module
from geoseg.training.averaging import add_to_mean
from geoseg.training.fit import fit
from geoseg.training.outputs import Fitted
from geoseg.training.settings import Settings

FolderMaker = Callable[..., Path]


def averaged_run(folder: Path, output: Path, **changes: Any) -> Fitted:
    settings: dict[str, Any] = {
        "model_options": {"widths": (4, 8)},
        "epochs": 2,
        "swa": "cycles=3, length=2, high=0.5, low=0.1",
        "batch_size": 2,
        "lr": 0.01,
        "schedule": "constant",
        "precision": "float32",
    }
    return fit(folder, output, Settings(**{**settings, **changes}), device="cpu")


def test_the_model_is_the_mean_of_the_weights_at_the_cycles_ends(
    patch_folder: FolderMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected: list[dict[str, np.ndarray[Any, Any]]] = []

    def spy(
        mean: Mapping[str, Tensor], count: int, state: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        collected.append({k: v.double().numpy().copy() for k, v in state.items()})
        return add_to_mean(mean, count, state)

    monkeypatch.setattr(run_module, "add_to_mean", spy)
    fitted = averaged_run(patch_folder(), tmp_path / "m.safetensors")
    assert len(collected) == 3
    assert [(a["cycle"], a["epoch"]) for a in fitted.report["swa"]] == [(1, 4), (2, 6), (3, 8)]
    assert (fitted.report["epoch"], fitted.report["epochs"]) == (8, 8)
    assert fitted.report["miou"] == fitted.report["swa"][-1]["average"]["miou"]
    assert fitted.report["swa"][1]["last"]["miou"] == pytest.approx(fitted.history[5].val_miou)
    state = load_bundle(tmp_path / "m.safetensors").network.state_dict()
    for key, tensor in state.items():
        if "running" in key or "num_batches" in key:
            continue
        mean = np.mean([weights[key] for weights in collected], axis=0)
        np.testing.assert_allclose(tensor.numpy(), mean, rtol=1e-6, atol=1e-8)
    # Its batch norms' statistics are nobody's mean: they were taken anew.
    running = next(key for key in state if key.endswith("running_var"))
    mean = np.mean([weights[running] for weights in collected], axis=0)
    assert not np.allclose(state[running].numpy(), mean, rtol=1e-3)


def test_rates_fall_within_each_cycle(patch_folder: FolderMaker, tmp_path: Path) -> None:
    # One batch an epoch, so that an epoch has one rate.
    fitted = averaged_run(patch_folder(), tmp_path / "m.safetensors", batch_size=6)
    rates = [record.rate for record in fitted.history]
    assert rates == pytest.approx([0.01, 0.01, *(0.005, 0.003) * 3])


def test_without_validation_patches_the_average_is_scored_on_the_training_patches(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    fitted = averaged_run(patch_folder(val=0), tmp_path / "m.safetensors")
    assert fitted.report["split"] == "train"
    assert fitted.report["miou"] == fitted.report["swa"][-1]["average"]["miou"]
    assert fitted.report["swa"][0]["last"]["miou"] is None


def test_patience_and_averaging_exclude_each_other() -> None:
    with pytest.raises(OptionError, match="do not go together"):
        Settings(swa="cycles=1", patience=2)


def test_averaged_weights_of_one_cycle_are_that_cycles(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder = patch_folder()
    one = averaged_run(folder, tmp_path / "one.safetensors", swa="cycles=1, length=2")
    plain = averaged_run(folder, tmp_path / "plain.safetensors", epochs=2, swa=None, keep="last")
    assert [r.train_loss for r in one.history[:2]] == [r.train_loss for r in plain.history]
    kernel = "head.weight"
    last = load_bundle(tmp_path / "one.safetensors").network.state_dict()[kernel]
    assert not torch.equal(
        last, load_bundle(tmp_path / "plain.safetensors").network.state_dict()[kernel]
    )
