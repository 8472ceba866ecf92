"""Every network of the registry, and the U-Nets in particular."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from geoseg.errors import ModelError, OptionError
from geoseg.models.network import parameter_count
from geoseg.models.pointwise import Pointwise
from geoseg.models.registry import build, names, options
from geoseg.models.unet import UNet

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"widths": (4, 8, 16)},
    "unet-small": {"widths": (4, 8)},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def small(name: str, *, bands: int = 3, classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return build(name, in_channels=bands, classes=classes, **SMALL.get(name, {})).eval()


def test_parameter_counts_are_those_published() -> None:
    with torch.device("meta"):
        counts = {n: parameter_count(build(n, in_channels=3, classes=8)) for n in names()}
        without = build("unet", in_channels=3, classes=8, batch_norm=False)
    assert counts["unet"] == 31_038_088
    assert counts["unet-small"] == 1_927_240  # "1.93 M"
    assert counts["pointwise"] == 3 * 8 + 8
    assert parameter_count(without) == 31_032_200


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (37, 53), (16, 16)])
def test_any_size_goes_in_and_comes_out(name: str, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = small(name)(torch.randn(2, 3, *size))
    assert logits.shape == (2, 5, *size)
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize("name", names())
def test_same_seed_same_weights(name: str) -> None:
    a, b = small(name).state_dict(), small(name).state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("name", names())
def test_one_band_and_one_class_are_enough(name: str) -> None:
    with torch.inference_mode():
        assert small(name, bands=1, classes=1)(torch.zeros(1, 1, 8, 8)).shape == (1, 1, 8, 8)


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


def test_logits_of_fresh_networks_are_neither_dead_nor_huge() -> None:
    x = torch.randn(4, 3, 64, 64)
    for network in (small("unet"), build("unet-small", in_channels=3, classes=5)):
        spread = float(network.train()(x).detach().std())
        assert 0.05 < spread < 20


def test_an_unknown_network_is_refused_with_those_there_are() -> None:
    with pytest.raises(ModelError, match="pointwise, unet, unet-small"):
        build("resnet", in_channels=3, classes=2)


def test_an_unknown_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="has no option 'depth'; it has: widths, batch_norm"):
        build("unet", in_channels=3, classes=2, depth=4)


@pytest.mark.parametrize(
    "widths", [(), (0,), (8, -1), (8.0,), "64", 64, (True,), (8,) * 9, (10**9,)]
)
def test_widths_without_meaning_are_refused(widths: object) -> None:
    with pytest.raises(OptionError, match="widths are"):
        build("unet", in_channels=3, classes=2, widths=widths)


def test_batch_norm_is_true_or_false() -> None:
    with pytest.raises(OptionError, match="batch_norm is true or false"):
        build("unet", in_channels=3, classes=2, batch_norm="yes")


def test_no_bands_or_no_classes_make_no_network() -> None:
    with pytest.raises(OptionError, match="at least one band and one class"):
        build("unet", in_channels=0, classes=2)


def test_options_are_told_with_their_defaults() -> None:
    assert options("unet-small") == {"widths": (32, 64, 128, 256), "batch_norm": True}
    assert options("pointwise") == {}


def test_stride_follows_the_levels() -> None:
    with torch.device("meta"):
        assert UNet(in_channels=1, classes=1).stride == 16
        assert UNet(in_channels=1, classes=1, widths=(4,)).stride == 1
        assert Pointwise(in_channels=1, classes=1).stride == 1
