"""The state of a run as one file, from which it goes on as if nothing had happened.

Tensors (weights, the best weights so far, the optimiser's state) and JSON (everything else) in a
safetensors file: reading it runs no code. Random generators need no place in it, because every
draw of a run is made from the seed and the place in the run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.card import METADATA_KEY
from geoseg.models.header import read_header
from geoseg.models.tensorfile import read_tensors, write_tensors
from geoseg.training.optim import Optimizer

FORMAT = "geoseg-checkpoint"
VERSION = 2


@dataclass
class Progress:
    """Where a run is; all of it plain JSON values but the best weights."""

    epoch: int = 0
    """Epochs done."""
    batch: int = 0
    """Batches done of the present epoch."""
    tally: dict[str, Any] | None = None
    """What the present epoch has summed up."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One record an epoch done."""
    last: dict[str, Any] | None = None
    """What the last epoch done was scored with."""
    best: dict[str, Any] | None = None
    """Epoch (from 1), value and scores of the best epoch so far."""
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    """State of the network after that epoch."""
    averages: list[dict[str, Any]] = field(default_factory=list)
    """One record a cycle of weight averaging: its scores, and those of the average so far."""
    mean_weights: dict[str, Tensor] = field(default_factory=dict)
    """Mean of the weights collected so far, float64."""
    seconds: float = 0.0
    """Time spent so far."""


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: Optimizer,
    progress: Progress,
    identity: Mapping[str, Any],
) -> None:
    """Write the state of a run, whole or not at all.

    Parameters
    ----------
    path
        What to write; replaced if it is there.
    network, optimizer, progress
        The state.
    identity
        What the run is (settings, data), to be compared before it goes on.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()}
    tensors |= {f"best.{key}": value for key, value in progress.best_weights.items()}
    tensors |= {f"mean.{key}": value for key, value in progress.mean_weights.items()}
    tensors |= {f"optimizer.{key}": value for key, value in optimizer.state_dict().items()}
    text = json.dumps(
        {
            "format": FORMAT,
            "version": VERSION,
            "identity": dict(identity),
            "epoch": progress.epoch,
            "batch": progress.batch,
            "tally": progress.tally,
            "history": progress.history,
            "last": progress.last,
            "best": progress.best,
            "averages": progress.averages,
            "seconds": progress.seconds,
        }
    )
    write_tensors(path, tensors, text)


def read_identity(path: Path) -> dict[str, Any]:
    """Read what run a checkpoint is of.

    Raises
    ------
    ModelError
        The file is missing, damaged, or no checkpoint.
    """
    identity = _read_text(path).get("identity")
    if not isinstance(identity, dict):
        raise ModelError(f"{path} is no checkpoint of geoseg")
    return identity


def load_checkpoint(path: Path, network: nn.Module, optimizer: Optimizer) -> Progress:
    """Put a run's state back into its network and optimiser, and return where it is.

    Raises
    ------
    ModelError
        The file is missing, damaged, no checkpoint, or of another network or optimiser.
    """
    obj = _read_text(path)
    tensors = read_tensors(path)
    try:
        network.load_state_dict(_under("network.", tensors))
        optimizer.load_state_dict(_under("optimizer.", tensors))
        return Progress(
            epoch=int(obj["epoch"]),
            batch=int(obj["batch"]),
            tally=obj["tally"],
            history=list(obj["history"]),
            last=obj["last"],
            best=obj["best"],
            best_weights=_under("best.", tensors),
            averages=list(obj["averages"]),
            mean_weights=_under("mean.", tensors),
            seconds=float(obj["seconds"]),
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} does not fit this run: {str(error).splitlines()[0]}") from error


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _read_text(path: Path) -> dict[str, Any]:
    try:
        metadata = read_header(path).get("__metadata__")
    except ModelError as error:
        raise ModelError(f"{error}; start anew with --overwrite") from error
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    try:
        obj = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        obj = None
    if not isinstance(obj, dict) or (obj.get("format"), obj.get("version")) != (FORMAT, VERSION):
        raise ModelError(f"{path} is no checkpoint that this geoseg can go on from")
    return obj
