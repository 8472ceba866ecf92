"""Folders of georeferenced maps: summed over scenes, whatever their grids."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from geoseg.assessment.evaluating import Evaluated, Job, Reports
from geoseg.assessment.findings import StagesWanted, Wanted
from geoseg.assessment.findings_text import words
from geoseg.assessment.folders import compare_folders
from geoseg.assessment.polygonlabels import open_labels
from geoseg.assessment.scoring import Scoring
from geoseg.assessment.sides import compare_sides
from geoseg.assessment.stages import StageTable
from geoseg.errors import GridError, OptionError, OutputError, VectorError
from geoseg.raster.cover.cells import CellSize
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Scene

Write = Callable[..., Path]
LEGEND = parse_legend("1=cane,2=other")
SCORING = Scoring(classes=LEGEND)

# Two scenes, far apart and of two resolutions; labels of the second are coarser.
MAPS = {
    "a": ([[1, 1, 2], [2, 2, 255]], Affine(10, 0, 300000, 0, -10, 4000000)),
    "b": ([[1, 1, 2, 2], [1, 1, 1, 2]], Affine(20, 0, 500000, 0, -20, 4100000)),
}
LABELS = {
    "a": ([[1, 2, 2], [2, 255, 1]], MAPS["a"][1]),
    "b": ([[1, 2]], Affine(40, 0, 500000, 0, -40, 4100000)),
}
# Of the first: 1→1, 2→1, 2→2 twice; the last has no prediction. Of the second one 2→1.
COUNTS = [[5, 0], [2, 5]]


@pytest.fixture
def fill(write: Write, tmp_path: Path) -> Callable[..., str]:
    def made(folder: str, files: dict[str, Any]) -> str:
        (tmp_path / folder).mkdir()
        for name, (pixels, transform) in files.items():
            write(tmp_path / folder / f"{name}.tif", pixels, transform=transform)
        return str(tmp_path / folder)

    return made


@pytest.fixture
def folders(fill: Callable[..., str]) -> list[str]:
    return [fill("maps", MAPS), fill("labels", LABELS)]


def evaluate(folders: list[str], wanted: Wanted | None = None, **more: Any) -> Evaluated:
    reports = more.pop("reports", None)
    scoring = Scoring(**{"classes": LEGEND} | more)
    job = compare_folders(folders, scoring, wanted=wanted or Wanted(), reports=reports)
    job.check()
    return job.run(workers=2)


def test_counts_are_summed_over_scenes_and_each_is_scored_alone(folders: list[str]) -> None:
    got = evaluate(folders)
    (total,) = got.evaluations
    assert total.confusion.counts.tolist() == COUNTS
    assert total.confusion.unpredicted.tolist() == [1, 0]
    assert got.content["scores"]["pixel_accuracy"] == 10 / 12
    assert got.content["classes"][0]["iou"] == 5 / 7
    each = {one["name"]: one for one in got.content["maps"]}
    assert each["a"]["scored_pixels"] == 4
    assert each["a"]["pixel_accuracy"] == 3 / 4
    assert each["b"]["wrong_pixels"] == 1
    assert "photographs" not in got.content
    assert any("labels" in note or "resampled" in note for note in got.content["notes"])


def test_errors_that_count_where_nothing_is_predicted_are_of_all_scenes(
    folders: list[str],
) -> None:
    got = evaluate(folders, unpredicted_is_wrong=True)
    assert got.content["scores"]["pixel_accuracy"] == 10 / 13


def test_blocks_of_all_scenes_are_drawn_from(folders: list[str]) -> None:
    got = evaluate(folders, Wanted(resamples=50, block=CellSize.parse("1px")))
    assert got.content["intervals"]["blocks"] == 5 + 8
    assert got.content["intervals"]["block_px"] == [1, 1]
    low, high = got.content["intervals"]["scores"]["pixel_accuracy"]
    assert low < 10 / 12 < high
    got = evaluate(folders, Wanted(resamples=50, block=CellSize.parse("20m")))
    assert "blocks of 2 × 2 px are those of the first map" in got.content["notes"][-1]


def test_stages_are_of_the_cells_of_every_scene(folders: list[str], tmp_path: Path) -> None:
    stages = StagesWanted(table=StageTable.agde(), target=("cane",), cell=CellSize.parse("40m"))
    reports = Reports(report=tmp_path / "out")
    got = evaluate(folders, Wanted(stages=stages), reports=reports)
    # Labels: a 25 %, b 100 % and 0 %; maps: a 50 %, b 100 % and 25 %.
    assert got.content["stages"]["units"] == 3
    with (tmp_path / "out/cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    said = [(row["map"], row["stage_labels"], row["stage"]) for row in rows]
    assert said == [("a", "II", "III"), ("b", "other", "other"), ("b", "I", "II")]
    assert (float(rows[0]["x"]), float(rows[0]["y"])) == (300020, 3999980)
    with (tmp_path / "out/maps.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["a", "b"]


def test_folders_of_other_maps_are_each_scored_on_all_of_their_own(
    fill: Callable[..., str], tmp_path: Path
) -> None:
    short = fill("short", {"a": MAPS["a"]})
    full, labels = fill("full", MAPS), fill("labels", LABELS)
    stages = StagesWanted(table=StageTable.agde(), target=("cane",), cell=CellSize.parse("40m"))
    wanted = Wanted(
        stages=stages, resamples=20, block=CellSize.parse("1px"), boundary=CellSize.parse("1px")
    )
    reports = Reports(report=tmp_path / "out")
    got = evaluate([short, full, labels], wanted, reports=reports)
    for folder, mine in zip((short, full), got.content["predictions"], strict=True):
        alone = evaluate([folder, labels], wanted).content
        for key in ("scores", "classes", "confusion", "intervals", "boundary", "stages", "maps"):
            assert mine[key] == alone[key]
    assert [one.scores.scored for one in got.evaluations] == [4, 12]
    common = got.content["common"]
    assert (common["pixels"], common["same_pixels"]) == (4, False)
    assert [one["own_pixels"] for one in common["predictions"]] == [4, 12]
    assert got.content["differences"][0]["scores"]["pixel_accuracy"]["difference"] == 0
    note = "1 map is not in every folder, so it is not compared side by side: b.tif"
    assert note in got.content["predictions"][1]["notes"]
    with (tmp_path / "out/cells.csv").open() as file:
        rows = [(row["prediction"], row["map"]) for row in csv.DictReader(file)]
    assert rows == [("short", "a"), ("full", "a"), ("full", "b"), ("full", "b")]
    assert "own pixels" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("wrong", [False, True])
def test_folders_of_other_maps_without_a_gap_are_compared_on_those_of_all(
    fill: Callable[..., str], wrong: bool
) -> None:
    full, short = fill("full", LABELS), fill("short", {"b": LABELS["b"]})
    got = evaluate([full, short, fill("labels", LABELS)], unpredicted_is_wrong=wrong).content
    assert got["common"]["pixels"] == 2
    assert [one["own_pixels"] for one in got["common"]["predictions"]] == [7, 2]


def test_maps_that_overlap_are_told(fill: Callable[..., str]) -> None:
    ground = ([[1, 1], [2, 2]], Affine(10, 0, 300000, 0, -10, 4000000))
    beside = ([[1, 1], [2, 2]], Affine(10, 0, 300020, 0, -10, 4000000))
    over = ([[1, 1], [2, 2]], Affine(10, 0, 300030, 0, -10, 4000000))
    files = {"a": ground, "b": beside, "c": over}
    got = evaluate([fill("maps", files), fill("labels", files)])
    note = "2 maps overlap others, and what two of them hold counts in both: b, c"
    assert note in got.content["notes"]
    del files["c"]
    again = evaluate([fill("maps2", files), fill("labels2", files)])
    assert not any("overlap" in note for note in again.content["notes"])


def test_borders_and_seams_are_of_all_scenes(folders: list[str]) -> None:
    wanted = Wanted(boundary=CellSize.parse("1px"), seams=2)
    got = evaluate(folders, wanted)
    alone = []
    for name in ("a", "b"):
        files = [f"{folder}/{name}.tif" for folder in folders]
        sides = compare_sides(files[:1], files[1], SCORING)
        alone.append(Job(sides=sides, wanted=wanted).run(workers=1).content)
    edges = [[c["true_edge_pixels"] for c in one["boundary"]["classes"]] for one in alone]
    total = [c["true_edge_pixels"] for c in got.content["boundary"]["classes"]]
    assert total == np.sum(edges, axis=0).tolist()
    assert got.content["seams"]["line_pairs"] == sum(one["seams"]["line_pairs"] for one in alone)
    assert "seams, lines every 2 px" in words(got)
    # 20 m are two pixels of the one scene and one of the other.
    with pytest.raises(OptionError, match="give it in pixels"):
        evaluate(folders, Wanted(boundary=CellSize.parse("20m")))


def test_page_shows_the_worst_patches_of_all_scenes_beside_their_pictures(
    folders: list[str], fill: Callable[..., str], tmp_path: Path
) -> None:
    scenes = fill("scenes", {name: ([[9] * 4] * 2, where) for name, (_, where) in MAPS.items()})
    reports = Reports(report=tmp_path / "page.html", scene=scenes)
    reports.check(folders)
    evaluate(folders, reports=reports)
    page = (tmp_path / "page.html").read_text()
    assert "The patches with the most wrong pixels" in page
    assert "a, row 0, column 0: 1 of 4 px wrong" in page
    assert "b, row 0, column 0: 1 of 8 px wrong" in page
    assert page.count(">scene</figcaption>") == 2


def test_pictures_that_lie_elsewhere_are_told_before_any_pixel_is_read(
    folders: list[str], fill: Callable[..., str], tmp_path: Path
) -> None:
    pixels, where = [[9] * 4] * 2, {name: place for name, (_, place) in MAPS.items()}
    off = fill("off", {"a": (pixels, where["a"]), "b": (pixels, where["a"])})
    job = compare_folders(folders, SCORING, wanted=Wanted(), reports=Reports(scene=off))
    with pytest.raises(GridError, match=r"b\.tif: does not overlap"):
        job.check()
    # One for all is shown where it lies.
    one = Reports(report=tmp_path / "page.html", scene=f"{off}/a.tif")
    evaluate(folders, reports=one)
    assert (tmp_path / "page.html").read_text().count(">scene</figcaption>") == 1
    away = fill("away", {"c": (pixels, Affine(10, 0, 800000, 0, -10, 4000000))})
    with pytest.raises(GridError, match=r"c\.tif: does not overlap"):
        evaluate(folders, reports=Reports(scene=f"{away}/c.tif"))


def test_scenes_off_the_region_are_left_out_and_told(folders: list[str]) -> None:
    region = "499000,4099000,501000,4101000"
    job = compare_folders(folders, replace(SCORING, region=region), wanted=Wanted())
    assert job.stems == ("b",)
    assert job.notes == ("1 map lies off the labels or the region: a",)
    with pytest.raises(VectorError):
        compare_folders(folders, replace(SCORING, region="0,0,9,9"), wanted=Wanted())


def test_scenes_may_share_labels_that_some_lie_off(
    fill: Callable[..., str], write: Write, tmp_path: Path
) -> None:
    here = Affine(10, 0, 300000, 0, -10, 4000000)
    away = Affine(10, 0, 900000, 0, -10, 4000000)
    pixels = [[1, 1, 2]]
    maps = fill("maps", {"a": (pixels, here), "again": (pixels, here), "off": (pixels, away)})
    labels = write(tmp_path / "labels.tif", [[1, 2, 2, 1]], transform=here)
    got = evaluate([maps, str(labels)])
    assert got.evaluations[0].confusion.counts.tolist() == [[2, 0], [2, 2]]
    assert got.content["notes"][0] == "1 map lies off the labels or the region: off"
    # Maps that lie on labels of another grid do not lie off them.
    beside = (pixels, here @ Affine.translation(0.5, 0))
    shifted = fill("shifted", {"a": (pixels, here), "b": beside})
    with pytest.raises(GridError, match="leave out --strict-grid"):
        evaluate([shifted, str(labels)], strict_grid=True)
    with pytest.raises(GridError):
        evaluate([fill("gone", {"x": (pixels, away), "y": (pixels, away)}), str(labels)])


def test_a_map_without_a_coordinate_system_does_not_lie_off_but_is_refused(
    folders: list[str], write: Write, tmp_path: Path
) -> None:
    write(tmp_path / "maps" / "lost.tif", [[1, 1]], transform=MAPS["a"][1], crs=None)
    labels = write(tmp_path / "labels.tif", LABELS["a"][0], transform=LABELS["a"][1])
    with pytest.raises(GridError, match=r"lost\.tif has no coordinate system"):
        compare_folders([folders[0], str(labels)], SCORING, wanted=Wanted())
    polygons = tmp_path / "drawn.gpkg"
    box = shapely.box(300000, 3999980, 300030, 4000000)
    geopandas.GeoDataFrame({"k": ["cane"]}, geometry=[box], crs="EPSG:32612").to_file(polygons)
    with (
        pytest.raises((GridError, VectorError), match=r"lost\.tif"),
        open_labels(str(polygons), folders[0], field="k", classes="1=cane,2=other", many=True),
    ):
        pass


def test_labels_of_another_place_are_refused_where_each_has_its_own(
    folders: list[str], fill: Callable[..., str]
) -> None:
    off = fill("off", {"a": LABELS["a"], "b": (LABELS["b"][0], MAPS["a"][1])})
    with pytest.raises(GridError, match="overlap"):
        evaluate([folders[0], off])


def test_stages_of_scenes_need_cells(folders: list[str]) -> None:
    stages = StagesWanted(table=StageTable.agde(), target=(1,))
    with pytest.raises(OptionError, match="--cell"):
        evaluate(folders, Wanted(stages=stages))


# -- rasters of errors ----------------------------------------------------------------------------


def test_every_map_has_a_raster_of_errors_with_one_legend(
    folders: list[str], tmp_path: Path
) -> None:
    reports = Reports(errors=tmp_path / "errors")
    reports.check(folders)
    evaluate(folders, reports=reports)
    legends = [raster_legend(tmp_path / f"errors/{name}.tif") for name in "ab"]
    assert legends[0] == legends[1]
    assert legends[0] is not None
    assert legends[0].names == ("right", "other → cane", "no prediction")
    with rasterio.open(tmp_path / "errors/a.tif") as file:
        assert file.read(1).tolist() == [[0, 1, 0], [0, 255, 2]]
        assert file.transform == MAPS["a"][1]
    with rasterio.open(tmp_path / "errors/b.tif") as file:
        assert file.read(1).tolist() == [[0, 0, 0, 0], [0, 0, 1, 0]]
    assert (tmp_path / "errors/b.qml").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors", "labels", "maps"]


def test_photographs_have_rasters_of_errors_too(tmp_path: Path) -> None:
    for folder, wrong in (("maps", 2), ("masks", 1)):
        (tmp_path / folder).mkdir()
        for name in ("one", "two"):
            pixels = np.array([[1, wrong, 255]], np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    both = [str(tmp_path / "maps"), str(tmp_path / "masks")]
    evaluate(both, reports=Reports(errors=tmp_path / "errors"))
    errors = Scene.open(tmp_path / "errors/two.tif")
    pixels = errors.read(errors.grid.window)
    assert pixels.data[0].tolist() == [[0, 1, 255]]


def test_folder_of_errors_is_replaced_if_asked_and_if_it_is_one(
    folders: list[str], tmp_path: Path
) -> None:
    evaluate(folders, reports=Reports(errors=tmp_path / "errors"))
    with pytest.raises(OutputError, match="--overwrite"):
        evaluate(folders, reports=Reports(errors=tmp_path / "errors"))
    again = Reports(errors=tmp_path / "errors", overwrite=True)
    evaluate(folders, reports=again)
    (tmp_path / "errors/letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="something else than rasters of errors"):
        evaluate(folders, reports=again)
    with pytest.raises(OutputError, match="something else"):
        evaluate(folders, reports=Reports(errors=Path(folders[0]), overwrite=True))


def test_errors_of_many_maps_are_no_file_and_of_one_prediction(
    folders: list[str], fill: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=r"name it without \.tif"):
        evaluate(folders, reports=Reports(errors=tmp_path / "errors.tif"))
    both = [folders[0], fill("new", MAPS), folders[1]]
    with pytest.raises(OptionError, match="of one prediction"):
        evaluate(both, reports=Reports(errors=tmp_path / "errors"))
    with pytest.raises(OutputError, match="which is read"):
        Reports(errors=Path(folders[0]), overwrite=True).check([f"{folders[0]}/a.tif"])


def test_nothing_is_left_where_writing_fails(
    folders: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> str:
        raise OutputError("no room")

    monkeypatch.setattr("geoseg.assessment.gallery.page_of_folders", fail)
    reports = Reports(report=tmp_path / "out", errors=tmp_path / "errors")
    with pytest.raises(OutputError, match="no room"):
        evaluate(folders, reports=reports)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels", "maps"]


def test_number_of_workers_changes_nothing(folders: list[str], tmp_path: Path) -> None:
    wanted = Wanted(resamples=30, block=CellSize.parse("1px"), boundary=CellSize.parse("1px"))
    texts = []
    for workers in (1, 3):
        report = tmp_path / f"{workers}"
        reports = Reports(report=report, errors=tmp_path / f"errors{workers}")
        job = compare_folders(folders, SCORING, wanted=wanted, reports=reports)
        job.run(workers=workers)
        errors = (tmp_path / f"errors{workers}/a.tif").read_bytes()
        texts.append((json.loads((report / "scores.json").read_text()), errors))
    assert texts[0] == texts[1]
