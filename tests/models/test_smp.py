"""The family of names that segmentation-models-pytorch knows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geoseg.errors import ModelError, OptionError
from geoseg.models.registry import build, names, options, patterns
from geoseg.models.smp import SmpNetwork

ARCHITECTURES = (
    "deeplabv3",
    "deeplabv3plus",
    "fpn",
    "linknet",
    "manet",
    "pan",
    "pspnet",
    "segformer",
    "unet",
    "unetplusplus",
    "upernet",
)


def fresh(name: str, *, bands: int = 3, classes: int = 2, **arguments: Any) -> SmpNetwork:
    torch.manual_seed(0)
    network = build(name, in_channels=bands, classes=classes, **arguments)
    assert isinstance(network, SmpNetwork)
    return network


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_takes_any_size_and_learns(architecture: str) -> None:
    network = fresh(f"smp:{architecture}/resnet18", bands=5).eval()
    for size in ((1, 1), (37, 53)):
        with torch.inference_mode():
            logits = network(torch.randn(1, 5, *size))
        assert logits.shape == (1, 2, *size)
        assert bool(logits.isfinite().all())
    # Some decoders take the mean of an image through a batch norm; one value has no deviation.
    network.train()(torch.randn(network.smallest_batch, 5, 64, 64)).sum().backward()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "smp:unet/densenet121",
        "smp:unet/xception",
        "smp:unet/vgg11",
        "smp:unet/mobileone_s0",
        "smp:deeplabv3plus/efficientnet-b0",
        "smp:unet/timm-efficientnet-b0",
        "smp:unet/tu-hrnet_w18_small",
        "smp:unet/tu-convnext_atto",
        "smp:manet/timm-skresnet18",
    ],
)
def test_encoders_of_every_kind_are_built(name: str) -> None:
    network = fresh(name, bands=4).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 4, 40, 33)).shape == (1, 2, 40, 33)


def test_padding_continues_the_edge() -> None:
    network = fresh("smp:unet/resnet18").eval()
    x = torch.randn(1, 3, 32, 30)
    continued = torch.cat([x, x[..., -1:], x[..., -1:]], dim=-1)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), network(continued)[..., :30])


def test_same_seed_same_weights_and_building_without_memory_draws_nothing() -> None:
    a = fresh("smp:unet/resnet18").state_dict()
    with torch.device("meta"):
        build("smp:unet/resnet18", in_channels=3, classes=2)
    b = fresh("smp:unet/resnet18").state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_fresh_network_is_ready_to_learn() -> None:
    network = fresh("smp:unet/resnet18")
    assert all(module.training for module in network.modules())
    state = network.state_dict()
    assert all(int(v) == 0 for k, v in state.items() if k.endswith("num_batches_tracked"))


def test_the_family_is_told_beside_the_names() -> None:
    assert "smp:<architecture>/<encoder>" in patterns()
    assert not any(":" in name for name in names())


def test_options_are_those_of_the_librarys_architecture() -> None:
    assert options("smp:unet/resnet18") == {
        "encoder_depth": 5,
        "decoder_use_norm": "batchnorm",
        "decoder_channels": (256, 128, 64, 32, 16),
        "decoder_attention_type": None,
        "decoder_interpolation": "nearest",
    }
    network = fresh(
        "smp:unet/resnet18",
        encoder_depth=3,
        decoder_channels=[32, 16, 16],
        decoder_attention_type="scse",
    ).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 16, 20)).shape == (1, 2, 16, 20)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("smp:unett/resnet18", r"no architecture 'unett' \(near it: unet, upernet, manet\)"),
        ("smp:unet++/resnet18", r"no architecture 'unet\+\+' \(near it: unet"),
        ("smp:unet/resnt34", r"no encoder 'resnt34' \(near it: resnet34"),
        ("smp:unet/tu-resnet8", r"timm has no network 'resnet8' \(near it: tu-resnet18"),
        ("smp:unet/tu-hf-hub:someone/something", "timm has no network"),
        ("smp:unet/tu-local-dir:there", "timm has no network"),
        ("smp:unet", "names no encoder: write smp:unet/resnet34"),
        ("smp:", "has no architecture ''; it has: deeplabv3, "),
        ("smp:dpt/resnet18", "cannot be built: Only Timm encoders"),
        ("smp:unet/tu-vit_tiny_patch16_224", "take smp:dpt/tu-vit_tiny_patch16_224"),
        ("smp:unet/tu-hiera_tiny_224", "cannot be built: "),  # one size alone
        ("smt:unet/resnet18", "no network is called 'smt:unet/resnet18'"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(name: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        build(name, in_channels=3, classes=2)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"depth": 3}, "has no option 'depth'; it has: encoder_depth"),
        ({"encoder_weights": "imagenet"}, "has no option 'encoder_weights'"),
        ({"decoder_channels": (8, 8)}, r"cannot be built with decoder_channels=\(8, 8\): "),
        ({"decoder_channels": (10**9,) * 5}, "a number up to 8192"),
        ({"decoder_channels": (8,) * 17}, "up to 16 of them"),
        ({"decoder_use_norm": {"type": "layernorm"}}, "decoder_use_norm is a word"),
        ({"decoder_interpolation": "sharp"}, "cannot be built with decoder_interpolation='sharp'"),
        ({"encoder_depth": 0}, "cannot be built with encoder_depth=0"),
    ],
)
def test_options_without_meaning_are_refused(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint) as caught:
        build("smp:unet/resnet18", in_channels=3, classes=2, **arguments)
    assert "\n" not in str(caught.value)


def test_a_network_that_answers_at_another_size_is_refused() -> None:
    with pytest.raises(OptionError, match="answers an image of 32 × 64 with 16 × 32 pixels"):
        build("smp:fpn/resnet18", in_channels=3, classes=2, upsampling=2)
