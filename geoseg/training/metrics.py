"""Scores as training watches them, from counts that can be summed over batches and processes.

No more than what is needed to compare epochs; the scores of a map come from `geoseg.assessment`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.training.losses.base import IGNORE


class Scores(Protocol):
    """Scores of one pass over a split."""

    @property
    def unit(self) -> str:
        """What is counted: ``pixels`` or ``patches``."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """What the scores are taken from."""

    @property
    def accuracy(self) -> float:
        """Share of what is right; NaN where nothing is counted."""

    @property
    def iou(self) -> tuple[float, ...]:
        """Intersection over union a class; NaN for a class neither in labels nor in predictions."""

    @property
    def recall(self) -> tuple[float, ...]:
        """Share of a class that is found; NaN for a class that is not there."""

    @property
    def precision(self) -> tuple[float, ...]:
        """Share of right ones among those given a class; NaN for a class never given."""

    @property
    def labelled(self) -> tuple[int, ...]:
        """How often each class is in the labels, in `unit`."""

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes that occur in labels or predictions; NaN without any."""


class Task(Protocol):
    """What is asked of a network, as counts of right and wrong."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    def empty(self) -> NDArray[np.int64]:
        """Return the counts of nothing."""

    def count(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Count a batch: int64 of the shape of `empty`, on the device of the logits."""

    def scores(self, counts: NDArray[np.int64], /) -> Scores:
        """Return the scores of summed counts."""


@dataclass(frozen=True)
class PixelTask:
    """A class for every pixel."""

    classes: int

    def empty(self) -> NDArray[np.int64]:
        """Return the counts of nothing."""
        return np.zeros((self.classes, self.classes), np.int64)

    def count(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Count pixels by label (rows) and predicted class (columns); see `confusion_counts`."""
        return confusion_counts(logits, labels)

    def scores(self, counts: NDArray[np.int64], /) -> PixelScores:
        """Return the scores of a confusion matrix."""
        return PixelScores(counts)


@dataclass(frozen=True)
class PresenceTask:
    """Which classes a patch holds."""

    classes: int

    def empty(self) -> NDArray[np.int64]:
        """Return the counts of nothing."""
        return np.zeros((self.classes, 2, 2), np.int64)

    def count(self, logits: Tensor, labels: Tensor, /) -> Tensor:
        """Count patches by class, by whether it is there, and by whether it is said to be.

        Parameters
        ----------
        logits
            (N, classes); a class is said to be there where its logit is above 0.
        labels
            (N, classes) int64: 1 there, 0 not there; 255 where nobody knows, which is not counted.
        """
        known = labels != IGNORE
        cell = (labels == 1).long() * 2 + (logits > 0).long()
        cell = cell + 4 * torch.arange(self.classes, device=logits.device)
        counted = torch.bincount(cell[known], minlength=4 * self.classes)
        return counted.view(self.classes, 2, 2)

    def scores(self, counts: NDArray[np.int64], /) -> PresenceScores:
        """Return the scores of such counts."""
        return PresenceScores(counts)


def confusion_counts(logits: Tensor, labels: Tensor) -> Tensor:
    """Count pixels by label (rows) and predicted class (columns).

    Parameters
    ----------
    logits
        (N, classes, H, W).
    labels
        (N, H, W) int64, class index, 255 where unlabelled.

    Returns
    -------
    counts
        (classes, classes) int64, on the device of the logits.
    """
    classes = logits.shape[1]
    labelled = labels != IGNORE
    cell = labels * classes + logits.argmax(dim=1)
    return torch.bincount(cell[labelled], minlength=classes * classes).view(classes, classes)


class _PerClass:
    """Scores a class, from how often it is in labels, in predictions, and in both."""

    def __init__(
        self,
        hits: NDArray[np.int64],
        labelled: NDArray[np.int64],
        predicted: NDArray[np.int64],
    ) -> None:
        self._hits, self._labelled, self._predicted = hits, labelled, predicted

    @property
    def iou(self) -> tuple[float, ...]:
        """Intersection over union a class; NaN for a class neither in labels nor in predictions."""
        return _ratio(self._hits, self._labelled + self._predicted - self._hits)

    @property
    def recall(self) -> tuple[float, ...]:
        """Share of a class that is found; NaN for a class that is not there."""
        return _ratio(self._hits, self._labelled)

    @property
    def precision(self) -> tuple[float, ...]:
        """Share of right ones among those given a class; NaN for a class never given."""
        return _ratio(self._hits, self._predicted)

    @property
    def labelled(self) -> tuple[int, ...]:
        """How often each class is in the labels."""
        return tuple(int(n) for n in self._labelled)

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes that occur in labels or predictions; NaN without any."""
        values = [v for v in self.iou if v == v]  # noqa: PLR0124 — NaN is what differs from itself
        return sum(values) / len(values) if values else float("nan")


class PixelScores(_PerClass):
    """Scores of pixels, from their confusion matrix.

    Parameters
    ----------
    counts
        (classes, classes): rows are labels, columns predictions; pixels.
    """

    unit = "pixels"

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self.counts = counts
        super().__init__(np.diag(counts), counts.sum(axis=1), counts.sum(axis=0))

    @property
    def accuracy(self) -> float:
        """Share of labelled pixels that are right; NaN where none is labelled."""
        total = self.counts.sum()
        return float(np.trace(self.counts) / total) if total else float("nan")


class PresenceScores(_PerClass):
    """Scores of which classes patches hold.

    Parameters
    ----------
    counts
        (classes, 2, 2): by class, whether it is there, whether it is said to be; patches. A class
        of a patch of which nobody knows whether it is there is not counted.
    """

    unit = "patches"

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self.counts = counts
        super().__init__(counts[:, 1, 1], counts[:, 1].sum(axis=1), counts[:, :, 1].sum(axis=1))

    @property
    def accuracy(self) -> float:
        """Share of right ones among all pairs of patch and class; NaN without any."""
        total = self.counts.sum()
        right = self.counts[:, 0, 0].sum() + self.counts[:, 1, 1].sum()
        return float(right / total) if total else float("nan")

    @property
    def f1(self) -> tuple[float, ...]:
        """Harmonic mean of precision and recall; NaN for a class neither there nor said to be."""
        hits = self.counts[:, 1, 1]
        return _ratio(2 * hits, self.counts[:, 1].sum(axis=1) + self.counts[:, :, 1].sum(axis=1))

    @property
    def majority(self) -> float:
        """Accuracy of always saying of each class what is true of most patches."""
        total = self.counts.sum()
        return float(self.counts.sum(axis=2).max(axis=1).sum() / total) if total else float("nan")


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(int(p) / int(w) if w else float("nan") for p, w in zip(part, whole, strict=True))
