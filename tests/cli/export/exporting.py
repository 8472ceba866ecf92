"""Exports of models at the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import rasterio

from geoseg.cli import _run
from geoseg.models.card import ModelCard
from geoseg.raster.legend.written import parse_legend

SCHEMAS = Path(__file__).parents[1] / "schemas"
BANDS = ("blue", "green", "red")
LEGEND = parse_legend("2=Wald & Wiese:#1a7a33,5=water:#1f6fd0,9=Straße <b>:#d7301f")


def card(name: str, network: str, **more: Any) -> ModelCard:
    entries = {
        "name": name,
        "network": network,
        "arguments": {},
        "bands": BANDS,
        "mean": (8000.0, 8500.0, 9000.0),
        "std": (600.0, 700.0, 800.0),
        "fill": 0.0,
        "legend": LEGEND,
        "tile": 64,
        "resolution": 30.0,
        "training": {"epochs": 3, "scores": {"miou": 0.5, "classes": [{"id": 5, "iou": 0.25}]}},
    }
    return ModelCard(**(entries | more))


def done(words: str) -> None:
    assert _run([*words.split(), "-q"]) == 0


def told(words: str, capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    capsys.readouterr()
    before = {path.name for path in Path().iterdir()}
    assert _run([*words.split(), "-q"]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert {path.name for path in Path().iterdir()} == before
    assert line.startswith("Error: ")
    return line


def pixels(path: str) -> np.ndarray:
    with rasterio.open(path) as file:
        read: np.ndarray = file.read()
    return read


def props(path: str) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


# -- export --------------------------------------------------------------------------------------
