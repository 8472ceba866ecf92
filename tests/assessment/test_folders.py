from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geoseg.assessment.evaluating import Evaluated, Reports
from geoseg.assessment.findings import StagesWanted, Wanted
from geoseg.assessment.findings_text import words
from geoseg.assessment.folders import FolderJob, are_folders, compare_folders
from geoseg.assessment.scoring import Scoring
from geoseg.assessment.stages import StageTable
from geoseg.errors import GridError, InputError, LabelError, OptionError, RasterReadError
from geoseg.raster.cover.cells import CellSize
from geoseg.raster.legend.written import parse_legend

CLASSES = "0=grass,1=SC,2=sky"
Write = Callable[..., Path]

# Three photographs of two sizes; what is wrong is counted by hand.
MASKS: dict[str, Any] = {
    "one": [[0, 0, 1, 1], [0, 0, 2, 2]],
    "two": [[0, 0, 0], [1, 255, 2], [2, 2, 2]],
    "three": [[0] * 5] * 2,
}
MAPS: dict[str, Any] = {
    "one": [[0, 1, 1, 1], [0, 0, 2, 2]],
    "two": [[0, 0, 0], [0, 1, 2], [2, 2, 2]],
    "three": [[0] * 5] * 2,
}


def fill(folder: Path, pictures: dict[str, Any], suffix: str = ".png") -> str:
    folder.mkdir()
    for name, pixels in pictures.items():
        Image.fromarray(np.array(pixels, np.uint8)).save(folder / f"{name}{suffix}")
    return str(folder)


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    return [fill(tmp_path / "maps", MAPS), fill(tmp_path / "masks", MASKS)]


def evaluate(
    folders: list[str], wanted: Wanted | None = None, **options: Any
) -> tuple[FolderJob, Evaluated]:
    reports = options.pop("reports", None)
    scoring = Scoring(**{"classes": parse_legend(CLASSES)} | options)
    job = compare_folders(folders, scoring, wanted=wanted or Wanted(), reports=reports)
    job.check()
    return job, job.run(workers=2)


def test_photographs_are_scored_each_and_in_all(folders: list[str]) -> None:
    _, got = evaluate(folders)
    (total,) = got.evaluations
    assert total.confusion.counts.tolist() == [[16, 1, 0], [1, 2, 0], [0, 0, 6]]
    assert (total.pixels, total.unlabelled) == (27, 1)
    assert total.scores.pixel_accuracy == 24 / 26
    each = {one["name"]: one for one in got.content["photographs"]}
    assert list(each) == ["one", "three", "two"]
    assert each["one"]["pixel_accuracy"] == 7 / 8
    assert each["two"]["pixel_accuracy"] == 7 / 8
    assert each["three"]["iou"] == [1, None, None]


def test_stages_are_of_photographs_and_sky_counts_for_nothing(folders: list[str]) -> None:
    stages = StagesWanted(table=StageTable.agde(), target=("SC",), excluded=("sky",))
    _, got = evaluate(folders, Wanted(stages=stages))
    each = {one["name"]: one for one in got.content["photographs"]}
    # One: 2 of 6 is 33 %; 3 of 6 is 50 %. Two: 1 of 4 against none of 4.
    assert (each["one"]["stage_labels"], each["one"]["stage"]) == ("II", "III")
    assert (each["two"]["stage_labels"], each["two"]["stage"]) == ("II", "I")
    assert (each["three"]["stage_labels"], each["three"]["stage"]) == ("I", "I")
    found = got.content["stages"]
    assert found["stages"][1]["success"] == 0
    assert found["stages"][1]["wrong_as"]["III"] == 0.5
    assert found["average_success"] == 0.5
    assert "  stages" in words(got)


def test_photographs_are_what_is_drawn_for_intervals(folders: list[str]) -> None:
    _, got = evaluate(folders, Wanted(resamples=100, seed=1))
    drawn = got.content["intervals"]
    assert (drawn["blocks"], drawn["block_px"]) == (3, None)
    assert drawn["scores"]["pixel_accuracy"] == [pytest.approx(7 / 8), 1]
    assert "only 3 photographs hold labels" in got.content["notes"][-1]
    assert "from 3 photographs drawn 100 times" in words(got)


def test_borders_are_those_of_all_photographs(folders: list[str]) -> None:
    _, got = evaluate(folders, Wanted(boundary=CellSize.parse("1px")))
    edges = [c["true_edge_pixels"] for c in got.content["boundary"]["classes"]]
    # Two of each, but one of SC in the second: what lies beside the unlabelled alone is no border.
    assert edges == [4, 3, 4]


def test_maps_with_legends_need_no_classes_and_two_folders_are_compared(
    folders: list[str], tmp_path: Path, class_raster: Write
) -> None:
    from geoseg.raster.scene import Scene  # noqa: PLC0415

    del class_raster
    other = tmp_path / "better"
    fill(other, MASKS)
    _, got = evaluate([folders[0], str(other), folders[1]])
    assert [e.scores.pixel_accuracy for e in got.evaluations] == [24 / 26, 1]
    assert got.content["differences"][0]["prediction"] == "better"
    assert Scene.open(other / "one.png").grid.crs is None


