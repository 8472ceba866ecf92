"""Cross entropies against slow float64 arithmetic, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.training.losses import IGNORE, LossContext, make_loss

Case = tuple[NDArray[np.float64], NDArray[np.int64]]

PLAIN, MEDIAN = (1.0, 1.0, 1.0), (0.8, 4.0, 1.0)  # median 40 over 50, 10, 40
CONTEXT = LossContext(classes=3, class_pixels=(50, 10, 40))


def log_softmax(values: list[float]) -> list[float]:
    top = max(values)
    log_sum = top + math.log(math.fsum(math.exp(v - top) for v in values))
    return [v - log_sum for v in values]


def minus_log_sigmoid(x: float) -> float:
    return math.log1p(math.exp(-x)) if x > 0 else -x + math.log1p(math.exp(x))


def weighted_mean(found: list[tuple[float, float]]) -> float:
    weight = math.fsum(w for w, _ in found)
    return math.fsum(w * v for w, v in found) / weight if weight else 0.0


def softmax_oracle(case: Case, weights: tuple[float, ...]) -> float:
    logits, labels = case
    found = []
    for n, row, col in np.ndindex(labels.shape):
        label = int(labels[n, row, col])
        if label != IGNORE:
            log_p = log_softmax([float(v) for v in logits[n, :, row, col]])
            found.append((weights[label], -log_p[label]))
    return weighted_mean(found)


def sigmoid_oracle(case: Case, weights: tuple[float, ...]) -> float:
    logits, labels = case
    found = []
    for n, row, col in np.ndindex(labels.shape):
        label = int(labels[n, row, col])
        if label == IGNORE:
            continue
        z = [float(v) for v in logits[n, :, row, col]]
        if len(z) == 2:
            difference = z[1] - z[0]
            value = minus_log_sigmoid(difference if label == 1 else -difference)
        else:
            each = [minus_log_sigmoid(v if c == label else -v) for c, v in enumerate(z)]
            value = math.fsum(each) / len(z)
        found.append((weights[label], value))
    return weighted_mean(found)


@st.composite
def cases(draw: st.DrawFn, classes: int = 3) -> Case:
    n, rows, cols = (draw(st.integers(1, 3)) for _ in range(3))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.1, 3, 100]))
    logits = random.normal(scale=scale, size=(n, classes, rows, cols))
    every = list(range(classes))
    pool = draw(st.sampled_from([every, [*every, IGNORE], [1], [IGNORE], [classes - 1, IGNORE]]))
    return logits, random.choice(pool, size=(n, rows, cols)).astype(np.int64)


def check(text: str, case: Case, wanted: float, context: LossContext = CONTEXT) -> None:
    logits, labels = torch.from_numpy(case[0]), torch.from_numpy(case[1])
    loss = make_loss(text, context)
    found = loss(logits, labels)
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(wanted, rel=1e-10, abs=1e-12)
    assert float(loss(logits.float(), labels)) == pytest.approx(wanted, rel=1e-4, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(case=cases(), text=st.sampled_from(["ce", "weighted-ce", "0.5*ce + 2*weighted-ce"]))
def test_softmax_agrees_with_slow_arithmetic(case: Case, text: str) -> None:
    plain, weighted = softmax_oracle(case, PLAIN), softmax_oracle(case, MEDIAN)
    wanted = {"ce": plain, "weighted-ce": weighted}.get(text, 0.5 * plain + 2 * weighted)
    check(text, case, wanted)


@settings(max_examples=60, deadline=None)
@given(case=cases(), weights=st.sampled_from([PLAIN, MEDIAN]))
def test_sigmoid_agrees_with_slow_arithmetic(case: Case, weights: tuple[float, ...]) -> None:
    text = "bce" if weights == PLAIN else "bce(weights=median)"
    check(text, case, sigmoid_oracle(case, weights))


@settings(max_examples=40, deadline=None)
@given(case=cases(classes=2))
def test_of_two_classes_sigmoid_and_softmax_are_one(case: Case) -> None:
    two = LossContext(classes=2, class_pixels=(1, 1))
    check("bce", case, sigmoid_oracle(case, (1, 1)), two)
    check("bce", case, softmax_oracle(case, (1, 1)), two)


def test_one_pixel_worked_out_by_hand() -> None:
    logits = torch.tensor([0.0, math.log(2), math.log(5)]).view(1, 3, 1, 1)
    labels = torch.tensor([[[1]]])
    # p = 1/8, 2/8, 5/8; sigmoids 1/2, 2/3, 5/6, so ½ · ⅔ · ⅙ is right by chance.
    assert float(make_loss("ce", CONTEXT)(logits, labels)) == pytest.approx(math.log(4))
    assert float(make_loss("bce", CONTEXT)(logits, labels)) == pytest.approx(math.log(18) / 3)


def test_smoothing_spreads_the_label_over_all_classes() -> None:
    logits = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    labels = torch.tensor([[[0, 1], [2, IGNORE]]])
    hard = make_loss("ce", CONTEXT)(logits, labels)
    log_p = torch.log_softmax(logits, 1)[0].flatten(1)[:, :3]
    wanted = 0.7 * hard - 0.3 * log_p.mean()
    found = make_loss("ce(smoothing=0.3)", CONTEXT)(logits, labels)
    torch.testing.assert_close(found, wanted)


def test_a_pixel_of_a_class_without_weight_teaches_nothing() -> None:
    logits = torch.randn(1, 3, 1, 2, requires_grad=True)
    loss = make_loss("ce(weights=[0, 1, 1])", CONTEXT)(logits, torch.zeros(1, 1, 2).long())
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert bool((logits.grad == 0).all())
