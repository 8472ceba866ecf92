"""What holds for every loss of pixels: labels, types, extremes, and the language of ``--loss``."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from geoseg.errors import OptionError
from geoseg.training.losses import IGNORE, LossContext, make_loss, names
from geoseg.training.losses.weighting import median_frequency_weights

OF_PATCHES = {"presence"}
"""Losses of image-level labels; their tests are elsewhere."""

PLAIN = [name for name in names() if name not in OF_PATCHES]

WITH_OPTIONS = [
    "ce(weights=median, smoothing=0.1)",
    "bce(weights=median)",
    "focal(gamma=0)",
    "focal(gamma=0.5, weights=median)",
    "focal-sigmoid(gamma=0.5, alpha=0.25)",
    "focal-hinge(gamma=0.5)",
    "lovasz-hinge(per_image=false)",
    "lovasz-hinge(classes=present)",
    "lovasz-softmax(per_image=true)",
    "lovasz-softmax(classes=all, weights=median)",
    "jaccard(form=printed)",
    "jaccard(form=printed, per_image=true, classes=present)",
    "jaccard(per_image=true, classes=all, weights=median)",
    "iou(classes=all)",
    "ce + 0.5*lovasz-hinge",
    "0.5*ce + 0.5*lovasz-softmax",
]

EVERY = PLAIN + WITH_OPTIONS


def context(classes: int = 3) -> LossContext:
    return LossContext(classes=classes, class_pixels=(50, 10, 40, 0)[:classes])


def gradient(text: str, logits: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    logits = logits.clone().requires_grad_()
    loss = make_loss(text, context(logits.shape[1]))(logits, labels)
    assert loss.shape == ()
    assert loss.dtype == (torch.float64 if logits.dtype == torch.float64 else torch.float32)
    (found,) = torch.autograd.grad(loss, logits)
    assert found.dtype == logits.dtype
    return float(loss.detach()), found


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_gradient_is_that_of_finite_differences(text: str, classes: int) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, classes, 3, 2, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, classes, (2, 3, 2))
    labels[0, 0, 0] = IGNORE
    labels[1][labels[1] == 0] = 1
    loss = make_loss(text, context(classes))
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), (logits,))


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_without_labels_gives_zero_and_no_gradient(text: str, dtype: torch.dtype) -> None:
    logits = torch.randn(2, 3, 4, 4, dtype=dtype)
    value, found = gradient(text, logits, torch.full((2, 4, 4), IGNORE))
    assert value == 0
    assert bool((found == 0).all())


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("junk", [1e4, math.inf, math.nan])
def test_pixels_without_label_have_no_gradient_whatever_their_logits(
    text: str, dtype: torch.dtype, junk: float
) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, dtype=dtype)
    labels = torch.randint(0, 3, (2, 4, 4))
    labels[0, :2] = IGNORE
    value, whole = gradient(text, logits, labels)
    assert bool((whole[0, :, :2] == 0).all())
    logits[0, :, :2] = junk
    again, found = gradient(text, logits, labels)
    assert again == value
    assert torch.equal(found, whole)


@pytest.mark.parametrize("text", EVERY)
def test_an_image_without_labels_changes_nothing(text: str) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 3, 4, 4), torch.randint(0, 3, (3, 4, 4))
    labels[1] = IGNORE
    value, whole = gradient(text, logits, labels)
    fewer, rest = gradient(text, logits[::2], labels[::2])
    assert value == pytest.approx(fewer, rel=1e-6)
    torch.testing.assert_close(whole[::2], rest, rtol=1e-5, atol=1e-9)


@settings(max_examples=250, deadline=None)
@given(data=st.data(), text=st.sampled_from(EVERY), dtype=st.sampled_from(["f4", "f8"]))
def test_nothing_gives_nan(data: st.DataObject, text: str, dtype: str) -> None:
    n, rows, cols = (data.draw(st.integers(1, 3)) for _ in range(3))
    classes = data.draw(st.integers(1, 4))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scale = data.draw(st.sampled_from([0, 1e-30, 1, 90, 1e4, 1e15]))
    every = list(range(classes))
    pools = [every, [*every, IGNORE], [0], [classes - 1, IGNORE], [IGNORE]]
    labels = random.choice(data.draw(st.sampled_from(pools)), size=(n, rows, cols))
    logits = scale * random.normal(size=(n, classes, rows, cols))
    value, found = gradient(
        text, torch.from_numpy(logits.astype(dtype)), torch.from_numpy(labels.astype(np.int64))
    )
    assert math.isfinite(value)
    assert value >= -1e-6
    assert bool(found.isfinite().all())


@settings(max_examples=60, deadline=None)
@given(text=st.sampled_from(EVERY), seed=st.integers(0, 2**32))
def test_the_places_of_pixels_do_not_matter(text: str, seed: int) -> None:
    made = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 4, 4, generator=made, dtype=torch.float64)
    labels = torch.randint(0, 3, (2, 4, 4), generator=made)
    labels[0, 0] = IGNORE
    order = torch.randperm(16, generator=made)
    value, whole = gradient(text, logits, labels)
    mixed, found = gradient(
        text,
        logits.flatten(2)[:, :, order].view(2, 3, 4, 4),
        labels.flatten(1)[:, order].view(2, 4, 4),
    )
    assert mixed == pytest.approx(value, rel=1e-10)
    torch.testing.assert_close(
        found.flatten(2), whole.flatten(2)[:, :, order], rtol=1e-9, atol=1e-14
    )


@pytest.mark.parametrize("text", [t for t in EVERY if "smoothing" not in t])
def test_a_right_answer_without_doubt_costs_nothing(text: str) -> None:
    labels = torch.arange(3).repeat(2, 4)[:, None]
    logits = torch.full((2, 3, 1, 12), -200.0).scatter_(1, labels[:, None], 200)
    value, found = gradient(text, logits, labels)
    # The printed form of the Jaccard index is at most one by the number of classes.
    assert value == pytest.approx(2 / 3 if "printed" in text else 0, abs=1e-6)
    torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_summed_in_float32(text: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 64, 64).to(dtype)
    labels = torch.randint(0, 3, (2, 64, 64))
    loss = make_loss(text, context())
    found = loss(logits, labels)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(loss(logits.double(), labels)), rel=1e-5)


@pytest.mark.parametrize("text", EVERY)
def test_autocast_and_inference_mode_change_nothing(text: str) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    loss = make_loss(text, context())
    with torch.inference_mode():  # first, as a validation pass may be
        inferred = loss(logits, labels)
    inside = logits.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = loss(inside, labels)
    mixed.backward()
    value, found = gradient(text, logits, labels)
    assert float(inferred) == float(mixed.detach()) == value
    assert inside.grad is not None
    assert torch.equal(inside.grad, found)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("text", EVERY)
def test_a_card_gives_what_the_processor_gives(text: str) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 40, 50), torch.randint(0, 3, (2, 40, 50))
    labels[:, :5] = IGNORE
    value, wanted = gradient(text, logits, labels)
    on_card, found = gradient(text, logits.cuda(), labels.cuda())
    assert on_card == pytest.approx(value, rel=1e-5)
    # By its norm: a card rounds otherwise, so errors that are nearly equal may change places.
    assert float((found.cpu() - wanted).norm()) <= 1e-3 * float(wanted.norm())


def test_a_sum_adds_its_scaled_terms() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 2, 4, 4), torch.randint(0, 2, (2, 4, 4))
    value, found = gradient("bce + 0.5*lovasz-hinge", logits, labels)
    first, second = (gradient(t, logits, labels) for t in ("bce", "lovasz-hinge"))
    assert value == pytest.approx(first[0] + 0.5 * second[0])
    torch.testing.assert_close(found, first[1] + 0.5 * second[1])


def test_weights_are_the_median_frequency_over_the_frequency() -> None:
    assert median_frequency_weights((50, 10, 40)) == pytest.approx((0.8, 4.0, 1.0))
    assert median_frequency_weights((30, 10)) == pytest.approx((2 / 3, 2.0))


def test_a_class_that_does_not_occur_weighs_one_and_moves_no_median() -> None:
    assert median_frequency_weights((50, 0, 10, 40)) == pytest.approx((0.8, 1.0, 4.0, 1.0))
    assert median_frequency_weights((0, 0)) == (1.0, 1.0)


@pytest.mark.parametrize("name", ["ce", "bce", "focal", "focal-sigmoid", "focal-hinge", "jaccard"])
def test_weights_can_be_listed_and_none_is_none(name: str) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    listed = gradient(f"{name}(weights=[0.8, 4, 1])", logits, labels)[0]
    assert listed == pytest.approx(gradient(f"{name}(weights=median)", logits, labels)[0])
    same = gradient(f"{name}(weights=[2, 2, 2])", logits, labels)[0]
    assert same == pytest.approx(gradient(f"{name}(weights=none)", logits, labels)[0], rel=1e-6)
    assert listed != pytest.approx(same, rel=1e-4)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cee", "no loss is called 'cee' .did you mean 'ce'.."),
        ("ce(gamma=2)", "loss 'ce' has no option 'gamma'; it has: weights, smoothing"),
        ("ce(smoothing=2)", "smoothing must be from 0 to 1"),
        ("ce(smoothing=much)", "smoothing must be a number"),
        ("ce(context=1)", "has no option 'context'"),
        ("ce +", "--loss .* a name is missing at the end"),
        ("ce(weights=mean)", "weights must be median, none or a list, not 'mean'"),
        ("ce(weights=[1, 2])", "weights must be one number a class, 3, not 2"),
        ("ce(weights=[1, -2, 1])", "each of a loss's weights must be from 0 to inf, not -2"),
        ("ce(weights=[1, x, 1])", "each of a loss's weights must be a number, not 'x'"),
        ("ce(weights=[0, 0, 0])", "weights are all 0"),
        ("focal(gamma=-1)", "gamma must be from 0 to inf"),
        ("focal-sigmoid(alpha=2)", "alpha must be from 0 to 1"),
        ("lovasz-softmax(classes=some)", "classes must be present or all, not 'some'"),
        ("lovasz-hinge(per_image=2)", "per_image must be true or false, not 2"),
        ("jaccard(form=soft)", "form must be set or printed, not 'soft'"),
    ],
)
def test_a_loss_that_is_not_there_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        make_loss(text, context())


def test_no_loss_loads_the_compiler_before_it_is_used() -> None:
    program = (
        "import sys\n"
        "from geoseg.training.losses import LossContext, make_loss\n"
        "for text in sys.argv[1:]:\n"
        "    make_loss(text, LossContext(classes=3, class_pixels=(1, 1, 1)))\n"
        "print('numba' in sys.modules)"
    )
    said = subprocess.check_output([sys.executable, "-c", program, *PLAIN], text=True)
    assert said.strip() == "False"
