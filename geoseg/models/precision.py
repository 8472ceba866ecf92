"""Which numbers a network computes with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from geoseg.errors import OptionError

PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_precision(name: str, device: torch.device, *, learning: bool = False) -> str:
    """Turn ``auto`` into ``bfloat16`` where the device multiplies in it, else into ``float32``.

    Those are CUDA cards from Ampere on and, while a network learns, processors with AVX512-BF16 or
    AMX, on which a step of a U-Net was measured to take 0.6 times as long. Prediction on a
    processor stays in float32, so that a map is the same on every processor but for rounding.

    Raises
    ------
    OptionError
        There is no such precision.
    """
    if name not in PRECISIONS:
        raise OptionError(f"no precision is called {name!r}; there are: {', '.join(PRECISIONS)}")
    if name != "auto":
        return name
    if device.type == "cuda":
        # Older cards only pretend to.
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = learning and device.type == "cpu" and _processor_multiplies_in_bfloat16()
    return "bfloat16" if fast else "float32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a forward pass runs."""
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def _processor_multiplies_in_bfloat16() -> bool:
    # Older releases of torch cannot tell; float32 is right everywhere.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    found = {} if capabilities is None else capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
