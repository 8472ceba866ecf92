"""Which numbers a network computes with."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geoseg.errors import OptionError
from geoseg.models.precision import autocast, resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False}, "float32"),
        ({}, "float32"),
    ],
)
def test_auto_follows_what_the_processor_multiplies_in(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], wanted: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert resolve_precision("auto", CPU, learning=True) == wanted
    assert resolve_precision("auto", CPU) == "float32"


def test_auto_is_float32_where_torch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert resolve_precision("auto", CPU, learning=True) == "float32"


def test_what_is_asked_for_is_taken() -> None:
    assert resolve_precision("float32", CPU) == "float32"
    assert resolve_precision("bfloat16", CPU) == "bfloat16"
    with pytest.raises(OptionError, match="auto, float32, bfloat16"):
        resolve_precision("half", CPU)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_autocast_decides_what_a_convolution_gives(precision: str, dtype: torch.dtype) -> None:
    layer = torch.nn.Conv2d(1, 1, 1)
    with autocast(precision, CPU):
        assert layer(torch.zeros(1, 1, 2, 2)).dtype == dtype
