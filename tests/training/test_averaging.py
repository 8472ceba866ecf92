"""Stochastic weight averaging."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.errors import OptionError
from geoseg.training.averaging import Averaging, add_to_mean, averaged, renew_batch_norm


def test_the_defaults_are_the_deepglobe_systems() -> None:
    averaging = Averaging.parse("cycles=10, length=6, high=0.1, low=0.01")
    assert averaging == Averaging()
    ends = [100 + e for e in range(averaging.epochs + 1) if averaging.ends_cycle(e)]
    assert ends == [106, 112, 118, 124, 130, 136, 142, 148, 154, 160]
    rates = [1e-3 * averaging.factor(e) for e in (0, 3, 5.999999, 6, 57)]
    assert rates == pytest.approx([1e-4, 5.5e-5, 1e-5, 1e-4, 5.5e-5], rel=1e-4)


@pytest.mark.parametrize(
    "text",
    ["cycles=0", "cycles=2.5", "length=x", "rounds=3", "high=2", "low=-1", "cycles", "cycles=1,"],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--swa"):
        Averaging.parse(text)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Conv2d(3, 2, 1))


def test_the_mean_is_that_of_the_weights_collected() -> None:
    states = []
    mean: dict[str, torch.Tensor] = {}
    made = network()
    for count in range(7):
        torch.manual_seed(count)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.copy_(torch.randn_like(parameter))
        states.append({k: v.clone().double().numpy() for k, v in made.state_dict().items()})
        mean = add_to_mean(mean, count, made.state_dict())
    held = averaged(made, mean).state_dict()
    for key in ("0.weight", "0.bias", "1.weight", "3.weight"):
        wanted = np.mean([state[key] for state in states], axis=0)
        np.testing.assert_allclose(held[key].numpy(), wanted, rtol=1e-7, atol=1e-8)
    # The network that they came from is left alone.
    assert torch.equal(
        made.state_dict()["0.weight"].double(), torch.from_numpy(states[-1]["0.weight"])
    )


def test_batch_norm_statistics_are_the_plain_mean_over_batches() -> None:
    torch.manual_seed(0)
    made = network()
    with torch.no_grad():
        made[1].running_mean.fill_(99)
    batches = [torch.randn(4, 2, 5, 5) * n + n for n in range(1, 4)]
    renew_batch_norm(made, iter(batches))
    with torch.no_grad():
        seen = [made[0](batch) for batch in batches]
    means = torch.stack([s.mean(dim=(0, 2, 3)) for s in seen]).mean(0)
    variances = torch.stack([s.var(dim=(0, 2, 3)) for s in seen]).mean(0)
    torch.testing.assert_close(made[1].running_mean, means)
    torch.testing.assert_close(made[1].running_var, variances)
    assert made[1].momentum == 0.1
    assert not any(module.training for module in made.modules())


def test_a_network_without_batch_norm_asks_for_no_batch() -> None:
    def fail() -> object:
        raise AssertionError("a batch was asked for")
        yield

    renew_batch_norm(nn.Conv2d(1, 1, 1), fail())  # type: ignore[arg-type]
