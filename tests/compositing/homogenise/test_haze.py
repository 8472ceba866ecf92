"""Haze and casts of colour, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from geoseg.compositing.homogenise.colour import Line
from geoseg.compositing.homogenise.haze import balance, clear, prepare
from geoseg.compositing.homogenise.measure import BandMeasure, ImageStatistics
from geoseg.compositing.homogenise.standard import SHARES
from geoseg.errors import BandError, ColourError


def band(name: str = "red", mean: float = 0.0, *, dark: float = 0.0) -> BandMeasure:
    return BandMeasure(name=name, mean=mean, deviation=1.0, quantiles=SHARES, dark=dark)


def statistics(*bands: BandMeasure, count: int = 100) -> ImageStatistics:
    return ImageStatistics(name="a", count=count, bands=bands)


def test_dark_objects_come_down_to_the_darkest() -> None:
    images = [statistics(band(dark=30), band(dark=9)), statistics(band(dark=12), band(dark=11))]
    assert clear(images) == (
        (Line(offset=-18), Line(offset=0)),
        (Line(offset=0), Line(offset=-2)),
    )


def test_an_image_without_pixels_says_nothing_of_haze() -> None:
    empty = statistics(band(dark=math.nan), count=0)
    assert clear([statistics(band(dark=30)), empty]) == ((Line(offset=0),), (Line(),))


def test_visible_bands_get_one_mean_and_others_stay() -> None:
    image = statistics(
        band("NIR", 300), band("Red", 40), band("green B3", 50), band("blue", 60), band("swir", 9)
    )
    assert balance(image) == (1, 50 / 40, 1, 50 / 60, 1)


def test_haze_goes_before_the_cast() -> None:
    one = statistics(*(band(n, 60, dark=d) for n, d in (("red", 10), ("green", 5), ("blue", 20))))
    two = statistics(*(band(n, 50, dark=5) for n in ("red", "green", "blue")))
    first, second = prepare([one, two], haze="dark-object", cast="grey-world")
    assert second == (Line(), Line(), Line())
    # 60 − 5, 60 − 0 and 60 − 15 are brought to their mean, 160 / 3.
    for found, mean, offset in zip(first, (55, 60, 45), (-5, 0, -15), strict=True):
        assert found.gain == pytest.approx(160 / 3 / mean)
        assert found.offset == pytest.approx(offset * 160 / 3 / mean)
        assert found.gain * 60 + found.offset == pytest.approx(160 / 3)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("red", "green", "nir"), "no band of “blue”"),
        (("red 1", "red 2", "green", "blue"), "several bands of “red”"),
    ],
)
def test_a_cast_without_the_names_of_its_bands_is_refused(
    names: Sequence[str], message: str
) -> None:
    with pytest.raises(BandError, match=message + r".*--band-names"):
        balance(statistics(*(band(name, 10) for name in names)))


def test_a_cast_of_a_mean_that_is_not_above_0_is_refused() -> None:
    image = statistics(band("red", 5), band("green", -1), band("blue", 5))
    with pytest.raises(ColourError, match=r"a: the mean of band “green” is -1"):
        balance(image)
