"""The form in which networks predict on processors: the same answers to rounding, sooner."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from geoseg.models.doubling import doubled
from geoseg.models.elu import elu_norms
from geoseg.models.network import runs_in_order
from geoseg.models.pixelwise import pixelwise
from geoseg.models.undivided import undivided


def for_processor(network: nn.Module, *, plain: bool) -> nn.Module:
    """Replace layers of a folded network, in place, and return it.

    Which ones follows from their kinds and shapes, and never from how long anything takes, so that
    maps are the same wherever they are computed.

    Parameters
    ----------
    network
        Of `geoseg.models.fold.fold_batch_norm`.
    plain
        Leave layers that a compiler shall see, or that compute in mixed precision.
    """
    network = pixelwise(network)
    if plain:
        return network
    undivided(network)
    for layers in list(network.modules()):
        if runs_in_order(layers):
            _run_together(layers)
    return network


def _run_together(layers: nn.Sequential) -> None:
    """Have layers that run one after the other do so in fewer passes."""
    together = elu_norms(doubled(nn.Sequential(OrderedDict(layers._modules))))
    if list(together) != list(layers):
        # Beside the layers and not in their place: a network that goes through them by itself, to
        # keep what comes out of some, meets those that it knows.
        vars(layers)["forward"] = together.forward
