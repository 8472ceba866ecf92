"""In which order an epoch visits the patches.

An order is a function of the seed and the epoch alone: nothing is carried from one epoch to the
next, so that a resumed run, or several processes that each take a part, agree on it without
exchanging anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import DatasetError
from geoseg.registry import Registry
from geoseg.terms import parse_call


class Sampler(Protocol):
    """Chooses the patches of each epoch."""

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the patches of an epoch (counted from 0) in order; its length may vary."""
        ...


_SAMPLERS: Registry[Callable[..., Sampler]] = Registry(
    "sampler", {"random": __name__}, given=("class_pixels", "seed")
)

register = _SAMPLERS.register
"""Decorator: register a maker ``(class_pixels, seed, **options) -> Sampler`` by name."""

names = _SAMPLERS.names
"""Names of all samplers, sorted."""


def make_sampler(text: str, class_pixels: NDArray[np.int64], seed: int) -> Sampler:
    """Make the sampler that a text describes, such as ``random``.

    Parameters
    ----------
    text
        A call in the language of `geoseg.terms`.
    class_pixels
        (patches, classes): labelled pixels of each class in each training patch.
    seed
        Same seed, same orders.

    Raises
    ------
    OptionError
        The text cannot be read, or names what is not there.
    DatasetError
        No patch holds a labelled pixel.
    """
    call = parse_call(text, option="--sampler")
    maker = _SAMPLERS.maker(call.name)
    _SAMPLERS.check_options(call.name, call.arguments)
    if not class_pixels.any():
        raise DatasetError("no training patch holds a labelled pixel, so there is nothing to learn")
    return maker(class_pixels, seed, **call.arguments)


def generator(seed: int, *place: int) -> np.random.Generator:
    """Return a random generator of its own for a place in a run.

    Streams of different seeds or places are independent. An order is drawn at (epoch,), a batch's
    augmentation at (epoch, batch), a step's dropout at (epoch, batch, 0).
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


@register("random")
class RandomSampler:
    """Every patch with a labelled pixel once an epoch, in a new order each time.

    A patch without any is left out: it has nothing to teach.
    """

    def __init__(self, class_pixels: NDArray[np.int64], seed: int) -> None:
        self._patches = np.flatnonzero(class_pixels.any(axis=1)).astype(np.int64)
        self._seed = seed

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return a permutation of the labelled patches."""
        return generator(self._seed, epoch).permutation(self._patches)


def batches(order: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Cut an order into batches of at most `batch_size`, all of the same length or one less.

    Even lengths instead of a short last batch, whose batch-norm statistics would be poor and whose
    patches would weigh more than others.
    """
    count = -(-len(order) // batch_size)
    return np.array_split(order, count) if count else []
