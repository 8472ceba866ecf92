"""Where networks run."""

from __future__ import annotations

import re

import torch

from geoseg.errors import OptionError

_CARDS = re.compile(r"cuda:\d+(?:,\d+)+")


def resolve_devices(name: str) -> list[torch.device]:
    """Turn what the user typed into devices that are there: several for ``cuda:0,1``.

    Parameters
    ----------
    name
        As `resolve_device` takes it, or numbers of cards, ``cuda:N,M…``.

    Raises
    ------
    OptionError
        No such device, or it is not in this machine; a card is named twice.
    """
    if not _CARDS.fullmatch(name):
        return [resolve_device(name)]
    numbers = name.removeprefix("cuda:").split(",")
    if len({int(number) for number in numbers}) < len(numbers):
        raise OptionError(f"--device {name} names a card twice")
    return [resolve_device(f"cuda:{number}") for number in numbers]


def resolve_device(name: str) -> torch.device:
    """Turn what the user typed into a device that is there.

    Parameters
    ----------
    name
        ``auto`` (a CUDA card if there is one, else Apple's MPS, else the processor), ``cpu``,
        ``cuda``, ``cuda:N`` or ``mps``.

    Raises
    ------
    OptionError
        No such device, or it is not in this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"'{name}' is no device; use auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count == 0:
            raise OptionError(f"--device {name}: torch sees no CUDA card here; use --device cpu")
        if (device.index or 0) >= count:
            raise OptionError(f"--device {name}: there are only {count} CUDA cards, counted from 0")
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise OptionError("--device mps: this machine has no Apple GPU; use --device cpu")
    elif device.type != "cpu":
        raise OptionError(f"'{name}' is no device; use auto, cpu, cuda, cuda:N or mps")
    return device
