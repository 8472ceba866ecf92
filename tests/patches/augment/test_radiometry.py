"""Changed readings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.patches.augment import augment, make_augmentations
from geoseg.raster.bandstatistics import BandStatistics

RAW_LOW, RAW_HIGH = 20.0, 220.0


def bands(*means_and_stds: tuple[float, float]) -> list[BandStatistics]:
    return [
        BandStatistics(
            name="b", mean=mean, std=std, min=RAW_LOW, max=RAW_HIGH, percentiles={}, count=100
        )
        for mean, std in means_and_stds
    ]


BANDS = bands((100.0, 30.0), (60.0, 12.5))


def raw_patches(number: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0, 260, size=(number, 2, 6, 5))


def through(text: str, raw: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Normalise, augment, and go back to raw units."""
    mean = np.array([b.mean for b in BANDS])[:, None, None]
    std = np.array([b.std for b in BANDS])[:, None, None]
    images = ((raw - mean) / std).astype(np.float32)
    labels = np.full((len(raw), 6, 5), 1, np.uint8)
    moved, mask = augment(
        make_augmentations(text, BANDS), images, labels, np.random.default_rng(seed)
    )
    assert (mask == 1).all()
    return moved * std + mean


def test_noise_is_drawn_for_each_reading_and_leaves_labels_alone() -> None:
    images = np.ones((4, 2, 64, 64), np.float32)
    labels = np.arange(4 * 64 * 64).reshape(4, 64, 64).astype(np.uint8)
    moved, mask = augment(
        make_augmentations("noise(sigma=0.5)"),
        images.copy(),
        labels.copy(),
        np.random.default_rng(0),
    )
    noise = moved - images
    assert noise.std() == pytest.approx(0.5, rel=0.02)
    assert abs(noise.mean()) < 0.02
    assert abs(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]) < 0.05
    assert (mask == labels).all()
    assert moved.dtype == np.float32


@settings(deadline=None)
@given(exponent=st.floats(0.3, 3), seed=st.integers(0, 99))
def test_gamma_bends_tones_between_minimum_and_maximum(exponent: float, seed: int) -> None:
    raw = raw_patches(2, seed)
    moved = through(f"gamma(low={exponent:.6f}, high={exponent:.6f})", raw)
    place = np.maximum(raw - RAW_LOW, 0) / (RAW_HIGH - RAW_LOW)
    bent = RAW_LOW + (RAW_HIGH - RAW_LOW) * place ** float(f"{exponent:.6f}")
    assert np.abs(moved - np.where(raw > RAW_LOW, bent, raw)).max() < 2e-3


def test_gamma_is_one_for_all_bands_of_a_patch_and_another_for_the_next() -> None:
    raw = np.full((300, 2, 6, 5), 120.0)
    moved = through("gamma(low=0.5, high=2)", raw)
    exponents = np.log((moved - RAW_LOW) / 200) / np.log(0.5)
    assert np.ptp(exponents, axis=(1, 2, 3)).max() < 1e-4
    drawn = exponents[:, 0, 0, 0]
    assert 0.5 <= drawn.min() + 1e-4 < 0.55
    assert 1.9 < drawn.max() - 1e-4 <= 2
    assert abs(np.mean(drawn < 1) - 0.5) < 0.1


def test_gamma_leaves_a_band_alone_that_never_varies_or_is_not_known() -> None:
    odd = [
        BandStatistics(name="b", mean=3, std=0, min=3, max=3, percentiles={}, count=9),
        BandStatistics(name="b", mean=3, std=1, min=np.nan, max=np.nan, percentiles={}, count=0),
    ]
    images = np.random.default_rng(0).normal(size=(3, 2, 4, 4)).astype(np.float32)
    moved, _ = augment(
        make_augmentations("gamma", odd),
        images.copy(),
        np.zeros((3, 4, 4), np.uint8),
        np.random.default_rng(0),
    )
    assert moved.tobytes() == images.tobytes()


def test_brightness_multiplies_raw_readings_by_one_factor_a_patch() -> None:
    raw = raw_patches(300)
    factors = through("brightness(by=0.25)", raw) / raw
    assert np.ptp(factors, axis=(1, 2, 3)).max() < 1e-3
    drawn = factors[:, 0, 0, 0]
    assert 0.75 <= drawn.min() + 1e-4 < 0.77
    assert 1.23 < drawn.max() - 1e-4 <= 1.25


def test_brightness_leaves_a_raw_zero_at_zero() -> None:
    assert np.abs(through("brightness(by=1)", np.zeros((9, 2, 6, 5)))).max() < 1e-4


def test_jitter_is_a_straight_line_for_each_band_of_each_patch() -> None:
    raw = raw_patches(200)
    moved = through("jitter(gain=0.3, offset=0.5)", raw)
    lines = []
    for before, after in zip(raw, moved, strict=True):
        for band, x, y in zip(BANDS, before, after, strict=True):
            slope, at_mean = np.polyfit(x.ravel() - band.mean, y.ravel() - band.mean, 1)
            assert np.abs(slope * (x - band.mean) + at_mean + band.mean - y).max() < 1e-3
            lines.append((slope, at_mean / band.std))
    slopes, offsets = np.array(lines).reshape(200, 2, 2).transpose(2, 0, 1)
    assert 0.7 <= slopes.min() + 1e-4 < 0.72
    assert 1.28 < slopes.max() - 1e-4 <= 1.3
    assert np.abs(offsets).max() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(slopes[:, 0], slopes[:, 1])[0, 1]) < 0.2
    assert abs(np.corrcoef(offsets[:, 0], offsets[:, 1])[0, 1]) < 0.2
