from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.report import summary, text, write_json
from geoseg.errors import (
    OutputError,
)

Write = Callable[..., Path]
Run = Callable[..., Evaluation]


# -- reports ---------------------------------------------------------------------------------------


@pytest.fixture
def found(write: Write, run: Run, tmp_path: Path) -> Evaluation:
    prediction = write(tmp_path / "p.tif", [[1, 1, 2, 255, 1]])
    labels = write(tmp_path / "l.tif", [[1, 2, 2, 2, 7]])
    return run(prediction, labels, "1=water,2=forest,3=ice", leave_out=["water"])


def test_summary_says_undefined_scores_with_null(found: Evaluation) -> None:
    told = json.loads(json.dumps(summary(found), allow_nan=False))
    ice = told["classes"][2]
    assert ice["name"] == "ice"
    assert [ice[key] for key in ("recall", "precision", "iou", "f1")] == [None] * 4
    assert told["scores"]["pixel_accuracy"] == 2 / 3
    assert told["scores"]["mean_iou"] == 1 / 2
    assert told["confusion"]["counts"] == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert told["confusion"]["unpredicted"] == [0, 1, 0]
    assert told["pixels"] == {
        "all": 5,
        "unlabelled": 0,
        "ignored": 0,
        "unknown_label": 1,
        "labelled": 4,
        "unpredicted": 1,
        "unknown_prediction": 0,
        "scored": 3,
    }
    assert told["unknown_label_values"] == {"7": 1}


def test_summary_names_files_without_their_folders(found: Evaluation, tmp_path: Path) -> None:
    told = summary(found)
    assert (told["prediction"], told["labels"]) == ("p.tif", "l.tif")
    assert str(tmp_path) not in json.dumps(told)


def test_table_is_aligned_and_says_undefined_with_a_dash(found: Evaluation) -> None:
    lines = text(found).splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["id", "class"])
    header, water, forest, ice = lines[start : start + 4]
    assert len({len(line) for line in (header, water, forest, ice)}) == 1
    assert water.split() == [
        "1",
        "water",
        "*",
        *["1.0000", "0.5000", "0.5000", "0.6667", "1", "33.3", "%", "2"],
    ]
    assert forest.split()[:4] == ["2", "forest", "0.5000", "1.0000"]
    assert ice.split() == ["3", "ice", "–", "–", "–", "–", "0", "0.0", "%", "0"]
    told = "\n".join(lines)
    assert "pixel accuracy (PA)  0.6667" in told
    assert "1 labelled px (25.0 %) have no prediction: not scored" in told
    assert "* left out of the means: water" in told


def test_table_with_matrix_shows_the_classes_that_occur(found: Evaluation) -> None:
    lines = text(found, matrix=True).splitlines()
    start = next(i for i, line in enumerate(lines) if "truth ↓" in line)
    assert [line.split() for line in lines[start + 1 : start + 3]] == [
        ["water", "1", "0", "0"],
        ["forest", "1", "1", "1"],
    ]
    assert "ice" not in "\n".join(lines[start:])


def test_json_file_appears_whole_and_is_not_replaced_unless_asked(
    found: Evaluation, tmp_path: Path
) -> None:
    target = tmp_path / "scores.json"
    write_json(found, target)
    content = json.loads(target.read_text(encoding="utf-8"))
    assert content.pop("made_by")["command"] == "geoseg evaluate p.tif l.tif"
    assert content == json.loads(json.dumps(summary(found)))
    with pytest.raises(OutputError, match="--overwrite"):
        write_json(found, target)
    target.write_text("old")
    write_json(found, target, overwrite=True)
    assert target.read_text(encoding="utf-8").startswith("{")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l.tif", "p.tif", "scores.json"]


def test_json_file_into_a_missing_folder_is_refused(found: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        write_json(found, tmp_path / "nowhere" / "scores.json")
