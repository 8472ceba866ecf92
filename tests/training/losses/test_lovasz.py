"""Lovász losses against their definition in fractions, pixel by pixel."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from geoseg.errors import LabelError, OptionError
from geoseg.training.losses import IGNORE, LossContext, make_loss
from geoseg.training.losses.lovasz import LovaszHinge, LovaszSoftmax

Case = tuple[NDArray[np.float64], NDArray[np.int64]]
Element = tuple[float, bool, tuple[int, int, int]]
"""Error, whether of the class, and place (image, row, column)."""

CONTEXT = LossContext(classes=3, class_pixels=(50, 10, 40))
WEIGHTS = (0.5, 3.0, 1.0)


def jaccard_loss(wrong: int, missed: int, held: int) -> Fraction:
    """|M| / |F ∪ M| of `wrong` pixels of which `missed` are of the class; 0 for none."""
    return Fraction(wrong, held + wrong - missed) if wrong else Fraction(0)


def extension(elements: list[Element]) -> tuple[float, dict[tuple[int, int, int], float]]:
    """Value and slope by each error, from the set function itself."""
    held = sum(of_class for _, of_class, _ in elements)
    value, slopes, before, missed = 0.0, {}, Fraction(0), 0
    for k, (error, of_class, place) in enumerate(sorted(elements, key=lambda e: -e[0]), 1):
        missed += of_class
        now = jaccard_loss(k, missed, held)
        slopes[place] = float(now - before)
        value += error * slopes[place]
        before = now
    return value, slopes


def mean(values: list[tuple[float, float]]) -> float:
    """Weighted mean of (weight, value); 0 of none."""
    total = sum(w for w, _ in values)
    return sum(w * v for w, v in values) / total if total else 0.0


def softmax(z: NDArray[np.float64]) -> list[float]:
    powers = [math.exp(float(v) - float(z.max())) for v in z]
    return [p / math.fsum(powers) for p in powers]


def oracle(  # noqa: PLR0912 — one plain loop
    logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    hinge: bool,
    per_image: bool,
    classes: str,
    weights: tuple[float, ...] | None = None,
) -> tuple[float, NDArray[np.float64]]:
    """Value and gradient by the logits, in plain Python."""
    channels = logits.shape[1]
    single = hinge and channels == 2
    weights = weights or (1.0,) * channels
    images = [[n] for n in range(len(logits))] if per_image else [list(range(len(logits)))]
    images = [i for i in images if (labels[i] != IGNORE).any()]
    total, gradient = 0.0, np.zeros(logits.shape)
    for image in images:
        places = [
            (n, r, c) for n in image for r, c in np.ndindex(labels.shape[1:])
            if labels[n, r, c] != IGNORE
        ]  # fmt: skip
        found: list[tuple[float, float]] = []
        slopes_of: dict[int, dict[tuple[int, int, int], float]] = {}
        for cls in [1] if single else range(channels):
            if classes == "present" and not any(labels[p] == cls for p in places):
                continue
            elements: list[Element] = []
            for n, r, c in places:
                own = bool(labels[n, r, c] == cls)
                z = logits[n, :, r, c]
                if hinge:
                    score = float(z[1] - z[0]) if single else float(z[cls])
                    error = max(0.0, 1 - score if own else 1 + score)
                else:
                    p = softmax(z)
                    error = math.fsum(p[:cls] + p[cls + 1 :]) if own else p[cls]
                elements.append((error, own, (n, r, c)))
            value, slopes = extension(elements)
            if hinge:
                active = {place for error, _, place in elements if error > 0}
                slopes = {place: s * (place in active) for place, s in slopes.items()}
            found.append((weights[cls], value))
            slopes_of[cls] = slopes
        total += mean(found) / len(images)
        all_weight = sum(w for w, _ in found)
        for cls, slopes in slopes_of.items():
            share = weights[cls] / all_weight / len(images) if all_weight else 0.0
            for (n, r, c), slope in slopes.items():
                step = share * slope * (-1 if labels[n, r, c] == cls else 1)
                if single:
                    gradient[n, :, r, c] += np.array([-step, step])
                elif hinge:
                    gradient[n, cls, r, c] += step
                else:
                    p = softmax(logits[n, :, r, c])
                    for k in range(channels):
                        rest = math.fsum(p[:cls] + p[cls + 1 :])
                        gradient[n, k, r, c] += step * p[cls] * (rest if k == cls else -p[k])
    return total, gradient


def has_one_order_in_float32(
    logits: NDArray[np.float64], labels: NDArray[np.int64], *, hinge: bool
) -> bool:
    """Whether no two errors of a class are so close that rounding to float32 may swap them."""
    channels = logits.shape[1]
    for cls in range(channels):
        errors = [0.0] if hinge else []
        for n, r, c in np.ndindex(labels.shape):
            z, own = logits[n, :, r, c], bool(labels[n, r, c] == cls)
            if labels[n, r, c] == IGNORE:
                continue
            if hinge:
                score = float(z[1] - z[0]) if channels == 2 else float(z[cls])
                errors.append(1 - score if own else 1 + score)
            else:
                p = softmax(z)
                errors.append(math.fsum(p[:cls] + p[cls + 1 :]) if own else p[cls])
        errors.sort()
        for low, high in itertools.pairwise(errors):
            if low != high and high - low < 3e-6 * max(abs(high), float(hinge)):
                return False
    return True


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n, rows, cols = (draw(st.integers(1, 3)) for _ in range(3))
    channels = draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.1, 1, 3, 10]))
    # Through float32, so that both types begin with the same numbers.
    logits = random.normal(scale=scale, size=(n, channels, rows, cols)).astype(np.float32)
    every = list(range(channels))
    pools = [every, [*every, IGNORE], [0], [IGNORE], [channels - 1, IGNORE]]
    pool = draw(st.sampled_from(pools))
    return logits.astype(np.float64), random.choice(pool, size=(n, rows, cols)).astype(np.int64)


def value_and_gradient(
    loss: LovaszSoftmax | LovaszHinge, z: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    z = z.clone().requires_grad_()
    value = loss(z, y)
    (gradient,) = torch.autograd.grad(value, z)
    return value.detach(), gradient


@settings(max_examples=150, deadline=None)
@given(
    case=cases(),
    hinge=st.booleans(),
    per_image=st.booleans(),
    classes=st.sampled_from(["present", "all"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_value_and_gradient_are_those_of_the_set_function(
    case: Case, hinge: bool, per_image: bool, classes: str, dtype: torch.dtype
) -> None:
    logits, labels = case
    assume(dtype == torch.float64 or has_one_order_in_float32(logits, labels, hinge=hinge))
    wanted, slope = oracle(logits, labels, hinge=hinge, per_image=per_image, classes=classes)
    loss = (LovaszHinge if hinge else LovaszSoftmax)(per_image=per_image, classes=classes)
    found, gradient = value_and_gradient(
        loss, torch.from_numpy(logits).to(dtype), torch.from_numpy(labels)
    )
    exact = dtype == torch.float64
    assert found.dtype == gradient.dtype == dtype
    assert float(found) == pytest.approx(wanted, rel=1e-12 if exact else 1e-5, abs=1e-14)
    # Entry by entry: the small ones, too, have all their digits.
    np.testing.assert_allclose(
        gradient.double().numpy(),
        slope,
        rtol=1e-9 if exact else 1e-4,
        atol=1e-17 if exact else 1e-9,
    )


@pytest.mark.parametrize(
    "text",
    [
        "lovasz-softmax",
        "lovasz-hinge",
        "lovasz-hinge(classes=all)",
        "lovasz-softmax(per_image=true)",
    ],
)
def test_weights_weigh_the_mean_over_classes(text: str) -> None:
    random = np.random.default_rng(1)
    logits, labels = random.normal(size=(2, 3, 3, 3)), random.integers(0, 3, (2, 3, 3))
    labels[0][labels[0] == 1] = IGNORE
    end = f"weights=[{', '.join(map(str, WEIGHTS))}])"
    loss = make_loss(f"{text[:-1]}, {end}" if "(" in text else f"{text}({end}", CONTEXT)
    wanted, slope = oracle(
        logits,
        labels,
        hinge="hinge" in text,
        per_image=text != "lovasz-softmax",
        classes="all" if "classes=all" in text else "present",
        weights=WEIGHTS,
    )
    z = torch.from_numpy(logits).requires_grad_()
    found = loss(z, torch.from_numpy(labels))
    (gradient,) = torch.autograd.grad(found, z)
    assert float(found.detach()) == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(gradient.numpy(), slope, rtol=1e-9, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), classes=st.sampled_from(["present", "all"]))
def test_of_a_map_without_doubt_it_is_one_minus_the_jaccard_index(seed: int, classes: str) -> None:
    random = np.random.default_rng(seed)
    truth, given_ = random.integers(0, 3, (2, 1, 4, 5))
    logits = torch.full((1, 3, 4, 5), -200.0).scatter_(1, torch.from_numpy(given_)[:, None], 200)
    shares = [
        Fraction(int(((truth == c) & (given_ == c)).sum()), either)
        if (either := int(((truth == c) | (given_ == c)).sum()))
        else Fraction(1)
        for c in range(3)
        if classes == "all" or (truth == c).any()
    ]
    found = LovaszSoftmax(classes=classes)(logits, torch.from_numpy(truth))
    assert float(found) == pytest.approx(float(1 - sum(shares) / len(shares)), abs=1e-6)


def test_two_pixels_worked_out_by_hand() -> None:
    # F = 0.5 on a pixel of the class, 0.2 on another: errors 0.5 and 1.2. The other comes first
    # (Δ = 1/2), then the first (Δ = 1): 1.2 · ½ + 0.5 · ½.
    logits = torch.tensor([[[[0.0, 0.0]], [[0.5, 0.2]]]], requires_grad=True)
    loss = LovaszHinge()(logits, torch.tensor([[[1, 0]]]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.85)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([[[[0.5, -0.5]], [[-0.5, 0.5]]]]))


def test_an_image_without_the_class_costs_its_largest_error() -> None:
    logits = torch.tensor([[[[0.0, 0.0]], [[0.5, 0.2]]]])
    labels = torch.zeros(1, 1, 2, dtype=torch.int64)
    assert float(LovaszHinge()(logits, labels)) == pytest.approx(1.5)
    assert float(LovaszHinge(classes="present")(logits, labels)) == 0
    p = torch.softmax(logits, 1)[0, 1].max()
    # Class 0 is there alone: its errors are p₁, and Δ grows by ½ with each.
    own = torch.softmax(logits, 1)[0, 1].mean()
    found = LovaszSoftmax(classes="all")(logits, labels)
    assert float(found) == pytest.approx(float((p + own) / 2))


def test_equal_errors_are_taken_in_order_of_place_by_both_backends() -> None:
    labels = torch.tensor([[[0, 1, 0, 1], [1, 1, 0, IGNORE]]])
    for loss in (LovaszSoftmax(), LovaszHinge()):
        single = value_and_gradient(loss, torch.zeros(1, 3, 2, 4), labels)
        double = value_and_gradient(loss, torch.zeros(1, 3, 2, 4, dtype=torch.float64), labels)
        torch.testing.assert_close(single[1].double(), double[1], rtol=1e-6, atol=0)


def exact_slopes(errors: NDArray[np.float64], of_class: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Slopes of many elements, from whole numbers: (I′·U − I·U′) / (U′·U)."""
    order = np.argsort(-errors, kind="stable")
    hit = of_class[order].astype(np.int64)
    inter = np.concatenate([[hit.sum()], hit.sum() - np.cumsum(hit)])
    union = np.concatenate([[hit.sum()], hit.sum() + np.cumsum(1 - hit)])
    top = inter[:-1] * union[1:] - inter[1:] * union[:-1]
    slopes = np.empty(len(errors))
    slopes[order] = top / (union[:-1].astype(np.float64) * union[1:])
    return slopes


