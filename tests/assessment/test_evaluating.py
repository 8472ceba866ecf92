from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from geoseg.assessment.evaluating import Evaluated, Job, Reports
from geoseg.assessment.findings import StagesWanted, Wanted, pixels_of
from geoseg.assessment.findings_text import words
from geoseg.assessment.scoring import Scoring
from geoseg.assessment.sides import compare_sides
from geoseg.assessment.stages import StageTable
from geoseg.errors import GridError, LabelError, OptionError, OutputError
from geoseg.raster.cover.cells import CellSize
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Scene

Write = Callable[..., Path]
CLASSES = "1=water,2=forest,3=shrub"


def evaluate(
    predictions: list[Path],
    labels: Path,
    *,
    wanted: Wanted | None = None,
    reports: Reports | None = None,
    classes: str | None = CLASSES,
    workers: int = 2,
    **options: Any,
) -> Evaluated:
    legend = None if classes is None else parse_legend(classes)
    sides = compare_sides(
        [str(p) for p in predictions], str(labels), Scoring(classes=legend, **options)
    )
    job = Job(sides=sides, wanted=wanted or Wanted(), reports=reports or Reports())
    job.check()
    return job.run(workers=workers)


def noisy(truth: NDArray[np.uint8], share: float, seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    other = random.integers(1, 4, truth.shape, np.uint8)
    return np.where(random.random(truth.shape) < share, other, truth).astype(np.uint8)


@pytest.fixture(scope="module")
def truth() -> NDArray[np.uint8]:
    patches = np.random.default_rng(5).integers(1, 4, (20, 15), np.uint8)
    pixels = np.kron(patches, np.ones((16, 16), np.uint8))
    pixels[:8] = 255
    return pixels


@pytest.fixture(scope="module")
def maps(
    truth: NDArray[np.uint8], write: Write, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("maps")
    good, bad = noisy(truth, 0.1, 1), noisy(truth, 0.4, 2)
    good[100:104] = 255
    return {
        "truth": write(folder / "truth.tif", truth),
        "good": write(folder / "good.tif", good),
        "bad": write(folder / "bad.tif", bad),
    }


EVERYTHING = Wanted(
    resamples=40,
    block=CellSize.parse("16px"),
    seed=3,
    boundary=CellSize.parse("60m"),
    seams=16,
    stages=StagesWanted(
        table=StageTable.agde(), target=("forest",), excluded=(1,), cell=CellSize.parse("480m")
    ),
)


# -- everything at once ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(maps: dict[str, Path]) -> Evaluated:
    return evaluate([maps["good"], maps["bad"]], maps["truth"], wanted=EVERYTHING)


def test_intervals_hold_the_scores_and_the_worse_map_is_worse_for_sure(both: Evaluated) -> None:
    for one in both.content["predictions"]:
        low, high = one["intervals"]["scores"]["mean_iou"]
        assert low < one["scores"]["mean_iou"] < high
        assert one["intervals"]["block_px"] == [16, 16]
    apart = both.content["differences"][0]["scores"]["pixel_accuracy"]
    assert apart["interval"][1] < 0
    assert apart["interval"][0] < apart["difference"] < apart["interval"][1]


def test_borders_seams_and_stages_say_what_is_on_the_maps(both: Evaluated) -> None:
    good, bad = both.content["predictions"]
    assert good["boundary"]["distance_px"] == 2
    assert good["boundary"]["means"]["f1"] > bad["boundary"]["means"]["f1"]
    # The labels change every 16 pixels and nowhere else.
    assert good["seams"]["labels_ratio"] is None
    assert good["seams"]["ratio"] > bad["seams"]["ratio"] > 1
    assert good["stages"]["units"] == 20 * 15
    assert good["stages"]["mean_coverage_error_percent"] < 20


def test_document_of_one_prediction_is_json_and_words_hold_each_part(
    maps: dict[str, Path], both: Evaluated
) -> None:
    json.dumps(both.content, allow_nan=False)
    told = words(both)
    parts = ("95 % intervals", "borders, within 2 px", "stages", "seams, lines every 16 px")
    assert all(told.count(part) == 2 for part in (*parts[:2], parts[3]))
    assert "bad.tif − good.tif" in told
    alone = evaluate([maps["good"]], maps["truth"], wanted=EVERYTHING)
    assert alone.content["intervals"] == both.content["predictions"][0]["intervals"]
    assert "differences" not in alone.content


def test_number_of_workers_changes_nothing(maps: dict[str, Path], both: Evaluated) -> None:
    again = evaluate([maps["good"], maps["bad"]], maps["truth"], wanted=EVERYTHING, workers=5)
    assert again.content == both.content


# -- files ----------------------------------------------------------------------------------------


def test_folder_holds_json_tables_and_a_page_and_the_raster_lies_beside(
    maps: dict[str, Path], tmp_path: Path, truth: NDArray[np.uint8]
) -> None:
    reports = Reports(
        report=tmp_path / "out", errors=tmp_path / "errors.tif", scene=str(maps["bad"])
    )
    got = evaluate([maps["good"]], maps["truth"], wanted=EVERYTHING, reports=reports)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "cells.csv",
        "classes.csv",
        "confusion.csv",
        "report.html",
        "scores.json",
        "stages.csv",
    ]
    assert json.loads((tmp_path / "out/scores.json").read_text()) == got.content
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out/classes.csv").read_text())))
    assert [row["class"] for row in rows] == ["water", "forest", "shrub"]
    assert float(rows[0]["iou_low"]) < float(rows[0]["iou"]) < float(rows[0]["iou_high"])
    cells = list(csv.DictReader(io.StringIO((tmp_path / "out/cells.csv").read_text())))
    assert len(cells) == 300
    page = (tmp_path / "out/report.html").read_text()
    for title in ("Scores", "Where it is wrong", "Borders", "Stages", "Seams"):
        assert f">{title}</h2>" in page
    assert page.count(">scene</figcaption>") == 8
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")

    errors = Scene.open(tmp_path / "errors.tif")
    assert errors.grid.same_pixels(Scene.open(maps["good"]).grid)
    legend = raster_legend(tmp_path / "errors.tif")
    assert legend is not None
    with rasterio.open(tmp_path / "errors.tif") as file:
        pixels = file.read(1)
    with rasterio.open(maps["good"]) as file:
        found = file.read(1)
    scored = (truth != 255) & (found != 255)
    assert (pixels[scored & (truth == found)] == 0).all()
    taken = pixels == legend.ids[legend.index_of_name("forest → shrub")]
    assert np.array_equal(taken, (truth == 2) & (found == 3))
    missing = pixels == legend.ids[legend.index_of_name("no prediction")]
    assert np.array_equal(missing, (truth != 255) & (found == 255))
    assert np.array_equal(pixels == 255, truth == 255)


def test_page_of_several_predictions_marks_the_best(maps: dict[str, Path], tmp_path: Path) -> None:
    reports = Reports(report=tmp_path / "page.html")
    evaluate([maps["good"], maps["bad"]], maps["truth"], reports=reports)
    page = (tmp_path / "page.html").read_text()
    assert ">Side by side</h2>" in page
    assert ">bad.tif: what is taken for what</h2>" in page
    assert page.count("class=best") == 5


def test_raster_of_errors_is_of_the_region_alone(maps: dict[str, Path], tmp_path: Path) -> None:
    reports = Reports(errors=tmp_path / "errors.tif")
    evaluate([maps["good"]], maps["truth"], reports=reports, region="300300,3999000,301200,3999400")
    grid = Scene.open(tmp_path / "errors.tif").grid
    assert (grid.width, grid.height) == (30, 14)
    assert grid.offset_in(Scene.open(maps["good"]).grid) == (20, 10)


def test_nothing_is_left_where_writing_fails(
    maps: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> str:
        raise OutputError("no room")

    monkeypatch.setattr("geoseg.assessment.gallery.page_of", fail)
    reports = Reports(report=tmp_path / "out", errors=tmp_path / "errors.tif")
    with pytest.raises(OutputError, match="no room"):
        evaluate([maps["good"]], maps["truth"], reports=reports)
    assert list(tmp_path.iterdir()) == []


def test_folder_of_something_else_is_not_replaced(maps: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="there already"):
        Reports(report=folder).check([])
    with pytest.raises(OutputError, match="holds no evaluation"):
        Reports(report=folder, overwrite=True).check([])
    evaluate([maps["good"]], maps["truth"], reports=Reports(report=tmp_path / "ours"))
    Reports(report=tmp_path / "ours", overwrite=True).check([])
    (tmp_path / "ours" / "notes.txt").write_text("what I think of it")
    with pytest.raises(OutputError, match=r"holds notes\.txt, which is no part of an evaluation"):
        Reports(report=tmp_path / "ours", overwrite=True).check([])


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        (Reports(report=Path("scores.csv")), r"name the output \*\.json or \*\.html"),
        (Reports(scene="scene.tif"), "shown on the page"),
        (Reports(report=Path("out"), errors=Path("out/errors.tif")), "beside the other|not exist"),
        (Reports(report=Path("out"), errors=Path("out")), "beside the other"),
        (Reports(errors=Path("errors.png")), r"\*\.tif"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before(
    reports: Reports, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((OptionError, OutputError), match=message):
        reports.check([])


# -- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        ({"resamples": 40, "block": CellSize.parse("0.1deg")}, GridError, "coordinates in metres"),
        ({"boundary": CellSize.parse("4km")}, OptionError, "within 1 to 100 pixels"),
        ({"resamples": 40, "block": CellSize.parse("900km")}, OptionError, "smaller --block"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(
    maps: dict[str, Path], wanted: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate([maps["good"]], maps["truth"], wanted=Wanted(**wanted))


def test_stages_of_a_class_that_is_none_are_refused_before_reading(maps: dict[str, Path]) -> None:
    def stages(**options: Any) -> Wanted:
        cell = CellSize.parse("10px")
        return Wanted(stages=StagesWanted(table=StageTable.agde(), cell=cell, **options))

    with pytest.raises(LabelError, match="no class is named 'grass'"):
        evaluate([maps["good"]], maps["truth"], wanted=stages(target=("grass",)))
    with pytest.raises(OptionError, match="both in --target and in --exclude"):
        evaluate([maps["good"]], maps["truth"], wanted=stages(target=(1,), excluded=("water",)))


def test_cells_of_stages_are_never_made_larger(
    maps: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = StagesWanted(table=StageTable.agde(), target=(1,), cell=CellSize.parse("470m"))
    got = evaluate([maps["good"]], maps["truth"], wanted=Wanted(stages=stages))
    assert got.findings.notes == ()
    monkeypatch.setattr("geoseg.assessment.measures.cellstages.MOST_CELLS", 300)
    with pytest.raises(OptionError, match="too many to compare"):
        evaluate([maps["good"]], maps["truth"], wanted=Wanted(stages=stages))


@pytest.mark.parametrize("number", [-1, 1, 10**6])
def test_number_of_draws_that_makes_no_interval_is_refused(number: int) -> None:
    with pytest.raises(OptionError, match="make no interval"):
        Wanted(resamples=number)


def test_raster_of_errors_of_two_predictions_is_refused(
    maps: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="of one prediction"):
        evaluate(
            [maps["good"], maps["bad"]],
            maps["truth"],
            reports=Reports(errors=tmp_path / "errors.tif"),
        )


def test_sizes_are_told_in_pixels_along_columns_and_rows(write: Write, tmp_path: Path) -> None:
    wide = Affine(60, 0, 300000, 0, -30, 4000000)
    grid = Scene.open(write(tmp_path / "w.tif", [[1, 2]], transform=wide)).grid
    assert pixels_of(CellSize.parse("120m"), grid, "w") == (4, 2)
    assert pixels_of(CellSize.parse("5px"), grid, "w") == (5, 5)


# -- a real scene ---------------------------------------------------------------------------------


@pytest.mark.realdata
def test_real_labels_one_pixel_aside_keep_their_borders_and_lose_their_trimap(
    real_data: Path, write: Write, tmp_path: Path
) -> None:
    source = real_data / "zion/zion512_lc5.tif"
    with rasterio.open(source) as file:
        pixels, profile = file.read(1), file.profile
    moved = write(
        tmp_path / "moved.tif",
        np.roll(pixels, 1, axis=0),
        transform=profile["transform"],
        crs=profile["crs"],
        nodata=0,
    )
    classes = "1=water,2=developed,3=barren,4=forest,5=shrub"
    wanted = Wanted(
        resamples=200,
        block=CellSize.parse("960m"),
        boundary=CellSize.parse("30m"),
        stages=StagesWanted(
            table=StageTable.agde(), target=("forest",), cell=CellSize.parse("960m")
        ),
    )
    told = evaluate([moved], source, wanted=wanted, classes=classes).content
    accuracy = told["scores"]["pixel_accuracy"]
    aside = np.roll(pixels, 1, axis=0)
    scored = (pixels != 0) & (aside != 0)
    assert accuracy == np.mean(pixels[scored] == aside[scored])
    low, high = told["intervals"]["scores"]["pixel_accuracy"]
    assert low < accuracy < high
    assert high - low < 0.1
    # All but what lies beside the first row and the unlabelled.
    assert told["boundary"]["means"]["recall"] > 0.97
    assert told["boundary"]["means"]["trimap_iou"] < told["scores"]["mean_iou"]
    # A row of 32 is another one: coverage moves by a few points, and few stages with it.
    assert told["stages"]["mean_coverage_error_percent"] < 3
    assert told["stages"]["overall_success"] > 0.85
