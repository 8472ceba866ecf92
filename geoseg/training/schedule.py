"""How the learning rate goes through a run: a factor from how far the run is. Knows no optimizer.

A schedule is a function of the place in the run and of the scores until then, both of which a
checkpoint holds anyway, so that there is nothing of its own to store.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from geoseg.errors import OptionError
from geoseg.registry import Registry
from geoseg.terms import number, parse_call


@dataclass(frozen=True)
class Place:
    """How far a run is."""

    epoch: float
    """Epochs done, counted in fractions."""
    epochs: float
    """Epochs in all."""
    losses: tuple[float, ...] = ()
    """Loss of each epoch done, on the validation patches where there are any."""


Schedule = Callable[[Place], float]
"""From the place in the run to what the learning rate is times."""

_HOMES = dict.fromkeys(("constant", "cosine", "cyclical", "linear", "plateau", "step"), __name__)
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

    def factor(place: Place) -> float:
        if place.epoch < warmup:
            return place.epoch / warmup
        rest = max(place.epochs - warmup, 1e-9)
        return schedule(Place(place.epoch - warmup, rest, place.losses))

    return factor


def _warmup(value: object) -> float:
    return number("a schedule's warmup", value, minimum=0, maximum=1e6)


@register("constant")
def constant(warmup: float = 0) -> Schedule:
    """Leave the rate as it is, after `warmup` epochs of linear rise."""
    return _warmed_up(lambda _place: 1.0, _warmup(warmup))


@register("linear")
def linear(to: float = 0.0, warmup: float = 0) -> Schedule:
    """Go in a straight line from the full rate to `to` times the rate."""
    end = number("linear's to", to, minimum=0, maximum=1)
    return _warmed_up(
        lambda place: 1 + (end - 1) * min(1.0, place.epoch / place.epochs), _warmup(warmup)
    )


@register("cosine")
def cosine(to: float = 0.0, warmup: float = 0) -> Schedule:
    """Go along half a cosine from the full rate to `to` times it (Loshchilov, Hutter 2017)."""
    end = number("cosine's to", to, minimum=0, maximum=1)

    def factor(place: Place) -> float:
        done = min(1.0, place.epoch / place.epochs)
        return end + (1 - end) * (1 + math.cos(math.pi * done)) / 2

    return _warmed_up(factor, _warmup(warmup))


@register("step")
def step(every: float = 25, factor: float = 0.1, warmup: float = 0) -> Schedule:
    """Multiply the rate by `factor` after every `every` epochs.

    The alpine system's transfer learning, 25 epochs at 1e-3 and 25 at 1e-4, is the default over 50
    epochs.
    """
    length = number("step's every", every, minimum=1e-6, maximum=1e9)
    times = number("step's factor", factor, minimum=0, maximum=1)
    return _warmed_up(lambda place: times ** (place.epoch // length), _warmup(warmup))


@register("cyclical")
def cyclical(length: float = 10, low: float = 0.1, shape: str = "triangle") -> Schedule:
    """Go between the full rate and `low` times it, again and again (Smith 2017).

    Parameters
    ----------
    length
        Epochs of a cycle.
    low
        Least factor.
    shape
        ``triangle``: from the least to the full rate and back; ``saw``: from the full rate to the
        least in a straight line, then at once to the full rate again.
    """
    epochs = number("cyclical's length", length, minimum=1e-6, maximum=1e9)
    least = number("cyclical's low", low, minimum=0, maximum=1)
    if shape not in {"triangle", "saw"}:
        raise OptionError(f"cyclical's shape is triangle or saw, not {shape!r}")

    def factor(place: Place) -> float:
        within = (place.epoch % epochs) / epochs
        height = 1 - within if shape == "saw" else 1 - abs(1 - 2 * within)
        return least + (1 - least) * height

    return factor


@register("plateau")
def plateau(
    patience: float = 5, factor: float = 0.1, threshold: float = 1e-4, least: float = 0.0
) -> Schedule:
    """Multiply the rate by `factor` when the loss has stopped to fall.

    That is after more than `patience` epochs in a row in none of which the loss was below
    ``(1 − threshold)`` times the lowest before; counting starts anew then. The loss is that of
    the validation patches, without any that of the training patches.

    Parameters
    ----------
    patience
        Epochs to bear.
    factor
        What the rate is multiplied by.
    threshold
        By what share of itself the lowest loss must fall to count as lower.
    least
        Least factor in all.
    """
    bear = number("plateau's patience", patience, minimum=0, maximum=1e9)
    times = number("plateau's factor", factor, minimum=0, maximum=1)
    share = number("plateau's threshold", threshold, minimum=0, maximum=1)
    floor = number("plateau's least", least, minimum=0, maximum=1)

    def now(place: Place) -> float:
        product, lowest, waited = 1.0, math.inf, 0
        for loss in place.losses:
            if math.isnan(loss):  # nothing was scored
                continue
            # A negative loss (there is none of ours) would fall by the same share downwards.
            if math.isinf(lowest) or loss < lowest - share * abs(lowest):
                lowest, waited = loss, 0
                continue
            waited += 1
            if waited > bear:
                product, waited = max(product * times, floor), 0
        return product

    return now
