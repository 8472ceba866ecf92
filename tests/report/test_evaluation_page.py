from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from geoseg.raster.legend.written import parse_legend
from geoseg.report.evaluation_page import Side, WorstPatch, evaluation_page
from geoseg.report.pictures import write_png

LEGEND = parse_legend("1=water,2=<b>forest</b>")


def content(name: str, **more: Any) -> dict[str, Any]:
    scores = {
        "pixel_accuracy": 0.75,
        "mean_accuracy": 0.7,
        "mean_iou": 0.6,
        "mean_f1": None,
        "kappa": 0.5,
    }
    classes = [
        {"name": c, "iou": 0.6, "recall": None, "precision": 0.5, "f1": 0.4, "pixels": 4}
        for c in LEGEND.names
    ]
    return {
        "prediction": name,
        "labels": "l.tif",
        "notes": ["3 px are odd"],
        "pixels": {"scored": 8},
        "scores": scores,
        "classes": classes,
        "confusion": {"counts": [[3, 1], [1, 3]]},
        "errors": [{"truth": "a", "prediction": "b", "pixels": 1, "share_of_errors": 0.5}],
        "unpredicted_is_wrong": False,
    } | more


def side(name: str = "map.tif", **more: Any) -> Side:
    return Side(content=content(name, **more), shares=None, cell=1, worst=())


def test_page_needs_only_scores_and_escapes_names() -> None:
    page = evaluation_page([side()], LEGEND)
    assert "map.tif against l.tif</h1>" in page
    assert "3 px are odd." in page
    assert "&lt;b&gt;forest&lt;/b&gt;" in page
    assert "<b>forest" not in page
    assert "Where it is wrong" not in page


def test_page_is_the_same_for_the_same_content() -> None:
    assert evaluation_page([side()], LEGEND) == evaluation_page([side()], LEGEND)


def test_intervals_stand_with_the_scores_and_unknown_ones_are_dashes() -> None:
    ends = {key: [0.7, 0.8] for key in content("")["scores"]} | {"mean_f1": [None, None]}
    intervals = {
        "level": 0.95,
        "resamples": 1000,
        "blocks": 40,
        "block_px": [64, 32],
        "scores": ends,
    }
    page = evaluation_page([side(intervals=intervals)], LEGEND)
    assert page.count("95 % interval 0.700 – 0.800") == 4
    assert "95 % interval –<" in page
    assert "40 blocks of 64 × 32 px" in page


def test_differences_have_a_table_of_their_own() -> None:
    found = {key: {"difference": -0.1} for key in content("")["scores"]}
    apart = json.loads(json.dumps({"prediction": "b.tif", "minus": "a.tif", "scores": found}))
    both = [
        {
            "prediction": name,
            "own_pixels": 8 + number,
            "scores": content("")["scores"],
            "classes": content("")["classes"],
        }
        for number, name in enumerate(("a.tif", "b.tif"))
    ]
    common = {"pixels": 6, "same_pixels": False, "predictions": both}
    page = evaluation_page(
        [side("a.tif"), side("b.tif")], LEGEND, common=common, differences=[apart]
    )
    assert "6 pixels that all maps have, 2 classes" in page
    assert "scored on the 6 pixels that every one of them has" in page
    assert ">own pixels</th>" in page
    assert "b.tif minus a.tif" in page
    assert page.count("−0.100") == 5
    assert "a.tif: classes</h2>" in page
    same = common | {"same_pixels": True}
    page = evaluation_page([side("a.tif"), side("b.tif")], LEGEND, common=same, differences=[apart])
    assert "All are scored on the same 6 pixels." in page
    assert "8 pixels scored" in page


@pytest.mark.parametrize("wrong", [False, True])
def test_worst_patch_is_drawn_wrong_where_it_counts_as_wrong(wrong: bool) -> None:
    truth = np.zeros((4, 4), np.uint8)
    found = np.full((4, 4), 255, np.uint8)
    png = write_png(np.zeros((2, 2, 3), np.uint8))
    patch = WorstPatch(place="here", wrong=16, scored=16, truth=truth, found=found, scene=png)
    shares = np.array([[0.5, np.nan]], np.float32)
    one = Side(
        content=content("a.tif", unpredicted_is_wrong=wrong), shares=shares, cell=4, worst=(patch,)
    )
    page = evaluation_page([one], LEGEND)
    assert "here: 16 of 16 px wrong" in page
    assert page.count("<figure") >= 5
    other = Side(
        content=content("a.tif", unpredicted_is_wrong=not wrong),
        shares=shares,
        cell=4,
        worst=(patch,),
    )
    assert evaluation_page([other], LEGEND) != page
