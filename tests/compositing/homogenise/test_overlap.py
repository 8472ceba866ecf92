"""The adjustment of a block: exact where readings are, unbiased where they are noisy, robust."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.compositing.homogenise.overlap import adjust, components
from geoseg.compositing.homogenise.seams import Samples


def block(down, across, *, number=80, bands=2, noise=0.0, clouds=0.0, seed=0, spread=0.3):
    """Samples of images laid out in rows, with the gains and offsets that would undo theirs."""
    rng = np.random.default_rng(seed)
    images = down * across
    gains = np.exp(rng.normal(0, spread, (images, bands)))
    offsets = rng.normal(0, 300, (images, bands))
    samples = []
    for one in range(images):
        right = one + 1 if (one + 1) % across else images
        for other in (right, one + across):
            if other >= images:
                continue
            ground = rng.normal(rng.normal(3000, 500), 400, (number, bands))
            seen = [ground + noise * rng.normal(size=ground.shape) for _ in range(2)]
            cloudy = rng.random(number) < clouds
            seen[1][cloudy] = 9000 + rng.normal(0, 800, (int(cloudy.sum()), 1))
            a = (seen[0] - offsets[one]) / gains[one]
            b = (seen[1] - offsets[other]) / gains[other]
            weight = np.full(number, 16.0)
            samples.append(Samples(first=one, second=other, a=a, b=b, weight=weight))
    return samples, gains, offsets


def misses(found, gains, offsets):
    """By how much corrected readings of 1000 and 5000 differ between images, free of the gauge."""
    spans = []
    for band in range(gains.shape[1]):
        scale = np.exp(np.log(gains[:, band]).mean())
        ground = np.array([1000.0, 5000.0])
        raw = (ground - offsets[:, band, None]) / gains[:, band, None]
        made = scale * (raw * found.gains[:, band, None] + found.offsets[:, band, None])
        spans.append(np.ptp(made, axis=0).max())
    return max(spans)


@pytest.mark.parametrize("clouds", [0.0, 0.2, 0.35])
@pytest.mark.parametrize(("down", "across"), [(1, 2), (1, 8), (4, 4)])
def test_exact_readings_give_exact_gains_and_offsets(down, across, clouds):
    samples, gains, offsets = block(down, across, clouds=clouds)
    found = adjust(samples, down * across, 2)
    assert misses(found, gains, offsets) < 1e-6
    np.testing.assert_allclose(np.log(found.gains).mean(axis=0), 0, atol=1e-9)
    ratio = found.gains / gains
    np.testing.assert_allclose(ratio, ratio[:1].repeat(len(ratio), axis=0), rtol=1e-9)
    assert found.rejected == pytest.approx(clouds, abs=0.08)


def test_noise_on_both_sides_does_not_flatten_gains():
    slopes, regressions = [], []
    for seed in range(12):
        samples, gains, _ = block(4, 4, number=300, bands=1, noise=200, seed=seed)
        found = adjust(samples, 16, 1)
        true, made = np.log(gains[:, 0]), np.log(found.gains[:, 0])
        slopes.append(np.polyfit(true, made, 1)[0])
        one = samples[0]
        regressions.append(
            np.polyfit(one.a[:, 0], one.b[:, 0], 1)[0] / (gains[0, 0] / gains[one.second, 0])
        )
    # The noise has a quarter of the variance of the ground: regressions come out a fifth too flat.
    assert np.mean(regressions) == pytest.approx(0.8, abs=0.03)
    assert np.mean(slopes) == pytest.approx(1, abs=0.02)


def test_the_order_of_a_pair_means_nothing():
    samples, _, _ = block(1, 2, noise=150, clouds=0.1)
    (one,) = samples
    turned = Samples(first=1, second=0, a=one.b, b=one.a, weight=one.weight)
    found, again = adjust([one], 2, 2), adjust([turned], 2, 2)
    np.testing.assert_allclose(again.gains, found.gains, rtol=1e-6)
    np.testing.assert_allclose(again.offsets, found.offsets, rtol=1e-5, atol=1e-2)


def test_images_without_overlap_stay_and_components_are_told_apart():
    samples, _, _ = block(1, 2, bands=1)
    (one,) = samples
    second = Samples(first=4, second=2, a=one.a, b=one.b, weight=one.weight)
    found = adjust([one, second], 5, 1)
    assert found.component.tolist() == [0, 0, 1, 2, 1]
    assert (found.gains[3], found.offsets[3]) == (1, 0)
    assert adjust([], 3, 2).component.tolist() == [0, 1, 2]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=10))
def test_components_are_those_of_a_slow_flood(pairs):
    found = components(pairs, 8)
    for start in range(8):
        reached = {start}
        for _ in range(8):
            reached |= {b for a, b in pairs if a in reached} | {a for a, b in pairs if b in reached}
        assert {i for i in range(8) if found[i] == found[start]} == reached


def test_flat_overlaps_and_single_samples_leave_gains_alone():
    flat = Samples(
        first=0, second=1, a=np.full((9, 1), 40.0), b=np.full((9, 1), 50.0), weight=np.ones(9)
    )
    single = Samples(first=1, second=2, a=np.array([[7.0]]), b=np.array([[4.0]]), weight=np.ones(1))
    found = adjust([flat, single], 3, 1)
    np.testing.assert_allclose(found.gains, 1, atol=1e-9)
    np.testing.assert_allclose(np.diff(found.offsets[:, 0]), [-10, 3], atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0, 3), st.sampled_from([1, 3]))
def test_gains_are_always_above_0_and_finite(seed, wildness, bands):
    rng = np.random.default_rng(seed)
    samples = []
    for one, other in ((0, 1), (1, 2), (0, 2)):
        number = int(rng.integers(1, 30))
        a = rng.normal(0, 10**wildness, (number, bands))
        b = rng.normal(0, 1, (number, bands)) - a * rng.integers(-1, 2)
        samples.append(Samples(first=one, second=other, a=a, b=b, weight=np.ones(number)))
    found = adjust(samples, 3, bands)
    assert np.isfinite(found.gains).all()
    assert np.isfinite(found.offsets).all()
    assert (found.gains > 0).all()


def test_hundreds_of_images_are_adjusted_together():
    samples, gains, offsets = block(20, 20, number=64, bands=2, noise=20)
    found = adjust(samples, 400, 2)
    assert misses(found, gains, offsets) < 400
