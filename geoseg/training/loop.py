"""One step and one evaluation. Knows no files, no options and no schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.errors import GeosegError
from geoseg.training.losses.base import PixelLoss
from geoseg.training.metrics import Scores, confusion_counts
from geoseg.training.optim import Optimizer
from geoseg.training.precision import autocast

# A card works ahead of the program; asking it for a loss after every step would stop it each time.
_STEPS_BETWEEN_LOOKS = 16


class DivergedError(GeosegError):
    """The loss is no number any more."""


@dataclass
class Learner:
    """A network with what it learns by."""

    network: nn.Module
    """On `device`, channels-last."""
    loss: PixelLoss
    """To be minimised."""
    optimizer: Optimizer
    """Of the network's parameters."""
    device: torch.device
    """Where batches come and the network is."""
    precision: str = "float32"
    """``float32`` or ``bfloat16`` (mixed precision: weights and loss stay float32)."""

    def step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from one batch; the network must be in training mode.

        Returns
        -------
        loss
            Scalar, before the step.
        logits
            (N, classes, H, W), before the step.
        """
        with autocast(self.precision, self.device):
            logits = self.network(images)
        loss = self.loss(logits, labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach(), logits.detach()


@dataclass
class Tally:
    """What a pass over patches sums up."""

    confusion: NDArray[np.int64]
    """(classes, classes): rows are labels, columns predictions; pixels."""
    loss: float = 0.0
    """Sum over batches of the loss, times the batch's labelled pixels."""
    _pending: list[tuple[Tensor, Tensor]] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, classes: int) -> Tally:
        """Start with nothing counted."""
        return cls(np.zeros((classes, classes), np.int64))

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Raises
        ------
        DivergedError
            The loss of this batch, or of one shortly before it, is NaN or infinite.
        """
        self._pending.append((loss, confusion_counts(logits, labels)))
        if loss.device.type == "cpu" or len(self._pending) >= _STEPS_BETWEEN_LOOKS:
            self.settle()

    def settle(self) -> None:
        """Count what a card has worked out meanwhile; raises as `add` does."""
        for loss, confusion in self._pending:
            value, counts = float(loss), confusion.cpu().numpy()
            if not math.isfinite(value):
                raise DivergedError(
                    f"the loss became {value}: use a lower --lr, or --precision float32"
                )
            self.loss += value * int(counts.sum())
            self.confusion += counts
        self._pending.clear()

    @property
    def mean_loss(self) -> float:
        """Mean loss, batches weighing by their labelled pixels; NaN without any."""
        pixels = int(self.confusion.sum())
        return self.loss / pixels if pixels else math.nan

    @property
    def scores(self) -> Scores:
        """Scores of the confusion matrix."""
        return Scores(self.confusion)

    def to_json(self) -> dict[str, Any]:
        """Return the sums as plain JSON objects."""
        self.settle()
        return {"loss": self.loss, "confusion": self.confusion.tolist()}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Tally:
        """Take up the sums that `to_json` gave."""
        return cls(np.asarray(obj["confusion"], np.int64), float(obj["loss"]))


def evaluate(
    learner: Learner,
    batches: Iterable[tuple[Tensor, Tensor]],
    classes: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> Tally:
    """Score a network on batches, always in evaluation mode, and leave it in the mode it was in.

    Parameters
    ----------
    learner
        The network and its loss; nothing of it is changed.
    batches
        Images (N, bands, H, W) and labels (N, H, W), see `geoseg.training.data.batches_on`.
    classes
        Number of classes.
    progress
        Called with the number of patches of each batch done.
    """
    was_training = learner.network.training
    learner.network.eval()
    tally = Tally.of(classes)
    try:
        with torch.inference_mode():
            for images, labels in batches:
                with autocast(learner.precision, learner.device):
                    logits = learner.network(images)
                tally.add(learner.loss(logits, labels), logits, labels)
                if progress is not None:
                    progress(len(images))
    finally:
        learner.network.train(was_training)
    tally.settle()
    return tally
