"""The form in which networks predict on processors, against the networks."""

from __future__ import annotations

import copy
from types import MethodType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from geoseg.models.elu import EluNorm
from geoseg.models.fold import fold_batch_norm
from geoseg.models.pixelwise import PixelwiseConv2d
from geoseg.models.processor import for_processor
from geoseg.models.registry import build
from geoseg.models.undivided import UndividedConv2d

NETWORKS = {
    "unet-resnet34": {"widths": (8, 12), "blocks": (1, 2), "decoder_widths": (12, 8, 8)},
    "unet-m46": {"widths": (8, 16, 20), "decoder_widths": (16, 8, 8)},
    "unet-small": {"widths": (4, 6)},
}


def lived_in(name: str) -> nn.Module:
    """A network that has seen images, so that its batch norms do something and keep its scale."""
    torch.manual_seed(5)
    network = build(name, in_channels=3, classes=4, **NETWORKS[name]).train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randn(2, 3, 32, 48))
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_those_of_the_network_to_rounding_of_float32(name):
    network = lived_in(name)
    x = torch.randn(2, 3, 40, 56)  # no multiple of every network's stride
    expected = copy.deepcopy(network).double()(x.double()).detach()
    made = for_processor(fold_batch_norm(network), plain=False)
    with torch.inference_mode():
        found = made(x)
    off = (found - expected).abs().max() / expected.abs().max()
    assert float(off) < 1e-5


