"""Scores that training watches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from geoseg.training.losses import IGNORE
from geoseg.training.metrics import (
    PixelScores,
    PixelTask,
    PresenceTask,
    confusion_counts,
    presence,
)


def test_counts_have_labels_as_rows_and_leave_unlabelled_pixels_out() -> None:
    predicted = torch.tensor([[[0, 1, 1], [2, 2, 0]]])
    labels = torch.tensor([[[0, 0, 1], [2, IGNORE, IGNORE]]])
    logits = torch.nn.functional.one_hot(predicted, 3).permute(0, 3, 1, 2).float()
    assert confusion_counts(logits, labels).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_scores_follow_from_counts() -> None:
    scores = PixelScores(np.array([[6, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0], [0, 2, 0, 0]]))
    assert scores.accuracy == pytest.approx(9 / 14)
    assert scores.iou[:2] == pytest.approx((6 / 9, 3 / 8))
    assert math.isnan(scores.iou[2])  # neither in labels nor in predictions
    assert scores.iou[3] == 0  # in labels, never predicted
    assert scores.mean_iou == pytest.approx((6 / 9 + 3 / 8 + 0) / 3)
    assert scores.recall[:2] == pytest.approx((6 / 8, 3 / 4))
    assert scores.precision[:2] == pytest.approx((6 / 7, 3 / 7))
    assert math.isnan(scores.precision[3])


def test_nothing_counted_has_no_scores() -> None:
    scores = PixelScores(np.zeros((2, 2), np.int64))
    assert math.isnan(scores.accuracy)
    assert math.isnan(scores.mean_iou)


def test_a_class_is_present_where_it_covers_strictly_more_than_a_share() -> None:
    labels = torch.full((3, 10, 10), 2)
    labels[0].flatten()[:5] = 0  # 5 of 100 pixels: not more than 5 %
    labels[0].flatten()[5:11] = 1
    labels[1, :5] = IGNORE  # the share is of all pixels, labelled or not
    labels[1].view(-1)[50:56] = 0
    labels[2] = IGNORE
    present, known = presence(labels, 3, 0.05)
    assert present.tolist() == [[False, True, True], [True, False, True], [False, False, False]]
    assert known.tolist() == [True, True, False]


def test_126_of_2500_pixels_are_present_and_125_are_not() -> None:
    labels = torch.ones((2, 50, 50), dtype=torch.int64)
    labels[0].view(-1)[:125] = 0
    labels[1].view(-1)[:126] = 0
    assert presence(labels, 2)[0][:, 0].tolist() == [False, True]


def test_patches_are_counted_by_class_truth_and_answer() -> None:
    labels = torch.tensor([[[0, 1]], [[0, 0]], [[1, 1]], [[IGNORE, IGNORE]]])
    logits = torch.tensor([[1.0, -1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    task = PresenceTask(2, share=0.25)
    counts = task.count(logits, labels)
    assert counts.tolist() == [[[0, 1], [0, 2]], [[0, 1], [1, 1]]]
    scores = task.scores(counts.numpy())
    assert scores.accuracy == pytest.approx(3 / 6)
    assert scores.majority == pytest.approx(4 / 6)
    assert scores.recall == pytest.approx((1, 1 / 2))
    assert scores.precision == pytest.approx((2 / 3, 1 / 2))
    assert scores.iou == pytest.approx((2 / 3, 1 / 3))
    assert scores.labelled == (2, 2)


def test_tasks_start_with_nothing() -> None:
    assert PixelTask(3).empty().shape == (3, 3)
    assert math.isnan(PresenceTask(3).scores(PresenceTask(3).empty()).accuracy)
