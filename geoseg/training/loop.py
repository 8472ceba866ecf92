"""One step and one evaluation. Knows no files, no options and no schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.errors import GeosegError
from geoseg.models.precision import autocast
from geoseg.training.distributed import Processes
from geoseg.training.losses.base import PixelLoss
from geoseg.training.metrics import Scores, Task
from geoseg.training.optim import Optimizer

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
    spread: nn.Module | None = None
    """The network wrapped so that several processes average its gradients; None for one."""

    def step(
        self, images: Tensor, labels: Tensor, *, share: float = 1.0, last: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Learn from one batch; the network must be in training mode.

        Parameters
        ----------
        images, labels
            The batch.
        share
            What the gradient of this batch is times; below 1 where several batches, or the parts
            of several processes, make one step.
        last
            Whether the weights change now, by the gradients summed since they last did.

        Returns
        -------
        loss
            Scalar, before the step.
        logits
            The network's answer, before the step.
        """
        with self._alone(last):
            with autocast(self.precision, self.device):
                logits = (self.spread or self.network)(images)
            loss = self.loss(logits, labels)
            (loss if share == 1 else loss * share).backward()  # type: ignore[no-untyped-call]
        if last:
            self.optimizer.step()
            self.optimizer.zero_grad()
        return loss.detach(), logits.detach()

    def _alone(self, last: bool) -> AbstractContextManager[object]:
        """Keep processes from exchanging gradients that are not yet whole."""
        quiet: Callable[[], AbstractContextManager[object]] | None = getattr(
            self.spread, "no_sync", None
        )
        return nullcontext() if last or quiet is None else quiet()


@dataclass
class Tally:
    """What a pass over patches sums up."""

    task: Task
    """How logits and labels are counted."""
    counts: NDArray[np.int64]
    """See `task`."""
    loss: float = 0.0
    """Sum over batches of the loss, times what was counted of the batch."""
    _pending: list[tuple[Tensor, Tensor]] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, task: Task) -> Tally:
        """Start with nothing counted."""
        return cls(task, task.empty())

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Raises
        ------
        DivergedError
            The loss of this batch, or of one shortly before it, is NaN or infinite.
        """
        self._pending.append((loss, self.task.count(logits, labels)))
        if loss.device.type == "cpu" or len(self._pending) >= _STEPS_BETWEEN_LOOKS:
            self.settle()

    def settle(self) -> None:
        """Count what a card has worked out meanwhile; raises as `add` does."""
        for loss, counted in self._pending:
            value, counts = float(loss), counted.cpu().numpy()
            if not math.isfinite(value):
                raise DivergedError(
                    f"the loss became {value}: use a lower --lr, or --precision float32"
                )
            self.loss += value * int(counts.sum())
            self.counts += counts
        self._pending.clear()

    def over(self, processes: Processes) -> Tally:
        """Return the sum of all processes' tallies."""
        self.settle()
        if processes.count == 1:
            return self
        loss = float(processes.sum(np.array([self.loss]))[0])
        return Tally(self.task, processes.sum(self.counts), loss)

    @property
    def mean_loss(self) -> float:
        """Mean loss, batches weighing by what was counted of them; NaN without any."""
        counted = int(self.counts.sum())
        return self.loss / counted if counted else math.nan

    @property
    def scores(self) -> Scores:
        """Scores of the counts."""
        return self.task.scores(self.counts)

    def to_json(self) -> dict[str, Any]:
        """Return the sums as plain JSON objects."""
        self.settle()
        return {"loss": self.loss, "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, task: Task, obj: dict[str, Any]) -> Tally:
        """Take up the sums that `to_json` gave."""
        return cls(task, np.asarray(obj["counts"], np.int64), float(obj["loss"]))


def evaluate(
    learner: Learner,
    batches: Iterable[tuple[Tensor, Tensor]],
    task: Task,
    *,
    progress: Callable[[int], None] | None = None,
) -> Tally:
    """Score a network on batches, always in evaluation mode, and leave it in the mode it was in.

    Parameters
    ----------
    learner
        The network and its loss; nothing of it is changed.
    batches
        Images (N, bands, H, W) and labels (N, H, W) or (N, classes), see
        `geoseg.training.data.batches_on`.
    task
        What to count.
    progress
        Called with the number of patches of each batch done.
    """
    was_training = learner.network.training
    learner.network.eval()
    tally = Tally.of(task)
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
