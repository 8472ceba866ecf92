"""The report of `geoseg cam`: what it says is what the numbers say."""

from __future__ import annotations

import io
import math
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from geoseg.inference.cam.gallery import activation_ramp, cam_gallery, main_classes
from geoseg.inference.cam.page import cam_page
from geoseg.inference.cam.remarks import against, best_ways, remarks, seam_words, ways_of
from geoseg.inference.cam.result import CamResult, CamScores, Panel
from geoseg.inference.cam.seams import Seams
from geoseg.raster.legend import Legend
from geoseg.raster.legend.written import parse_legend

LEGEND = parse_legend("1=other:#bdbdbd,5=corn:#ffd300,9=<i>soy</i>:#267000")
NAMES = LEGEND.names
BANDS = ("red", "green", "blue")
VOID = {"meta", "img", "br"}


def seams(line: float, other: float, lattice: float = math.nan) -> Seams:
    return Seams(
        line_difference=(line,),
        other_difference=(other,),
        lattice_difference=(lattice,),
        line_pairs=(1,),
        other_pairs=(1,),
    )


# 100 labelled pixels: 60 other, 30 corn, 10 soy. Right: 62 by arg-max, 58 by z-score, 70 by the
# regression.
ARGMAX = np.array([[54, 6, 0], [22, 8, 0], [8, 2, 0]])
ZSCORE = np.array([[33, 17, 10], [7, 18, 5], [1, 2, 7]])
LOGISTIC = np.array([[50, 8, 2], [12, 18, 0], [5, 3, 2]])
# 10 patches: other in 9, corn in 4, soy in 2; right 9 + 8 + 8 of 30, by majority guess 9 + 6 + 8.
TASK = np.array([[[0, 1], [0, 9]], [[5, 1], [1, 3]], [[7, 1], [1, 1]]])
SCORES = CamScores(
    ways={"logistic": LOGISTIC, "argmax": ARGMAX, "zscore": ZSCORE}, task=TASK, patches=1500
)


def panel(seed: int = 0, *, classes: int = 3, **more: Any) -> Panel:
    random = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "row": 100,
        "col": 40,
        "image": random.integers(0, 99, (3, 6, 8)).astype(np.uint16),
        "valid": np.ones((6, 8), np.bool_),
        "maps": random.normal(size=(classes, 6, 8)).astype(np.float32),
        "index": np.zeros((6, 8), np.uint8),
        "truth": random.integers(0, 2, (6, 8)).astype(np.uint8),
    }
    return Panel(**(made | more))


RESULT = CamResult(
    outputs=(Path("cam.tif"),),
    settings={},
    combine="argmax",
    pixels={"other": 750, "corn": 250, "<i>soy</i>": 0},
    hectares={"other": 67.5, "corn": 22.5, "<i>soy</i>": 0.0},
    nodata=1234,
    seams=seams(1.0, 1.0),
    scores=SCORES,
    panels=(panel(),),
    tiles=42,
    skipped=0,
    seconds=75.0,
)


def page_of(legend: Legend = LEGEND, **changes: Any) -> str:
    page = cam_page(
        replace(RESULT, **changes),
        legend=legend,
        scene="a <scene>.tif",
        model="a <model>",
        bands=BANDS,
        settings={"tile": 50, "scales": "1", "bias": False, "min_area": "0px"},
    )
    return page.replace("\xa0", " ")


class Reader(HTMLParser):
    """Reads a page strictly: every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    """Read a page, and hold that it needs nothing outside and says its pictures in words."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    for tag, attributes in reader.seen:
        assert tag not in {"script", "link", "iframe", "object"}
        if tag == "img":
            assert attributes["alt"]
            assert str(attributes["src"]).startswith("data:image/")
    visible = reader.text.partition("}")[2] + " ".join(str(a.get("alt")) for _, a in reader.seen)
    assert not re.search(r"\bnan\b|\binf\b", visible.lower())
    return reader


def said(scores: CamScores | None = SCORES, used: str | None = "argmax") -> str:
    return " ".join(remarks(scores, used, NAMES)).replace("\xa0", " ")


