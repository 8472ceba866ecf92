"""Networks that say which classes there are, and their activation maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from geoseg.models.network import PresenceNetwork
from geoseg.models.registry import build


class Bands(PresenceNetwork):
    """The bands themselves are the features."""

    def __init__(self) -> None:
        super().__init__(stride=1, smallest=3)
        self.dense = nn.Linear(2, 3)
        with torch.no_grad():
            self.dense.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]]))
            self.dense.bias.copy_(torch.tensor([0.5, 0.0, 10.0]))

    def features(self, x: Tensor) -> Tensor:
        return x


IMAGE = torch.tensor([[[[1.0, 2, 3]] * 3, [[4.0, 4, 10]] * 3]])


def test_maps_weigh_the_features_as_the_dense_layer_does() -> None:
    with torch.inference_mode():
        maps = Bands().activation_maps(IMAGE)
    assert maps[0, :, 1].tolist() == [[1, 2, 3], [8, 8, 20], [3, 2, 7]]


def test_logits_are_the_dense_layer_of_the_averages() -> None:
    with torch.inference_mode():
        assert Bands()(IMAGE).tolist() == [[2.5, 12, 14]]


def test_the_bias_is_added_on_request() -> None:
    network = Bands()
    with torch.inference_mode():
        plain, whole = network.activation_maps(IMAGE), network.activation_maps(IMAGE, bias=True)
    assert (whole - plain)[0, :, 0, 0].tolist() == [0.5, 0, 10]


def test_images_too_small_are_continued_by_their_edge() -> None:
    with torch.inference_mode():
        maps = Bands().activation_maps(IMAGE[..., :1, :2])
    assert maps[0, 0].tolist() == [[1, 2, 2]] * 3


@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    bands=st.integers(1, 7),
    classes=st.integers(1, 6),
)
def test_the_mean_of_a_map_with_bias_is_the_logit(
    size: tuple[int, int],
    bands: int,
    classes: int,
    lived_in: Callable[[nn.Module], nn.Module],
) -> None:
    network = build("shallow-cnn", in_channels=bands, classes=classes, widths=(3, 4, 5, 6))
    assert isinstance(network, PresenceNetwork)
    lived_in(network)
    x = torch.randn(2, bands, *size)
    with torch.inference_mode():
        maps = network.activation_maps(x, bias=True)
        torch.testing.assert_close(maps.mean(dim=(2, 3)), network(x), rtol=1e-4, atol=1e-4)


def test_a_patch_of_50_leaves_maps_of_12() -> None:
    network = build("shallow-cnn", in_channels=7, classes=5)
    assert isinstance(network, PresenceNetwork)
    x = torch.randn(2, 7, 50, 50)
    with torch.inference_mode():
        assert network.eval().features(x).shape == (2, 128, 12, 12)
        assert network.activation_maps(x).shape == (2, 5, 12, 12)
        assert network(x).shape == (2, 5)


def test_maps_are_the_weighted_sum_written_out() -> None:
    torch.manual_seed(0)
    network = build("shallow-cnn", in_channels=2, classes=3, widths=(4, 4, 4, 5)).double().eval()
    assert isinstance(network, PresenceNetwork)
    x = torch.randn(1, 2, 17, 13, dtype=torch.float64)
    with torch.inference_mode():
        features, maps = network.features(x).numpy(), network.activation_maps(x).numpy()
    weight = network.dense.weight.detach().numpy()
    assert maps.shape == (1, 3, 4, 3)
    for c, row, col in np.ndindex(3, 4, 3):
        wanted = sum(weight[c, k] * features[0, k, row, col] for k in range(5))
        assert maps[0, c, row, col] == pytest.approx(wanted, rel=1e-12)
