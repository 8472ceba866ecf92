"""Focal and Focal-Hinge losses against their printed formulae in float64, pixel by pixel."""

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
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)


def context(classes: int) -> LossContext:
    return LossContext(classes=classes, class_pixels=(1,) * classes)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n, rows, cols = (draw(st.integers(1, 3)) for _ in range(3))
    classes = draw(st.integers(2, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = random.normal(scale=draw(st.sampled_from([0.1, 1, 6])), size=(n, classes, rows, cols))
    every = list(range(classes))
    pool = draw(st.sampled_from([every, [*every, IGNORE], [1], [IGNORE], [classes - 1, IGNORE]]))
    return logits, random.choice(pool, size=(n, rows, cols)).astype(np.int64)


def pixels(case: Case) -> list[tuple[list[float], int]]:
    """Logits and label of each labelled pixel."""
    logits, labels = case
    return [
        ([float(v) for v in logits[n, :, row, col]], int(labels[n, row, col]))
        for n, row, col in np.ndindex(labels.shape)
        if labels[n, row, col] != IGNORE
    ]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softmax_oracle(case: Case, gamma: float) -> float:
    found = []
    for z, label in pixels(case):
        powers = [math.exp(v) for v in z]
        p = powers[label] / math.fsum(powers)
        rest = math.fsum(powers[:label] + powers[label + 1 :]) / math.fsum(powers)
        found.append(-(rest**gamma) * math.log(p))
    return math.fsum(found) / len(found) if found else 0.0


def sigmoid_oracle(case: Case, gamma: float, alpha: float | None) -> float:
    found = []
    for z, label in pixels(case):
        single = len(z) == 2
        for c, score in [(1, z[1] - z[0])] if single else list(enumerate(z)):
            t = 1 if c == label else -1
            weight = 1.0 if alpha is None else alpha if t > 0 else 1 - alpha
            found.append(-weight * sigmoid(-t * score) ** gamma * math.log(sigmoid(t * score)))
    return math.fsum(found) / len(found) if found else 0.0


def hinge(z: float) -> float:
    return 0.5 - z if z <= 0 else 0.5 * (1 - z) ** 2 if z < 1 else 0.0


def focal_hinge_oracle(case: Case, gamma: float) -> tuple[float, NDArray[np.float64]]:
    """Value, and the analytic gradient ``N (1 − p)^γ [h′ − γ·t·p·h]``."""
    logits, labels = case
    gradient = np.zeros(logits.shape)
    images = [n for n in range(len(logits)) if (labels[n] != IGNORE).any()]
    total = 0.0
    for n in images:
        for c in range(logits.shape[1]):
            for t in (1, -1):
                of_sign = (labels[n] == c) if t > 0 else (labels[n] != c) & (labels[n] != IGNORE)
                places = np.argwhere(of_sign)
                for row, col in places:
                    z = t * float(logits[n, c, row, col])
                    p, share = sigmoid(z), 1 / len(places) / logits.shape[1] / len(images)
                    total += share * sigmoid(-z) ** gamma * hinge(z)
                    slope = -t if z <= 0 else -t * (1 - z) if z < 1 else 0
                    gradient[n, c, row, col] = (
                        share * sigmoid(-z) ** gamma * (slope - gamma * t * p * hinge(z))
                    )
    return total, gradient


def check(text: str, case: Case, wanted: float) -> None:
    logits, labels = torch.from_numpy(case[0]), torch.from_numpy(case[1])
    loss = make_loss(text, context(logits.shape[1]))
    assert float(loss(logits, labels)) == pytest.approx(wanted, rel=1e-10, abs=1e-14)
    assert float(loss(logits.float(), labels)) == pytest.approx(wanted, rel=1e-4, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(case=cases(), gamma=st.sampled_from(GAMMAS))
def test_the_softmax_form_agrees_with_slow_arithmetic(case: Case, gamma: float) -> None:
    check(f"focal(gamma={gamma})", case, softmax_oracle(case, gamma))


@settings(max_examples=60, deadline=None)
@given(case=cases(), gamma=st.sampled_from(GAMMAS), alpha=st.sampled_from([None, 0.25, 1.0]))
def test_the_sigmoid_form_agrees_with_slow_arithmetic(
    case: Case, gamma: float, alpha: float | None
) -> None:
    text = f"focal-sigmoid(gamma={gamma}{'' if alpha is None else f', alpha={alpha}'})"
    check(text, case, sigmoid_oracle(case, gamma, alpha))


@settings(max_examples=60, deadline=None)
@given(case=cases(), gamma=st.sampled_from(GAMMAS))
def test_focal_hinge_has_its_value_and_its_analytic_gradient(case: Case, gamma: float) -> None:
    wanted, slope = focal_hinge_oracle(case, gamma)
    check(f"focal-hinge(gamma={gamma})", case, wanted)
    logits = torch.from_numpy(case[0]).requires_grad_()
    loss = make_loss(f"focal-hinge(gamma={gamma})", context(logits.shape[1]))
    (found,) = torch.autograd.grad(loss(logits, torch.from_numpy(case[1])), logits)
    np.testing.assert_allclose(found.numpy(), slope, rtol=1e-9, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_without_focus_they_are_the_cross_entropies(case: Case) -> None:
    logits, labels = torch.from_numpy(case[0]), torch.from_numpy(case[1])
    for focal, plain in (("focal(gamma=0)", "ce"), ("focal-sigmoid(gamma=0)", "bce")):
        found, wanted = (
            make_loss(text, context(logits.shape[1]))(logits, labels) for text in (focal, plain)
        )
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("z", [-300.0, -3.0, 0.0, 3.0, 12.0, 30.0])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_gradient_has_its_digits_where_the_answer_is_nearly_right(
    z: float, gamma: float
) -> None:
    # d/dz of −q^γ log p is −q^γ (q − γ p log p), with q = 1 − p = σ(−z).
    q, p = 1 / (1 + math.exp(z)), 1 / (1 + math.exp(-z))
    log_p = -math.log1p(math.exp(-z)) if z > 0 else z - math.log1p(math.exp(z))
    wanted = -(q**gamma) * (q - gamma * p * log_p)
    logits = torch.tensor([0.0, z]).view(1, 2, 1, 1).requires_grad_()
    (found,) = torch.autograd.grad(
        make_loss(f"focal(gamma={gamma})", context(2))(logits, torch.ones(1, 1, 1).long()), logits
    )
    assert float(found[0, 1]) == pytest.approx(wanted, rel=1e-5)


def test_the_gradient_of_focal_hinge_does_not_jump() -> None:
    logits = torch.tensor([-1e-9, 1e-9, 1 - 1e-9, 1 + 1e-9], dtype=torch.float64)
    logits = logits.view(1, 1, 1, 4).requires_grad_()
    loss = make_loss("focal-hinge", context(1))
    (found,) = torch.autograd.grad(loss(logits, torch.zeros(1, 1, 4).long()), logits)
    below, above, inside, outside = (float(v) for v in found.flatten())
    assert below == pytest.approx(above, abs=1e-8)
    assert inside == pytest.approx(outside, abs=1e-8)


def test_focal_hinge_worked_out_by_hand() -> None:
    # Map 0: the one pixel of the class at z = 0 gives ¼ · ½, the others, at z = 2, nothing.
    # Map 1: two pixels of the class at z = 1 and more, nothing; the other at z = 0, ¼ · ½.
    logits = torch.tensor([[[[0.0, -2.0, -2.0]], [[0.0, 1.0, 4.0]]]])
    loss = make_loss("focal-hinge", context(2))
    assert float(loss(logits, torch.tensor([[[0, 1, 1]]]))) == pytest.approx((1 / 8 + 1 / 8) / 2)
