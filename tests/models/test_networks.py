"""Every network of our own, and the options that shape them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from geoseg.errors import ModelError, OptionError
from geoseg.models.bundle import ModelBundle, load_bundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.network import SegmentationNetwork, parameter_count
from geoseg.models.registry import build, options
from geoseg.models.vgg import vgg16_features
from geoseg.raster.legend import Legend, LegendClass

Live = Callable[[nn.Module], nn.Module]

SMALL: dict[str, dict[str, Any]] = {
    "pointwise": {},
    "unet": {"widths": (4, 8, 16)},
    "unet-small": {"widths": (4, 8)},
    "unet-m46": {"widths": (4, 8, 16), "decoder_widths": (8, 6, 4)},
    "unet-resnet34": {"widths": (4, 8), "blocks": (2, 1), "decoder_widths": (8, 4, 4)},
    "agde": {"widths": (4, 8, 8), "convolutions": (2, 1, 1)},
    "fcn32s": {"widths": (4, 8, 8, 16, 16), "dense": 32},
    "fcn16s": {"widths": (4, 8, 8, 16, 16), "dense": 32},
    "fcn8s": {"widths": (4, 8, 8, 16, 16), "dense": 32},
    "segnet": {"widths": (4, 8, 8, 16, 16)},
    "shallow-cnn": {"widths": (4, 8, 8, 16)},
}
PRESENCE = {"shallow-cnn"}


def small(name: str, *, bands: int = 3, classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return build(name, in_channels=bands, classes=classes, **SMALL[name]).eval()


def shape(name: str, count: int, classes: int, size: tuple[int, int]) -> tuple[int, ...]:
    return (count, classes) if name in PRESENCE else (count, classes, *size)


@pytest.mark.parametrize(
    ("name", "bands", "classes", "wanted"),
    [
        ("pointwise", 3, 8, 3 * 8 + 8),
        ("unet", 3, 8, 31_038_088),
        ("unet-small", 3, 8, 1_927_240),  # "1.93 M"
        ("unet-m46", 3, 7, 1_111_607),  # "1.11 M"
        ("unet-resnet34", 3, 7, 25_163_527),  # "25.2 M"
        ("fcn32s", 3, 21, 134_346_581),  # VGG-16's 14,714,688 and three dense layers
        ("segnet", 3, 11, 29_449_355),  # VGG-16's convolutions there and back
        ("agde", 3, 5, 38_529_925),
        ("shallow-cnn", 7, 5, 98_901),
    ],
)
def test_parameter_counts_are_those_published(
    name: str, bands: int, classes: int, wanted: int
) -> None:
    with torch.device("meta"):
        assert parameter_count(build(name, in_channels=bands, classes=classes)) == wanted


def test_a_unet_without_batch_norm_has_fewer_parameters() -> None:
    with torch.device("meta"):
        network = build("unet", in_channels=3, classes=8, batch_norm=False)
    assert parameter_count(network) == 31_032_200


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (37, 53), (16, 16)])
def test_any_size_goes_in_and_comes_out(name: str, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = small(name)(torch.randn(2, 3, *size))
    assert logits.shape == shape(name, 2, 5, size)
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize("name", SMALL)
def test_same_seed_same_weights(name: str) -> None:
    a, b = small(name).state_dict(), small(name).state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("name", SMALL)
def test_one_band_and_one_class_are_enough(name: str) -> None:
    with torch.inference_mode():
        logits = small(name, bands=1, classes=1)(torch.zeros(1, 1, 8, 8))
    assert logits.shape == shape(name, 1, 1, (8, 8))


@pytest.mark.parametrize("name", SMALL)
def test_the_gradient_reaches_every_parameter(name: str, lived_in: Live) -> None:
    network = lived_in(small(name))
    logits = network(torch.randn(2, 3, 33, 40))
    (logits * torch.randn_like(logits)).sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert bool(parameter.grad.isfinite().all()), key
        assert bool((parameter.grad != 0).any()), key


@pytest.mark.parametrize("name", SMALL)
def test_the_same_image_has_the_same_answer_whatever_is_beside_it(name: str) -> None:
    network, x = small(name), torch.randn(3, 3, 20, 20)
    with torch.inference_mode():
        together = network(x)
        assert torch.equal(together, network(x))
        torch.testing.assert_close(together[1:2], network(x[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_a_network_built_without_memory_has_the_same_tensors(name: str) -> None:
    with torch.device("meta"):
        empty = build(name, in_channels=3, classes=5, **SMALL[name]).state_dict()
    full = small(name).state_dict()
    assert all(tensor.is_meta for tensor in empty.values())
    assert [(k, v.shape, v.dtype) for k, v in empty.items()] == [
        (k, v.shape, v.dtype) for k, v in full.items()
    ]


@pytest.mark.parametrize("name", SMALL)
def test_a_network_comes_back_from_its_file(name: str, lived_in: Live, tmp_path: Path) -> None:
    network = lived_in(small(name))
    card = ModelCard(
        name="m",
        network=name,
        arguments={key: list(v) if isinstance(v, tuple) else v for key, v in SMALL[name].items()},
        bands=("red", "green", "blue"),
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        fill=0.0,
        legend=Legend(tuple(LegendClass(i, f"class {i}", (i, i, i)) for i in range(5))),
        tile=32,
    )
    save_bundle(ModelBundle(network, card), tmp_path / "m.safetensors")
    loaded = load_bundle(tmp_path / "m.safetensors").network
    x = torch.randn(1, 3, 20, 9)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))


@pytest.mark.parametrize("name", SMALL)
def test_mixed_precision_answers_about_the_same(name: str) -> None:
    network, x = small(name), torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        exact = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(x).float()
    assert float((rough - exact).abs().mean()) < 0.1 * float(exact.abs().mean())


@pytest.mark.parametrize("name", SMALL)
def test_logits_of_fresh_networks_are_neither_dead_nor_huge(name: str) -> None:
    spread = float(small(name).train()(torch.randn(4, 3, 64, 64)).detach().std())
    assert 0.01 < spread < 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet-m46", "unet-resnet34", "agde", "segnet"])
def test_deep_fresh_networks_of_full_width_are_neither_dead_nor_huge(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, in_channels=4, classes=7)
    with torch.no_grad():
        spread = float(network(torch.randn(2, 4, 64, 64)).std())
    assert 0.05 < spread < 20


@pytest.mark.parametrize(("name", "layer"), [("agde", "cross"), ("fcn8s", "dense")])
def test_dropout_works_in_training_alone(name: str, layer: str) -> None:
    network, x = small(name), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network(x), network(x))
        network.get_submodule(layer).train()
        assert not torch.equal(network(x), network(x))


def test_padding_continues_the_edge_and_leaves_what_needs_none_alone() -> None:
    network = small("unet")
    x = torch.randn(1, 3, 16, 14)
    continued = torch.cat([x, x[..., -1:], x[..., -1:]], dim=-1)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), network(continued)[..., :14])


def test_a_pointwise_network_sees_no_neighbour() -> None:
    network, x = small("pointwise"), torch.randn(1, 3, 6, 7)
    with torch.inference_mode():
        alone = network(x[..., 2:3, 4:5])
        torch.testing.assert_close(network(x)[..., 2:3, 4:5], alone)


def test_fresh_deconvolutions_of_an_fcn_interpolate() -> None:
    up = small("fcn16s").get_submodule("up.0")
    ramp = torch.arange(5.0).expand(1, 5, 6, 5)
    with torch.inference_mode():
        wide = up(ramp)[0, :, 1:-1, 1:-1]
    torch.testing.assert_close(wide, torch.arange(0.25, 4, 0.5).expand(5, 10, 8))


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", [True, False])
def test_weights_of_torchvisions_vgg16_fit(batch_norm: bool) -> None:
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        ours = vgg16_features(in_channels=3, batch_norm=batch_norm)
        theirs = (models.vgg16_bn if batch_norm else models.vgg16)().features
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, v.shape) for k, v in theirs.state_dict().items()
    ]
    assert [type(layer) for layer in ours] == [type(layer) for layer in theirs]


def test_our_networks_need_torch_and_no_library_of_models() -> None:
    code = (
        "import sys; from geoseg.models.registry import build\n"
        f"for name in {list(SMALL)}: build(name, in_channels=1, classes=1, **{SMALL}[name])\n"
        "heavy = {'torchvision', 'timm', 'segmentation_models_pytorch', 'torch._dynamo'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout.strip() == "[]"


# -- options --------------------------------------------------------------------------------------


def test_an_unknown_network_is_refused_with_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"did you mean 'segnet'\?.*pointwise.*unet, .*unet-small"):
        build("segnt", in_channels=3, classes=2)


def test_an_unknown_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="has no option 'depth'; it has: widths, batch_norm"):
        build("unet", in_channels=3, classes=2, depth=4)


@pytest.mark.parametrize(
    "widths", [(), (0,), (8, -1), (8.0,), "64", 64, (True,), (8,) * 9, (10**9,), None]
)
def test_widths_without_meaning_are_refused(widths: object) -> None:
    with pytest.raises(OptionError, match="widths are 1 to 8 numbers of channels up to 8192, not"):
        build("unet", in_channels=3, classes=2, widths=widths)


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("unet", {"batch_norm": "yes"}, "batch_norm is true or false, not 'yes'"),
        ("unet-m46", {"widths": ()}, "widths are 1 to 8"),
        ("unet-m46", {"widths": (8, 8)}, "decoder_widths are 2 numbers of channels"),
        ("unet-resnet34", {"blocks": (1, 1)}, "blocks are 4 numbers of layers up to 64"),
        ("unet-resnet34", {"decoder_widths": (1, 1)}, "decoder_widths are 5 numbers"),
        ("agde", {"convolutions": (2, 2, 0, 2, 2)}, "convolutions are 5 numbers of layers"),
        ("agde", {"dropout": 1}, "dropout must be from 0 to 0.99, not 1"),
        ("fcn8s", {"widths": (8, 8)}, "widths are 5 numbers of channels"),
        ("fcn16s", {"dense": 0}, "dense is a number of channels up to 8192, not 0"),
        ("fcn32s", {"dropout": "a"}, "dropout must be a number"),
        ("fcn32s", {"batch_norm": 1}, "batch_norm is true or false, not 1"),
        ("segnet", {"widths": (8,) * 6}, "widths are 5 numbers"),
        ("shallow-cnn", {"widths": (8,) * 3}, "widths are 4 numbers"),
    ],
)
def test_options_without_meaning_are_refused(
    name: str, arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(OptionError, match=complaint):
        build(name, in_channels=3, classes=2, **arguments)


def test_no_bands_or_no_classes_make_no_network() -> None:
    with pytest.raises(OptionError, match="at least one band and one class"):
        build("unet", in_channels=0, classes=2)


def test_options_are_told_with_their_defaults() -> None:
    assert options("unet-small") == {"widths": (32, 64, 128, 256), "batch_norm": True}
    assert options("pointwise") == {}
    assert options("agde") == {
        "widths": (64, 128, 256, 512, 512),
        "convolutions": (2, 2, 3, 3, 3),
        "dropout": 0.2,
    }


@pytest.mark.parametrize(
    ("name", "stride"),
    [("pointwise", 1), ("unet", 16), ("unet-m46", 32), ("unet-resnet34", 32), ("agde", 32)],
)
def test_stride_follows_the_levels(name: str, stride: int) -> None:
    with torch.device("meta"):
        network = build(name, in_channels=1, classes=1)
    assert isinstance(network, SegmentationNetwork)
    assert network.stride == stride
