"""Pictures of patches, read back by a reader of PNG that shares no code with the writer."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from geoseg.errors import OptionError
from geoseg.raster.legend.palette import Ramp
from geoseg.raster.legend.written import parse_legend
from geoseg.report.pictures import (
    MOST_SIDE,
    RIGHT_COLOR,
    UNLABELLED_COLOR,
    WRONG_COLOR,
    class_picture,
    error_picture,
    ramp_picture,
    rgb_picture,
    show_bands,
    stretch_limits,
)

LEGEND = parse_legend("1=water:#0000ff,5=forest:#00ff00,9=rock:#808000")


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("blue", "green", "red", "nir"), (2, 1, 0)),
        (("SR_Red", "SR_Green", "SR_Blue"), (0, 1, 2)),
        (("green", "red", "nir"), (2, 1, 0)),
        (("band_1", "band_2", "band_3", "band_4"), (0, 1, 2)),
        (("red edge 1", "red", "green", "blue"), (1, 2, 3)),
        (("ultra blue", "blue", "green", "red", "nir"), (3, 2, 1)),
        (("red 1", "red 2", "green", "blue"), (0, 1, 2)),  # two reds: no guess by name
        (("a", "b"), (0, 0, 0)),
    ],
)
def test_bands_are_chosen_by_name(names: tuple[str, ...], shown: tuple[int, int, int]) -> None:
    assert show_bands(names) == shown


def test_a_picture_needs_a_band() -> None:
    with pytest.raises(OptionError, match="one band or more"):
        show_bands(())


def test_limits_are_percentiles_over_all_patches_without_fill_and_nan() -> None:
    one = np.arange(101, dtype=np.float32).reshape(1, 1, 101)
    other = np.array([[[np.nan, -9999.0]]], np.float32)
    assert stretch_limits([one, other], (0,), fill=-9999).tolist() == [[2.0, 98.0]]


def test_fill_in_one_band_alone_is_a_reading() -> None:
    image = np.array([[[0, 0, 10]], [[0, 5, 5]]], np.uint16)
    limits = stretch_limits([image], (0,), fill=0)
    assert limits[0] == pytest.approx(np.percentile([0, 10], (2, 98)))


def test_fill_that_was_normalised_and_put_back_is_still_fill() -> None:
    image = np.array([[[0.0004, 9000.0, 11000.0]]], np.float32)
    assert stretch_limits([image], (0,), fill=0)[0, 0] > 8999


@pytest.mark.parametrize("value", [0, 7])
def test_a_flat_band_is_grey_and_no_division_by_zero(value: int) -> None:
    image = np.full((3, 2, 2), value, np.uint16)
    assert np.unique(pixels(rgb_picture(image, (0, 1, 2)))).tolist() == [128]


def test_a_patch_of_nothing_but_nan_is_black() -> None:
    assert not pixels(rgb_picture(np.full((1, 2, 2), np.nan, np.float32), (0, 0, 0))).any()


def test_readings_are_stretched_between_the_limits_and_clipped() -> None:
    image = np.array([[[0, 10, 15, 20, 99]]], np.uint16)
    limits = np.array([[10.0, 20.0]] * 3)
    found = pixels(rgb_picture(image, (0, 0, 0), limits))
    assert found[0, :, 0].tolist() == [0, 0, 128, 255, 255]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_classes_are_drawn_in_their_colours(rows: int, cols: int, seed: int) -> None:
    classes = np.random.default_rng(seed).choice([0, 1, 2, 255], (rows, cols)).astype(np.uint8)
    expected = [
        [UNLABELLED_COLOR if v == 255 else LEGEND.colors[v] for v in row]
        for row in classes.tolist()
    ]
    assert pixels(class_picture(classes, LEGEND)).tolist() == np.array(expected).tolist()


def test_errors_are_right_wrong_or_unlabelled() -> None:
    truth = np.array([[0, 0, 255, 255]], np.uint8)
    prediction = np.array([[0, 1, 1, 255]], np.uint8)
    expected = [RIGHT_COLOR, WRONG_COLOR, UNLABELLED_COLOR, UNLABELLED_COLOR]
    assert pixels(error_picture(truth, prediction))[0].tolist() == [list(c) for c in expected]


@pytest.mark.parametrize(("rows", "cols"), [(MOST_SIDE + 1, 3), (1, 1000), (800, 770)])
def test_large_patches_are_reduced_all_alike(rows: int, cols: int) -> None:
    image = np.random.default_rng(0).integers(0, 1000, (1, rows, cols)).astype(np.uint16)
    limits = np.array([[0.0, 1000.0]] * 3)
    found = pixels(rgb_picture(image, (0, 0, 0), limits))
    step = -(-max(rows, cols) // MOST_SIDE)
    assert max(found.shape[:2]) <= MOST_SIDE
    block = image[0, : min(step, rows), : min(step, cols)]
    assert abs(float(found[0, 0, 0]) - block.mean() * 0.255) <= 0.51
    classes = np.zeros((rows, cols), np.uint8)
    assert pixels(class_picture(classes, LEGEND)).shape == found.shape


def test_same_patch_same_bytes() -> None:
    image = np.arange(48, dtype=np.uint16).reshape(3, 4, 4)
    assert rgb_picture(image, (0, 1, 2)) == rgb_picture(image.copy(), (0, 1, 2))


GREY = Ramp(name="ours", minimum=-2, maximum=2, stops=((0, (0, 0, 0)), (1, (254, 254, 254))))
THREE = Ramp(
    name="ours",
    minimum=-1,
    maximum=1,
    stops=((0, (0, 0, 200)), (0.5, (250, 250, 250)), (1, (200, 100, 0))),
)


def test_values_are_drawn_between_the_limits_of_a_ramp_and_clipped() -> None:
    values = np.array([[-np.inf, -9, -2, 0, 1, 2, 9, np.inf]], np.float32)
    found = pixels(ramp_picture(values, GREY))
    assert found[0, :, 0].tolist() == [0, 0, 0, 127, 190, 254, 254, 254]


def test_stops_and_the_middle_of_a_ramp_are_drawn_as_they_are() -> None:
    found = pixels(ramp_picture(np.array([[-1, 0, 1, 0.5]]), THREE))
    assert found[0, :3].tolist() == [list(color) for _, color in THREE.stops]
    assert found[0, 3].tolist() == pytest.approx([225, 175, 125], abs=1)


def test_values_that_are_not_there_are_grey() -> None:
    assert (
        pixels(ramp_picture(np.full((2, 3), np.nan), THREE)).tolist()
        == [[list(UNLABELLED_COLOR)] * 3] * 2
    )


def test_a_reduced_ramp_shows_the_mean_of_what_is_there() -> None:
    values = np.full((2 * MOST_SIDE, 4), np.nan, np.float32)
    values[0, :2] = (-2, 0)  # of four pixels two are there: −1
    values[0:2, 2:] = 2
    found = pixels(ramp_picture(values, GREY))
    assert found.shape == (MOST_SIDE, 2, 3)
    assert found[0, :, 0].tolist() == [64, 254]
    assert found[1, 0].tolist() == list(UNLABELLED_COLOR)


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_colours_of_a_ramp_are_those_between_its_stops(values: list[float]) -> None:
    found = pixels(ramp_picture(np.array([values], np.float32), THREE))[0].astype(int)
    for value, color in zip(values, found, strict=True):
        share = (min(max(value, -1), 1) + 1) / 2
        (low, first), (high, second) = (
            THREE.stops[:2] if share <= 0.5 else THREE.stops[1:]  # the two stops around it
        )
        part = (share - low) / (high - low)
        expected = [a + part * (b - a) for a, b in zip(first, second, strict=True)]
        # 255 places: half a step is at most 1/254 of the way between two stops.
        assert np.abs(color - expected).max() <= 250 / 254 + 0.51


def test_same_values_same_bytes() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert ramp_picture(values, GREY) == ramp_picture(values.copy(), GREY)
