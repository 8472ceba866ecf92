"""Weights by name from a file that somebody else may have made. Runs no code from it."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from geoseg.errors import ModelError
from geoseg.models.card import METADATA_KEY, card_of_header
from geoseg.models.header import read_header
from geoseg.models.tensorfile import read_tensors

SUFFIXES = (".safetensors", ".pt", ".pth")
"""How files of weights end."""

_TYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool, torch.uint8),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
)

# Where training programs keep the weights among other things.
_INSIDE = ("state_dict", "model_state_dict", "model_state", "model", "network", "weights")


@dataclass(frozen=True, kw_only=True)
class StateFile:
    """What a file of weights holds."""

    tensors: Mapping[str, Tensor]
    """By name, on the processor; all finite."""
    bands: tuple[str, ...] | None
    """Bands of the network's input, where the file says so (models of geoseg do)."""
    network: str | None
    """Name of the network, where the file says so."""


def read_state(path: Path) -> StateFile:
    """Read weights from a safetensors file (a model of geoseg or another), or from torch's own.

    What torch saves is a pickle, which may run anything when loaded; it is read by torch's
    restricted reader (``weights_only=True``), which makes nothing but tensors and plain
    containers.

    Raises
    ------
    ModelError
        The file is missing, damaged, holds no tensors or ones that are not finite, or is a pickle
        of more than weights.
    """
    if path.suffix == ".safetensors":
        header = read_header(path)
        metadata = header.get("__metadata__")
        has_card = isinstance(metadata, dict) and METADATA_KEY in metadata
        card = card_of_header(header, path) if has_card else None
        tensors = read_tensors(path)
        state = StateFile(
            tensors=tensors,
            bands=None if card is None else card.bands,
            network=None if card is None else card.network,
        )
    elif path.suffix in SUFFIXES:
        state = StateFile(tensors=_tensors_of(_unpickled(path), path), bands=None, network=None)
    else:
        raise ModelError(
            f"{path} cannot be used as weights: its name ends in none of {', '.join(SUFFIXES)}"
        )
    if not state.tensors:
        raise ModelError(f"{path} holds no weights")
    for key, tensor in state.tensors.items():
        _check(key, tensor, path)
    return state


def _check(key: str, tensor: Tensor, path: Path) -> None:
    """Refuse a tensor that cannot be weights, before anything as large as it says is taken."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in _TYPES:
        raise ModelError(
            f"{path} cannot be used: {key!r} holds no plain numbers ({tensor.dtype},"
            f" {tensor.layout}, {tensor.device.type})"
        )
    # A few numbers can be said to stand for any number of them.
    if tensor.numel() * tensor.element_size() > path.stat().st_size:
        raise ModelError(f"{path} is damaged: {key!r} is larger than the file that it is in")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise ModelError(f"{path} is damaged: weights in {key!r} are NaN or infinite")


def _check_unpacked_size(path: Path) -> None:
    """Refuse a zip file whose parts are said to be larger than it: torch packs nothing."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(part.file_size for part in archive.infolist())
    if size > path.stat().st_size:
        raise ModelError(
            f"{path} cannot be used: it unpacks to {size} bytes, more than it has; save it with"
            " torch.save"
        )


def _unpickled(path: Path) -> object:
    try:
        _check_unpacked_size(path)
        with warnings.catch_warnings():
            # Of old protocols, which it then reads or not.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"weights {path} are not there") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} cannot be used: it is damaged, or a pickle of more than weights, which could"
            " run code when loaded; save the state dict alone"
        ) from error
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
        struct.error,
        zipfile.BadZipFile,
    ) as error:
        # The reader meets damage wherever it happens to be.
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"{path} is damaged, or no file of weights that torch wrote ({reason})"
        ) from error


def _tensors_of(held: object, path: Path) -> dict[str, Tensor]:
    if isinstance(held, Mapping):
        tensors = {
            key: value
            for key, value in held.items()
            if isinstance(key, str) and isinstance(value, Tensor)
        }
        if tensors:
            return tensors
        for key in _INSIDE:
            if isinstance(held.get(key), Mapping):
                return _tensors_of(held[key], path)
    raise ModelError(f"{path} holds no weights by name (a state dict)")
