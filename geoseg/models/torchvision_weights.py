"""Weights that torchvision offers for its own networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


class TorchvisionWeights:
    """Part of a network of which torchvision has weights; see `geoseg.models.library.Pretrained`.

    The network says in `_known` which.
    """

    def pretrained_names(self) -> tuple[str, ...]:
        """Return what the weights are called: short names and torchvision's own."""
        return tuple(self._known())

    def pretrained(self, name: str) -> dict[str, Tensor]:
        """Fetch torchvision's weights called `name`."""
        known: dict[str, Tensor] = self._known()[name].get_state_dict(
            progress=False, check_hash=True
        )
        return known

    def _known(self) -> dict[str, WeightsEnum]:
        raise NotImplementedError


def named_weights(known: type[WeightsEnum], **short: str) -> dict[str, WeightsEnum]:
    """Return torchvision's weights by name, small letters; `short` gives names to some more."""
    return {
        **{name: known[member] for name, member in short.items()},
        **{member.name.lower(): member for member in known},
    }
