"""Soft Jaccard losses against the printed sums in float64, pixel by pixel."""

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

CONTEXT = LossContext(classes=3, class_pixels=(50, 10, 40))
MEDIAN = (0.8, 4.0, 1.0)


def softmax(z: NDArray[np.float64]) -> list[float]:
    powers = [math.exp(float(v) - float(z.max())) for v in z]
    return [p / math.fsum(powers) for p in powers]


def oracle(
    case: Case, *, form: str, per_image: bool, classes: str, weights: tuple[float, ...]
) -> float:
    logits, labels = case
    images = [[n] for n in range(len(logits))] if per_image else [list(range(len(logits)))]
    values = []
    for image in images:
        pixels = [
            (softmax(logits[n, :, row, col]), int(labels[n, row, col]))
            for n in image
            for row, col in np.ndindex(labels.shape[1:])
            if labels[n, row, col] != IGNORE
        ]
        if not pixels:
            continue
        losses = []
        for c in range(3):
            if classes == "present" and all(label != c for _, label in pixels):
                continue
            pairs = [(p[c], float(label == c)) for p, label in pixels]
            if form == "printed":
                index = math.fsum(p * g / (p + g - p * g) for p, g in pairs if p + g) / len(pairs)
            else:
                index = math.fsum(p * g for p, g in pairs)
                index /= math.fsum(p + g - p * g for p, g in pairs)
            losses.append((weights[c], 1 - index))
        values.append(math.fsum(w * v for w, v in losses) / math.fsum(w for w, _ in losses))
    return math.fsum(values) / len(values) if values else 0.0


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n, rows, cols = (draw(st.integers(1, 3)) for _ in range(3))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = random.normal(scale=draw(st.sampled_from([0.1, 1, 6])), size=(n, 3, rows, cols))
    pool = draw(st.sampled_from([[0, 1, 2], [0, 1, 2, IGNORE], [1], [IGNORE], [2, IGNORE]]))
    return logits, random.choice(pool, size=(n, rows, cols)).astype(np.int64)


@settings(max_examples=120, deadline=None)
@given(
    case=cases(),
    form=st.sampled_from(["set", "printed"]),
    per_image=st.booleans(),
    classes=st.sampled_from(["present", "all"]),
    weighted=st.booleans(),
)
def test_it_agrees_with_slow_arithmetic(
    case: Case, form: str, per_image: bool, classes: str, weighted: bool
) -> None:
    wanted = oracle(
        case,
        form=form,
        per_image=per_image,
        classes=classes,
        weights=MEDIAN if weighted else (1, 1, 1),
    )
    options = f"form={form}, per_image={str(per_image).lower()}, classes={classes}"
    loss = make_loss(f"jaccard({options}{', weights=median' if weighted else ''})", CONTEXT)
    logits, labels = torch.from_numpy(case[0]), torch.from_numpy(case[1])
    assert float(loss(logits, labels)) == pytest.approx(wanted, rel=1e-10, abs=1e-14)
    assert float(loss(logits.float(), labels)) == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(case=cases(), classes=st.sampled_from(["present", "all"]))
def test_iou_is_the_set_form_over_the_batch(case: Case, classes: str) -> None:
    wanted = oracle(case, form="set", per_image=False, classes=classes, weights=(1, 1, 1))
    found = make_loss(f"iou(classes={classes})", CONTEXT)(*(torch.from_numpy(x) for x in case))
    assert float(found) == pytest.approx(wanted, rel=1e-10, abs=1e-14)


def test_two_pixels_worked_out_by_hand() -> None:
    # p of class 1: ¾ where it is, ½ where it is not. J₁ = ¾ / (1 + ½), J₀ = ½ / (1 + ¼).
    logits = torch.tensor([[[[0.0, 0.0]], [[math.log(3), 0.0]]]])
    labels = torch.tensor([[[1, 0]]])
    two = LossContext(classes=2, class_pixels=(1, 1))
    found = float(make_loss("jaccard", two)(logits, labels))
    assert found == pytest.approx(1 - (1 / 2 + 2 / 5) / 2)
    # Printed: the mean of ¾ and ½, over two classes.
    found = float(make_loss("jaccard(form=printed)", two)(logits, labels))
    assert found == pytest.approx(1 - 5 / 16)


def test_an_absent_class_is_left_out_or_costs_one_and_teaches_nothing() -> None:
    logits = torch.tensor([0.0, math.log(3)], dtype=torch.float64).view(1, 2, 1, 1)
    labels = torch.zeros(1, 1, 1, dtype=torch.int64)
    two = LossContext(classes=2, class_pixels=(1, 1))
    gradients = {}
    for classes, value in (("present", 3 / 4), ("all", 7 / 8)):
        z = logits.clone().requires_grad_()
        loss = make_loss(f"jaccard(classes={classes})", two)(z, labels)
        (gradients[classes],) = torch.autograd.grad(loss, z)
        assert float(loss.detach()) == pytest.approx(value)
    torch.testing.assert_close(gradients["all"], gradients["present"] / 2)


def test_the_printed_form_is_over_all_classes_unless_told_otherwise() -> None:
    logits, labels = torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64)
    plain, every, present = (
        float(make_loss(f"jaccard(form=printed{end})", CONTEXT)(logits, labels))
        for end in ("", ", classes=all", ", classes=present")
    )
    assert plain == every == pytest.approx(1 - 1 / 9)
    assert present == pytest.approx(1 - 1 / 3)
