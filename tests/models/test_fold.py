"""Batch norm folded into convolutions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from geoseg.models.fold import fold_batch_norm
from geoseg.models.registry import build


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def lived_in(network: nn.Module) -> nn.Module:
    """Give batch norms statistics and scales such as training leaves."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network.eval()


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_folded_unet_answers_as_the_plain_one(batch_norm: bool) -> None:
    torch.manual_seed(0)
    network = lived_in(
        build("unet", in_channels=4, classes=6, widths=(8, 16, 32), batch_norm=batch_norm)
    )
    folded = fold_batch_norm(network)
    x = torch.randn(2, 4, 45, 31)
    with torch.inference_mode():
        plain, quick = network(x), folded(x)
    assert float((plain - quick).abs().max()) < 1e-4 * float(plain.abs().max())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())


def test_folding_leaves_the_given_network_alone() -> None:
    network = build("unet", in_channels=2, classes=2, widths=(4, 8)).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded = fold_batch_norm(network)
    assert network.training
    assert not folded.training
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(before[key], v) for key, v in network.state_dict().items())
    assert not any(p.requires_grad for p in folded.parameters())


def test_a_batch_norm_that_follows_no_convolution_stays() -> None:
    class Backwards(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in reversed(list(self)):
                x = layer(x)
            return x

    shared = nn.ReLU()
    torch.manual_seed(0)
    for network in (
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)),
        nn.Sequential(nn.Conv2d(3, 3, 1), shared, nn.BatchNorm2d(3), shared),
        Backwards(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)),
    ):
        folded = fold_batch_norm(lived_in(network))
        x = torch.randn(1, 3, 4, 4)
        with torch.inference_mode():
            torch.testing.assert_close(folded(x), network(x))
        assert any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
