"""Optimisers by name."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from geoseg.errors import OptionError
from geoseg.models.network import channels_last
from geoseg.models.registry import build
from geoseg.training.optim import make_optimizer, names


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))


def walked(name: str, start: Tensor, history: list[Tensor], decay: float) -> Tensor:
    """Do the textbook's arithmetic in float64 and return where it leads."""
    rate, momentum, beta, gamma, tiny = 0.01, 0.9, 0.9, 0.999, 1e-8
    own = decay if start.dim() > 1 else 0.0
    at, first, second = start, torch.zeros_like(start), torch.zeros_like(start)
    for t, g in enumerate(history, 1):
        shrunk = at * (1 - rate * own) if name == "adamw" else at
        grad = g.double() if name == "adamw" else g.double() + own * at
        if name == "sgd":
            first = momentum * first + grad
            at = at - rate * first
            continue
        first = beta * first + (1 - beta) * grad
        second = gamma * second + (1 - gamma) * grad**2
        mean, square = first / (1 - beta**t), second / (1 - gamma**t)
        at = shrunk - rate * mean / (square.sqrt() + tiny)
    return at


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("turned", [False, True])
def test_steps_are_the_textbooks_and_decay_kernels_alone(name: str, turned: bool) -> None:
    trained = channels_last(network()) if turned else network()
    values = [p.detach().double().clone() for p in trained.parameters()]
    grads: list[list[Tensor]] = [[] for _ in values]
    optimizer = make_optimizer(name, trained, rate=0.01, decay=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        trained(torch.randn(2, 3, 5, 5)).square().mean().backward()
        for history, p in zip(grads, trained.parameters(), strict=True):
            assert p.grad is not None
            history.append(p.grad.clone())
        optimizer.step()
    for found, start, history in zip(trained.parameters(), values, grads, strict=True):
        wanted = walked(name, start, history, 0.1)
        torch.testing.assert_close(found.detach().double(), wanted, rtol=1e-4, atol=1e-6)


def test_what_a_network_names_undecayed_is_left_alone_and_other_kernels_shrink() -> None:
    trained = build("shallow-cnn", in_channels=2, classes=3, widths=(2, 2, 2, 2))
    optimizer = make_optimizer("sgd", trained, rate=0.5, decay=0.2, momentum=0)
    before = {name: p.detach().clone() for name, p in trained.named_parameters()}
    for p in trained.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    # Without a gradient, sgd multiplies what decays by 1 − 0.5 · 0.2.
    for name, p in trained.named_parameters():
        factor = 0.9 if p.dim() == 4 else 1.0
        torch.testing.assert_close(p.detach(), before[name] * factor, msg=name)
    assert trained.dense.weight.dim() == 2
    plain = nn.Sequential(nn.Linear(2, 2))
    start = plain[0].weight.detach().clone()
    optimizer = make_optimizer("sgd", plain, rate=0.5, decay=0.2, momentum=0)
    plain[0].weight.grad = torch.zeros_like(plain[0].weight)
    optimizer.step()
    torch.testing.assert_close(plain[0].weight.detach(), start * 0.9)


def test_an_unknown_optimizer_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="adam, adamw, sgd"):
        make_optimizer("lion", network(), rate=1, decay=0, momentum=0)


@pytest.mark.parametrize("rate", [float("nan"), -1.0])
def test_a_rate_without_meaning_is_refused(rate: float) -> None:
    with pytest.raises(OptionError, match="--lr"):
        make_optimizer("sgd", network(), rate=rate, decay=0, momentum=0)


def test_a_parameter_without_gradient_stays() -> None:
    trained = network()
    trained[3].requires_grad_(False)
    optimizer = make_optimizer("adamw", trained, rate=0.01, decay=0.1, momentum=0.9)
    before = [p.detach().clone() for p in trained.parameters()]
    trained[0](torch.randn(2, 3, 5, 5)).square().mean().backward()
    optimizer.step()
    changed = [not torch.equal(p, b) for p, b in zip(trained.parameters(), before, strict=True)]
    assert changed == [True, True, False, False, False, False]


def test_no_optimizer_imports_the_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from geoseg.training.optim import make_optimizer, names\n"
        "for name in names():\n"
        "    layer = torch.nn.Conv2d(1, 1, 1)\n"
        "    made = make_optimizer(name, layer, rate=0.1, decay=0.1, momentum=0.9)\n"
        "    layer(torch.ones(1, 1, 2, 2)).sum().backward()\n"
        "    made.step(), made.zero_grad()\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