def cells(page: str, row: str) -> list[str]:
    """Read the texts of a row of the first table that has it."""
    match = re.search(rf"<tr><th scope=row>(?:<span[^>]*></span>)?{row}</th>(.*?)</tr>", page)
    assert match is not None, row
    found = re.findall(r"<td[^>]*>(.*?)</td>", match[1])
    return [re.sub(r"<(?!span class=best)[^>]*>", "", cell) for cell in found]


# -- what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (0.0231, "2.3 points above arg-max"),
        (-0.15, "15.0 points below arg-max"),
        (0.0004, "as good as arg-max"),
        (-0.0004, "as good as arg-max"),
    ],
)
def test_a_lead_is_told_in_points(gain: float, words: str) -> None:
    assert against(gain, "arg-max").replace("\xa0", " ") == words


def test_ways_come_in_one_order_and_the_best_is_the_most_accurate() -> None:
    assert ways_of(SCORES) == ("argmax", "zscore", "logistic")
    assert ways_of(None) == ()
    assert best_ways(SCORES) == ("logistic",)
    equal = replace(SCORES, ways={"median": ARGMAX, "argmax": ARGMAX})
    assert best_ways(equal) == ("argmax", "median")
    assert best_ways(replace(SCORES, ways={"argmax": np.zeros((3, 3), np.int64)})) == ()


def test_a_way_that_is_not_the_best_is_told() -> None:
    text = said(used="argmax")
    assert "made by arg-max, which is 8.0 points below logistic regression, the best way." in text
    assert "Logistic regression, the best way, is 8.0 points above arg-max." in said(
        used="logistic"
    )
    two = replace(SCORES, ways={"argmax": ARGMAX, "zscore": ZSCORE})
    assert "No way is better than arg-max: it is 4.0 points above the next best." in said(two)
    assert "best" not in said(replace(SCORES, ways={"argmax": ARGMAX}))


def test_weak_labels_are_held_against_one_class_everywhere() -> None:
    text = said()
    assert "62.0 % of the labelled pixels are right by arg-max, 2.0 points above giving" in text
    assert "every pixel the class “other”." in text
    assert "58.0 % of the labelled pixels are right by z-score, 2.0 points below" in said(
        used="zscore"
    )


def test_a_network_little_better_than_the_majority_guess_is_told() -> None:
    # 25 of 30 answers are right, by guess 23.
    assert "83.3 % are right, 6.7 points above the majority guess." in said()
    poor = replace(SCORES, ways={"zscore": ZSCORE})  # below one class everywhere
    guess = np.array([[[0, 1], [0, 9]], [[6, 0], [4, 0]], [[8, 0], [2, 0]]])
    same = said(replace(poor, task=guess))
    assert "task accuracy is as good as the majority guess: its maps say little." in same
    better = guess * 100
    better[1] = [[600, 0], [380, 20]]  # 2,320 of 3,000 against 2,300
    assert "is only 0.7 points above the majority guess: its maps say little." in said(
        replace(poor, task=better)
    )
    worse = np.array([[[1, 0], [9, 0]], [[6, 0], [4, 0]], [[8, 0], [2, 0]]])
    assert "is 26.7 points below the majority guess: its maps say little." in said(
        replace(poor, task=worse)
    )
    assert "majority guess" not in said(replace(SCORES, task=None))


def test_maps_that_find_pixels_are_not_said_to_say_little() -> None:
    worse = np.array([[[1, 0], [9, 0]], [[6, 0], [4, 0]], [[8, 0], [2, 0]]])
    assert "is 26.7 points below the majority guess. " in said(replace(SCORES, task=worse))


def test_classes_taken_for_each_other_are_asked_about() -> None:
    swapped = np.array([[10, 50, 0], [25, 5, 0], [5, 0, 5]])
    text = said(replace(SCORES, ways={"argmax": swapped}))
    assert "By arg-max most of “other” is taken for “corn”, and most of “corn” for “other”:" in text
    assert "do the codes" not in said()
    assert "do the codes" not in said(replace(SCORES, ways={"median": swapped}))