@pytest.mark.parametrize("by_torch", [False, True])
def test_half_a_million_pixels_lose_no_digit_in_float32(
    by_torch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_torch:  # what a card does
        from geoseg.training.losses import lovasz, lovasz_by_torch  # noqa: PLC0415

        monkeypatch.setattr(lovasz, "_backend", lambda _: lovasz_by_torch)
    random = np.random.default_rng(0)
    size = 1 << 19
    labels = (random.random((1, 1, size)) < 0.03).astype(np.int64)
    # Distinct and exact in float32, so that there is but one order.
    score = random.permutation(size).astype(np.float32)[None, None, None] / np.float32(1 << 17) - 2
    logits = np.concatenate([np.zeros_like(score), score], axis=1)
    _, gradient = value_and_gradient(
        LovaszHinge(), torch.from_numpy(logits), torch.from_numpy(labels)
    )
    own = labels.ravel() == 1
    errors = 1 - np.where(own, 1.0, -1.0) * score.ravel().astype(np.float64)
    wanted = exact_slopes(np.maximum(errors, 0), own) * np.where(own, -1, 1) * (errors > 0)
    np.testing.assert_allclose(gradient[0, 1, 0].numpy(), wanted, rtol=4e-7, atol=0)


@pytest.mark.parametrize("loss", [LovaszSoftmax(), LovaszSoftmax(per_image=True), LovaszHinge()])
def test_the_number_of_threads_changes_no_bit(loss: LovaszSoftmax | LovaszHinge) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 5, 70, 90), torch.randint(0, 5, (3, 70, 90))
    labels[:, :9] = IGNORE
    alone = value_and_gradient(loss, logits, labels)
    torch.set_num_threads(3)
    try:
        shared = value_and_gradient(loss, logits, labels)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(alone[0], shared[0])
    assert torch.equal(alone[1], shared[1])


