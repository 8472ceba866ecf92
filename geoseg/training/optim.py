"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from geoseg.errors import OptionError
from geoseg.terms import number

_DEFAULT_RATE = {"sgd": 1e-2, "adam": 1e-3, "adamw": 1e-3}
_DEFAULT_DECAY = {"sgd": 1e-4, "adam": 0.0, "adamw": 1e-2}


def names() -> tuple[str, ...]:
    """Names of all optimisers."""
    return tuple(sorted(_DEFAULT_RATE))


def default_rate(name: str) -> float:
    """Learning rate of an optimiser where nobody says otherwise."""
    return _DEFAULT_RATE[_known(name)]


def default_decay(name: str) -> float:
    """Weight decay of an optimiser where nobody says otherwise."""
    return _DEFAULT_DECAY[_known(name)]


def make_optimizer(
    name: str, network: nn.Module, *, rate: float, decay: float, momentum: float
) -> torch.optim.Optimizer:
    """Make an optimiser of a network's parameters.

    Weight decay holds for kernels alone: pulling biases and batch norm's scales towards 0 says
    nothing about how complicated the network is.

    Parameters
    ----------
    name
        ``sgd``, ``adam`` or ``adamw``.
    network
        On its device already.
    rate, decay
        Learning rate and weight decay.
    momentum
        Of ``sgd``; the others have their own.

    Raises
    ------
    OptionError
        No optimiser has that name, or a number makes no sense.
    """
    number("--lr", rate, minimum=0, maximum=1e3)
    number("--weight-decay", decay, minimum=0, maximum=1e3)
    number("--momentum", momentum, minimum=0, maximum=1)
    trained = [p for p in network.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    # One pass over memory instead of several; measured to give the same result run after run.
    makers: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "sgd": lambda: torch.optim.SGD(groups, lr=rate, momentum=momentum, fused=True),
        "adam": lambda: torch.optim.Adam(groups, lr=rate, fused=True),
        "adamw": lambda: torch.optim.AdamW(groups, lr=rate, fused=True),
    }
    return makers[_known(name)]()


def _known(name: str) -> str:
    if name not in _DEFAULT_RATE:
        raise OptionError(f"no optimizer is called {name!r}; there are: {', '.join(names())}")
    return name
