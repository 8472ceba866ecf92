"""Networks that come from libraries: what they compute, and that a file rebuilds them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from geoseg.errors import ModelError, OptionError
from geoseg.models.bundle import ModelBundle, load_bundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.fold import fold_batch_norm
from geoseg.models.library import LibraryNetwork, needed
from geoseg.models.network import PresenceNetwork, SegmentationNetwork, parameter_count
from geoseg.models.registry import build, options
from geoseg.raster.legend import Legend, LegendClass

Array = NDArray[np.float64]
Live = Callable[[nn.Module], nn.Module]


@pytest.fixture
def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("asked for a server")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def fresh(name: str, *, bands: int = 3, classes: int = 5, **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    return build(name, in_channels=bands, classes=classes, **arguments).eval()


def without_memory(name: str, **arguments: Any) -> nn.Module:
    with torch.device("meta"):
        return build(name, in_channels=3, classes=7, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "wanted"),
    [
        # torchvision says 42,004,074 and 60,996,202 with an auxiliary classifier of 2,365,205
        # for 21 classes; 14 classes fewer take 257 numbers each away.
        ("deeplabv3", {"backbone": "resnet50"}, 42_004_074 - 2_365_205 - 14 * 257),
        ("deeplabv3", {}, 60_996_202 - 2_365_205 - 14 * 257),
        # 25,557,032 with a dense layer for 1000 classes of 2048 + 1 numbers each.
        ("resnet50-cam", {}, 25_557_032 - 993 * 2049),
        # "61 M"
        ("unet-inceptionresnetv2", {}, 62_030_167),
    ],
)
def test_parameter_counts_are_those_published(
    name: str, arguments: dict[str, Any], wanted: int
) -> None:
    assert parameter_count(without_memory(name, **arguments)) == wanted


# -- what they compute ----------------------------------------------------------------------------


class Oracle:
    """The layers of a residual network, spelt out in float64; images (C, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        self.w = {key: value.numpy() for key, value in network.state_dict().items()}

    def conv(
        self, name: str, x: Array, *, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Array:
        kernel = self.w[f"{name}.weight"]
        x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        rows, cols = (
            (side - dilation * (k - 1) - 1) // stride + 1
            for side, k in zip(x.shape[1:], kernel.shape[2:], strict=True)
        )
        total = np.zeros((len(kernel), rows, cols))
        for r, c in np.ndindex(kernel.shape[2:]):
            top, left = r * dilation, c * dilation
            seen = x[:, top : top + stride * rows : stride, left : left + stride * cols : stride]
            total += np.tensordot(kernel[:, :, r, c], seen[:, :rows, :cols], axes=1)
        bias = self.w.get(f"{name}.bias")
        return total if bias is None else total + bias[:, None, None]

    def norm(self, name: str, x: Array) -> Array:
        mean, var, scale, shift = (
            self.w[f"{name}.{key}"][:, None, None]
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        y: Array = (x - mean) / np.sqrt(var + 1e-5) * scale + shift
        return y

    def block(self, name: str, x: Array, *, stride: int, dilation: int) -> Array:
        y = np.maximum(self.norm(f"{name}.bn1", self.conv(f"{name}.conv1", x)), 0)
        y = self.conv(f"{name}.conv2", y, stride=stride, padding=dilation, dilation=dilation)
        y = np.maximum(self.norm(f"{name}.bn2", y), 0)
        y = self.norm(f"{name}.bn3", self.conv(f"{name}.conv3", y))
        if f"{name}.downsample.0.weight" in self.w:
            x = self.conv(f"{name}.downsample.0", x, stride=stride)
            x = self.norm(f"{name}.downsample.1", x)
        return np.maximum(x + y, 0)

    def resnet50(self, x: Array, *, pool_padding: int, first: tuple[tuple[int, int], ...]) -> Array:
        """`first`: stride of the first block of each stage; `rest`: dilation of its others."""
        x = self.conv("backbone.conv1", x, stride=2, padding=3)
        x = np.maximum(self.norm("backbone.bn1", x), 0)
        p = pool_padding
        x = np.pad(x, ((0, 0), (p, p), (p, p)), constant_values=-np.inf)
        rows, cols = ((side - 3) // 2 + 1 for side in x.shape[1:])
        x = np.array(
            [
                [x[:, 2 * r : 2 * r + 3, 2 * c : 2 * c + 3].max((1, 2)) for c in range(cols)]
                for r in range(rows)
            ]
        ).transpose(2, 0, 1)
        before = 1
        for stage, (count, (stride, dilation)) in enumerate(
            zip((3, 4, 6, 3), first, strict=True), start=1
        ):
            for index in range(count):
                x = self.block(
                    f"backbone.layer{stage}.{index}",
                    x,
                    stride=1 if index else stride,
                    dilation=dilation if index else before,
                )
            before = dilation
        return x


def enlarged(x: Array, times: int) -> Array:
    """Bilinear, by pixel centres."""
    for axis in (1, 2):
        side = x.shape[axis]
        at = np.clip((np.arange(side * times) + 0.5) / times - 0.5, 0, side - 1)
        low = np.minimum(at.astype(int), max(side - 2, 0))
        high = np.minimum(low + 1, side - 1)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        x = x.take(low, axis) * (1 - share) + x.take(high, axis) * share
    return x


def test_resnet50_cam_is_what_it_is_said_to_be(lived_in: Live) -> None:
    network = lived_in(fresh("resnet50-cam", bands=2)).double()
    assert isinstance(network, PresenceNetwork)
    x = torch.randn(1, 2, 19, 23, dtype=torch.float64)
    oracle = Oracle(network)
    maps = oracle.resnet50(x[0].numpy(), pool_padding=0, first=((1, 1),) * 4)
    assert maps.shape == (2048, 4, 5)
    weight, bias = oracle.w["dense.weight"], oracle.w["dense.bias"]
    with torch.inference_mode():
        np.testing.assert_allclose(network.features(x)[0].numpy(), maps, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(
            network(x)[0].numpy(), weight @ maps.mean((1, 2)) + bias, rtol=1e-8
        )
        cam = network.activation_maps(x)[0].numpy()
    np.testing.assert_allclose(cam, np.einsum("ck,krs->crs", weight, maps), rtol=1e-8, atol=1e-8)


def test_deeplabv3_is_what_it_is_said_to_be(lived_in: Live) -> None:
    network = lived_in(fresh("deeplabv3", bands=2, backbone="resnet50")).double()
    x = torch.randn(1, 2, 24, 40, dtype=torch.float64)
    oracle = Oracle(network)
    maps = oracle.resnet50(x[0].numpy(), pool_padding=1, first=((1, 1), (2, 1), (1, 2), (1, 4)))
    assert maps.shape == (2048, 3, 5)
    aspp = "classifier.0"
    beside = [oracle.conv(f"{aspp}.convs.0.0", maps)]
    for index, rate in enumerate((12, 24, 36), start=1):
        name = f"{aspp}.convs.{index}.0"
        beside.append(oracle.conv(name, maps, padding=rate, dilation=rate))
    beside = [np.maximum(oracle.norm(f"{aspp}.convs.{i}.1", y), 0) for i, y in enumerate(beside)]
    mean = oracle.conv(f"{aspp}.convs.4.1", maps.mean((1, 2), keepdims=True))
    mean = np.maximum(oracle.norm(f"{aspp}.convs.4.2", mean), 0)
    beside.append(np.broadcast_to(mean, (256, 3, 5)))
    y = oracle.conv(f"{aspp}.project.0", np.concatenate(beside))
    y = np.maximum(oracle.norm(f"{aspp}.project.1", y), 0)
    y = np.maximum(oracle.norm("classifier.2", oracle.conv("classifier.1", y, padding=1)), 0)
    wanted = enlarged(oracle.conv("classifier.4", y), 8)
    with torch.inference_mode():
        np.testing.assert_allclose(network(x)[0].numpy(), wanted, rtol=1e-8, atol=1e-8)


def test_patches_of_50_have_maps_of_12() -> None:
    network = without_memory("resnet50-cam")
    assert isinstance(network, PresenceNetwork)
    x = torch.zeros(2, 3, 50, 50, device="meta")
    assert network.features(x).shape == (2, 2048, 12, 12)
    assert network.activation_maps(x).shape == (2, 7, 12, 12)


SMALL: list[tuple[str, dict[str, Any]]] = [
    ("deeplabv3", {"backbone": "resnet50"}),
    ("resnet50-cam", {}),
    ("unet-inceptionresnetv2", {"decoder_channels": (16, 8, 8, 4, 4)}),
]


@pytest.mark.parametrize(("name", "arguments"), SMALL)
def test_any_size_any_bands_any_classes(name: str, arguments: dict[str, Any]) -> None:
    network = fresh(name, bands=1, classes=1, **arguments)
    for size in ((1, 1), (1, 7), (37, 53)):
        with torch.inference_mode():
            logits = network(torch.randn(2, 1, *size))
        assert logits.shape == (
            (2, 1, *size) if isinstance(network, SegmentationNetwork) else (2, 1)
        )
        assert bool(logits.isfinite().all())


@pytest.mark.parametrize(("name", "arguments"), SMALL)
def test_a_folded_network_answers_as_the_plain_one(
    name: str, arguments: dict[str, Any], lived_in: Live
) -> None:
    network = lived_in(fresh(name, bands=4, **arguments))
    folded = fold_batch_norm(network)
    x = torch.randn(1, 4, 45, 31)
    with torch.inference_mode():
        plain, quick = network(x), folded(x)
    assert float((plain - quick).abs().max()) < 1e-4 * float(plain.abs().max())


@pytest.mark.parametrize(("name", "arguments"), SMALL)
def test_the_gradient_reaches_every_parameter(
    name: str, arguments: dict[str, Any], lived_in: Live
) -> None:
    # In evaluation mode: a batch norm of few values has no gradient to its input.
    network = lived_in(fresh(name, **arguments))
    logits = network(torch.randn(1, 3, 32, 64))
    (logits * torch.randn_like(logits)).sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert bool((parameter.grad != 0).any()), key


def test_two_images_are_enough_to_learn_from() -> None:
    network = fresh("deeplabv3", backbone="resnet50").train()
    assert network.smallest_batch == 2
    network(torch.randn(2, 3, 8, 8)).sum().backward()


def test_another_backbone_is_refused() -> None:
    with pytest.raises(OptionError, match="backbone is resnet50 or resnet101, not 'resnet18'"):
        build("deeplabv3", in_channels=3, classes=2, backbone="resnet18")
    assert options("deeplabv3") == {"backbone": "resnet101"}


# -- from a file ----------------------------------------------------------------------------------


def card(name: str, arguments: dict[str, Any]) -> ModelCard:
    return ModelCard(
        name="a model",
        network=name,
        arguments={k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()},
        bands=("red", "nir", "swir", "blue"),
        mean=(0.0,) * 4,
        std=(1.0,) * 4,
        fill=0.0,
        legend=Legend((LegendClass(1, "water", (0, 0, 255)), LegendClass(2, "crop", (0, 9, 0)))),
        tile=64,
    )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *SMALL,
        ("smp:unet/resnet18", {"encoder_depth": 3, "decoder_channels": (8, 8, 4)}),
        ("smp:fpn/efficientnet-b0", {}),
        ("smp:segformer/mit_b0", {}),  # looks at numbers when it is built
        ("smp:unet/tu-swin_tiny_patch4_window7_224", {}),  # has buffers that no file holds
        ("smp:dpt/tu-vit_tiny_patch16_224", {}),
    ],
)
@pytest.mark.usefixtures("no_connection")
def test_a_file_rebuilds_the_network_and_asks_nobody(
    name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    network = fresh(name, bands=4, classes=2, **arguments)
    path = tmp_path / "model.safetensors"
    save_bundle(ModelBundle(network, card(name, arguments)), path)
    found = load_bundle(path).network
    assert not any(t.is_meta for t in (*found.parameters(), *found.buffers()))
    x = torch.randn(1, 4, 40, 72)
    with torch.inference_mode():
        assert torch.equal(found(x), network(x))


class Counting(nn.Module):
    """As a library's: it counts at construction, and no file holds the result."""

    table: torch.Tensor

    def __init__(self, *, looks: bool) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("table", torch.arange(4.0).reshape(1, 4, 1, 1), persistent=False)
        if looks:
            self.last = self.table[0, 3, 0, 0].item()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.table * self.scale


class Wrapped(LibraryNetwork):
    def logits(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.network(x)
        return y


@pytest.mark.parametrize("looks", [False, True])
def test_what_a_network_computes_at_construction_survives_being_emptied(looks: bool) -> None:
    with torch.device("meta"):
        network = Wrapped(lambda: Counting(looks=looks))
    assert all(t.is_meta for t in (*network.parameters(), *network.buffers()))
    network.to_empty(device="cpu")
    network.load_state_dict({"network.scale": torch.tensor([2.0])})
    assert network.double()(torch.ones(1, 4, 1, 1)).flatten().tolist() == [0, 2, 4, 6]


# -- libraries ------------------------------------------------------------------------------------


def test_a_library_that_is_missing_is_named() -> None:
    with (
        pytest.raises(ModelError, match="needs deepness, which cannot be imported") as caught,
        needed("deepness", "ours"),
    ):
        raise ImportError("No module named 'deepness'\nat all")
    assert str(caught.value).endswith("pip install deepness")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["deeplabv3", "resnet50-cam", "smp:unet/resnet18"])
def test_a_network_without_its_library_is_refused_in_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("torchvision.models", "segmentation_models_pytorch"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelError, match="pip install"):
        build(name, in_channels=3, classes=2)


def test_networks_of_our_own_import_no_library() -> None:
    code = (
        "import sys; from geoseg.models.registry import build, names;"
        "import geoseg.models.pretrained;"
        "build('unet-small', in_channels=3, classes=2); names();"
        "print(sorted({'torchvision', 'timm', 'segmentation_models_pytorch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