@pytest.mark.parametrize("hinge", [False, True])
@pytest.mark.parametrize("per_image", [False, True])
def test_a_channels_last_batch_gives_the_same(hinge: bool, per_image: bool) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 5, 17, 9), torch.randint(0, 5, (3, 17, 9))
    loss = (LovaszHinge if hinge else LovaszSoftmax)(per_image=per_image)
    plain = value_and_gradient(loss, logits, labels)
    other = value_and_gradient(loss, logits.to(memory_format=torch.channels_last), labels)
    torch.testing.assert_close(plain, other, rtol=1e-6, atol=0)


@pytest.mark.parametrize("loss", [LovaszSoftmax(), LovaszHinge()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_that_diverged_shows(
    loss: LovaszSoftmax | LovaszHinge, dtype: torch.dtype
) -> None:
    logits = torch.randn(1, 3, 4, 4, dtype=dtype)
    labels = torch.randint(0, 3, (1, 4, 4))
    logits[0, :, 2, 2] = math.nan
    assert math.isnan(float(loss(logits, labels)))


def test_a_label_that_is_no_class_is_refused() -> None:
    with pytest.raises(LabelError, match="labels go from 0 to 3; the classes are 0 to 2"):
        LovaszSoftmax()(torch.zeros(1, 3, 1, 2), torch.tensor([[[0, 3]]]))


def test_the_gradient_is_a_constant_to_a_second_derivative() -> None:
    z = torch.randn(1, 3, 2, 2, requires_grad=True)
    value = LovaszSoftmax()(z, torch.zeros(1, 2, 2, dtype=torch.int64))
    (gradient,) = torch.autograd.grad(value, z, create_graph=True)
    assert not gradient.requires_grad


def test_weights_of_a_single_map_are_refused() -> None:
    two = LossContext(classes=2, class_pixels=(1, 1))
    with pytest.raises(OptionError, match="nothing to weigh"):
        make_loss("lovasz-hinge(weights=median)", two)


def test_of_two_classes_all_are_counted_by_default_and_of_more_those_present() -> None:
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(1, 2, 2, dtype=torch.int64)
    for classes, default in ((2, "all"), (3, "present")):
        context = LossContext(classes=classes, class_pixels=(1,) * classes)
        plain, said = (
            make_loss(text, context)(logits[:, :classes], labels)
            for text in ("lovasz-hinge", f"lovasz-hinge(classes={default})")
        )
        other = "present" if default == "all" else "all"
        unlike = make_loss(f"lovasz-hinge(classes={other})", context)(logits[:, :classes], labels)
        assert torch.equal(plain, said)
        assert not torch.equal(plain, unlike)
