"""Batch norm folded into convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geoseg.models.fold import fold_batch_norm
from geoseg.models.registry import build

Live = Callable[[nn.Module], nn.Module]


def norms(network: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())


@pytest.mark.parametrize(
    ("name", "arguments", "left"),
    [
        ("unet", {"widths": (8, 16, 32)}, 0),
        ("unet", {"widths": (8, 16, 32), "batch_norm": False}, 0),
        ("agde", {"widths": (8, 8, 16), "convolutions": (2, 1, 2)}, 0),
        ("fcn8s", {"widths": (4, 8, 8, 8, 8), "dense": 16, "batch_norm": True}, 0),
        ("segnet", {"widths": (8, 8, 8, 16, 16)}, 0),
        ("shallow-cnn", {"widths": (8, 8, 8, 8)}, 0),
        # ELU stands between convolution and batch norm: only those before a 1 × 1 convolution
        # can go, one in each of the encoder's blocks.
        ("unet-m46", {"widths": (8, 8, 16), "decoder_widths": (8, 8, 4)}, 3 + 2 * 3),
        ("unet-resnet34", {"widths": (8, 8), "blocks": (1, 2), "decoder_widths": (4,) * 3}, 14),
    ],
)
def test_a_folded_network_answers_as_the_plain_one(
    name: str, arguments: dict[str, Any], left: int, lived_in: Live
) -> None:
    torch.manual_seed(0)
    network = lived_in(build(name, in_channels=4, classes=6, **arguments))
    folded = fold_batch_norm(network)
    x = torch.randn(2, 4, 45, 31)
    with torch.inference_mode():
        plain, quick = network(x), folded(x.contiguous(memory_format=torch.channels_last))
    assert float((plain - quick).abs().max()) < 1e-4 * float(plain.abs().max())
    assert norms(folded) == left


def test_folding_leaves_the_given_network_alone() -> None:
    for name in ("unet", "unet-m46"):
        network = build(name, in_channels=2, classes=2).train()
        before = {key: value.clone() for key, value in network.state_dict().items()}
        folded = fold_batch_norm(network)
        assert network.training
        assert not folded.training
        assert before.keys() == network.state_dict().keys()
        assert all(torch.equal(before[key], v) for key, v in network.state_dict().items())
        assert not any(p.requires_grad for p in folded.parameters())


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4)],
        [nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6, affine=False)],
        [nn.ConvTranspose2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()],
        [nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)],
        [nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, bias=False)],
        [nn.BatchNorm2d(3, affine=False), nn.Conv2d(3, 4, (3, 2), padding="valid")],
        [nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)],
        [nn.Conv2d(3, 4, 1), nn.ELU(), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)],
        [nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)],
    ],
)
def test_a_batch_norm_beside_a_convolution_goes(layers: list[nn.Module], lived_in: Live) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*layers)
    for module in network:
        if isinstance(module, nn.BatchNorm2d) and not module.affine:
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    if all(not isinstance(m, nn.BatchNorm2d) or m.affine for m in network):
        lived_in(network)
    folded = fold_batch_norm(network.eval())
    x = torch.randn(2, 3, 9, 8)
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), network(x), rtol=1e-4, atol=1e-5)
    assert norms(folded) == 0


class Activated(nn.BatchNorm2d):
    """As libraries derive them."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class PadsItself(nn.Conv2d):
    """Its padding is 0, and it pads."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, (1, 1, 1, 1)))


class Standardised(nn.Conv2d):
    """Whatever the scale of its kernel, the answer is the same."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight / self.weight.std(), self.bias)


class Backwards(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        for layer in reversed(list(self)):
            x = layer(x)
        return x


SHARED = nn.ReLU()


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1)),
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding="same")),
        nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 1)),
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1, groups=3)),
        nn.Sequential(nn.Conv2d(3, 3, 1), SHARED, nn.BatchNorm2d(3), SHARED),
        nn.Sequential(nn.Conv2d(3, 3, 1), Activated(3)),
        nn.Sequential(Activated(3), nn.Conv2d(3, 3, 1)),
        nn.Sequential(nn.BatchNorm2d(3), PadsItself(3, 3, 3)),
        nn.Sequential(Standardised(3, 3, 1), nn.BatchNorm2d(3)),
        Backwards(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)),
    ],
)
def test_a_batch_norm_that_cannot_be_folded_stays(network: nn.Module, lived_in: Live) -> None:
    torch.manual_seed(0)
    folded = fold_batch_norm(lived_in(network))
    x = torch.randn(1, 3, 4, 4)
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), network(x))
    assert norms(folded) == 1


def test_a_convolution_that_serves_twice_is_folded_for_each_place(lived_in: Live) -> None:
    torch.manual_seed(0)
    shared = nn.Conv2d(3, 3, 1)
    network = lived_in(nn.Sequential(nn.BatchNorm2d(3), shared, nn.ReLU(), shared))
    folded = fold_batch_norm(network)
    x = torch.randn(1, 3, 4, 4)
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), network(x))


def test_a_mean_many_deviations_away_costs_no_digits() -> None:
    torch.manual_seed(0)
    norm, convolution = nn.BatchNorm2d(64).eval(), nn.Conv2d(64, 4, 1)
    nn.init.constant_(norm.running_mean, 1000.0)  # type: ignore[arg-type]
    _, folded = fold_batch_norm(nn.Sequential(norm, convolution)).children()
    found, before = folded.state_dict()["bias"], convolution.state_dict()
    sums = before["weight"].double().sum(dim=(1, 2, 3))
    wanted = before["bias"].double() - sums * 1000 / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=0)
