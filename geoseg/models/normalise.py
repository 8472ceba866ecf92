"""The one normalisation, in training and in prediction alike."""

from __future__ import annotations

from collections.abc import Sequence

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
    shape = (len(mean), 1, 1)
    shift = torch.tensor(mean, dtype=torch.float32, device=raw.device).reshape(shape)
    scale = torch.tensor(std, dtype=torch.float32, device=raw.device).reshape(shape)
    return (raw.to(torch.float32) - shift).div_(scale)
