"""Everything that decides what is learned from a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from geoseg.errors import OptionError
from geoseg.patches import augment
from geoseg.terms import Value, number

Keep = Literal["best", "last"]
Measure = Literal["miou", "accuracy", "loss"]

_MAY_CHANGE_ON_RESUME = frozenset({"epochs", "patience"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train. Same settings, data and machine: same weights, to the bit on the CPU.

    Raises
    ------
    OptionError
        A value makes no sense. Names (of networks, losses …) are looked up when training starts.
    """

    model: str = "unet-small"
    """Name of the network, see `geoseg.models.registry`."""
    model_options: Mapping[str, Value] = field(default_factory=dict)
    """Its options."""
    loss: str = "ce"
    """Sum of scaled, named terms, see `geoseg.training.losses`."""
    optimizer: str = "adamw"
    """See `geoseg.training.optim`."""
    lr: float | None = None
    """Learning rate; None for the optimiser's default."""
    weight_decay: float | None = None
    """Weight decay; None for the optimiser's default."""
    momentum: float = 0.9
    """Of the optimiser ``sgd``."""
    schedule: str = "cosine"
    """See `geoseg.training.schedule`."""
    epochs: int = 60
    """Passes over the training patches."""
    batch_size: int = 8
    """Patches a step."""
    sampler: str = "random"
    """See `geoseg.patches.sampling`."""
    augment: str = augment.DEFAULT
    """See `geoseg.patches.augment`."""
    keep: Keep = "best"
    """Which epoch's weights become the model: the best one on the validation patches, or the
    last.
    """
    best_by: Measure = "miou"
    """What makes an epoch the best."""
    patience: int | None = None
    """Stop after so many epochs without a better one; None to go through to the end."""
    seed: int = 0
    """Seed of weights, order and augmentation."""
    precision: str = "auto"
    """``float32``, ``bfloat16`` or ``auto``, see `geoseg.training.precision`."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if not getattr(self, name) >= 1:
                raise OptionError(f"--{name.replace('_', '-')} must be at least 1")
        if self.patience is not None and self.patience < 1:
            raise OptionError("--patience must be at least 1")
        if self.seed < 0:
            raise OptionError("--seed must not be negative")
        for name in ("lr", "weight_decay", "momentum"):
            value = getattr(self, name)
            if value is not None:
                number(f"--{name.replace('_', '-')}", value, minimum=0)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON objects."""
        return {**asdict(self), "model_options": _plain(dict(self.model_options))}

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Name the settings in which a stored run differs so that its weights would be others.

        Parameters
        ----------
        other
            What `to_json` gave for that run.
        """
        mine = self.to_json()
        return [
            f"{f.name} {other.get(f.name)!r} (now {mine[f.name]!r})"
            for f in fields(self)
            if f.name not in _MAY_CHANGE_ON_RESUME and mine[f.name] != other.get(f.name)
        ]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
