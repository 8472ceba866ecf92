"""Networks as ONNX: every kind of ours, compared with itself."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from geoseg.errors import ModelError
from geoseg.inference.exporting import export_onnx
from geoseg.models.bundle import ModelBundle
from geoseg.models.card import ModelCard
from geoseg.models.onnx.feeding import Feeding, feeding
from geoseg.models.opening import open_model
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend


def made(network: str, **arguments: object) -> ModelBundle:
    torch.manual_seed(1)
    net = build(network, in_channels=3, classes=4, **arguments).eval()
    card = ModelCard(
        name="made",
        network=network,
        arguments=arguments,
        bands=("a", "b", "c"),
        mean=(50.0, 60.0, 70.0),
        std=(5.0, 6.0, 7.0),
        fill=1.0,
        legend=parse_legend("1=w,2=x,3=y,4=z"),
        tile=128,
    )
    return ModelBundle(net, card)


@pytest.mark.parametrize(
    ("network", "arguments", "any_size"),
    [
        ("pointwise", {}, True),
        ("unet-small", {}, True),
        ("unet-m46", {}, True),
        ("segnet", {"widths": (4, 4, 8, 8, 8)}, True),
        ("fcn8s", {"widths": (4, 4, 8, 8, 8), "dense": 8}, True),
        ("smp:unet/resnet18", {}, True),
        ("smp:unetplusplus/mobilenet_v2", {}, True),
        ("smp:deeplabv3plus/resnet18", {}, True),
        ("smp:segformer/mit_b0", {}, True),
        ("smp:pspnet/resnet18", {}, False),
        ("smp:upernet/resnet18", {}, False),
    ],
)
def test_networks_are_exported_and_run_like_themselves(
    tmp_path: Path, network: str, arguments: dict[str, object], any_size: bool
) -> None:
    bundle = made(network, **arguments)
    found = export_onnx(bundle, tmp_path / "m.onnx")
    assert found.any_size == any_size
    other = open_model(tmp_path / "m.onnx").network
    for height, width in ((128, 128), (100, 61)) if any_size else ((128, 128), (100, 128)):
        x = torch.randn(2, 3, height, width)
        if not any_size and height == 100:
            assert other(x).shape == (2, 4, height, width)  # continued, and cropped back
            continue
        with torch.inference_mode():
            one, two = (torch.softmax(net(x), dim=1) for net in (bundle.network, other))
        np.testing.assert_allclose(one, two, atol=5e-3)


def test_the_weights_of_an_export_are_those_of_one_file_and_its_network_travels(
    tmp_path: Path,
) -> None:
    export_onnx(made("unet-m46"), tmp_path / "m.onnx")
    network = open_model(tmp_path / "m.onnx").network
    x = torch.randn(1, 3, 40, 40)
    expected = network(x)
    (tmp_path / "m.onnx").unlink()
    assert copy.deepcopy(network) is network
    assert torch.equal(pickle.loads(pickle.dumps(network))(x), expected)


def test_an_export_is_not_exported_again_and_unknown_weights_are_not_written(
    tmp_path: Path,
) -> None:
    export_onnx(made("pointwise"), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="ONNX already"):
        export_onnx(open_model(tmp_path / "m.onnx"), tmp_path / "again.onnx")
    broken = made("pointwise")
    with torch.no_grad():
        next(broken.network.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match="does not answer"):
        export_onnx(broken, tmp_path / "nan.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_bytes_mean_themselves_where_the_model_learned_from_bytes() -> None:
    card = made("pointwise").card
    assert feeding(card, "uint8") == Feeding(input="uint8", low=(0.0,) * 3, high=(255.0,) * 3)
    assert feeding(card, "uint8", (10, 20)).high == (20.0,) * 3
    wide = ModelCard(**{**card.__dict__, "mean": (9000.0, 800.0, 7000.0)})
    assert feeding(wide, "uint8").low == (8985.0, 782.0, 6979.0)
    assert feeding(wide, "uint8").high == (9015.0, 818.0, 7021.0)
