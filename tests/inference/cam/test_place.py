"""From positions of feature maps to pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from geoseg.errors import OptionError
from geoseg.inference.cam.place import to_pixels
from geoseg.models.network import PresenceNetwork
from geoseg.models.registry import build


def test_repeat_makes_48_of_12_and_pads_to_50_by_the_edge_to_the_digit() -> None:
    maps = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))

    out = to_pixels(maps, stride=4, centre=1.5, height=50, width=50, method="repeat")

    expected = np.empty((2, 3, 50, 50), np.float32)
    for row in range(50):
        for col in range(50):
            expected[:, :, row, col] = maps[:, :, min(row // 4, 11), min(col // 4, 11)].numpy()
    np.testing.assert_array_equal(out.numpy(), expected)


def test_repeat_cuts_what_a_padding_network_left_too_much() -> None:
    maps = torch.tensor([[[[1.0, 2.0]]]])

    out = to_pixels(maps, stride=4, centre=1.5, height=3, width=6, method="repeat")

    assert out.tolist() == [[[[1, 1, 1, 1, 2, 2]] * 3]]


@given(
    stride=st.sampled_from([1, 2, 4, 4 / 1.5]),
    centre=st.sampled_from([0.0, 1.5, 2.0]),
    positions=st.integers(1, 5),
    length=st.integers(1, 23),
)
def test_bilinear_is_linear_between_the_centres_and_flat_beyond(
    stride: float, centre: float, positions: int, length: int
) -> None:
    values = np.random.default_rng(positions).normal(size=positions)
    maps = torch.from_numpy(values).reshape(1, 1, 1, positions)

    out = to_pixels(maps, stride=stride, centre=centre, height=1, width=length, method="bilinear")

    places = centre + stride * np.arange(positions)
    np.testing.assert_allclose(out[0, 0, 0], np.interp(np.arange(length), places, values))


def test_bilinear_keeps_constants_to_the_bit() -> None:
    maps = torch.full((1, 1, 3, 3), 0.1)

    out = to_pixels(maps, stride=4, centre=2.0, height=13, width=14, method="bilinear")

    assert torch.equal(out, torch.full((1, 1, 13, 14), 0.1))


def test_rows_and_columns_are_not_exchanged() -> None:
    maps = torch.tensor([[[[0.0, 0.0], [8.0, 8.0]]]])

    out = to_pixels(maps, stride=2, centre=0.0, height=3, width=2, method="bilinear")

    assert out[0, 0].tolist() == [[0, 0], [4, 4], [8, 8]]


@pytest.mark.parametrize("method", ["nearest", ""])
def test_unknown_methods_are_named(method: str) -> None:
    with pytest.raises(OptionError, match="bilinear, repeat"):
        to_pixels(torch.zeros(1, 1, 1, 1), stride=1, centre=0, height=1, width=1, method=method)


def test_values_cannot_be_repeated_by_half_a_pixel() -> None:
    with pytest.raises(OptionError, match=r"2\.5 times"):
        to_pixels(torch.zeros(1, 1, 1, 1), stride=2.5, centre=0, height=1, width=1, method="repeat")


def _sees(network: PresenceNetwork, position: int, side: int) -> tuple[int, int]:
    """First and last column that change the value at a position of the feature maps."""
    x = torch.ones(1, 1, side, side, requires_grad=True)
    network.features(x)[0, :, position, position].sum().backward()
    seen = x.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    return int(seen.min()), int(seen.max())


class _Spread(nn.Module):
    """In place of a max-pool: the sum, which every one of its inputs can be seen in."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = pool.kernel_size, pool.stride, pool.padding

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(x, self.kernel, self.stride, self.padding)


@pytest.mark.parametrize(
    ("name", "side", "position"), [("shallow-cnn", 64, 8), ("resnet50-cam", 320, 40)]
)
def test_networks_are_centred_where_they_say(name: str, side: int, position: int) -> None:
    """The middle of all pixels that a position depends on, with nothing to break the symmetry."""
    network = build(name, in_channels=1, classes=2)
    assert isinstance(network, PresenceNetwork)
    for parent in list(network.modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, key, _Spread(child))
            elif isinstance(child, nn.ReLU | nn.BatchNorm2d):
                setattr(parent, key, nn.Identity())
            elif isinstance(child, nn.Conv2d):
                nn.init.constant_(child.weight, 1 / child.weight[0].numel())

    first, last = _sees(network.eval(), position, side)

    assert first > 0
    assert last < side - 1
    assert (first + last) / 2 == network.centre + position * network.stride
