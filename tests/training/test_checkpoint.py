"""The state of a run as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from geoseg.errors import ModelError, OutputError
from geoseg.models.network import channels_last
from geoseg.models.registry import build
from geoseg.training.checkpoint import Progress, load_checkpoint, read_identity, save_checkpoint
from geoseg.training.optim import Optimizer, make_optimizer


def state(name: str = "adamw", width: int = 4) -> tuple[nn.Module, Optimizer]:
    torch.manual_seed(0)
    network = channels_last(build("unet", in_channels=2, classes=3, widths=(width, 8)))
    optimizer = make_optimizer(name, network, rate=0.01, decay=0.1, momentum=0.9)
    network(torch.randn(2, 2, 8, 8)).square().mean().backward()
    optimizer.step()
    return network, optimizer


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_everything_comes_back_in_its_layout(tmp_path: Path, name: str) -> None:
    network, optimizer = state(name)
    progress = Progress(
        epoch=3,
        batch=2,
        tally={"loss": 0.1 + 0.2, "confusion": [[1, 2], [3, 4]]},
        history=[{"epoch": 1, "val_loss": None}],
        last={"loss": 1.5},
        best={"epoch": 1, "value": 1 / 3},
        best_weights=dict(network.state_dict()),
        seconds=12.5,
    )
    path = tmp_path / "m.checkpoint"
    save_checkpoint(path, network, optimizer, progress, {"settings": {"seed": 1}})
    assert read_identity(path) == {"settings": {"seed": 1}}
    torch.manual_seed(9)
    other = channels_last(build("unet", in_channels=2, classes=3, widths=(4, 8)))
    other_optimizer = make_optimizer(name, other, rate=0.01, decay=0.1, momentum=0.9)
    found = load_checkpoint(path, other, other_optimizer)
    assert {**vars(found), "best_weights": None} == {**vars(progress), "best_weights": None}
    for key, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
        assert torch.equal(found.best_weights[key], value)
    wanted, got = optimizer.state_dict(), other_optimizer.state_dict()
    assert wanted.keys() == got.keys()
    for key, value in wanted.items():
        assert torch.equal(got[key], value)
        assert got[key].stride() == value.stride()


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.checkpoint"
    save_checkpoint(path, *state(), Progress(), {})
    for other in (state(width=6), state("sgd")):
        with pytest.raises(ModelError, match="does not fit this run"):
            load_checkpoint(path, *other)


def test_a_pickle_and_a_model_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "m.checkpoint"
    torch.save({"epoch": 1}, path)
    with pytest.raises(ModelError, match="runs code when loaded"):
        read_identity(path)
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match="no checkpoint"):
        read_identity(path)


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "m.checkpoint"
    save_checkpoint(path, *state(), Progress(epoch=1), {})
    before = path.read_bytes()
    with pytest.raises(OutputError):
        save_checkpoint(tmp_path / "no" / "m.checkpoint", *state(), Progress(epoch=2), {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.checkpoint"]