def test_rare_classes_found_at_the_cost_of_frequent_ones_are_told() -> None:
    # Rare (below a third): corn and soy; found (8/30 + 0)/2, then (18/30 + 7/10)/2.
    text = said()
    assert "Z-score finds rare classes but gives away frequent ones" in text
    assert "goes from 13.3 % to 65.0 %, of the others from 90.0 % to 55.0 %, compared" in text
    assert "Z-score" not in said(replace(SCORES, ways={"argmax": ZSCORE, "zscore": ARGMAX}))
    assert "Z-score" not in said(replace(SCORES, ways={"argmax": ARGMAX, "median": ZSCORE}))
    # 40, 31 and 29 pixels: none of them is rare.
    even = {"argmax": np.diag([40, 0, 0]), "zscore": np.diag([20, 31, 29])}
    even["argmax"][1:, 0] = 31, 29
    even["zscore"][0, 1] = 20
    assert "Z-score" not in said(replace(SCORES, ways=even))


def test_classes_never_found_are_named() -> None:
    assert "Never found by arg-max: <i>soy</i>." in said()
    assert "Never found" not in said(used="logistic")


def test_nothing_to_compare_with_is_said() -> None:
    assert "no scores" in said(None)
    nothing = replace(SCORES, ways={"argmax": np.zeros((3, 3), np.int64)})
    assert "No pixel was labelled" in said(nothing)
    assert "No pixel was labelled" in said(replace(SCORES, ways={}))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (seams(1.0, 1.0), "patches leave no lines"),
        (seams(1.3, 1.0), "faint lines along patch borders"),
        (seams(1.8, 1.0, 1.2), "lines along patch borders show"),
        (
            seams(4.0, 1.0, 4.1),
            "no rougher than the network's own grid: patches leave no lines",
        ),
        (seams(1.0, 0.0), "lines along patch borders show"),
        (seams(math.nan, 1.0), "there are no lines between patches"),
    ],
)
def test_seams_are_told_in_words(found: Seams, words: str) -> None:
    assert seam_words(found) == words


# -- the page ------------------------------------------------------------------------------------


def test_page_holds_every_part_and_escapes_names() -> None:
    page = page_of(notes=("a note",))
    read(page)
    for title in (
        "In short",
        "Accuracy by way",
        "Classes",
        "What is taken for what",
        "Which classes patches hold",
        "Examples",
        "How it was made",
    ):
        assert f">{title}</h2>" in page
    assert "<h1>Activation maps of a &lt;scene&gt;.tif</h1>" in page
    assert "Model a &lt;model&gt;, 3 classes; weak labels by arg-max; compared" in page
    assert "<i>" not in page
    assert "<li>A note.</li>" in page
    assert "<li>1,234 pixels have no activations.</li>" in page
    assert "<summary>Settings</summary>" in page
    assert cells(page, "min area") == ["0px"]
    assert cells(page, "bias") == ["no"]
    assert "1 min 15 s" not in page  # the same run gives the same page


def test_shares_are_of_the_weak_labels() -> None:
    page = page_of()
    assert cells(page, "other") == ["75.0 %", "750", "67.5"]
    assert cells(page, "&lt;i&gt;soy&lt;/i&gt;") == ["0.0 %", "0", "0.0"]
    assert "rgb(255,211,0)" in page
    assert cells(page_of(hectares=None), "other") == ["75.0 %", "750"]


def test_the_table_of_accuracies_has_the_papers_layout_and_marks_the_best() -> None:
    page = page_of()
    part = page[page.index("Accuracy by way</h2>") :]
    header = re.findall(r"<th scope=col[^>]*>(.*?)</th>", part[: part.index("</thead>")])
    assert header == [
        "",
        "task accuracy",
        "majority guess",
        "arg-max (used)",
        "z-score",
        "logistic regression",
        "most frequent class",
    ]
    accuracies = ["83.3 %", "76.7 %", "62.0 %", "58.0 %", "<span class=best>70.0 %", "60.0 %"]
    assert cells(part, "accuracy") == accuracies
    # Arg-max: 54/90, 8/38 and 0/10. Everything other: 60/100, 0 and 0. The regression: 50/77, 18/41
    # and 2/12. Z-score: 33/68, 18/49 and 7/25. The task: 9/10, 3/5 and 1/3; guessed 9/10, 0 and 0.
    means = [f"{(a + b + c) / 3:.3f}" for a, b, c in (
        (9 / 10, 3 / 5, 1 / 3), (9 / 10, 0, 0), (54 / 90, 8 / 38, 0), (33 / 68, 18 / 49, 7 / 25),
        (50 / 77, 18 / 41, 2 / 12), (60 / 100, 0, 0))]  # fmt: skip
    means[4] = f"<span class=best>{means[4]}"
    assert cells(part, "mean IoU") == means
    assert "The 1,500 patches that the regression was fitted on are left out" in page


