"""Networks compiled for one machine by torch's compiler: faster after a slow start."""

from __future__ import annotations

import importlib.util
import os
import shutil

import torch
from torch import Tensor, nn

from geoseg.errors import ModelError


def obstacle(device: torch.device) -> str | None:
    """Say in a few words why networks cannot be compiled for a device; None where they can."""
    if device.type == "cuda":
        if importlib.util.find_spec("triton") is None:
            return "the package triton is not installed"
        wanted, kind = [os.environ.get("CC"), "gcc", "clang", "cc"], "C"
    elif device.type == "cpu":
        wanted, kind = [os.environ.get("CXX"), "g++", "clang++", "c++", "cl"], "C++"
    else:
        return None
    if any(name and shutil.which(name) for name in wanted):
        return None
    return f"there is no {kind} compiler"


class Compiled(nn.Module):
    """A network that is compiled when it is first called; answers agree to rounding.

    Compiled again, once, for batches of other sizes.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._compiled = torch.compile(network)

    def forward(self, x: Tensor) -> Tensor:
        """Map as the network does.

        Raises
        ------
        ModelError
            The compiler failed.
        """
        # Imported by `torch.compile`; without it, nobody pays for it.
        failed = torch._dynamo.exc.TorchDynamoException
        try:
            y: Tensor = self._compiled(x)
        except failed as error:
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ModelError(
                f"the network cannot be compiled here ({first}); leave out --compile"
            ) from error
        return y
