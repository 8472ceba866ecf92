"""Several processes that train one network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from geoseg.errors import ClusterError, OptionError
from geoseg.models.bundle import load_bundle
from geoseg.models.normalise import normalise
from geoseg.patches.dataset import PatchDataset
from geoseg.training.distributed import (
    Processes,
    _in_words,
    joined,
    launched,
    own_device,
)

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


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "[/src/gloo/transport/tcp/pair.cc:545] Read error [10.0.0.3]:23788: Connection reset by"
            " peer. This is typically caused by a remote worker hanging",
            r"have lost one another \(Read error \[10.0.0.3\]:23788: Connection reset by peer\):",
        ),
        (
            "Gloo connectFullMesh failed with [/src/gloo/transport/tcp/pair.cc:152] timed out\n"
            "connecting: SO_ERROR: Connection refused, remote=[127.0.1.1]:2969$0",
            r"\(Gloo connectFullMesh failed with timed out connecting: .*refused, .*\):",
        ),
    ],
)
def test_processes_that_lose_one_another_are_told_in_one_line(said: str, told: str) -> None:
    with (
        pytest.raises(ClusterError, match=told) as error,
        _in_words("have lost one another", "see why"),
    ):
        raise RuntimeError(said)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(": see why")


def test_what_else_goes_wrong_is_told_as_it_is() -> None:
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2"), _in_words("x", "y"):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_an_error_of_the_launchers_store_is_one_of_the_network() -> None:
    with pytest.raises(ClusterError, match=r"x \(timed out\): y"), _in_words("x", "y"):
        raise torch.distributed.DistNetworkError("timed out")


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
from geoseg.errors import OptionError
from geoseg.training.fit import fit
from geoseg.training.settings import Settings

folder, model, how = sys.argv[1:]
calls = 0

def count(patches):
    global calls
    calls += 1
    if how == "stop" and calls == 3 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGINT)

# Machines that see other folders by the same path.
if how == "other data" and os.environ["RANK"] == "1":
    folder = f"{folder}-there"
if how == "other folder" and os.environ["RANK"] == "1":
    model = str(Path(model).parent / "there" / "m.safetensors")
settings = Settings(
    model_options={"widths": (4, 8)}, epochs=3, batch_size=4, precision="float32", lr=0.01
)
try:
    fit(
        folder, model, settings, device="cpu", threads=1, progress=count, resume=how != "stop"
    )
except KeyboardInterrupt:
    Path(f"{model}.rank-{os.environ['RANK']}").touch()
except OptionError as error:
    Path(f"{sys.argv[2]}.told-{os.environ['RANK']}").write_text(str(error))
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
def test_machines_that_see_other_data_are_refused_in_words(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, model = patch_folder(train=12, val=3), tmp_path / "m.safetensors"
    shutil.copytree(folder, f"{folder}-there")
    record = Path(f"{folder}-there") / "dataset.json"
    record.write_text(record.read_text() + "\n")
    run_script(folder, model, "other data")
    told = [(tmp_path / f"m.safetensors.told-{rank}").read_text() for rank in range(2)]
    assert all("holds other patches on some of the machines" in text for text in told)
    assert not model.exists()


@pytest.mark.slow
def test_only_going_on_needs_a_folder_that_all_machines_see(
    patch_folder: FolderMaker, tmp_path: Path
) -> None:
    folder, model = patch_folder(train=12, val=3), tmp_path / "m.safetensors"
    (tmp_path / "there").mkdir()
    run_script(folder, model, "other folder")
    assert load_bundle(model).card.training["epochs"] == 3
    assert list((tmp_path / "there").iterdir()) == []
    model.unlink()
    for path in tmp_path.glob("m.*"):
        path.unlink()
    (tmp_path / "m.checkpoint").touch()
    run_script(folder, model, "other folder")
    told = [(tmp_path / f"m.safetensors.told-{rank}").read_text() for rank in range(2)]
    assert all("is there on some of the machines only" in text for text in told)


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
