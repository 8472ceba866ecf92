"""Scores that training watches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.training.losses import IGNORE
from geoseg.training.metrics import (
    PixelScores,
    PixelTask,
    PresenceTask,
    confusion_counts,
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


def test_patches_are_counted_by_class_truth_and_answer() -> None:
    labels = torch.tensor([[1, 1], [1, 0], [0, 1], [IGNORE, IGNORE]])
    logits = torch.tensor([[1.0, -1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    task = PresenceTask(2)
    counts = task.count(logits, labels)
    assert counts.tolist() == [[[0, 1], [0, 2]], [[0, 1], [1, 1]]]
    scores = task.scores(counts.numpy())
    assert scores.accuracy == pytest.approx(3 / 6)
    assert scores.majority == pytest.approx(4 / 6)
    assert scores.recall == pytest.approx((1, 1 / 2))
    assert scores.precision == pytest.approx((2 / 3, 1 / 2))
    assert scores.f1 == pytest.approx((4 / 5, 1 / 2))
    assert scores.iou == pytest.approx((2 / 3, 1 / 3))
    assert scores.labelled == (2, 2)


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([0, 1, IGNORE]), st.floats(-3, 3)), min_size=3, max_size=3
        ),
        max_size=12,
    )
)
@settings(deadline=None, max_examples=50)
def test_entries_that_nobody_knows_are_not_counted(rows: list[list[tuple[int, float]]]) -> None:
    wanted = np.zeros((3, 2, 2), np.int64)
    for row in rows:
        for c, (label, logit) in enumerate(row):
            if label != IGNORE:
                wanted[c, label, int(logit > 0)] += 1
    cells = torch.tensor(rows, dtype=torch.float64).reshape(-1, 3, 2)
    found = PresenceTask(3).count(cells[..., 1], cells[..., 0].long())
    assert found.tolist() == wanted.tolist()


def test_f1_of_a_class_neither_there_nor_said_is_undefined() -> None:
    counts = np.array([[[7, 0], [0, 0]], [[0, 0], [2, 0]]])
    f1 = PresenceTask(2).scores(counts).f1
    assert math.isnan(f1[0])
    assert f1[1] == 0


def test_tasks_start_with_nothing() -> None:
    assert PixelTask(3).empty().shape == (3, 3)
    assert math.isnan(PresenceTask(3).scores(PresenceTask(3).empty()).accuracy)
