"""Optimisers by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

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


class Optimizer(ABC):
    """Follows the gradient of a network's parameters.

    Does its arithmetic with the functions under `torch.optim`. Not with its classes: making one of
    those imports torch's compiler, which takes about as long as importing torch.

    Parameters
    ----------
    network
        On its device, in its layout; neither may change afterwards.
    rate
        Learning rate; may be set anew before each step.
    decay
        Weight decay of kernels. Pulling biases and batch norm's scales towards 0 says nothing
        about how complicated the network is, so these have none; nor has a parameter whose name is
        in the network's attribute ``undecayed``, a set of names, where it has one.
    """

    _STATES: tuple[str, ...] = ()
    """What is kept for each parameter, of its shape and in its layout, at first 0."""

    def __init__(self, network: nn.Module, *, rate: float, decay: float) -> None:
        self.rate = rate
        self._decay = decay
        spared: frozenset[str] = getattr(network, "undecayed", frozenset())
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self._parameters = [p for _, p in named]
        self._decays = [p.dim() > 1 and name not in spared for name, p in named]
        self._kept = {
            # The steps done, for the corrections of Adam, count for each parameter.
            name: [
                torch.zeros((), device=p.device)
                if name == "steps"
                else torch.zeros_like(p.detach())
                for p in self._parameters
            ]
            for name in self._STATES
        }

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def step(self) -> None:
        """Change the parameters by their gradients; one without gradient stays as it is."""
        for decay, decays in ((self._decay, True), (0.0, False)):
            chosen = [
                n
                for n, p in enumerate(self._parameters)
                if p.grad is not None and self._decays[n] == decays
            ]
            if chosen:
                parameters = [self._parameters[n] for n in chosen]
                grads = [p.grad for p in parameters if p.grad is not None]
                kept = {name: [held[n] for n in chosen] for name, held in self._kept.items()}
                with torch.no_grad():
                    self._follow(parameters, grads, kept, decay)

    @abstractmethod
    def _follow(
        self,
        parameters: list[nn.Parameter],
        grads: list[Tensor],
        kept: dict[str, list[Tensor]],
        decay: float,
    ) -> None:
        """Change parameters by their gradients, and what is kept from step to step."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything that goes from one step to the next but the parameters, by name."""
        return {f"{n}.{name}": t for name, held in self._kept.items() for n, t in enumerate(held)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave, each tensor in the layout of its parameter.

        Raises
        ------
        ValueError
            The state is of another network or another optimiser.
        """
        own = self.state_dict()
        if own.keys() != state.keys():
            raise ValueError("the optimizer's state is of another network or optimizer")
        for key, tensor in own.items():
            if tensor.shape != state[key].shape:
                raise ValueError(f"the optimizer's state {key!r} has another shape")
            tensor.copy_(state[key])


class SGD(Optimizer):
    """Stochastic gradient descent with momentum; decay is added to the gradient."""

    _STATES = ("momentum",)

    def __init__(self, network: nn.Module, *, rate: float, decay: float, momentum: float) -> None:
        super().__init__(network, rate=rate, decay=decay)
        self._momentum = momentum

    def _follow(
        self,
        parameters: list[nn.Parameter],
        grads: list[Tensor],
        kept: dict[str, list[Tensor]],
        decay: float,
    ) -> None:
        sgd(
            params=list[Tensor](parameters),
            d_p_list=grads,
            momentum_buffer_list=list[Tensor | None](kept["momentum"]),
            fused=True,
            weight_decay=decay,
            momentum=self._momentum,
            lr=self.rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


class Adam(Optimizer):
    """Adam (Kingma, Ba 2015), β = 0.9 and 0.999, ε = 1e-8; decay is added to the gradient."""

    _STATES = ("mean", "square", "steps")
    _function: Callable[..., None] = staticmethod(adam)

    def _follow(
        self,
        parameters: list[nn.Parameter],
        grads: list[Tensor],
        kept: dict[str, list[Tensor]],
        decay: float,
    ) -> None:
        self._function(
            params=parameters,
            grads=grads,
            exp_avgs=kept["mean"],
            exp_avg_sqs=kept["square"],
            max_exp_avg_sqs=[],
            state_steps=kept["steps"],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.rate,
            weight_decay=decay,
            eps=1e-8,
            maximize=False,
        )


class AdamW(Adam):
    """Adam with decay apart from the gradient (Loshchilov, Hutter 2019)."""

    _function: Callable[..., None] = staticmethod(adamw)


def make_optimizer(
    name: str, network: nn.Module, *, rate: float, decay: float, momentum: float
) -> Optimizer:
    """Make an optimiser of a network's parameters.

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
    number("--lr", rate, minimum=0)
    number("--weight-decay", decay, minimum=0)
    number("--momentum", momentum, minimum=0, maximum=1)
    if _known(name) == "sgd":
        return SGD(network, rate=rate, decay=decay, momentum=momentum)
    return {"adam": Adam, "adamw": AdamW}[name](network, rate=rate, decay=decay)


def _known(name: str) -> str:
    if name not in _DEFAULT_RATE:
        raise OptionError(f"no optimizer is called {name!r}; there are: {', '.join(names())}")
    return name
