"""The one normalisation, in training and in prediction alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


def normalise(raw: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return ``(raw − mean) / std`` per band, as float32.

    Parameters
    ----------
    raw
        (…, bands, H, W), readings as in the scene, of any dtype.
    mean, std
        One value a band; `std` is not 0.
    """
    return Normalisation.of(mean, std, raw.device)(raw)


@dataclass(frozen=True)
class Normalisation:
    """The same for many: a card is not made to wait for its numbers each time."""

    shift: Tensor
    """(bands, 1, 1) float32: the mean."""
    scale: Tensor
    """(bands, 1, 1) float32: the standard deviation."""

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float], device: torch.device) -> Self:
        """Bring the numbers to a device."""
        shift, scale = (
            torch.tensor(values, dtype=torch.float32, device=device).reshape(-1, 1, 1)
            for values in (mean, std)
        )
        return cls(shift, scale)

    def __call__(self, raw: Tensor) -> Tensor:
        """Normalise (…, bands, H, W) of any dtype; `raw` is left as it is."""
        if raw.dtype == torch.float32:
            return (raw - self.shift).div_(self.scale)
        return self.in_place(raw.to(torch.float32))

    def in_place(self, readings: Tensor) -> Tensor:
        """Normalise (…, bands, H, W) float32, and return it."""
        return readings.sub_(self.shift).div_(self.scale)
