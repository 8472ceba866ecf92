"""Several processes that train one network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from geoseg.errors import OptionError
from geoseg.models.bundle import load_bundle
from geoseg.models.normalise import normalise
from geoseg.patches.dataset import PatchDataset
from geoseg.training.distributed import Processes, joined, launched, own_device

FolderMaker = Callable[..., Path]


def test_without_a_launcher_there_is_one_process() -> None:
    assert launched() == (0, 1)
    with joined(torch.device("cpu")) as processes:
        assert processes == Processes()
        assert processes.is_first
        assert processes.sum(np.array([1, 2])).tolist() == [1, 2]
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(("rank", "count"), [("2", "2"), ("x", "2"), ("-1", "2")])
def test_variables_without_meaning_are_refused(
    monkeypatch: pytest.MonkeyPatch, rank: str, count: str
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", count)
    with pytest.raises(OptionError, match="torchrun"):
        launched()


def test_the_processor_is_taken_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert own_device("cpu").type == "cpu"


def train(folder: Path, model: Path, *words: str, processes: int = 1) -> None:
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        if processes > 1
        else []
    )
    command = [sys.executable, *launcher, "-m", "geoseg", "train", str(folder), "-o", str(model)]
    done = subprocess.run(
        [*command, "--device", "cpu", "--precision", "float32", "--threads", "1", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("parameters, epoch") == 1  # the first process alone speaks


@pytest.mark.slow
def test_two_processes_learn_what_one_does(patch_folder: FolderMaker, tmp_path: Path) -> None:
    # Without batch norm, whose statistics are those of a part, and with all pixels labelled, the
    # mean of the parts' gradients is the gradient of the batch.
    folder = patch_folder(train=7, val=3, unlabelled_share=0)
    words = [
        *("--model-option", "widths=4,8", "--model-option", "batch_norm=false"),
        *("--epochs", "3", "--batch-size", "4", "--augment", "none", "--optimizer", "sgd"),
        *("--keep", "last"),
    ]
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    train(folder, one, *words)
    train(folder, two, *words, processes=2)
    first, second = load_bundle(one), load_bundle(two)
    for key, tensor in first.network.state_dict().items():
        torch.testing.assert_close(second.network.state_dict()[key], tensor, rtol=1e-4, atol=1e-6)
    scores, others = first.card.training["scores"], second.card.training["scores"]
    assert others["miou"] == pytest.approx(scores["miou"])
    assert [c["pixels"] for c in others["classes"]] == [c["pixels"] for c in scores["classes"]]


@pytest.mark.slow
def test_averaging_and_accumulation_work_over_processes_too(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    model = tmp_path / "m.safetensors"
    train(
        patch_folder(train=9, val=3),
        model,
        *("--model-option", "widths=4,8", "--epochs", "1", "--swa", "cycles=2,length=1"),
        *("--batch-size", "4", "--accumulate", "2"),
        processes=2,
    )
    assert load_bundle(model).card.training["epochs"] == 3


SCRIPT = """
import os, signal, sys
from pathlib import Path
from geoseg.training.fit import fit
from geoseg.training.settings import Settings

folder, model, how = sys.argv[1:]
calls = 0

def count(patches):
    global calls
    calls += 1
    if how == "stop" and calls == 3 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGINT)

settings = Settings(
    model_options={"widths": (4, 8)}, epochs=3, batch_size=4, precision="float32", lr=0.01
)
try:
    fit(folder, model, settings, device="cpu", threads=1, progress=count)
except KeyboardInterrupt:
    Path(f"{model}.rank-{os.environ['RANK']}").touch()
"""


def run_script(folder: Path, model: Path, how: str) -> None:
    script = model.with_suffix(".py")
    script.write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc-per-node=2", str(script), str(folder), str(model), how],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_processes_stop_together_when_one_is_asked_to(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    model = tmp_path / "m.safetensors"
    run_script(patch_folder(train=12, val=3), model, "stop")
    names = {path.name for path in tmp_path.iterdir()}
    assert {"m.checkpoint", "m.safetensors.rank-0", "m.safetensors.rank-1"} <= names
    assert "m.safetensors" not in names


@pytest.mark.slow
def test_the_model_written_is_the_one_that_all_processes_scored(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    # With batch norm, whose statistics each process takes of its own part.
    folder, model = patch_folder(train=12, val=6), tmp_path / "m.safetensors"
    run_script(folder, model, "train")
    bundle, val = load_bundle(model), PatchDataset.open(folder).split("val")
    assert val.labels is not None
    images = normalise(torch.from_numpy(np.array(val.images)), bundle.card.mean, bundle.card.std)
    with torch.inference_mode():
        predicted = bundle.network(images).argmax(1).numpy()
    labels = np.array(val.labels)
    right = (predicted == labels)[labels != 255].mean()
    assert bundle.card.training["scores"]["accuracy"] == pytest.approx(right)


@pytest.mark.slow
def test_a_librarys_network_with_unused_parameters_learns_too(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    words = ["--model", "smp:pspnet/resnet18", "--epochs", "1", "--batch-size", "6"]
    train(patch_folder(train=6, val=2, size=32), tmp_path / "m.safetensors", *words, processes=2)