def test_photographs_without_partner_or_labels_are_left_out_and_told(
    folders: list[str], tmp_path: Path
) -> None:
    (tmp_path / "maps/two.png").unlink()
    nothing = np.full((2, 5), 255, np.uint8)
    Image.fromarray(nothing).save(tmp_path / "masks/three.png")
    job, got = evaluate(folders)
    assert job.notes == (f"1 mask without a map in {folders[0]} is left out: two.png",)
    assert "1 photograph holds nothing to score: three" in got.evaluations[0].notes
    assert [one["name"] for one in got.content["photographs"]] == ["one"]


def test_report_of_photographs_has_a_table_and_the_worst_beside_their_pictures(
    folders: list[str], tmp_path: Path
) -> None:
    images = fill(tmp_path / "images", {n: [[[9, 9, 9]] * 4] * 3 for n in MASKS}, ".jpg")
    reports = Reports(report=tmp_path / "out", scene=images)
    reports.check(folders)
    stages = StagesWanted(table=StageTable.agde(), target=("SC",), excluded=("sky",))
    _, got = evaluate(folders, Wanted(stages=stages), reports=reports)
    assert json.loads((tmp_path / "out/scores.json").read_text()) == got.content
    with (tmp_path / "out/photographs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["one", "three", "two"]
    assert rows[0]["stage"] == "III"
    assert rows[1]["iou SC"] == ""
    page = (tmp_path / "out/report.html").read_text()
    assert page.count(">scene</figcaption>") == 3
    assert "The photographs with the most wrong pixels" in page


# -- what is refused ------------------------------------------------------------------------------


def test_folders_of_georeferenced_tiles_are_scenes(
    folders: list[str], tmp_path: Path, write: Write
) -> None:
    assert are_folders(folders)
    (tmp_path / "tiles").mkdir()
    write(tmp_path / "tiles/a.tif", [[1]])
    assert not are_folders([str(tmp_path / "tiles"), folders[1]])
    assert not are_folders([f"{folders[0]}/one.png", folders[1]])


def test_folders_without_a_common_name_are_refused(folders: list[str], tmp_path: Path) -> None:
    other = fill(tmp_path / "other", {"four": [[1]]})
    with pytest.raises(InputError, match="no mask of the name of a map"):
        compare_folders([other, folders[1]], wanted=Wanted())


def test_annotations_in_place_of_masks_are_told_how_to_become_some(
    folders: list[str], tmp_path: Path
) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/one.json").write_text("{}")
    with pytest.raises(InputError, match="geoseg rasterise"):
        are_folders([folders[0], str(tmp_path / "annotations")])


def test_map_of_another_size_is_refused(folders: list[str], tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "maps/one.png")
    with pytest.raises(GridError, match="sizes differ"):
        evaluate(folders)


def test_classes_that_nobody_names_are_asked_for(folders: list[str]) -> None:
    with pytest.raises(LabelError, match="--classes"):
        evaluate(folders, classes=None)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {
                "stages": StagesWanted(
                    table=StageTable.agde(), target=(1,), cell=CellSize.parse("8px")
                )
            },
            "leave out --cell",
        ),
        ({"boundary": CellSize.parse("30m")}, "no coordinate system"),
    ],
)
def test_what_only_maps_have_is_refused(
    folders: list[str], wanted: dict[str, Any], message: str
) -> None:
    with pytest.raises((OptionError, GridError), match=message):
        evaluate(folders, Wanted(**wanted))


def test_photographs_to_show_are_looked_for_before_any_pixel_is_read(
    folders: list[str], tmp_path: Path
) -> None:
    empty = tmp_path / "images"
    empty.mkdir()
    job = compare_folders(
        folders,
        Scoring(classes=parse_legend(CLASSES)),
        wanted=Wanted(),
        reports=Reports(report=tmp_path / "page.html", scene=str(empty)),
    )
    with pytest.raises(RasterReadError, match="holds no rasters"):
        job.check()


@pytest.mark.parametrize("resamples", [0, 20])
def test_folders_of_other_photographs_are_each_scored_on_all_of_their_own(
    tmp_path: Path, resamples: int
) -> None:
    masks = fill(tmp_path / "masks", MASKS)
    full = fill(tmp_path / "full", MAPS)
    short = fill(tmp_path / "short", {name: MAPS[name] for name in ("one", "two")})
    stages = StagesWanted(table=StageTable.agde(), target=("SC",), excluded=("sky",))
    wanted = Wanted(stages=stages, resamples=resamples)
    _, got = evaluate([full, short, masks], wanted, reports=Reports(report=tmp_path / "out"))
    for folder, mine in zip((full, short), got.content["predictions"], strict=True):
        alone = evaluate([folder, masks], wanted)[1].content
        for key in ("scores", "stages", "photographs"):
            assert mine[key] == alone[key]
        assert mine.get("intervals") == alone.get("intervals")
    assert [one["own_pixels"] for one in got.content["common"]["predictions"]] == [26, 16]
    assert got.content["common"]["pixels"] == 16
    drawn = "interval" in got.content["differences"][0]["scores"]["pixel_accuracy"]
    assert drawn == (resamples > 0)
    note = "1 map is not in every folder, so it is not compared side by side: three.png"
    assert note in got.content["predictions"][0]["notes"]
    with (tmp_path / "out/photographs.csv").open() as file:
        names = [(row["prediction"], row["name"]) for row in csv.DictReader(file)]
    assert names == [
        ("full", "one"),
        ("full", "three"),
        ("full", "two"),
        ("short", "one"),
        ("short", "two"),
    ]
    assert "on the 16 px that all maps have; below, each on its own (16 to 26 px)" in words(got)
