"""ONNX files and what stands beside foreign models: anybody's bytes, tables and keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from geoseg.models.opening import open_model
from geoseg.testing.damage import damaged_bytes, damaged_json

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

BESIDE = {
    "name": "elsewhere",
    "bands": ["red", "nir"],
    "mean": [1.0, 2.0],
    "std": [1.0, 1.5],
    "fill": 0.0,
    "classes": ["a", "b"],
    "tile": 64,
    "output": "logits",
    "multiple": 16,
}
DEEPNESS = {
    "model_type": "Segmentor",
    "class_names": {"0": "a", "1": "b"},
    "resolution": 10,
    "tile_size": 64,
    "standardization_mean": [0.5, 0.5],
    "standardization_std": [0.2, 0.2],
}


def small() -> Any:
    """A graph of one convolution, of two bands to two classes."""
    helper = onnx.helper
    shapes = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 2, "h", "w"])
        for name in ("image", "logits")
    ]
    weights = helper.make_tensor("w", onnx.TensorProto.FLOAT, [2, 2, 1, 1], [1.0, 2.0, 3.0, 4.0])
    node = helper.make_node("Conv", ["image", "w"], ["logits"])
    graph = helper.make_graph([node], "g", shapes[:1], shapes[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def use(path: Path) -> Any:
    """Open a model and let it answer a small image."""
    with torch.inference_mode():
        return open_model(path).network(torch.zeros(1, 2, 4, 4))


def test_damaged_graphs_are_refused_in_one_line_or_run(fuzz: Any) -> None:
    path = fuzz.folder / "model.onnx"
    (fuzz.folder / "model.json").write_text(json.dumps(BESIDE))
    data = small().SerializeToString()
    for rng in fuzz.cases(120):
        path.write_bytes(damaged_bytes(data, rng))
        fuzz.read(lambda: open_model(path), "model")


@pytest.mark.parametrize("where", ["beside", "inside"])
def test_damaged_descriptions_are_refused_in_one_line_or_used(fuzz: Any, where: str) -> None:
    path = fuzz.folder / "model.onnx"
    beside = fuzz.folder / "model.json"
    for rng in fuzz.cases(120):
        model = small()
        if where == "beside":
            beside.write_bytes(damaged_json(BESIDE, rng))
        else:
            beside.write_text(json.dumps({"bands": ["red", "nir"], "output": "probabilities"}))
            key = rng.choice(sorted(DEEPNESS))
            for name, value in DEEPNESS.items():
                entry = model.metadata_props.add()
                entry.key, entry.value = name, json.dumps(value)
                if name == key:
                    entry.value = damaged_json(value, rng).decode("utf-8", "replace")
        path.write_bytes(model.SerializeToString())
        fuzz.read(lambda: use(path), "model")
