"""1 × 1 convolutions by oneDNN, against the convolutions as float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geoseg.models.undivided import UndividedConv2d, undivided

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN"
)


@needs_onednn
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_answers_are_those_of_the_convolution(count, inside, outside, height, width, bias, layout):
    convolution = nn.Conv2d(inside, outside, 1, bias=bias)
    x = torch.rand(count, inside, height, width).contiguous(memory_format=layout)
    kernel = convolution.weight[:, :, 0, 0].double()
    expected = torch.einsum("kc,ncij->nkij", kernel, x.double())
    if convolution.bias is not None:
        expected = expected + convolution.bias.double()[:, None, None]
    made = undivided(nn.Sequential(convolution))[0]
    assert type(made) is UndividedConv2d
    with torch.inference_mode():
        found = made(x)
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-5)


@needs_onednn
def test_an_answer_lies_channels_last_as_its_image_does():
    made = undivided(nn.Sequential(nn.Conv2d(6, 8, 1)))
    x = torch.rand(2, 6, 4, 5).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert made(x).is_contiguous(memory_format=torch.channels_last)


@needs_onednn
def test_one_image_without_a_batch_no_image_and_other_numbers_are_mapped_as_well():
    convolution = nn.Conv2d(4, 3, 1)
    made = undivided(nn.Sequential(convolution))[0]
    one = torch.rand(4, 4, 5)
    with torch.inference_mode():
        torch.testing.assert_close(made(one), convolution(one))
        assert made(one[None][:0]).shape == (0, 3, 4, 5)
        exact = made.double()(one[None].double())
    assert exact.dtype == torch.float64


@needs_onednn
def test_derivatives_are_those_of_the_convolution():
    convolution = nn.Conv2d(4, 3, 1)
    x = torch.rand(1, 4, 5, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    convolution(x).sum().backward()
    assert x.grad is not None
    expected, x.grad = x.grad, None
    undivided(nn.Sequential(convolution))(x).sum().backward()
    torch.testing.assert_close(x.grad, expected)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(3, 2, 3),
        nn.Conv2d(3, 2, 1, stride=2),
        nn.Conv2d(3, 2, 1, padding=1),
        nn.Conv2d(4, 2, 1, groups=2),
        nn.Conv2d(4, 2, 1, dtype=torch.float64),
        nn.LazyConv2d(2, 1),
    ],
    ids=["wide", "stride", "padding", "groups", "float64", "another class"],
)
def test_other_convolutions_are_left_as_they_are(convolution):
    assert undivided(nn.Sequential(convolution))[0] is convolution


def test_a_convolution_that_somebody_hung_a_hook_on_is_left_as_it_is():
    hooked = nn.Conv2d(4, 3, 1)
    hooked.register_forward_hook(lambda _module, _given, answer: answer * 2)
    assert undivided(nn.Sequential(hooked))[0] is hooked


def test_nothing_is_replaced_where_there_is_no_onednn(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    convolution = nn.Conv2d(4, 3, 1)
    assert undivided(nn.Sequential(convolution))[0] is convolution
