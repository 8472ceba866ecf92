"""In which order an epoch visits the patches, how often, and which are left out.

An order is a function of the seed and the epoch alone: nothing is carried from one epoch to the
next, so that a resumed run, or several processes that each take a part, agree on it without
exchanging anything.

A new sampler is one file that registers its maker, and one line in `registry._HOMES`.
"""

from geoseg.patches.sampling.order import Order, batches, generator, part
from geoseg.patches.sampling.pool import Pool, restrict
from geoseg.patches.sampling.registry import Sampler, make_sampler, names, register

__all__ = [
    "Order",
    "Pool",
    "Sampler",
    "batches",
    "generator",
    "make_sampler",
    "names",
    "part",
    "register",
    "restrict",
]
