"""Charts: the numbers are in them, and the same numbers give the same bytes."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from geoseg.report.canvas import Form
from geoseg.report.charts import Group, Line, Panel, curves, gains, spreads
from geoseg.report.class_charts import ClassScore, class_bars, confusion_picture

PANEL = Panel(
    "Loss",
    (Line("training", (1.0, 0.5, 0.4), quiet=True), Line("validation", (0.9, math.nan, 0.6))),
    mark=3,
)


def words(svg: bytes) -> list[str]:
    """All text of a chart."""
    root = ET.fromstring(svg)
    return ["".join(e.itertext()).strip() for e in root.iter("{http://www.w3.org/2000/svg}text")]


def draw(form: Form) -> list[bytes]:
    return [
        curves([PANEL], form=form),
        curves([PANEL] * 4, form=form),
        class_bars([ClassScore("water", (0, 0, 255), 0.5, 0.75)], form=form),
        confusion_picture(np.array([[3, 1], [0, 0]]), ["water", "rock"], form=form),
        gains([1, 2], [0.4, 0.5], [0.5, 0.55], form=form),
        spreads([Group("ce", (0.2, 0.4), 0.3, 0.1, best=True)], form=form),
    ]


@pytest.mark.parametrize("form", ["svg", "png"])
def test_same_numbers_same_bytes(form: Form) -> None:
    assert draw(form) == draw(form)


def test_same_bytes_in_another_process_without_pyplot_whatever_the_users_settings(
    tmp_path: Path,
) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 30\naxes.grid: False\nsvg.fonttype: path\n")
    code = (
        "from geoseg.report.charts import *; import sys;"
        "assert 'matplotlib' not in sys.modules;"
        "sys.stdout.buffer.write(curves([Panel('Loss', (Line('a', (1.0, 0.5)),))]));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=tmp_path, check=True
    )
    assert done.stdout == curves([Panel("Loss", (Line("a", (1.0, 0.5)),))])


def test_charts_hold_no_date_no_version_and_no_outside_address() -> None:
    for svg in draw("svg"):
        text = svg.decode()
        assert "matplotlib" not in text.lower().replace("matplotlib.axis", "")
        assert "dc:date" not in text
        assert "DTD" not in text
        outside = [part for part in text.split('"') if part.startswith("http")]
        assert set(outside) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    for png in draw("png"):
        with Image.open(io.BytesIO(png)) as image:
            image.load()
            assert set(image.info) <= {"dpi"}


def test_svg_follows_light_and_dark() -> None:
    for svg in draw("svg"):
        text = svg.decode()
        assert "prefers-color-scheme:dark" in text
        assert "var(--ink)" in text
        assert "#1b2431" not in text.partition("</style>")[2]


def test_charts_leave_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    draw("png")
    assert dict(matplotlib.rcParams) == before


def test_lines_are_named_and_the_kept_epoch_is_marked() -> None:
    assert {"training", "validation", "epoch kept", "epoch"} <= set(words(curves([PANEL])))
    assert "Loss" not in words(curves([PANEL]))
    assert words(curves([PANEL] * 4)).count("Loss") == 4


@pytest.mark.parametrize(
    "values",
    [(), (1.0,), (math.nan,), (math.nan, 1.0), (0.0, 0.0), (5.0, 5.0, 5.0), (1e6, 1.0, 1e-3)],
)
def test_any_history_can_be_drawn(values: tuple[float, ...]) -> None:
    for form in ("svg", "png"):
        assert curves([Panel("x", (Line("a", values),), may_be_log=True)], form=form)  # type: ignore[arg-type]


def test_losses_that_fall_far_get_a_logarithmic_axis() -> None:
    far = words(curves([Panel("x", (Line("", (100.0, 0.1)),), may_be_log=True)]))
    assert {"0.1", "1", "10", "100"} <= set(far)


def test_bars_say_what_is_not_there() -> None:
    nan = math.nan
    found = words(
        class_bars(
            [
                ClassScore("water", (0, 0, 255), 0.25, 0.5),
                ClassScore("ice", (255, 255, 255), nan, nan),
                ClassScore("rock", (9, 9, 9), 0.0, nan),
            ]
        )
    )
    assert {"0.250", "neither in labels nor in predictions", "water", "ice"} <= set(found)
    assert "predicted, but not in the labels" in found


def test_confusion_shows_shares_of_rows_and_counts() -> None:
    counts = np.array([[750_000, 250_000, 0], [0, 0, 0], [1, 0, 999]])
    found = words(confusion_picture(counts, ["water", "ice", "rock"]))
    assert {"75 %", "750k", "25 %", "250k", "<1 %", "100 %", "999"} <= set(found)
    assert "no labelled pixels" in found
    assert "0 %" not in found


@pytest.mark.parametrize("number", [1, 10, 11, 22, 23, 60])
def test_confusion_of_many_classes_gets_fewer_words(number: int) -> None:
    counts = np.full((number, number), 7)
    found = words(confusion_picture(counts, [f"class {i}" for i in range(number)]))
    cells = [w for w in found if not w.startswith("class") and "as" not in w]
    per_cell = 2 if number <= 10 else 1 if number <= 22 else 0
    assert len(cells) == per_cell * number**2


@pytest.mark.parametrize(
    "name", ["$x_1$", "a & b <c>", "林地", "\\frac{1}{2}", "x" * 200, "_hidden"]
)
def test_names_are_drawn_as_they_are(name: str) -> None:
    bars = words(class_bars([ClassScore(name, (1, 2, 3), 0.5, 0.5)]))
    assert (name if len(name) < 27 else name[:25] + "…") in bars
    for form in ("svg", "png"):
        assert confusion_picture(np.array([[1]]), [name], form=form)  # type: ignore[arg-type]
        assert spreads([Group(name, (0.5,), 0.5, math.nan)], form=form)  # type: ignore[arg-type]


def test_gains_and_spreads_take_what_is_undefined() -> None:
    assert gains([1], [math.nan], [0.5])
    assert "–" in words(spreads([Group("a", (math.nan,), math.nan, math.nan)]))
