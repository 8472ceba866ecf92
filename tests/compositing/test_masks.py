"""Clear pixels: every bit and code by hand, and against slow readings of the documents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.compositing.masks import (
    CLASSES,
    CONFIDENCES,
    KINDS,
    ClearRule,
    clear,
    dilated,
    flagged,
)
from geoseg.errors import OptionError

ALL = ClearRule(keep=frozenset(CLASSES))
NOTHING = ClearRule(keep=frozenset())


def one(kind: str, code: int, rule: ClearRule, *, radsat: int | None = None) -> bool:
    """Tell whether a single pixel is clear."""
    name = {"bqa-tm": "bqa", "python-fmask": "fmask"}.get(kind, kind)
    codes = {name: np.array([[code]], np.int64)}
    if radsat is not None:
        codes["qa_radsat"] = np.array([[radsat]], np.uint16)
    return bool(clear(kind, codes, rule)[0, 0])


def only_without(kind: str, code: int, radsat: int | None = None) -> set[str]:
    """Classes of which each, if not kept, masks the pixel."""
    assert one(kind, code, ALL, radsat=radsat)
    every = frozenset(CLASSES)
    return {
        name
        for name in CLASSES
        if not one(kind, code, ClearRule(keep=every - {name}), radsat=radsat)
    }


# 21824 is what USGS lists as "clear, low confidences": bits 6, 8, 10, 12 and 14.
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (21824, set()),
        (21824 | 1 << 1, {"dilated"}),
        (21824 | 1 << 2, {"cirrus"}),
        (21824 | 1 << 3, {"cloud"}),
        (21824 | 1 << 4, {"shadow"}),
        (21824 | 1 << 5, {"snow"}),
        (21824 | 1 << 7, {"water"}),
        (22280, {"cloud"}),  # high confidence cloud
        (23888, {"shadow"}),
        (30048, {"snow"}),
        (54596, {"cirrus"}),
        (54852, {"cirrus"}),  # and of medium confidence cloud, which does not count by default
        (21952, {"water"}),
    ],
)
def test_values_of_qa_pixel_mean_what_usgs_lists(code: int, expected: set[str]) -> None:
    assert only_without("qa_pixel", code) == expected


@pytest.mark.parametrize(
    ("radsat", "expected"),
    [
        (0, set()),
        (1, {"saturated"}),
        (1 << 6, {"saturated"}),
        (1 << 7, set()),
        (1 << 8, {"saturated"}),
        (1 << 11, {"occluded"}),
        (1 << 11 | 1, {"occluded", "saturated"}),
    ],
)
def test_bits_of_qa_radsat(radsat: int, expected: set[str]) -> None:
    assert only_without("qa_pixel", 21824, radsat) == expected


def test_fill_and_dropped_pixels_are_never_clear() -> None:
    assert not one("qa_pixel", 1, ALL)
    assert not one("qa_pixel", 21824, ALL, radsat=1 << 9)
    assert not one("bqa", 1, ALL)
    assert not one("bqa-tm", 672 | 2, ALL)
    for kind, codes in (("fmask", (255, 5, -9999)), ("python-fmask", (0, 6)), ("scl", (0, 12))):
        for code in codes:
            assert not one(kind, code, ALL), (kind, code)


@given(code=st.integers(0, 65535), radsat=st.integers(0, 4095).filter(lambda v: not v & 0x680))
def test_keeping_snow_and_water_is_the_usual_mask(code: int, radsat: int) -> None:
    # In a product the bits of shadow, snow and cirrus say the same as their high confidences.
    for bit, low in ((2, 14), (3, 8), (4, 10)):
        code &= ~(3 << low)
        code |= (3 if code >> bit & 1 else 1) << low
    usual = (code & 0b11111) == 0 and radsat == 0
    assert one("qa_pixel", code, ClearRule.from_text("snow,water"), radsat=radsat) == usual


@pytest.mark.parametrize(
    ("low", "name"), [(8, "cloud"), (10, "shadow"), (12, "snow"), (14, "cirrus")]
)
@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_confidences_of_qa_pixel_count_from_the_one_chosen(
    low: int, name: str, level: int, confidence: str
) -> None:
    rule = ClearRule(keep=frozenset(CLASSES) - {name}, confidence=confidence)
    assert one("qa_pixel", level << low, rule) == (level < CONFIDENCES.index(confidence) + 2)


# 2720 (Landsat 8) and 672 (Landsat 4 to 7) are what USGS lists as clear.
@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("bqa", 2720, set()),
        ("bqa", 2722, {"occluded"}),
        ("bqa", 2724, {"saturated"}),
        ("bqa", 2732, {"saturated"}),
        ("bqa", 2752, set()),  # cloud of medium confidence
        ("bqa", 2800, {"cloud"}),
        ("bqa", 2976, {"shadow"}),
        ("bqa", 3744, {"snow"}),
        ("bqa", 6816, {"cirrus"}),
        ("bqa-tm", 672, set()),
        ("bqa-tm", 752, {"cloud"}),
        ("bqa-tm", 928, {"shadow"}),
        ("bqa-tm", 1696, {"snow"}),
    ],
)
def test_values_of_bqa_mean_what_usgs_lists(kind: str, code: int, expected: set[str]) -> None:
    assert only_without(kind, code) == expected


def test_medium_clouds_of_bqa_are_masked_from_medium_confidence_on() -> None:
    assert one("bqa", 2752, ClearRule(confidence="high"))
    assert not one("bqa", 2752, ClearRule(confidence="medium"))
    assert one("bqa", 2720, ClearRule(confidence="medium"))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("fmask", {0: "", 1: "water", 2: "shadow", 3: "snow", 4: "cloud"}),
        ("python-fmask", {1: "", 2: "cloud", 3: "shadow", 4: "snow", 5: "water"}),
        (
            "scl",
            {1: "saturated", 2: "dark", 3: "shadow", 4: "", 5: "", 6: "water"}
            | {7: "unclassified", 8: "cloud", 9: "cloud", 10: "cirrus", 11: "snow"},
        ),
    ],
)
def test_codes_of_classes(kind: str, expected: dict[int, str]) -> None:
    for code, name in expected.items():
        assert only_without(kind, code) == ({name} - {""}), code


def test_by_default_water_is_kept_and_snow_is_not() -> None:
    codes = {"fmask": np.array([[0, 1, 2, 3, 4, 255]], np.uint8)}
    assert clear("fmask", codes, ClearRule()).tolist() == [[True, True, False, False, False, False]]
    assert clear("fmask", codes, NOTHING).tolist() == [[True, False, False, False, False, False]]


def test_codes_held_as_float_are_read_and_nan_is_fill() -> None:
    codes = {"fmask": np.array([[0, 1, 4, np.nan, np.inf, -9999, 0.5, 65536]], np.float32)}
    expected = [[True, True, False, False, False, False, False, False]]
    assert clear("fmask", codes, ClearRule()).tolist() == expected


def test_what_has_no_reading_is_not_clear_and_does_not_grow() -> None:
    codes = {"fmask": np.array([[0, 0, 255, 0, 0, 0, 4]], np.int16)}
    valid = np.array([[False, True, True, True, True, True, True]])
    assert clear("fmask", codes, ClearRule(dilate=1), valid).tolist() == [
        [False, True, False, True, True, False, False]
    ]


def test_a_cloud_without_reading_does_not_grow() -> None:
    codes = {"fmask": np.array([[4, 0, 0]], np.int16)}
    valid = np.array([[False, True, True]])
    assert clear("fmask", codes, ClearRule(dilate=1), valid).tolist() == [[False, True, True]]


def test_dilation_grows_to_all_sides_and_corners() -> None:
    codes = np.zeros((5, 6), np.uint8)
    codes[1, 4] = 4
    assert clear("fmask", {"fmask": codes}, ClearRule(dilate=1)).tolist() == [
        [True, True, True, False, False, False],
        [True, True, True, False, False, False],
        [True, True, True, False, False, False],
        [True, True, True, True, True, True],
        [True, True, True, True, True, True],
    ]


def slow_dilation(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    result = np.zeros_like(mask)
    for row, col in np.argwhere(mask):
        result[max(0, row - pixels) : row + pixels + 1, max(0, col - pixels) : col + pixels + 1] = 1
    return result


@given(data=st.data(), pixels=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_dilation_equals_painting_a_square_around_every_pixel(
    data: st.DataObject, pixels: int
) -> None:
    shape = data.draw(st.tuples(st.integers(1, 15), st.integers(1, 15)))
    seed = data.draw(st.integers(0, 2**32 - 1))
    mask = np.random.default_rng(seed).random(shape) < data.draw(st.sampled_from([0.0, 0.03, 0.3]))
    assert np.array_equal(dilated(mask, pixels), slow_dilation(mask, pixels))


@given(seed=st.integers(0, 2**32 - 1), pixels=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_window_with_its_margin_comes_out_as_the_whole_does(seed: int, pixels: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.choice([0, 0, 0, 0, 0, 0, 0, 4, 255], (30, 30))
    rule = ClearRule(dilate=pixels)
    whole = clear("fmask", {"fmask": codes}, rule)
    row, col, reach = *rng.integers(6, 14, 2), rule.reach
    wide = codes[row - reach : row + 10 + reach, col - reach : col + 10 + reach]
    part = clear("fmask", {"fmask": wide}, rule)
    inner = part[reach : reach + 10, reach : reach + 10]
    assert np.array_equal(inner, whole[row : row + 10, col : col + 10])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("kind", ["fmask", "scl"])
def test_the_type_of_codes_does_not_matter(kind: str, dtype: str) -> None:
    codes = np.arange(12).reshape(3, 4)
    expected = clear(kind, {kind: codes}, ClearRule())
    assert np.array_equal(clear(kind, {kind: codes.astype(dtype)}, ClearRule()), expected)


def test_16_bits_in_a_signed_type_are_the_same_bits() -> None:
    codes = np.array([[21824, 54596, 1]], np.uint16)
    for rule in (ClearRule(), ALL):
        expected = clear("qa_pixel", {"qa_pixel": codes}, rule)
        found = clear("qa_pixel", {"qa_pixel": codes.view(np.int16)}, rule)
        assert np.array_equal(found, expected)


def test_codes_given_are_left_as_they_are() -> None:
    codes = np.full((4, 4), 22280, np.uint16)
    valid = np.ones((4, 4), bool)
    clear("qa_pixel", {"qa_pixel": codes}, ClearRule(dilate=2), valid)
    assert (codes == 22280).all()
    assert valid.all()


def test_rules_from_text() -> None:
    assert ClearRule.from_text("Snow, water").keep == {"snow", "water"}
    assert ClearRule.from_text("none") == NOTHING
    assert ClearRule.from_text("") == NOTHING
    assert ClearRule.from_text("cirrus", dilate=3, confidence="medium").reach == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClearRule.from_text("snow,fog"), "cannot keep “fog”.*water, snow, cirrus"),
        (lambda: ClearRule(confidence="sure"), "“sure” is not known; there are: medium, high"),
        (lambda: ClearRule(dilate=-1), "cannot grow by -1 pixels"),
        (lambda: clear("qa60", {}, ClearRule()), "“qa60” is not known; there are: qa_pixel"),
        (lambda: clear("scl", {}, ClearRule()), "“scl” needs a band “scl”"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(OptionError, match=message):
        make()


def test_every_kind_is_tested_here() -> None:
    assert set(KINDS) == {"qa_pixel", "bqa", "bqa-tm", "fmask", "python-fmask", "scl"}


def test_what_hides_pixels_is_counted_by_its_name() -> None:
    # SCL: snow, snow, cloud, water, fill, land without a reading.
    codes = {"scl": np.array([[11, 11, 9, 6, 0, 4]], np.uint8)}
    valid = np.array([[True] * 5 + [False]])
    assert flagged("scl", codes, ClearRule(dilate=3), valid) == (4, {"snow": 2, "cloud": 1})
    nothing = ClearRule(keep=frozenset())
    assert flagged("scl", codes, nothing, valid)[1] == {"water": 1, "snow": 2, "cloud": 1}
    every = ClearRule(keep=frozenset(CLASSES))
    assert flagged("scl", codes, every) == (5, {})


@given(st.integers(0, 2**32), st.sampled_from(KINDS))
@settings(max_examples=30, deadline=None)
def test_a_pixel_that_is_not_clear_is_fill_or_hidden_by_some_flag(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    names = {"qa_pixel": "qa_pixel", "bqa-tm": "bqa", "python-fmask": "fmask"}
    rule = ClearRule()
    for code in rng.integers(0, 1 << 16 if "a" in kind[1:3] else 12, 8):
        codes = {names.get(kind, kind): np.array([[code]], np.uint16)}
        readings, flags = flagged(kind, codes, rule)
        assert bool(clear(kind, codes, rule)[0, 0]) == (readings == 1 and not flags)
