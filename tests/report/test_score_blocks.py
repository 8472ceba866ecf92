"""Blocks of scores: the numbers given are the numbers written."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from geoseg.raster.legend.written import parse_legend
from geoseg.report.page import Block
from geoseg.report.score_blocks import class_blocks, confusion_blocks, one_by_one

LEGEND = parse_legend("1=water:#0000ff,2=<i>ice</i>:#00ff00")
PIXELS: list[dict[str, Any]] = [
    {"name": "water", "iou": 0.5, "recall": 0.75, "precision": 0.6, "pixels": 3000},
    {"name": "<i>ice</i>", "iou": None, "recall": None, "precision": None, "pixels": 0},
]


def html_of(blocks: tuple[Block, ...]) -> str:
    return "".join(block.html() for block in blocks).replace("\xa0", " ")


def rows(html: str) -> list[list[str]]:
    found = re.findall(r"<tr>(.*?)</tr>", html)
    return [[re.sub("<[^>]*>", "", c) for c in re.findall(r"<t[hd].*?</t[hd]>", r)] for r in found]


def test_classes_of_pixels_have_their_share_of_the_labels() -> None:
    html = html_of(class_blocks(PIXELS, LEGEND, over="the test pixels"))
    assert rows(html) == [
        ["class", "IoU", "recall", "precision", "pixels", "share of labels"],
        ["water", "0.500", "0.750", "0.600", "3,000", "100.0 %"],
        ["&lt;i&gt;ice&lt;/i&gt;", "–", "–", "–", "0", "0.0 %"],
    ]
    assert "of each class, over the test pixels." in html
    assert "IoU of each class: water 0.500, &lt;i&gt;ice&lt;/i&gt; –." in html
    assert "harmonic mean" not in html


def test_classes_of_patches_have_f1_and_no_share() -> None:
    patches = [{**c, "patches": c["pixels"], "f1": 0.25} for c in PIXELS]
    for c in patches:
        del c["pixels"]
    html = html_of(class_blocks(patches, LEGEND, over="the patches"))
    assert rows(html)[0] == ["class", "IoU", "recall", "precision", "F1", "patches"]
    assert rows(html)[1][4:] == ["0.250", "3,000"]
    assert "F1: the harmonic mean" in html
    assert "how much of a class's patches" in html.replace("&#x27;", "'")


def test_confusion_has_labels_in_rows_and_what_was_made_of_them_in_columns() -> None:
    counts = np.array([[1500, 500], [0, 0]])
    html = html_of(confusion_blocks(counts, LEGEND, columns="weak labels"))
    assert rows(html) == [
        ["labels ↓  weak labels →", "water", "&lt;i&gt;ice&lt;/i&gt;"],
        ["water", "1,500", "500"],
        ["&lt;i&gt;ice&lt;/i&gt;", "0", "0"],
    ]
    assert "right share of each labelled class: water 75.0 %." in html
    assert "predictions" in html_of(confusion_blocks(counts, LEGEND))


def one_map(name: str, wrong: int, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "scored_pixels": 4000,
        "wrong_pixels": wrong,
        "pixel_accuracy": 1 - wrong / 4000,
        "mean_iou": None,
    } | more


def test_maps_are_listed_with_the_most_wrong_first() -> None:
    html = html_of(one_by_one([one_map("a", 100), one_map("<b>", 1000)], "maps"))
    assert "2 maps, those with the most wrong pixels first." in html
    assert rows(html)[1:] == [
        ["&lt;b&gt;", "4,000", "1,000", "0.750", "–"],
        ["a", "4,000", "100", "0.975", "–"],
    ]


def test_photographs_have_their_stages_and_of_many_the_worst_are_listed() -> None:
    found = [one_map(f"p{n}", n, stage_labels="I", stage="II") for n in range(60)]
    html = html_of(one_by_one(found, "photographs"))
    assert rows(html)[0][-2:] == ["stage in labels", "stage"]
    assert [row[0] for row in rows(html)[1:]] == [f"p{n}" for n in range(59, 9, -1)]
    assert rows(html)[1][-2:] == ["I", "II"]
    assert "50 are shown; photographs.csv in the folder of the report has all." in html
