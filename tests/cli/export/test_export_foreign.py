"""Models of elsewhere predict when it is said what they lack."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from exporting import done, pixels, told
from onnx import TensorProto, helper, numpy_helper

from geoseg.cli import _run


def foreign(path: Path, *, channels: int, last: str | None, **metadata: str) -> None:
    """An ONNX file of somebody else: scores are 1 × 1 convolutions of (reading / 255 − …)."""
    kernel = np.eye(channels, 3, dtype=np.float32)[:, :, None, None] * 3
    nodes = [helper.make_node("Conv", ["image", "k"], ["scores"])]
    out = "scores"
    if last is not None:
        axis = {"axis": 1} if last == "Softmax" else {}
        nodes.append(helper.make_node(last, ["scores"], ["answer"], **axis))
        out = "answer"
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ("n", 3, "h", "w"))],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ("n", channels, "h", "w"))],
        [numpy_helper.from_array(kernel, "k")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    path.write_bytes(model.SerializeToString())


ABOUT = """
bands = ["blue", "green", "red"]
mean = [8000.0, 8500.0, 9000.0]
std = [600.0, 700.0, 800.0]
classes = ["a", "b", "c"]
output = "logits"
"""


def normal(path: str) -> tuple[np.ndarray, np.ndarray]:
    data = pixels(path).astype(np.float64)
    with rasterio.open(path) as file:
        valid = file.read_masks(1) > 0
    mean, std = (np.array(v)[:, None, None] for v in ((8000, 8500, 9000), (600, 700, 800)))
    return (data - mean) / std, valid


def test_a_foreign_onnx_says_what_it_lacks_and_predicts_when_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign(here / "other.onnx", channels=3, last=None)
    line = told("predict scene.tif --model other.onnx -o x.tif", capsys)
    assert "does not say its bands, mean, std, classes, output" in line
    assert "other.toml" in line
    Path("other.toml").write_text(ABOUT)
    done("predict scene.tif --model other.onnx --tile 50 -o x.tif")
    x, valid = normal("scene.tif")
    # The largest of three normalised readings, by hand; ids are 0, 1, 2.
    assert (pixels("x.tif")[0][valid] == x.argmax(axis=0)[valid]).all()
    assert (pixels("x.tif")[0][~valid] == 255).all()
    assert _run(["info", "other.onnx"]) == 0


def test_a_foreign_onnx_with_keys_of_deepness_lacks_only_its_bands(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign(
        here / "deep.onnx",
        channels=3,
        last="Softmax",
        model_type='"Segmentor"',
        class_names='{"0": "a", "1": "b", "2": "c"}',
        resolution="3000.0",
        tile_size="64",
        standardization_mean=json.dumps([8000 / 255, 8500 / 255, 9000 / 255]),
        standardization_std=json.dumps([600 / 255, 700 / 255, 800 / 255]),
    )
    line = told("predict scene.tif --model deep.onnx -o x.tif", capsys)
    assert "does not say its bands: write into deep.toml" in line
    Path("deep.json").write_text('{"bands": ["blue", "green", "red"]}')
    done("predict scene.tif --model deep.onnx -o x.tif")
    x, valid = normal("scene.tif")
    assert (pixels("x.tif")[0] == x.argmax(axis=0))[valid].mean() > 0.9999


def test_one_probability_a_pixel_tells_two_classes(here: Path) -> None:
    foreign(here / "two.onnx", channels=1, last="Sigmoid")
    Path("two.toml").write_text(
        ABOUT.replace('"a", "b", "c"', '"dark", "bright"').replace("logits", "sigmoid")
    )
    done("predict scene.tif --model two.onnx -o x.tif")
    x, valid = normal("scene.tif")
    assert (pixels("x.tif")[0] == (x[0] > 0))[valid].mean() > 0.9999


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (ABOUT.replace("logits", "magic"), "'magic'"),
        (ABOUT.replace('"a", "b", "c"', '"a", "b"'), "answers 3 numbers a pixel"),
        (ABOUT.replace(', "red"]', "]"), "one number a band"),
        (ABOUT.replace("700.0", "0"), "not above 0"),
        (ABOUT.replace('["a", "b", "c"]', "7"), "classes make no sense"),
        (ABOUT.replace('["a", "b", "c"]', '"classes.csv"'), "write classes out"),
        (ABOUT + "colour = 1\n", "'colour' describes no model"),
        ("bands = [", "is no TOML"),
        (ABOUT + "multiple = 0\n", "'multiple'"),
        (ABOUT + "tile = -1\n", "'tile'"),
    ],
)
def test_what_stands_beside_a_model_and_makes_no_sense_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], about: str, said: str
) -> None:
    foreign(here / "other.onnx", channels=3, last=None)
    Path("other.toml").write_text(about)
    Path("classes.csv").write_text("id,name\n1,a\n2,b\n3,c\n")
    assert said in told("predict scene.tif --model other.onnx -o x.tif", capsys)


def test_weights_of_elsewhere_predict_with_a_card_beside_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = told("predict scene.tif --model weights.pt -o x.tif", capsys)
    assert "network" in line
    assert "weights.toml" in line
    about = ABOUT.replace('classes = ["a", "b", "c"]', "classes = '2=a,5=b,9=c'")
    Path("weights.toml").write_text(about + 'network = "unet-small"\n')
    done("predict scene.tif --model weights.pt -o x.tif")
    done("predict scene.tif --model unet.safetensors -o y.tif")
    assert (pixels("x.tif") == pixels("y.tif")).all()
    Path("weights.toml").write_text(about + 'network = "unet"\n')
    assert "does not fit" in told("predict scene.tif --model weights.pt -o z.tif", capsys)
    done("export unet.safetensors -o m.onnx")


def test_a_pickle_of_code_does_not_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path("ran").touch, ())

    Path("weights.pt").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"head.weight": Bomb()}, "weights.pt")
    Path("weights.toml").write_text(ABOUT + 'network = "unet-small"\n')
    told("predict scene.tif --model weights.pt -o x.tif", capsys)
    assert not Path("ran").exists()


# -- STAC ----------------------------------------------------------------------------------------
