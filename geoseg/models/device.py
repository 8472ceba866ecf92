"""Where networks run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from geoseg.errors import DeviceError, OptionError

_LIBRARY_FAILED = re.compile(r"(CUDA|cuDNN|cuBLAS|MPS)[^:\n]* error\b", re.IGNORECASE)
"""How torch begins to tell of a card's libraries, for which it has no class of its own."""
_OUT_OF_MEMORY = (
    "out of memory",  # CUDA, MPS
    "alloc_failed",  # cuDNN, cuBLAS
    "invalid buffer size",  # MPS, of one tensor that is too large
    "can't allocate memory",  # the processor
    "not enough memory",  # likewise, on Windows
)
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
    if not are_several_cards(name):
        return [resolve_device(name)]
    numbers = name.removeprefix("cuda:").split(",")
    if len({int(number) for number in numbers}) < len(numbers):
        raise OptionError(f"--device {name} names a card twice")
    return [resolve_device(f"cuda:{number}", typed=name) for number in numbers]


def resolve_device(name: str, *, typed: str | None = None) -> torch.device:
    """Turn what the user typed into a device that is there.

    Parameters
    ----------
    name
        ``auto`` (a CUDA card if there is one, else Apple's MPS, else the processor), ``cpu``,
        ``cuda``, ``cuda:N`` or ``mps``.
    typed
        What the user typed, if not that: errors name it.

    Raises
    ------
    OptionError
        No such device, or it is not in this machine.
    """
    typed = typed or name
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = device_named(name)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count == 0:
            raise OptionError(f"--device {typed}: torch sees no CUDA card here; use --device cpu")
        if (device.index or 0) >= count:
            raise OptionError(
                f"--device {typed}: there are only {count} CUDA cards, counted from 0"
            )
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise OptionError("--device mps: this machine has no Apple GPU; use --device cpu")
    return device


def are_several_cards(name: str) -> bool:
    """Tell whether the user typed numbers of several cards, ``cuda:N,M…``."""
    return _CARDS.fullmatch(name) is not None


def device_named(name: str) -> torch.device:
    """Turn what the user typed into a device, be it in this machine or in another.

    Parameters
    ----------
    name
        ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises
    ------
    OptionError
        No such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise OptionError(f"'{name}' is no device; use auto, cpu, cuda, cuda:N or mps")
    return device


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that there is too little memory, of whatever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower() if isinstance(error, RuntimeError) else ""
    return any(words in text for words in _OUT_OF_MEMORY)


@contextmanager
def failures_in_words() -> Iterator[None]:
    """Say in one line that a card failed, wherever its failure is noticed.

    A card works behind the program's back, so a failure shows at whatever is asked of it next.

    Raises
    ------
    DeviceError
        It failed inside the context; the process cannot use it any more.
    """
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        said = next(iter(str(error).splitlines()), "")
        if not isinstance(error, torch.AcceleratorError) and not _LIBRARY_FAILED.match(said):
            raise
        raise DeviceError(
            f"the card failed while it computed ({said}); run again, or with --device cpu"
        ) from error
