"""``geoseg.export``, and what takes its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import geoseg
from geoseg.errors import OptionError
from geoseg.raster.legend.written import parse_legend
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.scenes import tiny_scene


@pytest.fixture
def model(tmp_path: Path) -> Path:
    legend = parse_legend("1=dark,2=bright")
    weights = [[0.0, 0.0], [1.0, 1.0]]
    path = tmp_path / "model.safetensors"
    pointwise_bundle(
        weights, [0.0, -100.0], bands=["red", "nir"], legend=legend, path=path, name="sums"
    )
    return path


def test_an_export_is_described_loaded_and_predicts(tmp_path: Path, model: Path) -> None:
    pixels = np.array([[[10, 90], [60, 20]], [[10, 90], [60, 20]]], np.uint16)
    tiny_scene(tmp_path / "scene.tif", pixels, bands=["red", "nir"])
    made = geoseg.export(
        model, tmp_path / "model.onnx", input="readings", check=tmp_path / "scene.tif"
    )
    assert made.form == "onnx"
    assert made.onnx is not None
    assert made.onnx.random.difference < 1e-5
    assert made.onnx.real is not None
    bundle = geoseg.load_model(tmp_path / "model.onnx")
    assert bundle.card.bands == ("red", "nir")
    geoseg.predict(tmp_path / "scene.tif", tmp_path / "map.tif", model=bundle)
    with geoseg.open_scene(tmp_path / "map.tif") as scene:
        assert scene.read(scene.grid.window).data[0].tolist() == [[1, 2], [2, 1]]


def test_items_and_cards_are_written_and_options_that_say_nothing_are_refused(
    tmp_path: Path, model: Path
) -> None:
    assert geoseg.export(model, tmp_path / "item.json").form == "stac"
    assert json.loads((tmp_path / "item.json").read_text())["properties"]["mlm:name"] == "sums"
    assert geoseg.export(model, tmp_path / "card.md").form == "card"
    with pytest.raises(OptionError, match="tile"):
        geoseg.export(model, tmp_path / "other.md", tile=64)
    with pytest.raises(OptionError, match="range"):
        geoseg.export(model, tmp_path / "m.onnx", input="uint8", byte_range=[5, 1])
