"""A rule asked of a server means what it means here, for every code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.compositing.earthengine.rules import BitTests, ClassTests, band_rules
from geoseg.compositing.masks import CLASSES, CONFIDENCES, ClearRule, clear

RULES = st.builds(
    ClearRule,
    keep=st.sets(st.sampled_from(CLASSES)).map(frozenset),
    confidence=st.sampled_from(CONFIDENCES),
)


@settings(max_examples=60, deadline=None)
@given(RULES, st.integers(0, 65535))
def test_bits_hide_what_the_local_rule_hides(rule, saturation):
    codes = np.arange(65536, dtype=np.uint16)
    pixel, radsat = band_rules("qa_pixel", ("qa_pixel", "qa_radsat"), rule)
    hidden = pixel.fill.matches(codes) | pixel.masked.matches(codes)
    other = np.full_like(codes, saturation)
    hidden |= radsat.fill.matches(other) | radsat.masked.matches(other)
    both = {"qa_pixel": codes[None], "qa_radsat": other[None]}
    np.testing.assert_array_equal(~hidden, clear("qa_pixel", both, rule)[0])


def test_landsat_by_default_asks_for_fill_cloud_shadow_snow_and_their_confidences():
    (pixel,) = band_rules("qa_pixel", ("qa_pixel",), ClearRule())
    assert pixel.fill == BitTests(any_of=0b1)
    assert pixel.masked == BitTests(
        any_of=0b111111, all_of=(0b11 << 8, 0b11 << 10, 0b11 << 12, 0b11 << 14)
    )


def test_medium_confidence_asks_for_the_upper_bit_of_each_pair():
    (pixel,) = band_rules("qa_pixel", ("qa_pixel",), ClearRule(confidence="medium"))
    assert pixel.masked == BitTests(any_of=0b111111 | 1 << 9 | 1 << 11 | 1 << 13 | 1 << 15)


@pytest.mark.parametrize(
    ("keep", "codes"),
    [("water", (4, 5, 6)), ("none", (4, 5)), ("snow,dark", (2, 4, 5, 11))],
)
def test_a_scene_classification_asks_for_the_codes_to_keep(keep, codes):
    (scl,) = band_rules("scl", ("scl",), ClearRule.from_text(keep))
    assert scl.masked == ClassTests(codes=codes)
    assert scl.fill == ClassTests(codes=tuple(range(1, 12)))
