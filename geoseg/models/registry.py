"""From a network's name to a network. Knows no architecture; imports no torch by itself.

A new network is one file that registers its builder, and one line in `_HOMES`::

    @register("mine")
    def mine(*, in_channels: int, classes: int, depth: int = 4) -> nn.Module: ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geoseg.errors import ModelError, OptionError
from geoseg.registry import Registry

if TYPE_CHECKING:
    from torch import nn

_HOMES = {
    "agde": "geoseg.models.agde",
    "deeplabv3": "geoseg.models.deeplabv3",
    "fcn16s": "geoseg.models.fcn",
    "fcn32s": "geoseg.models.fcn",
    "fcn8s": "geoseg.models.fcn",
    "pointwise": "geoseg.models.pointwise",
    "resnet50-cam": "geoseg.models.resnet50_cam",
    "segnet": "geoseg.models.segnet",
    "shallow-cnn": "geoseg.models.shallow_cnn",
    "unet": "geoseg.models.unet",
    "unet-inceptionresnetv2": "geoseg.models.unet_inceptionresnetv2",
    "unet-m46": "geoseg.models.unet_m46",
    "unet-resnet34": "geoseg.models.unet_resnet34",
    "unet-small": "geoseg.models.unet",
}
"""Name of each network → module that registers it, imported when first asked for."""

_FAMILIES = {"smp:<architecture>/<encoder>": "geoseg.models.smp"}
"""How the names of a family look → module that registers it."""

_NETWORKS: Registry[Callable[..., nn.Module]] = Registry(
    "network", _HOMES, families=_FAMILIES, given=("in_channels", "classes"), error=ModelError
)

register = _NETWORKS.register
"""Decorator: register a builder ``(*, in_channels, classes, **options) -> nn.Module`` by name."""

register_family = _NETWORKS.register_family
"""Decorator: register a function from the part of a name behind a colon to such a builder."""

names = _NETWORKS.names
"""Names of all networks but those of families, sorted; imports none of them."""

patterns = _NETWORKS.patterns
"""How the names of families look, sorted; imports none of them."""

options = _NETWORKS.options
"""Name and default of every option of a network, beyond the numbers of bands and classes."""


def build(name: str, *, in_channels: int, classes: int, **arguments: Any) -> nn.Module:
    """Build a network with fresh weights, drawn from torch's default generator.

    Parameters
    ----------
    name
        One of `names`, or of a family (`patterns`).
    in_channels
        Number of bands, at least 1.
    classes
        Number of classes, at least 1.
    **arguments
        Options of the network, see `options`.

    Returns
    -------
    network
        Maps float (N, in_channels, H, W), normalised, to logits (N, classes, H, W) for every
        H, W ≥ 1; a `geoseg.models.network.PresenceNetwork` to logits (N, classes).

    Raises
    ------
    ModelError
        No network has that name, or the library that it comes from is not installed.
    OptionError
        The network does not have such an option, or the value makes no sense.
    """
    builder = _NETWORKS.maker(name)
    if in_channels < 1 or classes < 1:
        raise OptionError(
            f"a network needs at least one band and one class, not {in_channels} and {classes}"
        )
    _NETWORKS.check_options(name, arguments)
    return builder(in_channels=in_channels, classes=classes, **arguments)
