"""A command on several cards."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from geoseg.cli import launch
from geoseg.cli.launch import cards_of, is_first, run_on_cards
from geoseg.cli.train import _words_without_device
from geoseg.errors import OptionError
from geoseg.models import device


def test_cards_are_read_from_the_device() -> None:
    assert cards_of("cuda:0,1") == (0, 1)
    assert cards_of("cuda:3,0,2") == (3, 0, 2)
    for one in ("cuda:0", "cuda", "cpu", "auto", "cuda:0,", "cuda:a,b"):
        assert cards_of(one) == ()
    with pytest.raises(OptionError, match="twice"):
        cards_of("cuda:1,1")


def test_a_card_that_is_not_there_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device.torch.cuda, "device_count", lambda: 0)
    with pytest.raises(OptionError, match=r"^--device cuda:\d,\d: torch sees no CUDA card"):
        run_on_cards((0, 1), ["train"])


def test_each_card_gets_a_process_by_torchs_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Started:
        def __init__(self, words: list[str], env: dict[str, str]) -> None:
            seen.update(words=words, env=env)

        def wait(self) -> int:
            return 7

    monkeypatch.setattr(device.torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(subprocess, "Popen", Started)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert run_on_cards((1, 3), ["train", "patches"]) == 7
    assert seen["words"][:5] == [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        "--nproc-per-node=2",
    ]
    assert seen["words"][5:] == ["-m", "geoseg", "train", "patches", "--device", "cuda"]
    assert seen["env"]["CUDA_VISIBLE_DEVICES"] == "5,7"


def test_the_device_is_left_out_of_the_words() -> None:
    words = ["train", "d", "--device", "cuda:0,1", "-o", "m", "--device=cpu"]
    assert _words_without_device(words) == ["train", "d", "-o", "m"]


def test_one_process_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert is_first()
    monkeypatch.setenv("RANK", "1")
    assert not launch.is_first()
