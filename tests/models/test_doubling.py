"""Doubling and convolution as one transposed convolution, against the two layers."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geoseg.models.doubling import doubled, transposed
from geoseg.models.fold import fold_batch_norm
from geoseg.models.registry import build


def doubling() -> nn.Upsample:
    return nn.Upsample(scale_factor=2.0, mode="nearest")


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 7),
    st.integers(1, 7),
    st.booleans(),
)
def test_one_layer_maps_as_the_two(count, inside, outside, height, width, bias):
    convolution = nn.Conv2d(inside, outside, 3, padding=1, bias=bias)
    x = torch.rand(count, inside, height, width) - 0.5
    with torch.inference_mode():
        twice = x.double().repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        expected = nn.functional.conv2d(
            twice,
            convolution.weight.double(),
            None if convolution.bias is None else convolution.bias.double(),
            padding=1,
        )
        network = doubled(nn.Sequential(doubling(), convolution))
        found = network(x)
    assert [type(layer) for layer in network] == [nn.Identity, nn.ConvTranspose2d]
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=2e-6)


def test_a_kernel_of_one_number_is_spread_over_the_four_copies():
    convolution = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.weight[0, 0, 0, 2] = 5.0  # the pixel above and to the right
    expected = torch.zeros(4, 4)
    # It is met turned: pixel (y, x) reaches the answers one below and one to the left.
    expected[2:4, 0:2] = 5.0
    assert torch.equal(transposed(convolution).weight[0, 0], expected)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (nn.Upsample(scale_factor=3.0, mode="nearest"), nn.Conv2d(2, 2, 3, padding=1)),
        (nn.Upsample(scale_factor=(2.0, 1.0), mode="nearest"), nn.Conv2d(2, 2, 3, padding=1)),
        (nn.Upsample(scale_factor=2.0, mode="bilinear"), nn.Conv2d(2, 2, 3, padding=1)),
        (nn.Upsample(size=(8, 8), mode="nearest"), nn.Conv2d(2, 2, 3, padding=1)),
        (doubling(), nn.Conv2d(2, 2, 3)),
        (doubling(), nn.Conv2d(2, 2, 5, padding=2)),
        (doubling(), nn.Conv2d(2, 2, 3, padding=1, stride=2)),
        (doubling(), nn.Conv2d(2, 2, 3, padding=1, groups=2)),
        (doubling(), nn.Conv2d(2, 2, 3, padding=2, dilation=2)),
        (doubling(), nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")),
        (nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1)),
    ],
    ids=[
        "three times",
        "one side",
        "bilinear",
        "to a size",
        "no padding",
        "wide",
        "stride",
        "groups",
        "dilation",
        "padding of others",
        "no doubling",
    ],
)
def test_other_layers_are_left_as_they_are(first, second):
    assert list(doubled(nn.Sequential(first, second))) == [first, second]


def test_layers_that_somebody_hung_a_hook_on_are_left_as_they_are():
    first, second = doubling(), nn.Conv2d(2, 2, 3, padding=1)
    first.register_forward_hook(lambda _module, _given, answer: answer * 2)
    assert list(doubled(nn.Sequential(first, second))) == [first, second]
    first, second = doubling(), nn.Conv2d(2, 2, 3, padding=1)
    second.register_forward_pre_hook(lambda _module, given: (given[0] * 2,))
    assert list(doubled(nn.Sequential(first, second))) == [first, second]


def test_a_decoder_keeps_the_names_of_its_numbers_and_doubles_in_one_layer_with_its_convolution():
    network = build("unet-m46", in_channels=3, classes=2, widths=(4, 6), decoder_widths=(6, 4))
    names = [name for name in network.state_dict() if name.startswith("decoder.blocks.1")]
    layers = [(0, "weight bias"), (2, "weight bias running_mean running_var num_batches_tracked")]
    layers += [(place + 3, kinds) for place, kinds in layers]
    assert names == [
        f"decoder.blocks.1.{place}.{kind}" for place, kinds in layers for kind in kinds.split()
    ]
    folded = fold_batch_norm(network)
    for block in folded.decoder.blocks:
        assert sum(type(layer) is nn.ConvTranspose2d for layer in doubled(block)) == 1
    x = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), network.eval()(x), rtol=1e-4, atol=1e-5)


def test_layers_with_names_keep_them():
    layers = OrderedDict(
        [("larger", doubling()), ("seen", nn.Conv2d(2, 3, 3, padding=1)), ("last", nn.ReLU())]
    )
    network = doubled(nn.Sequential(layers))
    assert [name for name, _ in network.named_children()] == ["larger", "seen", "last"]
    assert type(network.seen) is nn.ConvTranspose2d