def test_the_way_used_is_shown_and_the_others_are_folded() -> None:
    page = page_of()
    assert "over the labelled pixels, by arg-max." in page
    folded = page[page.index("<summary>The same by z-score") :]
    assert "over the labelled pixels, by logistic regression." in folded
    assert "<summary>The same by arg-max" not in page
    # Without weak labels the best way is shown.
    best = page_of(combine=None)
    assert "Of the best way, logistic regression." in best
    assert "<summary>The same by arg-max" in best


def test_what_patches_hold_is_counted_a_class() -> None:
    page = page_of()
    part = page[page.index("Which classes patches hold</h2>") :]
    assert cells(part, "corn") == ["0.600", "0.750", "0.750", "0.750", "4"]
    part = page[page.index("Confusion a class</h3>") :]
    assert cells(part, "corn") == ["3", "1", "1", "5", "80.0 %", "60.0 %"]


def test_same_run_same_page() -> None:
    assert page_of() == page_of()


@pytest.mark.parametrize("combine", [None, "median"])
@pytest.mark.parametrize("panels", [(), (panel(),)])
@pytest.mark.parametrize("scores", [None, replace(SCORES, task=None), replace(SCORES, ways={})])
def test_parts_that_are_missing_are_left_out(
    combine: str | None, panels: tuple[Panel, ...], scores: CamScores | None
) -> None:
    pixels = RESULT.pixels if combine else {}
    page = page_of(combine=combine, panels=panels, scores=scores, pixels=pixels, hectares=None)
    read(page)
    assert (">Examples</h2>" in page) == bool(panels)
    assert (">Accuracy by way</h2>" in page) == (scores is not None)
    assert ("No weak labels were made." in page) == (combine is None)


def test_no_pixel_of_any_class_makes_a_page() -> None:
    page = page_of(pixels=dict.fromkeys(NAMES, 0), seams=seams(math.nan, math.nan), scores=None)
    read(page)
    assert cells(page, "corn")[0] == "–"
    infinite = page_of(seams=seams(1.0, 0.0), scores=None)
    read(infinite)
    assert "∞" in infinite


@pytest.mark.parametrize("classes", [2, 45, 255])
def test_any_number_of_classes_makes_a_page(classes: int) -> None:
    legend = parse_legend(",".join(f"{i}=c{i}" for i in range(classes)))
    # Two ways take their time where there are very many classes.
    names = ("argmax", "zscore") if classes < 100 else ("argmax",)
    ways = {way: np.eye(classes, dtype=np.int64) for way in names}
    task = np.ones((classes, 2, 2), np.int64)
    scores = CamScores(ways=ways, task=task, patches=0)
    page = page_of(
        legend,
        scores=scores,
        pixels=dict.fromkeys(legend.names, 1),
        hectares=None,
        panels=(panel(classes=classes),),
    )
    read(page)
    assert f"{classes} classes" in page
    # The confusion of ways that were not used is left out where it would be very large.
    assert page.count("<summary>The counts in pixels") == (2 if classes < 40 else 1)


# -- examples ------------------------------------------------------------------------------------


def gallery(*panels: Panel, way: str | None = "arg-max") -> str:
    html = "".join(block.html() for block in cam_gallery(panels, LEGEND, BANDS, way))
    return html.replace("\xa0", " ")


def test_examples_show_image_labels_errors_and_maps() -> None:
    html = gallery(panel(truth=np.where(np.arange(48).reshape(6, 8) < 12, 1, 0).astype(np.uint8)))
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert captions == ["image", "labels", "weak labels", "errors", "other", "corn"]
    assert "Rows 100 to 105, columns 40 to 47: 75.0 % of 48 labelled pixels right" in html
    assert "Errors: 12 of 48 labelled pixels are wrong." in html
    assert "Labels: other 75.0 %, corn 25.0 %." in html
    assert "bands red, green, blue as red, green, blue" in html
    assert "no label, or nothing to show" not in html
    assert html.count("<div class=row>") == 2


