"""Everything that decides what is learned from a data set.

A comparison varies any of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from geoseg.errors import OptionError, without_secrets
from geoseg.patches import augment
from geoseg.patches.dataset import PatchDataset
from geoseg.terms import Value, number
from geoseg.training.averaging import Averaging
from geoseg.training.optim import default_decay, default_rate

Keep = Literal["best", "last"]
Measure = Literal["miou", "accuracy", "loss"]
Confidence = Literal["weight", "none"]

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
    weights: str | None = None
    """Weights to start from: a file, or a name that the network's library knows, see
    `geoseg.models.pretrained`; None for fresh ones.
    """
    loss: str | None = None
    """Sum of scaled, named terms, see `geoseg.training.losses`; None for ``ce``, and for
    ``presence`` where the network is one of image-level labels.
    """
    present: float | None = None
    """Image-level labels of pixels: a class is in a patch where it covers more than this share of
    it; None for the data set's own share.
    """
    confidence: Confidence | float | None = None
    """How far labels with a confidence count, see `geoseg.training.trust`: ``weight`` (as often as
    their confidence says), ``none`` (all alike), or a share below which they are ignored, in
    validation too; None for ``weight`` where a network of pixels meets a set with confidences.
    """
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
    """Passes over the training patches, before those of `swa`."""
    swa: str | None = None
    """Stochastic weight averaging after them, see `geoseg.training.averaging`; None for none."""
    batch_size: int = 8
    """Patches a batch, over all processes together."""
    accumulate: int = 1
    """Batches a step."""
    sampler: str = "random"
    """See `geoseg.patches.sampling`."""
    max_class_share: str | None = None
    """Leave out training patches in which one class dominates, such as ``0,6,7:0.5``, see
    `geoseg.patches.sampling.restrict`; None for none.
    """
    downscale: int = 1
    """Learn at 1:N of the patches' resolution, and predict so."""
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
    """``float32``, ``bfloat16`` or ``auto``, see `geoseg.models.precision`."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "downscale"):
            if not getattr(self, name) >= 1:
                raise OptionError(f"--{name.replace('_', '-')} must be at least 1")
        if self.patience is not None and self.patience < 1:
            raise OptionError("--patience must be at least 1")
        if self.swa is not None:
            Averaging.parse(self.swa)
            if self.patience is not None:
                raise OptionError("--patience and --swa do not go together: leave one out")
        if self.present is not None and number("--present", self.present, minimum=0) >= 1:
            raise OptionError(f"--present must be below 1, not {self.present:g}")
        self._check_confidence()
        if self.seed < 0:
            raise OptionError("--seed must not be negative")
        for name in ("lr", "weight_decay", "momentum"):
            value = getattr(self, name)
            if value is not None:
                number(f"--{name.replace('_', '-')}", value, minimum=0)

    def _check_confidence(self) -> None:
        value = self.confidence
        if value is None or value in get_args(Confidence):
            return
        if isinstance(value, str):
            raise OptionError(
                f"--confidence must be weight, none or a share from 0 to 1, not {value!r}"
            )
        number("--confidence", value, minimum=0, maximum=1)

    @property
    def rate(self) -> float:
        """Learning rate, the optimiser's own where none is given."""
        return default_rate(self.optimizer) if self.lr is None else self.lr

    @property
    def decay(self) -> float:
        """Weight decay, the optimiser's own where none is given."""
        return default_decay(self.optimizer) if self.weight_decay is None else self.weight_decay

    @property
    def averaging(self) -> Averaging | None:
        """When weights are averaged; None for never."""
        return None if self.swa is None else Averaging.parse(self.swa)

    @property
    def all_epochs(self) -> int:
        """Epochs with those of `swa`."""
        return self.epochs + (0 if self.averaging is None else self.averaging.epochs)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain JSON objects; an address without what it is signed with."""
        return {
            **asdict(self),
            "model_options": _plain(dict(self.model_options)),
            "weights": None if self.weights is None else without_secrets(self.weights),
        }

    def share(self, dataset: PatchDataset) -> float:
        """Share of a patch that a class must exceed to be in it, the set's where none is given."""
        return dataset.present if self.present is None else self.present

    def trusting(self, dataset: PatchDataset, *, of_patches: bool) -> Confidence | float | None:
        """Return how far the labels of a data set count.

        Parameters
        ----------
        dataset
            The data set.
        of_patches
            Whether the network learns which classes patches hold. What such a label is made of is
            the area of a class, which leaving out pixels at random would make smaller, so there is
            no ``weight`` for it.

        Returns
        -------
        confidence
            As `confidence`, with what its default stands for; None for a set without confidences.
        """
        if not dataset.has_confidence:
            return None
        if self.confidence is not None:
            return self.confidence
        return "none" if of_patches else "weight"

    def noted(self, loss: str, dataset: PatchDataset, *, of_patches: bool) -> dict[str, Any]:
        """Return the settings as `to_json` does, with what stood for their defaults.

        Parameters
        ----------
        loss
            What the default of `loss` stood for.
        dataset, of_patches
            What was learned from, and whether which classes patches hold was learned.
        """
        return replace(
            self,
            loss=self.loss or loss,
            lr=self.rate,
            weight_decay=self.decay,
            present=self.share(dataset),
            confidence=self.trusting(dataset, of_patches=of_patches),
        ).to_json()

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Name the settings in which a stored run differs so that it cannot go on as this one.

        A run may be prolonged or cut short: what it has learned until then was learned by a
        schedule of the old length.

        Parameters
        ----------
        other
            What `to_json` gave for that run.
        """
        mine = self.to_json()
        return [
            f"{f.name} {other.get(f.name)!r} (now {mine[f.name]!r})"
            for f in fields(self)
            if mine[f.name] != other.get(f.name)
            and (f.name not in _MAY_CHANGE_ON_RESUME or self.swa is not None)
        ]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
