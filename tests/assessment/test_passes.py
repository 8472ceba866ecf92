"""Several maps on the pixels that all of them have."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.assessment.evaluating import Evaluated, Job, Reports
from geoseg.assessment.findings import StagesWanted, Wanted
from geoseg.assessment.folders import compare_folders
from geoseg.assessment.scoring import Scoring
from geoseg.assessment.sides import compare_sides
from geoseg.assessment.stages import StageTable
from geoseg.raster.cover.cells import CellSize
from geoseg.raster.legend.written import parse_legend

Write = Callable[..., Path]
LEGEND = parse_legend("1=a,2=b,3=c")
DRAWN = Wanted(resamples=60, block=CellSize.parse("8px"), seed=2)


def evaluate(
    maps: list[Path], labels: Path, wanted: Wanted | None = None, **more: Any
) -> Evaluated:
    sides = compare_sides([str(m) for m in maps], str(labels), Scoring(classes=LEGEND, **more))
    return Job(sides=sides, wanted=wanted or Wanted()).run(workers=2)


@pytest.fixture
def files(write: Write, tmp_path: Path) -> dict[str, Path]:
    random = np.random.default_rng(1)
    truth = np.kron(random.integers(1, 4, (8, 9)), np.ones((6, 6), int))
    truth[random.random(truth.shape) < 0.1] = 255
    one, other = (
        np.where(random.random(truth.shape) < share, random.integers(1, 4, truth.shape), truth)
        for share in (0.2, 0.4)
    )
    one[truth == 255], other[truth == 255] = 1, 2
    one[:, :10] = 255
    other[-9:] = 255
    other[3, 3] = 9  # no class
    nowhere = (one == 255) | (other == 255) | (other == 9)
    both = [np.where(nowhere, 255, m) for m in (one, other)]
    made = {"truth": truth, "one": one, "other": other, "both1": both[0], "both2": both[1]}
    return {name: write(tmp_path / f"{name}.tif", pixels) for name, pixels in made.items()}


def test_differences_are_those_of_the_pixels_that_both_maps_have(files: dict[str, Path]) -> None:
    got = evaluate([files["one"], files["other"]], files["truth"], DRAWN).content
    cut = evaluate([files["both1"], files["both2"]], files["truth"], DRAWN).content
    assert cut["common"]["same_pixels"] is True  # each leaves out pixels, but the same ones
    assert not any("on its own" in note for note in cut["predictions"][0]["notes"])
    assert got["common"]["same_pixels"] is False
    assert got["common"]["pixels"] == cut["predictions"][0]["pixels"]["scored"]
    assert got["common"]["predictions"][1]["scores"] == cut["predictions"][1]["scores"]
    assert (
        got["common"]["predictions"][1]["own_pixels"] == got["predictions"][1]["pixels"]["scored"]
    )
    assert got["differences"][0]["scores"] == cut["differences"][0]["scores"]
    # Each by itself is scored as it would be alone.
    alone = evaluate([files["one"]], files["truth"], DRAWN).content
    assert got["predictions"][0]["scores"] == alone["scores"]
    assert got["predictions"][0]["intervals"] == alone["intervals"]
    said = got["predictions"][0]["notes"][-1]
    assert said.startswith("scored on its own ")
    assert f"side by side on the {got['common']['pixels']:,} px" in said


def test_scores_of_classes_side_by_side_are_of_common_pixels(files: dict[str, Path]) -> None:
    got = evaluate([files["one"], files["other"]], files["truth"]).content["common"]
    cut = evaluate([files["both2"]], files["truth"]).content
    for mine, wanted in zip(got["predictions"][1]["classes"], cut["classes"], strict=True):
        assert mine == {key: wanted[key] for key in mine}


@pytest.mark.parametrize("unpredicted_is_wrong", [False, True])
def test_maps_that_miss_nothing_or_whose_gaps_are_errors_are_on_the_same_pixels(
    files: dict[str, Path], unpredicted_is_wrong: bool
) -> None:
    maps = [files["one"], files["other"]]
    if not unpredicted_is_wrong:
        maps = [files["truth"], files["truth"]]
    more = {"unpredicted_is_wrong": unpredicted_is_wrong}
    got = evaluate(maps, files["truth"], **more).content
    assert got["common"]["same_pixels"] is True
    for mine, own in zip(got["common"]["predictions"], got["predictions"], strict=True):
        assert mine["scores"] == own["scores"]
        assert mine["own_pixels"] == got["common"]["pixels"] == own["pixels"]["scored"]


def test_maps_without_a_common_pixel_have_no_differences(write: Write, tmp_path: Path) -> None:
    truth = write(tmp_path / "t.tif", [[1, 2, 1, 2]])
    left = write(tmp_path / "l.tif", [[1, 2, 255, 255]])
    right = write(tmp_path / "r.tif", [[255, 255, 1, 1]])
    wanted = Wanted(resamples=20, block=CellSize.parse("1px"))
    got = evaluate([left, right], truth, wanted).content
    assert got["common"]["pixels"] == 0
    assert got["differences"][0]["scores"]["pixel_accuracy"] == {"difference": None}


def test_many_maps_are_compared_on_common_pixels_of_each(write: Write, tmp_path: Path) -> None:
    pixels = {
        "labels": {"a": [[1, 2, 3, 1]], "b": [[1, 1, 2, 2]]},
        "old": {"a": [[1, 2, 1, 255]], "b": [[1, 1, 2, 1]]},
        "new": {"a": [[255, 2, 3, 1]], "b": [[1, 1, 1, 1]]},
    }
    for folder, files in pixels.items():
        (tmp_path / folder).mkdir()
        for name, values in files.items():
            write(tmp_path / folder / f"{name}.tif", values)
    folders = [str(tmp_path / name) for name in ("old", "new", "labels")]
    wanted = Wanted(resamples=20, block=CellSize.parse("1px"))
    got = compare_folders(folders, Scoring(classes=LEGEND), wanted=wanted).run(workers=1).content
    # Of the first all have the two in the middle, of the second everything.
    assert got["common"]["pixels"] == 6
    accuracies = [one["scores"]["pixel_accuracy"] for one in got["common"]["predictions"]]
    assert accuracies == [4 / 6, 4 / 6]
    assert [one["own_pixels"] for one in got["common"]["predictions"]] == [7, 7]
    assert got["predictions"][0]["scores"]["pixel_accuracy"] == 5 / 7
    assert "interval" in got["differences"][0]["scores"]["pixel_accuracy"]


def test_cells_where_a_map_has_no_scored_pixel_are_not_written_for_it(
    write: Write, tmp_path: Path
) -> None:
    truth = write(tmp_path / "t.tif", [[1, 2, 1, 2]])
    left = write(tmp_path / "l.tif", [[1, 1, 255, 255]])
    full = write(tmp_path / "f.tif", [[1, 2, 1, 1]])
    stages = StagesWanted(table=StageTable.agde(), target=("a",), cell=CellSize.parse("1px"))
    sides = compare_sides([str(left), str(full)], str(truth), Scoring(classes=LEGEND))
    reports = Reports(report=tmp_path / "out")
    Job(sides=sides, wanted=Wanted(stages=stages), reports=reports).run(workers=1)
    with (tmp_path / "out/cells.csv").open() as file:
        rows = [(row["prediction"], int(row["col"])) for row in csv.DictReader(file)]
    assert rows == [("l.tif", 0), ("l.tif", 1), *(("f.tif", col) for col in range(4))]
