"""ELU and batch norm in one pass, against the two layers as float64."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from geoseg.models.elu import EluNorm, elu_norms


def lived_in(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0)
        norm.bias.uniform_(-1.0, 1.0)
        norm.running_mean.uniform_(-1.0, 1.0)
        norm.running_var.uniform_(0.1, 2.0)
    return norm.eval()


def image(*shape: int, spread: float = 3.0) -> torch.Tensor:
    return (torch.randn(shape) * spread).contiguous(memory_format=torch.channels_last)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 3),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1e-3, 1.0, 100.0]),
)
def test_one_pass_gives_what_both_layers_give(count, channels, height, width, spread):
    norm = lived_in(channels)
    x = image(count, channels, height, width, spread=spread)
    expected = copy.deepcopy(norm).double()(functional.elu(x.double()))
    with torch.inference_mode():
        found = EluNorm(channels, norm)(x.clone(memory_format=torch.preserve_format))
    torch.testing.assert_close(found, expected.float(), rtol=2e-6, atol=2e-6)


def test_small_and_extreme_numbers_are_as_exact_as_float32_can_tell():
    x = torch.cat([-torch.logspace(-30, 3, 4001), torch.linspace(-20, 1, 4001)])
    with torch.inference_mode():
        found = EluNorm(1)(x.clone()[None, None, :, None]).flatten()
    torch.testing.assert_close(found, functional.elu(x.double()).float(), rtol=3e-7, atol=0)
    inf = float("inf")
    odd = torch.tensor([0.0, -0.0, inf, -inf, float("nan"), 3e38, -3e38])[None, None, :, None]
    with torch.inference_mode():
        found = EluNorm(1)(odd.clone()).flatten()
    expected = torch.tensor([0.0, 0.0, inf, -1.0, float("nan"), 3e38, -1.0])
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_a_number_has_the_same_bits_wherever_it_stands():
    layer = EluNorm(37)
    x = image(1, 37, 11, 13)
    with torch.inference_mode():
        whole = layer(x.clone(memory_format=torch.preserve_format))
        for channel in (0, 15, 16, 31, 36):
            alone = EluNorm(1)(x[:, channel : channel + 1, 4:5, 6:7].clone())
            assert alone.item() == whole[0, channel, 4, 6].item()
        twice = layer(torch.cat([x, x]).contiguous(memory_format=torch.channels_last))
    assert torch.equal(twice[1], whole[0])


def test_an_image_that_lies_channels_last_is_overwritten():
    x = image(1, 8, 4, 4)
    with torch.inference_mode():
        assert EluNorm(8)(x).data_ptr() == x.data_ptr()


def test_other_layouts_kinds_and_derivatives_are_left_to_torch():
    norm = lived_in(5)
    layer = EluNorm(5, norm)
    x = torch.randn(2, 5, 6, 7)
    kept = x.clone()
    expected = norm(functional.elu(x))
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(x, kept)
    exact = copy.deepcopy(norm).double()(functional.elu(x.double()))
    torch.testing.assert_close(layer(x.double()), exact, rtol=1e-5, atol=1e-6)
    learning = image(2, 5, 6, 7).requires_grad_()
    layer(learning).sum().backward()
    assert learning.grad is not None
    assert bool(learning.grad.abs().max() > 0)


def test_layers_behind_a_convolution_are_replaced_and_others_are_not():
    norm = lived_in(4)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1),
        nn.ELU(inplace=True),
        norm,
        nn.ELU(),  # behind a batch norm, whose answer may be wanted
        nn.ConvTranspose2d(4, 4, 2),
        nn.ELU(),
        nn.Conv2d(4, 4, 1),
        nn.ELU(alpha=0.5),
        nn.ReLU(),
    )
    x = torch.rand(2, 3, 5, 6) * 4 - 2
    with torch.inference_mode():
        expected = network.eval()(x)
        assert elu_norms(network) is network
        found = network(x.contiguous(memory_format=torch.channels_last))
    kinds = [type(layer) for layer in network]
    assert kinds[:4] == [nn.Conv2d, EluNorm, nn.Identity, nn.ELU]
    assert kinds[4:] == [nn.ConvTranspose2d, EluNorm, nn.Conv2d, nn.ELU, nn.ReLU]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["training", "without statistics"])
def test_a_batch_norm_that_looks_at_the_image_stays(kind):
    norm = nn.BatchNorm2d(4, track_running_stats=kind == "training")
    norm.train(kind == "training")
    network = elu_norms(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ELU(), norm))
    assert type(network[1]) is EluNorm
    assert network[2] is norm


@pytest.mark.parametrize("place", [0, 1])
def test_layers_that_somebody_hung_a_hook_on_stay(place):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ELU(), lived_in(4))
    network[place].register_forward_hook(lambda _module, _given, answer: answer * 2)
    layers = list(network)
    assert list(elu_norms(network)) == layers


def test_a_batch_norm_that_somebody_hung_a_hook_on_stays():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ELU(), lived_in(4))
    network[2].register_forward_pre_hook(lambda _module, given: (given[0] * 2,))
    norm = network[2]
    assert elu_norms(network)[2] is norm
    assert type(network[1]) is EluNorm


class GivesItsImage(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    "before",
    [GivesItsImage(3, 3, 1), nn.Conv2d(3, 3, 1).double()],
    ids=["an image that is not its own", "float64"],
)
def test_an_elu_behind_another_convolution_stays(before):
    network = elu_norms(nn.Sequential(before, nn.ELU()))
    assert type(network[1]) is nn.ELU
