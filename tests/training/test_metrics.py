"""Scores that training watches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geoseg.training.losses import IGNORE
from geoseg.training.metrics import Scores, confusion_counts


def test_counts_have_labels_as_rows_and_leave_unlabelled_pixels_out() -> None:
    predicted = torch.tensor([[[0, 1, 1], [2, 2, 0]]])
    labels = torch.tensor([[[0, 0, 1], [2, IGNORE, IGNORE]]])
    logits = torch.nn.functional.one_hot(predicted, 3).permute(0, 3, 1, 2).float()
    assert confusion_counts(logits, labels).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_scores_follow_from_counts() -> None:
    scores = Scores(np.array([[6, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0], [0, 2, 0, 0]]))
    assert scores.accuracy == pytest.approx(9 / 14)
    assert scores.iou[:2] == pytest.approx((6 / 9, 3 / 8))
    assert math.isnan(scores.iou[2])  # neither in labels nor in predictions
    assert scores.iou[3] == 0  # in labels, never predicted
    assert scores.mean_iou == pytest.approx((6 / 9 + 3 / 8 + 0) / 3)
    assert scores.recall[:2] == pytest.approx((6 / 8, 3 / 4))
    assert scores.precision[:2] == pytest.approx((6 / 7, 3 / 7))
    assert math.isnan(scores.precision[3])


def test_nothing_counted_has_no_scores() -> None:
    scores = Scores(np.zeros((2, 2), np.int64))
    assert math.isnan(scores.accuracy)
    assert math.isnan(scores.mean_iou)
