"""Thin 1 × 1 convolutions as matrix products, against the convolutions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geoseg.models.pixelwise import PixelwiseConv2d, pixelwise


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 32),
    st.integers(1, 15),
    st.integers(1, 9),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_a_product_is_the_convolution(count, bands, classes, height, width, bias, layout):
    convolution = nn.Conv2d(bands, classes, 1, bias=bias)
    x = torch.rand(count, bands, height, width).contiguous(memory_format=layout)
    with torch.inference_mode():
        expected = convolution(x)
        made = pixelwise(convolution)
        assert type(made) is PixelwiseConv2d
        found = made(x)
        cropped = made(torch.nn.functional.pad(x, (0, 2, 0, 1))[..., :height, :width])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cropped, expected, rtol=1e-5, atol=1e-5)
    assert found.is_contiguous()


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(33, 2, 1),
        nn.Conv2d(3, 16, 1),
        nn.Conv2d(3, 2, 3),
        nn.Conv2d(3, 2, 1, stride=2),
        nn.Conv2d(3, 2, 1, padding=1),
        nn.Conv2d(4, 2, 1, groups=2),
        nn.LazyConv2d(2, 1),
    ],
    ids=["many in", "many out", "wide", "stride", "padding", "groups", "another class"],
)
def test_other_convolutions_are_left_as_they_are(convolution):
    inner = nn.Sequential(convolution)
    assert pixelwise(inner)[0] is convolution


def test_layers_within_layers_are_replaced_and_keep_their_numbers():
    network = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv2d(4, 3, 1)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert pixelwise(network) is network
    assert type(network[1][0]) is PixelwiseConv2d
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_one_image_without_a_batch_and_no_image_at_all_are_mapped_as_well():
    convolution = nn.Conv2d(4, 3, 1)
    made = pixelwise(convolution)
    one = torch.rand(4, 4, 5)  # as many rows as channels: the product could be taken of rows
    with torch.inference_mode():
        torch.testing.assert_close(made(one), convolution(one))
        assert made(one[None][:0]).shape == (0, 3, 4, 5)


def test_a_convolution_that_somebody_hung_a_hook_on_is_left_as_it_is():
    hooked = nn.Conv2d(4, 3, 1)
    hooked.register_forward_hook(lambda _module, _given, answer: answer * 2)
    before = nn.Conv2d(4, 3, 1)
    before.register_forward_pre_hook(lambda _module, given: (given[0] * 2,))
    network = pixelwise(nn.Sequential(nn.Sequential(hooked), nn.Sequential(before)))
    assert network[0][0] is hooked
    assert network[1][0] is before
