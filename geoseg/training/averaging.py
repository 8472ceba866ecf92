"""Stochastic weight averaging: the mean of the weights that a cyclical learning rate comes by.

Izmailov et al. (2018), as the deepglobe system uses it: after the epochs of the run proper follow
cycles of equal length, in each of which the learning rate falls in a straight line; the weights at
the end of each cycle are collected; the model is their plain mean, with the statistics of its batch
norms taken anew over the training patches, since those of the collected networks fit none of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geoseg.errors import OptionError
from geoseg.terms import number, parse_call


@dataclass(frozen=True, kw_only=True)
class Averaging:
    """When weights are collected."""

    cycles: int = 10
    """How many times."""
    length: int = 6
    """Epochs of a cycle."""
    high: float = 0.1
    """What the run's learning rate is times at the start of a cycle."""
    low: float = 0.01
    """And at its end."""

    @classmethod
    def parse(cls, text: str) -> Averaging:
        """Read ``cycles=10, length=6, high=0.1, low=0.01``, each with its default.

        The defaults are the deepglobe system's: with 100 epochs and a rate of 1e-3, weights are
        collected after epochs 106, 112, …, 160, the rate falling from 1e-4 to 1e-5 in each cycle.

        Raises
        ------
        OptionError
            The text cannot be read, or a number makes no sense.
        """
        option = "--swa"
        arguments = dict(parse_call(f"swa({text})", option=option).arguments)
        unknown = arguments.keys() - {"cycles", "length", "high", "low"}
        if unknown:
            raise OptionError(
                f"{option} knows cycles, length, high and low, not {', '.join(sorted(unknown))}"
            )
        whole = {
            key: number(f"{option}'s {key}", arguments.get(key, default), minimum=1, maximum=10_000)
            for key, default in (("cycles", 10), ("length", 6))
        }
        if any(value != int(value) for value in whole.values()):
            raise OptionError(f"{option}'s cycles and length are whole numbers")
        rates = {
            key: number(f"{option}'s {key}", arguments.get(key, default), minimum=0, maximum=1)
            for key, default in (("high", 0.1), ("low", 0.01))
        }
        return cls(cycles=int(whole["cycles"]), length=int(whole["length"]), **rates)

    @property
    def epochs(self) -> int:
        """Epochs that come after those of the run proper."""
        return self.cycles * self.length

    def factor(self, epoch: float) -> float:
        """Return what the rate is times, `epoch` epochs (in fractions) after the run proper."""
        done = (epoch % self.length) / self.length
        return self.high + (self.low - self.high) * done

    def ends_cycle(self, epoch: int) -> bool:
        """Whether a cycle has just ended, `epoch` epochs after the run proper."""
        return epoch > 0 and epoch % self.length == 0


def add_to_mean(
    mean: Mapping[str, Tensor], count: int, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the mean of `count` + 1 states of a network, given that of the first `count`.

    Kept in float64 on the CPU, so that it is the mean to float32 rounding. Whole numbers (a batch
    norm's count of batches) are those of the newest state.
    """
    new = {}
    for key, tensor in state.items():
        value = tensor.detach().to("cpu", copy=True)
        if value.is_floating_point():
            value = value.double()
            if count:
                value = mean[key] + (value - mean[key]) / (count + 1)
        new[key] = value
    return new


def averaged(network: nn.Module, mean: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy of a network with mean weights, in evaluation mode; the network stays."""
    made = copy.deepcopy(network)
    made.load_state_dict(
        {
            key: value.to(torch.float32) if value.is_floating_point() else value
            for key, value in mean.items()
        }
    )
    return made.eval()


def renew_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Take the statistics of all batch norms anew: the mean over batches, each counting alike.

    Everything else of the network runs in evaluation mode, as it will when it is used (torch's own
    function lets dropout act meanwhile). Without batch norms no batch is asked for.

    Parameters
    ----------
    network
        Changed in place; in evaluation mode afterwards.
    batches
        Images (N, bands, H, W), normalised and augmented as in training.
    """
    network.eval()
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean
        norm.train()
    try:
        with torch.no_grad():
            for images in batches:
                network(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()
