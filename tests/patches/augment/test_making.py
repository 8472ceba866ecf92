"""Lists of transforms, and what all of them keep to."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.patches.augment import DEFAULT, Augmentation, augment, make_augmentations, names
from geoseg.patches.augment.affine import Composed
from geoseg.raster.bandstatistics import BandStatistics


def band(mean: float = 50, std: float = 10, low: float = 0, high: float = 100) -> BandStatistics:
    return BandStatistics(
        name="b", mean=mean, std=std, min=low, max=high, percentiles={}, count=100
    )


EVERY = [
    "flips",
    "rot90",
    "rotate",
    "translate",
    "scale",
    "crop(size=4)",
    "crop(size=3, downscale=[1, 2])",
    "noise",
    "gamma",
    "brightness",
    "jitter",
    "rotate, flips, scale, noise, rot90, translate, crop(size=5), gamma",
]


def batch(bands: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    random = np.random.default_rng(bands)
    images = random.normal(size=(5, bands, 6, 7)).astype(np.float32)
    return images, random.integers(0, 3, (5, 6, 7)).astype(np.uint8)


def made(text: str, bands: int) -> tuple[Augmentation, ...]:
    return make_augmentations(text, [band()] * bands)


def test_every_augmentation_is_tried_here() -> None:
    assert names() == tuple(sorted({text.partition("(")[0] for text in EVERY[:-1]}))


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("bands", [1, 3, 13])
def test_the_generator_is_the_only_source_of_chance(text: str, bands: int) -> None:
    transforms = made(text, bands)
    results = [augment(transforms, *batch(bands), np.random.default_rng(s)) for s in (3, 3, 4)]
    assert (results[0][0] == results[1][0]).all()
    assert (results[0][1] == results[1][1]).all()
    assert (results[0][0] != results[2][0]).any()


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("bands", [1, 3, 13])
def test_types_bands_and_number_of_patches_stay(text: str, bands: int) -> None:
    images, labels = augment(made(text, bands), *batch(bands), np.random.default_rng(0))
    assert images.dtype == np.float32
    assert labels.dtype == np.uint8
    assert images.shape[:2] == (5, bands)
    assert images.shape[2:] == labels.shape[1:]
    assert len(labels) == 5
    assert np.isfinite(images).all()


@pytest.mark.parametrize("text", EVERY)
def test_no_new_class_comes_about(text: str) -> None:
    images, labels = batch(2)
    labels[labels == 1] = 255
    _, moved = augment(made(text, 2), images, labels, np.random.default_rng(0))
    assert set(np.unique(moved)) <= {0, 2, 255}


def test_the_default_is_all_symmetries() -> None:
    assert len(make_augmentations(DEFAULT)) == 2
    assert make_augmentations("none") == ()


def test_geometric_transforms_that_follow_each_other_are_one() -> None:
    found = made("flips, rotate, rot90, noise, scale, noise, translate, scale", 1)
    assert [isinstance(t, Composed) for t in found] == [True, False, False, False, True]
    assert [len(t.steps) for t in found if isinstance(t, Composed)] == [3, 2]


def test_symmetries_alone_are_not_resampled() -> None:
    assert not any(isinstance(t, Composed) for t in made("flips, rot90, flips", 1))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("flip", "no augmentation is called 'flip'"),
        ("noise(sigma=-1)", "noise's sigma must be from 0"),
        ("noise(sigma=loud)", "must be a number"),
        ("flips rot90", "--augment .* makes no sense there"),
        ("flips(often=2)", "has no option 'often'; it has: none"),
        ("gamma(bands=2)", "has no option 'bands'; it has: low, high"),
        ("rotate(degrees=200)", "rotate's degrees must be from 0 to 180"),
        ("translate(share=2)", "translate's share must be from 0 to 1"),
        ("scale(low=0)", "scale's low must be from"),
        ("scale(low=2, high=1)", "scale's low 2 is above its high 1"),
        ("gamma(low=3, high=2)", "gamma's low 3 is above its high 2"),
        ("crop(size=0)", "crop's size must be at least 1"),
        ("crop(size=2.5)", "crop's size must be a whole number"),
        ("crop(downscale=[])", "names no factor"),
        ("crop(downscale=[1, 0])", "crop's downscale must be at least 1"),
        ("jitter(gain=2)", "jitter's gain must be from 0 to 1"),
        ("brightness(by=true)", "brightness's by must be a number"),
    ],
)
def test_an_augmentation_without_meaning_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        make_augmentations(text, [band()])


@pytest.mark.parametrize("text", ["gamma", "brightness"])
def test_raw_units_need_statistics_of_these_bands(text: str) -> None:
    with pytest.raises(OptionError, match="needs the statistics of the bands"):
        make_augmentations(text)
    with pytest.raises(OptionError, match="was made for 2 bands and is given 3"):
        augment(made(text, 2), *batch(3), np.random.default_rng(0))
