"""Networks compiled, or not."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn

from geoseg.errors import ModelError
from geoseg.models import compiling
from geoseg.models.compiling import Compiled, obstacle

CPU, CARD = torch.device("cpu"), torch.device("cuda:0")


def test_nothing_is_in_the_way_where_there_is_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    there = {"clang++", "gcc"}
    monkeypatch.setattr(shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda name: name)
    assert obstacle(CPU) is None
    assert obstacle(CARD) is None
    assert obstacle(torch.device("mps")) is None


def test_what_is_in_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "mine")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda name: name)
    assert obstacle(CPU) == "there is no C++ compiler"
    assert obstacle(CARD) == "there is no C compiler"
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda _: None)
    assert obstacle(CARD) == "the package triton is not installed"
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "mine" else None)
    assert obstacle(CPU) is None


@pytest.mark.slow
@pytest.mark.skipif(obstacle(CPU) is not None, reason="there is no compiler")
def test_a_compiled_network_answers_the_same_for_batches_of_any_size() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 1)).eval()
    compiled = Compiled(network)
    for count in (2, 1, 3):
        x = torch.rand(count, 2, 9, 7)
        with torch.inference_mode():
            torch.testing.assert_close(compiled(x), network(x))


def test_a_compiler_that_fails_is_one_line() -> None:
    def failing(module: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> None:
        raise ValueError("no such instruction")

    network = Compiled(nn.Conv2d(1, 1, 1))
    network._compiled = torch.compile(nn.Conv2d(1, 1, 1), backend=failing)
    with (
        torch.inference_mode(),
        pytest.raises(ModelError, match=r"cannot be compiled here .*; leave out --compile") as told,
    ):
        network(torch.zeros(1, 1, 2, 2))
    assert "\n" not in str(told.value)