def test_examples_without_labels_show_image_and_highest_maps_in_a_row() -> None:
    blank = np.full((6, 8), 255, np.uint8)
    html = gallery(panel(index=blank, truth=blank), way=None)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert captions == ["image", "other", "corn", "&lt;i&gt;soy&lt;/i&gt;"]
    assert html.count("<div class=row>") == 1
    assert "right" not in html
    assert gallery() == ""


def test_pixels_without_a_weak_label_are_not_wrong() -> None:
    index = np.zeros((6, 8), np.uint8)
    index[:3] = 255
    truth = np.ones((6, 8), np.uint8)
    truth[3:5] = 0
    html = gallery(panel(index=index, truth=truth))
    assert ": 66.7 % of 24 labelled pixels right" in html
    assert "no label, or nothing to show" in html


def test_a_place_of_nothing_but_nan_is_shown() -> None:
    blank = np.full((6, 8), 255, np.uint8)
    nothing = panel(
        image=np.full((3, 6, 8), np.nan, np.float32),
        valid=np.zeros((6, 8), np.bool_),
        maps=np.full((3, 6, 8), np.nan, np.float32),
        index=blank,
        truth=blank,
    )
    html = gallery(nothing)
    assert "Activation of corn: none here." in html
    assert "no label, or nothing to show" in html
    read(page_of(panels=(nothing, panel())))


def test_maps_shown_are_those_with_the_most_pixels_in_the_order_of_the_legend() -> None:
    index = np.repeat(np.array([5, 1, 3, 3, 0, 255], np.uint8), 8).reshape(6, 8)
    truth = np.repeat(np.array([5, 5, 3, 1, 2, 2], np.uint8), 8).reshape(6, 8)
    shown = panel(classes=6, index=index, truth=truth)
    # Pixels, in rows: 0 has 1, 1 has 2, 2 has 2, 3 has 3, 5 has 3.
    assert main_classes(shown) == (1, 2, 3, 5)
    assert main_classes(shown, 2) == (3, 5)


def test_maps_of_no_label_are_those_with_the_highest_mean() -> None:
    blank = np.full((6, 8), 255, np.uint8)
    maps = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((6, 6, 8), np.float32)
    maps[5] = np.nan
    assert main_classes(panel(maps=maps, index=blank, truth=blank), 3) == (2, 3, 4)


def test_maps_are_drawn_between_limits_common_to_all_places() -> None:
    low = panel(maps=np.full((3, 6, 8), -1, np.float32))
    high = panel(maps=np.full((3, 6, 8), 3, np.float32))
    high.maps[0, 0, 0] = np.nan
    ramp = activation_ramp((low, high))
    assert (ramp.minimum, ramp.maximum) == (-3.0, 3.0)
    assert (activation_ramp((low,)).minimum, activation_ramp((low,)).maximum) == (-1.0, 1.0)
    zero = activation_ramp((panel(maps=np.zeros((3, 6, 8), np.float32)),))
    assert (zero.minimum, zero.maximum) == (-1.0, 1.0)
    # Few values beyond do not widen it, unless all others are 0.
    rising = panel(maps=-np.arange(101, dtype=np.float32).reshape(1, 1, 101))
    assert activation_ramp((rising,)).maximum == 99
    one = np.zeros((3, 6, 8), np.float32)
    one[0, 0, 0] = -2
    assert activation_ramp((panel(maps=one),)).maximum == 2


def map_pixels(html: str) -> NDArray[np.uint8]:
    found = re.findall(r'alt="Activation[^"]*" src="data:image/png;base64,([^"]+)"', html)
    with Image.open(io.BytesIO(b64decode(found[0]))) as image:
        return np.asarray(image.convert("RGB"))


def test_an_activation_of_nothing_is_drawn_in_the_middle_of_the_ramp() -> None:
    maps = np.full((3, 6, 8), 2, np.float32)
    maps[:, 0, 0] = 0
    shown = panel(maps=maps)
    ramp = activation_ramp((shown,))
    middle = ramp.stops[len(ramp.stops) // 2]
    assert middle[0] == 0.5
    found = map_pixels(gallery(shown))
    assert tuple(found[0, 0]) == middle[1]
    assert tuple(found[5, 7]) == ramp.stops[-1][1]
