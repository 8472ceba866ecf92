"""Comparisons as they are typed, and their table as it is printed."""

from __future__ import annotations

from typing import Any

import pytest

from geoseg.cli.comparison import comparison_text, parse_comparisons
from geoseg.errors import OptionError


def test_values_are_told_apart_by_semicolons() -> None:
    assert parse_comparisons(
        ("loss=ce; weighted-ce; 0.5*ce + 0.5*focal(gamma=2)", " batch-size = 4;8; ")
    ) == {
        "loss": ["ce", "weighted-ce", "0.5*ce + 0.5*focal(gamma=2)"],
        "batch-size": ["4", "8"],
    }
    assert parse_comparisons(()) == {}


@pytest.mark.parametrize("text", ["loss", "=ce", "loss=", "loss=ce;;focal", "loss=;ce"])
def test_what_is_no_list_of_values_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is not KEY=A; B;"):
        parse_comparisons((text,))


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(OptionError, match="names 'seed' twice"):
        parse_comparisons(("seed=1", "seed=2"))


def scores(accuracy: float | None, miou: float | None, *iou: float | None) -> dict[str, Any]:
    names = ("water", "forest")
    return {
        "accuracy": accuracy,
        "miou": miou,
        "classes": [{"name": n, "iou": v, "recall": v} for n, v in zip(names, iou, strict=True)],
    }


CONTENT = {
    "keys": ["loss", "batch_size", "seed"],
    "scored_on": "test",
    "groups": [
        {
            "settings": {"loss": "ce", "batch_size": 4},
            "n": 3,
            "failed": 0,
            "mean": scores(0.7291, 0.3001, 0.0, 0.70049),
            "std": scores(0.0031, 0.0204, 0.0, 0.011),
        },
        {
            "settings": {"loss": "focal(gamma=2)", "batch_size": 4},
            "n": 1,
            "failed": 2,
            "mean": scores(0.7, 0.31, None, 0.7004),
            "std": scores(None, None, None, None),
        },
    ],
}


def test_the_table_has_a_row_a_combination_and_marks_the_best() -> None:
    assert comparison_text(CONTENT, 200).splitlines() == [
        "loss            batch size  runs            accuracy        mIoU            water"
        "           forest",
        "ce              4           3               0.729 ± 0.003*  0.300 ± 0.020   0.000 ± 0.000 "
        "  0.700 ± 0.011*",
        "focal(gamma=2)  4           1 (2 diverged)  0.700           0.310*          –"
        "               0.700*",
        "",
        "Scores on the test patches; columns after mIoU are IoU by class. Mean ± standard deviation"
        " over seeds. * best of a column.",
    ]


def test_columns_beyond_the_line_go_below_with_the_rows_named_again() -> None:
    lines = comparison_text(CONTENT, 82).splitlines()
    tables = [line for line in lines if line.startswith("loss")]
    assert len(tables) == 2
    assert "accuracy" in tables[0]
    assert "forest" in tables[1]
    assert max(map(len, lines[:-1])) <= 82


def test_one_row_has_no_best() -> None:
    text = comparison_text({**CONTENT, "keys": ["seed"], "groups": CONTENT["groups"][:1]}, 200)
    assert "*" not in text
