"""Pages about runs: what they say is what the numbers say."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from geoseg.raster.legend.written import parse_legend
from geoseg.training.metrics import PixelScores, PresenceScores
from geoseg.training.records import EpochRecord, scores_json
from geoseg.training.report.comparison import comparison_page
from geoseg.training.report.gallery import Sample
from geoseg.training.report.page import curves_png, training_page
from geoseg.training.report.remarks import remarks

LEGEND = parse_legend("1=water,2=forest,3=rock,4=<i>ice</i>")
CONFUSION = np.array([[0, 30, 10, 0], [0, 900, 0, 0], [0, 20, 40, 0], [0, 0, 0, 0]])


def record(epoch: int, train: float, val: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        rate=0.001 / epoch,
        train_loss=train,
        train_accuracy=0.9,
        train_miou=0.5,
        val_loss=val,
        val_accuracy=0.8 if math.isfinite(val) else math.nan,
        val_miou=0.4 if math.isfinite(val) else math.nan,
        seconds=60.0 * epoch,
    )


HISTORY = [record(e, 1 / e, 0.5 + 0.1 * abs(e - 4)) for e in range(1, 9)]


def report_of(confusion: NDArray[np.int64] = CONFUSION, **more: Any) -> dict[str, Any]:
    scores = PixelScores(confusion) if confusion.ndim == 2 else PresenceScores(confusion)
    return {
        "split": "val",
        "epoch": 4,
        "epochs": 8,
        "loss": 0.5,
        **scores_json(scores, LEGEND),
        "network": "unet-small",
        "parameters": 1_927_528,
        "seconds": 480.0,
        "device": "cpu",
        "precision": "float32",
        "settings": {
            "model": "unet-small",
            "loss": "ce",
            "keep": "best",
            "lr": None,
            "model_options": {"widths": [16, 32]},
        },
        **more,
    }


def page_of(report: dict[str, Any], **more: Any) -> str:
    arguments: dict[str, Any] = {"history": HISTORY, "legend": LEGEND, "confusion": CONFUSION}
    return training_page("a <model>", report, **(arguments | more)).replace("\xa0", " ")


def sample() -> Sample:
    return Sample(
        image=np.arange(48, dtype=np.uint16).reshape(3, 4, 4),
        truth=np.zeros((4, 4), np.uint8),
        prediction=np.eye(4, dtype=np.uint8),
        bands=("red", "green", "blue"),
    )


def said(report: dict[str, Any], **more: Any) -> str:
    arguments: dict[str, Any] = {"history": HISTORY, "confusion": CONFUSION}
    return " ".join(remarks(report, **(arguments | more))).replace("\xa0", " ")


# -- what is said --------------------------------------------------------------------------------


def test_accuracy_is_held_against_always_saying_the_most_frequent_class() -> None:
    text = said(report_of())
    assert "94.0 % of the labelled pixels are right" in text
    assert "Always saying “forest” would be right for 90.0 %: the network is better" in text
    worse = np.array([[0, 5, 0, 0], [0, 0, 9, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    assert "no better than that" in said(report_of(worse), confusion=worse)


def test_lost_and_absent_classes_are_named() -> None:
    text = said(report_of())
    assert "Never found: water." in text
    assert "nothing is known of: <i>ice</i>." in text
    assert "Best class: forest (IoU 0.947)" in text
    assert "all: rock (0.571)" in text


def test_the_largest_confusion_is_named() -> None:
    # 30 of 40 water pixels are taken for forest, half of all 60 errors.
    assert "water is taken for forest: 75.0 % of that class, 50.0 % of all errors" in said(
        report_of()
    )


def test_learning_by_heart_is_told_by_the_losses() -> None:
    text = said(report_of())
    assert "lowest after epoch 4 and ended 80.0 % higher" in text
    flat = [record(e, 1 / e, 0.5) for e in range(1, 9)]
    assert "by heart" not in said(report_of(), history=flat)


def test_a_best_epoch_near_the_end_is_told() -> None:
    assert "near the end" not in said(report_of())
    assert "The best epoch is 8 of 8" in said(report_of(epoch=8))
    last = report_of(epoch=8)
    last["settings"]["keep"] = "last"
    assert "near the end" not in said(last)


def test_scores_of_training_patches_are_told_to_flatter() -> None:
    assert "There were no validation patches" in said(report_of(split="train"))


def test_weights_taken_are_told() -> None:
    assert "taken from a file" in said(report_of(weights="All weights taken from a file."))


def test_nothing_labelled_makes_no_scores_and_no_error() -> None:
    nothing = np.zeros((4, 4), np.int64)
    text = said(report_of(nothing, loss=None), confusion=nothing)
    assert "no scores" in text
    assert "nan" not in text.lower()


# -- the page ------------------------------------------------------------------------------------


def test_page_holds_every_part_and_escapes_names() -> None:
    page = page_of(report_of(), samples=[sample()])
    for title in (
        "In short",
        "Curves",
        "Classes",
        "What is taken for what",
        "Sample predictions",
        "How it was trained",
    ):
        assert f">{title}</h2>" in page
    assert "Weight averaging" not in page
    assert "<h1>a &lt;model&gt;</h1>" in page
    assert "<i>" not in page
    assert "widths=16, 32" in page
    assert "8 min 00 s" in page
    assert page.count("<img") == 4 + 2 + 4


def test_same_run_same_page() -> None:
    assert page_of(report_of(), samples=[sample()]) == page_of(report_of(), samples=[sample()])


def test_figures_say_their_numbers_to_who_cannot_see_them() -> None:
    alts = re.findall(r'alt="([^"]*)"', page_of(report_of()))
    assert any("validation from 0.800 to 0.900, lowest 0.500 after epoch 4" in a for a in alts)
    assert any("forest 0.947" in a and "water 0.000" in a for a in alts)
    assert any("water 0.0 %, forest 100.0 %, rock 66.7 %" in a for a in alts)


def test_weight_averaging_shows_its_gain() -> None:
    cycles = [
        {
            "cycle": c,
            "epoch": 6 * c,
            "last": {"loss": 0.5, "accuracy": 0.8, "miou": 0.4},
            "average": {"loss": 0.4, "accuracy": 0.85, "miou": 0.4 + 0.01 * c},
        }
        for c in (1, 2)
    ]
    page = page_of(report_of(swa=cycles, epochs=12))
    assert ">Weight averaging</h2>" in page
    assert "It changed mean IoU by +0.020." in page
    assert "Weights averaged" in page
    assert "near the end" not in page


def test_weight_averaging_without_validation_patches_has_no_chart() -> None:
    unknown = {"loss": None, "accuracy": None, "miou": None}
    cycles = [{"cycle": 1, "epoch": 6, "last": unknown, "average": unknown}]
    page = page_of(report_of(swa=cycles, split="train"))
    assert "by cycle" not in page
    assert "changed mean IoU" not in page


def test_a_network_of_image_level_labels_has_patches_and_no_confusion() -> None:
    counts = np.array([[[5, 1], [1, 3]], [[0, 0], [0, 10]], [[9, 0], [1, 0]], [[10, 0], [0, 0]]])
    shown = Sample(
        image=np.arange(48, dtype=np.uint16).reshape(3, 4, 4),
        truth=np.array([1, 1, 0, 255], np.uint8),
        prediction=np.array([1, 0, 1, 1], np.uint8),
        patch=9,
        worst=True,
        bands=("red", "green", "blue"),
    )
    page = page_of(report_of(counts, majority=0.875), confusion=None, samples=[shown])
    assert "What is taken for what" not in page
    assert "The worst patches" in page
    assert "Ordinary patches" not in page
    assert (
        "Patch 9: there: water ✓, forest ✗; said: water ✓, rock ✗; 1 of 3 answers are right" in page
    )
    assert "not known: &lt;i&gt;ice&lt;/i&gt;" in page
    # Water: found, missed, invented, rightly not said; right 8 of 10; there 4 of 10.
    table = page[page.index("Confusion a class</h2>") :]
    cells = re.findall(r"<td[^>]*>(?:<span[^>]*></span>)?([^<]*)", table)[:6]
    assert cells == ["3", "1", "1", "5", "80.0 %", "60.0 %"]
    assert ">F1</th>" in page
    assert "0.750" in page  # water's F1, 6 of 8
    assert "Majority guess" in page
    assert ">patches</th>" in page
    assert "share of answers that are right" in page
    assert "lovasz" not in page
    assert "would be right for 87.5 %" in page


@pytest.mark.parametrize("history", [[], HISTORY[:1], [record(1, 0.5, math.nan)]])
def test_short_histories_make_a_page(history: list[EpochRecord]) -> None:
    assert page_of(report_of(epoch=len(history), split="train"), history=history)
    assert curves_png(history)


def test_nothing_labelled_makes_a_page() -> None:
    nothing = np.zeros((4, 4), np.int64)
    assert "no scores" in page_of(report_of(nothing, loss=None), confusion=nothing)


def test_curves_are_one_picture() -> None:
    with Image.open(io.BytesIO(curves_png(HISTORY))) as image:
        assert image.format == "PNG"
        assert image.width > image.height > 600


def test_the_report_imports_matplotlib_only_when_it_draws() -> None:
    code = (
        "import sys, geoseg.training.report.page, geoseg.training.report.board;"
        "heavy = {'matplotlib', 'PIL', 'tensorboard'};"
        "sys.exit(not heavy.isdisjoint(name.split('.')[0] for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- comparisons ---------------------------------------------------------------------------------


def scores(accuracy: float | None, miou: float | None, water: float | None) -> dict[str, Any]:
    return {
        "accuracy": accuracy,
        "miou": miou,
        "classes": [{"name": "water & ice", "iou": water, "recall": None}],
    }


def comparison(*, seeds: int = 2) -> dict[str, Any]:
    groups, runs = [], []
    for loss, miou in (("ce", 0.3), ("focal(gamma=2)", 0.4)):
        groups.append(
            {
                "settings": {"loss": loss},
                "n": seeds,
                "mean": scores(0.8, miou, None if loss == "ce" else 0.1),
                "std": scores(0.01, 0.02, None),
            }
        )
        runs += [
            {
                "settings": {"loss": loss, "seed": seed},
                "model": f"{loss}-{seed}.safetensors",
                "scores": scores(0.8, miou + 0.02 * seed, None),
            }
            for seed in range(seeds)
        ]
    return {"keys": ["loss", "seed"], "runs": runs, "groups": groups}


def test_comparison_shows_mean_and_spread_and_marks_the_best() -> None:
    page = comparison_page(comparison()).replace("\xa0", " ")
    assert "0.300 <span class=spread>± 0.020</span>" in page
    assert "<span class=best>0.400</span> <span class=spread>± 0.020</span>" in page
    # Equal accuracy is equally good.
    assert page.count("<span class=best>0.800</span>") == 2
    assert "water &amp; ice" in page
    assert "4 runs; varied: loss, seed" in page
    assert "Highest mean IoU: focal(gamma=2) (0.400), 0.100 above ce." in page
    assert "beyond the spread" in page


def test_a_lead_within_the_spread_may_be_chance() -> None:
    close = comparison()
    for group in close["groups"]:
        group["std"]["miou"] = 0.2
    assert "it may be chance" in comparison_page(close)


def test_single_runs_have_no_spread_and_say_so() -> None:
    page = comparison_page(comparison(seeds=1))
    assert "class=spread" not in page
    assert "add seeds" in page


def test_what_scores_are_of_and_what_failed_is_said() -> None:
    found = comparison() | {"scored_on": "test patches", "base": {"model": "unet-small"}}
    found["groups"][0]["failed"] = 1
    found["runs"][0] |= {"epoch": 12, "seconds": 75.0, "error": "the loss became nan"}
    page = comparison_page(found).replace("\xa0", " ")
    assert "scored on test patches" in page
    assert "2 (1 failed)" in page
    assert "unet-small" in page
    assert "the loss became nan" in page
    assert "1 min 15 s" in page


def test_undefined_scores_and_single_groups_make_a_page() -> None:
    one = comparison()
    one["groups"] = one["groups"][:1]
    one["groups"][0]["mean"] = scores(None, None, None)
    page = comparison_page(one)
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower()
    assert "class=best" not in page
