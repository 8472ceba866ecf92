"""Pictures and the page of images that were brought to one colour."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from geoseg.report.homogenise import EMPTY, MOST_BARS, Bar, colours, seam_chart, seam_picture
from geoseg.report.homogenise_page import (
    ImageRow,
    Mosaics,
    SeamRow,
    homogenise_page,
    line,
    times,
)

LIMITS = np.array([[0.0, 10.0]] * 3)


def test_readings_are_stretched_and_gaps_are_told_from_black():
    values = np.array([[[0.0, 5.0, 20.0, np.nan]]] * 3)
    pixels = colours(values, LIMITS)
    assert pixels.dtype == np.uint8
    assert pixels[0].tolist() == [[0] * 3, [128] * 3, [255] * 3, list(EMPTY)]


def test_a_chart_shows_the_largest_differences_and_none_that_are_unknown():
    bars = [Bar(f"pair-{k}", k, k / 10) for k in range(30)] + [Bar("none", math.nan, math.nan)]
    svg = seam_chart(bars).decode()
    shown = set(re.findall(r"pair-\d+", svg))
    assert shown == {f"pair-{k}" for k in range(30 - MOST_BARS, 30)}
    assert "none" not in re.findall(r">(\w+)<", svg)
    assert seam_chart(bars) == svg.encode()


@pytest.mark.parametrize("size", [(20, 30), (300, 20), (3, 400)])
def test_the_picture_is_a_png_with_and_without_pairs(size):
    pixels = np.zeros((*size, 3), np.uint8)
    for bars in ([], [Bar("a – b", 1.5, 0.1)], [Bar("flat", 0, 0)]):
        assert seam_picture(pixels, pixels, bars).startswith(b"\x89PNG")


def page(**changes):
    values = np.full((3, 4, 4), 5.0)
    given = {
        "colour": "that of the group, by overlaps",
        "bands": ("blue", "<red>"),
        "images": [
            ImageRow(name="a & b", gains=(1.0, 1.25), offsets=(0.0, -310.0), clipped=0.0),
            ImageRow(name="c", gains=None, offsets=None, clipped=0.02),
            ImageRow(name="empty", gains=None, offsets=None, clipped=None),
        ],
        "seams": [
            SeamRow(
                first="a & b", second="c", kind="border", band="blue", pixels=1234,
                before=(-20.0, 25.0, 1.5), after=(0.1, 0.2, 0.01),
            )
        ],
        "bars": [Bar("a & b – c", 1.5, 0.01)],
        "overall": (1.5, 0.01),
        "kept": False,
        "notes": ["something is so"],
        "mosaics": Mosaics(
            before=values, after=values, limits=LIMITS, bands=("red", "green", "blue")
        ),
        "options": {"method": "overlap"},
    }  # fmt: skip
    return homogenise_page(**(given | changes))


def test_the_page_says_what_was_found():
    html = page()
    for words in (
        "3 images brought to one colour", "150 ×", "1.25 x − 310", "a &amp; b – c (border)",
        "1,234", "−20", "Something is so.", "&lt;red&gt;", "method", "2.0\N{NO-BREAK SPACE}%",
    ):  # fmt: skip
        assert words in html, words
    assert "<red>" not in html
    assert page() == html


def test_the_page_says_when_nothing_was_changed_or_measured():
    assert "all were left as they are" in page(kept=True)
    html = page(seams=[], bars=[], overall=(math.nan, math.nan))
    assert "Where images meet" not in html
    assert "–" in html


def test_lines_and_ratios_are_written_plainly():
    assert line(1.0, 0.0) == "x"
    assert line(0.5, 2.0) == "0.5 x + 2"
    assert times(1.0, 0.0) == "∞"
    assert times(3.0, 2.0) == "1.5 ×"
