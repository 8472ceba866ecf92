"""Losses against slow float64 arithmetic, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from geoseg.errors import OptionError
from geoseg.training.losses import IGNORE, LossContext, make_loss, names
from geoseg.training.losses.cross_entropy import median_frequency_weights

CONTEXT = LossContext(classes=3, class_pixels=(50, 10, 40))


def oracle(
    logits: NDArray[np.float64], labels: NDArray[np.int64], weights: tuple[float, ...]
) -> float:
    """Weighted mean of −log softmax, in plain Python."""
    total, weight = 0.0, 0.0
    for n, row, col in np.ndindex(labels.shape):
        label = int(labels[n, row, col])
        if label == IGNORE:
            continue
        values = [float(v) for v in logits[n, :, row, col]]
        top = max(values)
        log_sum = top + math.log(math.fsum(math.exp(v - top) for v in values))
        total += weights[label] * (log_sum - values[label])
        weight += weights[label]
    return total / weight if weight else 0.0


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    n, rows, cols = (draw(st.integers(1, 3)) for _ in range(3))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = random.normal(scale=draw(st.sampled_from([0.1, 3, 100])), size=(n, 3, rows, cols))
    pool = draw(st.sampled_from([[0, 1, 2], [0, 1, 2, IGNORE], [1], [IGNORE], [2, IGNORE]]))
    return logits, random.choice(pool, size=(n, rows, cols)).astype(np.int64)


@settings(max_examples=60, deadline=None)
@given(case=cases(), text=st.sampled_from(["ce", "weighted-ce", "0.5*ce + 2*weighted-ce"]))
def test_a_loss_agrees_with_slow_arithmetic(
    case: tuple[NDArray[np.float64], NDArray[np.int64]], text: str
) -> None:
    logits, labels = case
    plain = oracle(logits, labels, (1, 1, 1))
    weighted = oracle(logits, labels, (0.8, 4.0, 1.0))  # median 40 over 50, 10, 40
    wanted = {"ce": plain, "weighted-ce": weighted}.get(text, 0.5 * plain + 2 * weighted)
    loss = make_loss(text, CONTEXT)
    found = loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(wanted, rel=1e-10, abs=1e-12)
    single = loss(torch.from_numpy(logits).float(), torch.from_numpy(labels))
    assert float(single) == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def gradient(text: str, logits: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    logits = logits.clone().requires_grad_()
    loss = make_loss(text, CONTEXT)(logits, labels)
    (found,) = torch.autograd.grad(loss, logits)
    return float(loss.detach()), found


@pytest.mark.parametrize("text", names())
def test_the_gradient_is_that_of_finite_differences(text: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 3, (2, 3, 2))
    labels[0, 0, 0] = IGNORE
    loss = make_loss(text, CONTEXT)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), (logits,))


@pytest.mark.parametrize("text", names())
def test_a_batch_without_labels_gives_zero_and_no_gradient(text: str) -> None:
    value, found = gradient(text, torch.randn(2, 3, 4, 4), torch.full((2, 4, 4), IGNORE))
    assert value == 0
    assert bool((found == 0).all())


@pytest.mark.parametrize("text", names())
def test_pixels_without_label_have_no_gradient_whatever_their_logits(text: str) -> None:
    logits = torch.randn(1, 3, 4, 4)
    labels = torch.randint(0, 3, (1, 4, 4))
    labels[0, :2] = IGNORE
    value, found = gradient(text, logits, labels)
    assert bool((found[0, :, :2] == 0).all())
    logits[0, :, :2] = 1e4
    assert gradient(text, logits, labels)[0] == value


@pytest.mark.parametrize("text", names())
def test_bfloat16_logits_are_summed_in_float32(text: str) -> None:
    logits = torch.randn(2, 3, 64, 64).bfloat16()
    labels = torch.randint(0, 3, (2, 64, 64))
    loss = make_loss(text, CONTEXT)
    found = loss(logits, labels)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(loss(logits.double(), labels)), rel=1e-5)


def test_weights_are_the_median_frequency_over_the_frequency() -> None:
    assert median_frequency_weights((50, 10, 40)) == pytest.approx((0.8, 4.0, 1.0))
    assert median_frequency_weights((30, 10)) == pytest.approx((2 / 3, 2.0))


def test_a_class_that_does_not_occur_weighs_one_and_moves_no_median() -> None:
    assert median_frequency_weights((50, 0, 10, 40)) == pytest.approx((0.8, 1.0, 4.0, 1.0))
    assert median_frequency_weights((0, 0)) == (1.0, 1.0)


def test_smoothing_spreads_the_label_over_all_classes() -> None:
    logits = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    labels = torch.tensor([[[0, 1], [2, IGNORE]]])
    hard = make_loss("ce", CONTEXT)(logits, labels)
    log_p = torch.log_softmax(logits, 1)[0].flatten(1)[:, :3]
    wanted = 0.7 * hard - 0.3 * log_p.mean()
    found = make_loss("ce(smoothing=0.3)", CONTEXT)(logits, labels)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cee", "no loss is called 'cee' .did you mean 'ce'.."),
        ("ce(gamma=2)", "loss 'ce' has no option 'gamma'; it has: smoothing"),
        ("ce(smoothing=2)", "smoothing must be from 0 to 1"),
        ("ce(smoothing=much)", "smoothing must be a number"),
        ("ce(context=1)", "has no option 'context'"),
        ("ce +", "--loss .* a name is missing at the end"),
    ],
)
def test_a_loss_that_is_not_there_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        make_loss(text, CONTEXT)