def test_bits_depend_neither_on_threads_nor_on_other_tiles_in_turn():
    made = for_processor(fold_batch_norm(lived_in("unet-resnet34")), plain=False)
    x, other = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 64, 64)
    before = torch.get_num_threads()
    answers = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                made(other)
                answers.append(made(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*answers)


def test_given_images_are_not_overwritten():
    made = for_processor(fold_batch_norm(lived_in("unet-m46")), plain=False)
    x = torch.randn(1, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    kept = x.clone()
    with torch.inference_mode():
        made(x)
    assert torch.equal(x, kept)


def kinds_run(network: nn.Module) -> set[type[nn.Module]]:
    """Kinds of the layers that an image goes through."""
    found: set[type[nn.Module]] = set()
    with register_module_forward_hook(lambda layer, _given, _answer: found.add(type(layer))):
        network(torch.zeros(1, 3, 32, 32))
    return found


def test_what_a_compiler_shall_see_keeps_all_but_thin_convolutions():
    made = for_processor(fold_batch_norm(lived_in("unet-m46")), plain=True)
    kinds = kinds_run(made)
    assert {nn.ELU, nn.Upsample, nn.Conv2d, PixelwiseConv2d} <= kinds
    assert not kinds & {EluNorm, nn.ConvTranspose2d, UndividedConv2d}
    kinds = kinds_run(for_processor(made, plain=False))
    assert {EluNorm, nn.ConvTranspose2d, UndividedConv2d, PixelwiseConv2d} <= kinds
    assert not kinds & {nn.ELU, nn.Upsample}


class Tapped(nn.Module):
    """Goes through its layers by itself, and keeps what comes out of some, or adds to it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 3, 3, padding=1),
            nn.ELU(),
            nn.BatchNorm2d(3),
            nn.Upsample(scale_factor=2.0, mode="nearest"),
            nn.Conv2d(3, 3, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.ELU | nn.Conv2d):
                kept.append(x)
            if isinstance(layer, nn.Upsample):
                x = x * 2 + 1
        return kept[-1][..., ::2, ::2] * 2 + kept[0] * 3 + kept[1]


def settled(network: nn.Module) -> nn.Module:
    """Have it see images, so that its batch norms do something."""
    torch.manual_seed(6)
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.randn(2, 3, 8, 8) * 2 + 1)
    return network.eval()


def check_the_same(network: nn.Module) -> nn.Module:
    x = torch.randn(2, 3, 7, 9)
    with torch.inference_mode():
        expected = network(x)
        made = for_processor(fold_batch_norm(network), plain=False)
        torch.testing.assert_close(made(x), expected, rtol=1e-4, atol=1e-5)
    return made


def test_a_network_that_goes_through_layers_by_itself_meets_those_that_it_knows():
    check_the_same(settled(Tapped()))


class Backwards(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in reversed(self):
            x = layer(x)
        return x


@pytest.mark.parametrize("bound", [False, True], ids=["subclass", "function of its own"])
def test_layers_that_run_in_another_order_stay(bound: bool):
    layers = [nn.ELU(), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ELU(), nn.Conv2d(3, 3, 1)]
    if bound:
        network = nn.Sequential(*layers)
        network.forward = MethodType(Backwards.forward, network)
    else:
        network = Backwards(*layers)
    made = check_the_same(settled(network))
    assert [type(layer) for layer in made][::2] == [nn.ELU, nn.BatchNorm2d, PixelwiseConv2d]


def normalised() -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.uniform_(-1.0, 1.0)
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 2.0)
    return norm


LAYERS = [
    lambda: nn.Conv2d(3, 3, 1),
    lambda: nn.Conv2d(3, 3, 1, bias=False),
    lambda: nn.Conv2d(3, 3, 3, padding=1),
    lambda: nn.Conv2d(3, 3, 3, padding="same", bias=False),
    lambda: nn.Conv2d(3, 3, 3, padding=1, groups=3),
    lambda: nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
    lambda: nn.ConvTranspose2d(3, 3, 3, padding=1),
    lambda: nn.Upsample(scale_factor=2, mode="nearest"),
    lambda: nn.Upsample(scale_factor=2, mode="nearest"),
    lambda: nn.ELU(inplace=True),
    nn.ELU,
    lambda: nn.ELU(alpha=0.5),
    nn.ReLU,
    nn.Identity,
    normalised,
    normalised,
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(range(len(LAYERS))), min_size=1, max_size=9).filter(
        lambda chosen: sum(kind in (7, 8) for kind in chosen) <= 3
    ),
    st.integers(0, 9),
    st.integers(0, 2),
    st.integers(2, 9),
    st.integers(2, 9),
    st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_layers_in_any_order_give_what_they_gave(chosen, inner, count, height, width, layout):
    torch.manual_seed(sum(chosen))
    layers = [LAYERS[kind]() for kind in chosen]
    network = nn.Sequential(*layers[:inner], nn.Sequential(*layers[inner:])).eval()
    x = torch.randn(count, 3, height, width).contiguous(memory_format=layout)
    kept = x.clone()
    with torch.inference_mode():
        expected = copy.deepcopy(network).double()(x.double())
        made = for_processor(fold_batch_norm(network), plain=False)
        found = made(x.clone(memory_format=torch.preserve_format))
        torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-4)
        made(x)
    first = next((layer for layer in layers if type(layer) is not nn.Identity), None)
    # One in place overwrites what is given in the network itself, too.
    assert torch.equal(x, kept) or getattr(first, "inplace", False)


def test_layers_that_stand_in_several_places_give_the_same_in_each():
    torch.manual_seed(7)
    elu, convolution = nn.ELU(), nn.Conv2d(3, 3, 3, padding=1)
    inner = nn.Sequential(convolution, elu, nn.Upsample(scale_factor=2.0), convolution, elu)
    network = nn.Sequential(inner, convolution, elu, nn.BatchNorm2d(3), inner, convolution)
    check_the_same(settled(network))


def test_what_somebody_hung_on_layers_that_are_folded_goes_on():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4))
    settled(network)
    network[1].register_forward_hook(lambda _layer, _given, answer: answer * 2)
    check_the_same(network)
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)))
    network[0].register_forward_hook(lambda _layer, _given, answer: answer.abs())
    network[2].register_forward_pre_hook(lambda _layer, given: (given[0].abs(),))
    check_the_same(network)
