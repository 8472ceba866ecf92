"""ONNX files as networks: threads, cards, and answers that are none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from geoseg.errors import ModelError
from geoseg.models.onnx import network as home
from geoseg.models.onnx.network import session
from geoseg.models.opening import open_model

ABOUT = """
bands = ["a", "b"]
mean = [0.0, 0.0]
std = [1.0, 1.0]
classes = ["x", "y"]
output = "logits"
multiple = 4
"""


def written(path: Path, *nodes: Any, channels: Any = 2, shape: Any = ("n", 2, "h", "w")) -> Path:
    kernel = np.eye(2, dtype=np.float32)[:, :, None, None]
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Conv", ["i", "k"], ["o"])],
        "g",
        [helper.make_tensor_value_info("i", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, ("n", channels, "p", "q"))],
        [numpy_helper.from_array(kernel, "k")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    path.with_suffix(".toml").write_text(ABOUT)
    return path


class Runtime(SimpleNamespace):
    """Stands in for onnxruntime, and keeps what it was asked for."""

    def __init__(self, *providers: str) -> None:
        super().__init__(asked=[], ExecutionMode=SimpleNamespace(ORT_SEQUENTIAL=0))
        self.providers = list(providers)

    def SessionOptions(self) -> SimpleNamespace:  # noqa: N802 - its name
        return SimpleNamespace(intra_op_num_threads=0, inter_op_num_threads=0)

    def get_available_providers(self) -> list[str]:
        return self.providers

    def InferenceSession(self, content: bytes, options: Any, providers: Any, **_: Any) -> str:  # noqa: N802
        self.asked.append((type(content), options.intra_op_num_threads, providers))
        return "session"


def test_on_the_processor_one_thread_computes_a_tile_and_on_a_card_the_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime = Runtime("CUDAExecutionProvider", "CPUExecutionProvider")
    monkeypatch.setattr(home, "library", lambda *_: runtime)
    session(b"", "m.onnx")
    session(b"", "m.onnx", card=1)
    runtime.providers.pop(0)
    session(b"", "m.onnx", card=0)  # this onnxruntime knows no cards
    assert runtime.asked == [
        (bytes, 1, ["CPUExecutionProvider"]),
        (bytes, 0, [("CUDAExecutionProvider", {"device_id": 1}), "CPUExecutionProvider"]),
        (bytes, 0, ["CPUExecutionProvider"]),
    ]


def test_logits_are_the_file_s_own_for_sizes_that_it_does_not_take(tmp_path: Path) -> None:
    network = open_model(written(tmp_path / "m.onnx")).network
    x = torch.arange(2 * 3 * 5, dtype=torch.float32).reshape(1, 2, 3, 5)
    assert torch.equal(network(x), x)  # continued to 4 × 8 and cropped back


def test_images_of_one_size_are_continued_to_it_and_larger_ones_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", shape=("n", 2, 8, 8))
    bundle = open_model(path)
    assert bundle.card.tile == 8
    x = torch.rand(3, 2, 8, 5)
    assert torch.equal(bundle.network(x), x)
    with pytest.raises(ModelError, match="8 × 8 px alone: say --tile 8"):
        bundle.network(torch.rand(1, 2, 9, 8))


def test_what_answers_another_shape_or_fails_is_one_line(tmp_path: Path) -> None:
    half = helper.make_node("MaxPool", ["i"], ["o"], kernel_shape=[2, 2], strides=[2, 2])
    network = open_model(written(tmp_path / "half.onnx", half, channels="c")).network
    with pytest.raises(ModelError, match=r"answers \[1, 2, 4, 4\]") as caught:
        network(torch.rand(1, 2, 8, 8))
    assert "half.onnx" in str(caught.value)
    fixed = helper.make_node("Reshape", ["i", "s"], ["o"])
    path = written(tmp_path / "fails.onnx", fixed, channels="c")
    model = onnx.load(path)
    sizes = numpy_helper.from_array(np.array([1, 2, 3, 3], np.int64), "s")
    model.graph.initializer.append(sizes)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="fails on a tile") as caught:
        open_model(path).network(torch.rand(1, 2, 8, 8))
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_the_runtime_refuses_is_one_line_and_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    unknown = helper.make_node("NoSuchOperator", ["i"], ["o"])
    network = open_model(written(tmp_path / "m.onnx", unknown)).network
    with pytest.raises(ModelError, match="cannot be run by onnxruntime") as caught:
        network(torch.rand(1, 2, 8, 8))
    assert len(str(caught.value).splitlines()) == 1
    path = written(tmp_path / "letters.onnx")
    path.write_bytes(path.read_bytes().replace(b"Conv", b"C\xf2nv"))
    with pytest.raises(ModelError):
        open_model(path).network(torch.rand(1, 2, 8, 8))
    assert capfd.readouterr() == ("", "")
