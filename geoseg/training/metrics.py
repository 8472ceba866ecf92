"""Accuracy and IoU from a confusion matrix, as training watches them.

No more than what is needed to compare epochs; the scores of a map come from `geoseg.assessment`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.training.losses.base import IGNORE


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


@dataclass(frozen=True)
class Scores:
    """Scores of one pass over a split, from its confusion matrix."""

    confusion: NDArray[np.int64]
    """(classes, classes): rows are labels, columns predictions; pixels."""

    @property
    def accuracy(self) -> float:
        """Share of labelled pixels that are right; NaN where none is labelled."""
        total = self.confusion.sum()
        return float(np.trace(self.confusion) / total) if total else float("nan")

    @property
    def iou(self) -> tuple[float, ...]:
        """Intersection over union a class; NaN for a class neither in labels nor in predictions."""
        hits = np.diag(self.confusion)
        return _ratio(hits, self.confusion.sum(0) + self.confusion.sum(1) - hits)

    @property
    def recall(self) -> tuple[float, ...]:
        """Share of a class's pixels that are found; NaN for a class without any."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(1))

    @property
    def precision(self) -> tuple[float, ...]:
        """Share of right ones among the pixels given a class; NaN for a class never given."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(0))

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes that occur in labels or predictions; NaN without any."""
        values = [v for v in self.iou if v == v]  # noqa: PLR0124 — NaN is what differs from itself
        return sum(values) / len(values) if values else float("nan")


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(int(p) / int(w) if w else float("nan") for p, w in zip(part, whole, strict=True))
