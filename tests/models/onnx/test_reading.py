"""ONNX files from anywhere are looked at before anything of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from geoseg.errors import ModelError
from geoseg.models.onnx import reading
from geoseg.models.onnx.reading import read_onnx


def small(*extra: Any, weights: Any = None, shape: tuple[Any, ...] = ("n", 2, "h", "w")) -> Any:
    """A model of one 1 × 1 convolution from two bands to three channels."""
    kernel = np.arange(6, dtype=np.float32).reshape(3, 2, 1, 1) if weights is None else weights
    graph = helper.make_graph(
        [helper.make_node("Conv", ["input", "kernel"], ["output"]), *extra],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, (shape[0], 3, *shape[2:]))],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def saved(model: Any, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_onnx(path)
    told = str(caught.value)
    assert len(told.splitlines()) == 1
    assert str(path) in told
    return told


def test_a_plain_file_is_described(tmp_path: Path) -> None:
    file = read_onnx(saved(small(), tmp_path / "m.onnx"))
    assert (file.input, file.output, file.dtype) == ("input", "output", "float32")
    assert file.shape == (None, 2, None, None)
    assert file.channels == 3
    assert file.parameters == 6
    assert len(file.hash) == 32


def test_what_is_missing_empty_text_or_truncated_is_one_line(tmp_path: Path) -> None:
    assert "not there" in refused(tmp_path / "none.onnx")
    for name, content in (
        ("empty.onnx", b""),
        ("text.onnx", b"no model at all, " * 9),
        ("zip.onnx", b"PK\x03\x04" + bytes(99)),
        ("half.onnx", small().SerializeToString()[:70]),
    ):
        (tmp_path / name).write_bytes(content)
        assert "ONNX file" in refused(tmp_path / name) or "cannot be used" in refused(
            tmp_path / name
        )


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/passwd", "beside.bin"])
def test_weights_in_other_files_are_refused_and_the_file_is_not_opened(
    tmp_path: Path, place: str
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    (folder / "beside.bin").write_bytes(bytes(24))
    model = small()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place
    told = refused(saved(model, folder / "m.onnx"))
    assert "lie in another file" in told


def test_weights_in_other_files_are_found_inside_of_nodes_too(tmp_path: Path) -> None:
    constant = helper.make_node(
        "Constant", [], ["c"], value=numpy_helper.from_array(np.zeros(3, np.float32), "value")
    )
    model = small(constant)
    tensor = model.graph.node[1].attribute[0].t
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret.bin"
    assert "lie in another file" in refused(saved(model, tmp_path / "m.onnx"))


def test_operators_of_their_own_and_loops_are_refused(tmp_path: Path) -> None:
    own = small(helper.make_node("Steal", ["output"], ["x"], domain="com.evil"))
    assert "com.evil.Steal" in refused(saved(own, tmp_path / "own.onnx"))
    context = small(helper.make_node("EPContext", ["output"], ["x"], domain="com.microsoft"))
    assert "EPContext" in refused(saved(context, tmp_path / "context.onnx"))
    body = helper.make_graph([], "b", [], [])
    loop = small(helper.make_node("Loop", ["", ""], ["x"], body=body))
    assert "may never end" in refused(saved(loop, tmp_path / "loop.onnx"))


def test_functions_are_looked_into_and_may_not_unfold_without_end(tmp_path: Path) -> None:
    def with_functions(*functions: tuple[str, list[str]]) -> Any:
        model = small(helper.make_node("f0", ["output"], ["x"], domain="own"))
        model.opset_import.append(helper.make_opsetid("own", 1))
        for name, called in functions:
            nodes = [
                helper.make_node(c, ["a"], [f"b{i}"], domain="own" if c[0] == "f" else "")
                for i, c in enumerate(called)
            ]
            opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
            model.functions.append(helper.make_function("own", name, ["a"], ["b0"], nodes, opsets))
        return model

    fine = with_functions(("f0", ["f1", "f1"]), ("f1", ["Relu"]))
    assert read_onnx(saved(fine, tmp_path / "fine.onnx")).parameters == 6
    circle = with_functions(("f0", ["f1"]), ("f1", ["f0"]))
    assert "calls itself" in refused(saved(circle, tmp_path / "circle.onnx"))
    bomb = with_functions(*((f"f{i}", [f"f{i + 1}"] * 10) for i in range(9)), ("f9", ["Relu"]))
    assert "unfold" in refused(saved(bomb, tmp_path / "bomb.onnx"))
    loop = with_functions(("f0", ["Loop"]))
    assert "may never end" in refused(saved(loop, tmp_path / "loop.onnx"))


def test_weights_that_are_not_there_or_no_numbers_are_refused(tmp_path: Path) -> None:
    huge = small()
    huge.graph.initializer[0].dims[0] = 1 << 60
    assert "are there" in refused(saved(huge, tmp_path / "huge.onnx"))
    negative = small()
    negative.graph.initializer[0].dims[0] = -3
    assert "are there" in refused(saved(negative, tmp_path / "negative.onnx"))
    odd = small()
    odd.graph.initializer[0].data_type = 99
    assert "type" in refused(saved(odd, tmp_path / "odd.onnx"))
    for name, value in (("nan", np.nan), ("inf", -np.inf)):
        kernel = np.ones((3, 2, 1, 1), np.float32)
        kernel[1, 1] = value
        told = refused(saved(small(weights=kernel), tmp_path / f"{name}.onnx"))
        assert "NaN or infinite" in told


def test_a_result_of_absurd_size_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    sizes = numpy_helper.from_array(np.array([1 << 20, 1 << 20, 64], np.int64), "sizes")
    model = small(helper.make_node("ConstantOfShape", ["sizes"], ["bomb"]))
    model.graph.initializer.append(sizes)
    assert "'bomb'" in refused(saved(model, tmp_path / "bomb.onnx"))


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    flat = small(shape=("n", 2))
    flat.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ("n", 3, "h", "w"))
    )
    assert "2 axes" in refused(saved(flat, tmp_path / "flat.onnx"))
    two = small()
    two.graph.input.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, (1,)))
    assert "2 inputs" in refused(saved(two, tmp_path / "two.onnx"))


def test_a_file_beyond_what_the_format_holds_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    assert "more than" in refused(saved(small(), tmp_path / "m.onnx"))


def test_without_the_library_the_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(small(), tmp_path / "m.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert "pip install 'geoseg[onnx]'" in refused(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_anywhere_is_a_model_or_one_line(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(small().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(bytes(content[:cut]) if data.draw(st.booleans()) else bytes(content))
    try:
        told = [str(read_onnx(path).shape)]
    except ModelError as error:
        told = str(error).splitlines()
    assert len(told) == 1


def test_our_own_reader_agrees_with_the_library_on_numbers(tmp_path: Path) -> None:
    listed = helper.make_tensor("kernel", TensorProto.FLOAT, (3, 2, 1, 1), [1.0] * 6)
    model = small()
    model.graph.initializer[0].CopyFrom(listed)
    onnx.checker.check_model(model)
    assert read_onnx(saved(model, tmp_path / "m.onnx")).parameters == 6
