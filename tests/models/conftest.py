"""What tests of networks share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lived_in() -> Callable[[nn.Module], nn.Module]:
    """Give batch norms statistics and scales such as training leaves; evaluation mode."""

    def live(network: nn.Module) -> nn.Module:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias)
        return network.eval()

    return live
