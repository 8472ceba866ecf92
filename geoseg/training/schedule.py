"""How the learning rate goes through a run: a factor from how far the run is. Knows no optimizer.

A schedule is a function of the place in the run alone, so that there is nothing to store.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from geoseg.registry import Registry
from geoseg.terms import number, parse_call

Schedule = Callable[[float, float], float]
"""From (epochs done, counted in fractions; epochs in all) to what the learning rate is times."""

_HOMES = dict.fromkeys(("constant", "cosine", "linear", "step"), __name__)
_SCHEDULES: Registry[Callable[..., Schedule]] = Registry("schedule", _HOMES)

register = _SCHEDULES.register
"""Decorator: register a maker ``(**options) -> Schedule`` by name."""

names = _SCHEDULES.names
"""Names of all schedules, sorted."""


def make_schedule(text: str) -> Schedule:
    """Make the schedule that a text describes, such as ``cosine(warmup=2)``.

    Raises
    ------
    OptionError
        The text cannot be read, or names what is not there.
    """
    call = parse_call(text, option="--schedule")
    maker = _SCHEDULES.maker(call.name)
    _SCHEDULES.check_options(call.name, call.arguments)
    return maker(**call.arguments)


def _warmed_up(schedule: Schedule, warmup: float) -> Schedule:
    """Let the rate rise linearly over the first `warmup` epochs; the schedule has the rest."""
    if warmup == 0:
        return schedule

    def factor(epoch: float, epochs: float) -> float:
        if epoch < warmup:
            return epoch / warmup
        return schedule(epoch - warmup, max(epochs - warmup, 1e-9))

    return factor


def _warmup(value: object) -> float:
    return number("a schedule's warmup", value, minimum=0, maximum=1e6)


@register("constant")
def constant(warmup: float = 0) -> Schedule:
    """Leave the rate as it is, after `warmup` epochs of linear rise."""
    return _warmed_up(lambda _epoch, _epochs: 1.0, _warmup(warmup))


@register("linear")
def linear(to: float = 0.0, warmup: float = 0) -> Schedule:
    """Go in a straight line from the full rate to `to` times the rate."""
    end = number("linear's to", to, minimum=0, maximum=1)
    return _warmed_up(
        lambda epoch, epochs: 1 + (end - 1) * min(1.0, epoch / epochs), _warmup(warmup)
    )


@register("cosine")
def cosine(to: float = 0.0, warmup: float = 0) -> Schedule:
    """Go along half a cosine from the full rate to `to` times it (Loshchilov, Hutter 2017)."""
    end = number("cosine's to", to, minimum=0, maximum=1)
    return _warmed_up(
        lambda epoch, epochs: (
            end + (1 - end) * (1 + math.cos(math.pi * min(1.0, epoch / epochs))) / 2
        ),
        _warmup(warmup),
    )


@register("step")
def step(every: float = 25, factor: float = 0.1, warmup: float = 0) -> Schedule:
    """Multiply the rate by `factor` after every `every` epochs."""
    length = number("step's every", every, minimum=1e-6, maximum=1e9)
    times = number("step's factor", factor, minimum=0, maximum=1)
    return _warmed_up(lambda epoch, _epochs: times ** (epoch // length), _warmup(warmup))
