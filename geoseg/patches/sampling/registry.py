"""Samplers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from geoseg.errors import DatasetError
from geoseg.patches.sampling.order import Order
from geoseg.patches.sampling.pool import Pool
from geoseg.registry import Registry
from geoseg.terms import parse_call


class Sampler(Protocol):
    """Chooses the patches of each epoch."""

    def order(self, epoch: int) -> Order:
        """Return the patches of an epoch (counted from 0) in order; its length may vary."""
        ...


_HOMES = {
    "random": "geoseg.patches.sampling.uniform",
    "equibatch": "geoseg.patches.sampling.equibatch",
    "oversample": "geoseg.patches.sampling.oversample",
    "balance": "geoseg.patches.sampling.balance",
}
_SAMPLERS: Registry[Callable[..., Sampler]] = Registry("sampler", _HOMES, given=("pool", "seed"))

register = _SAMPLERS.register
"""Decorator: register a maker ``(pool, seed, **options) -> Sampler`` by name."""

names = _SAMPLERS.names
"""Names of all samplers, sorted."""


def make_sampler(text: str, pool: Pool, seed: int) -> Sampler:
    """Make the sampler that a text describes, such as ``random`` or ``equibatch(length=500)``.

    Parameters
    ----------
    text
        A call in the language of `geoseg.terms`.
    pool
        What is known of the training patches.
    seed
        Same seed, same orders.

    Raises
    ------
    OptionError
        The text cannot be read, or names what is not there.
    DatasetError
        No patch has a label, or the sampler cannot do its work with these patches.
    """
    call = parse_call(text, option="--sampler")
    maker = _SAMPLERS.maker(call.name)
    _SAMPLERS.check_options(call.name, call.arguments)
    if not len(pool.labelled):
        what = "holds a labelled pixel" if pool.known is None else "has a label"
        raise DatasetError(f"no training patch {what}, so there is nothing to learn")
    return maker(pool, seed, **call.arguments)
