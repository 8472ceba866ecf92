from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.cli import main

HERE = Affine(30, 0, 300000, 0, -30, 4000000)


def write(path: Path, pixels: Any, *, transform: Affine = HERE, dtype: str = "uint8") -> str:
    data = np.array(pixels, dtype=dtype)
    height, width = data.shape
    profile = {"driver": "GTiff", "count": 1, "crs": "EPSG:32612", "nodata": 255}
    with rasterio.open(
        path, "w", height=height, width=width, dtype=dtype, transform=transform, **profile
    ) as file:
        file.write(data, 1)
    return str(path)


@pytest.fixture
def maps(tmp_path: Path) -> tuple[str, str]:
    return (
        write(tmp_path / "map.tif", [[1, 1, 2, 2]]),
        write(tmp_path / "labels.tif", [[1, 2, 2, 255]]),
    )


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def test_table_goes_to_standard_output_and_notes_to_standard_error(
    maps: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", *maps) == 0
    told = capsys.readouterr()
    assert "pixel accuracy (PA)  0.6667" in told.out
    assert told.err.splitlines() == [
        "neither raster names its classes: the values found in them are taken as classes"
    ]


def test_quiet_says_nothing_on_standard_error(
    maps: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", *maps, "-q") == 0
    assert capsys.readouterr().err == ""


def test_json_is_one_object(maps: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("evaluate", *maps, "--json", "--classes", "1=water,2=forest,3=ice") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scores"]["mean_iou"] == 0.5
    assert told["classes"][2]["iou"] is None


def test_output_is_the_same_json(
    maps: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "scores.json"
    assert call("evaluate", *maps, "--json", "-o", target) == 0
    assert json.loads(target.read_text(encoding="utf-8")) == json.loads(capsys.readouterr().out)


def test_output_is_not_replaced_and_nothing_is_computed(
    maps: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "scores.json"
    target.write_text("mine")
    assert call("evaluate", *maps, "-o", target) == 1
    told = capsys.readouterr()
    assert target.read_text() == "mine"
    assert told.out == ""
    assert "--overwrite" in told.err
    assert call("evaluate", *maps, "-o", target, "--overwrite") == 0
    assert target.read_text() != "mine"


def test_labels_on_another_grid_are_told_on_standard_error(
    tmp_path: Path, maps: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    coarse = write(
        tmp_path / "coarse.tif", [[1, 2]], transform=Affine(60, 0, 300000, 0, -60, 4000000)
    )
    assert call("evaluate", maps[0], coarse, "--classes", "1=a,2=b", "--json") == 0
    told = capsys.readouterr()
    assert told.err.startswith("coarse.tif: resampled (nearest) from 2 × 1 px")
    assert json.loads(told.out)["scores"]["pixel_accuracy"] == 1


def test_values_and_names_to_ignore_and_leave_out_are_split_at_commas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prediction = write(tmp_path / "map.tif", [[1, 2, 3, 4, 1]])
    labels = write(tmp_path / "labels.tif", [[1, 2, 0, 9, 4]])
    classes = "1=water,2=forest,3=ice,4=rock"
    options = ["--ignore", "0, 9", "--leave-out", "ice,4", "--leave-out", "forest"]
    assert call("evaluate", prediction, labels, "--classes", classes, "--json", *options) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ignored_values"] == [0, 9]
    assert [c["in_means"] for c in told["classes"]] == [True, False, False, False]


def test_unpredicted_pixels_are_reported_and_wrong_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prediction = write(tmp_path / "map.tif", [[1, 255]])
    labels = write(tmp_path / "labels.tif", [[1, 1]])
    assert call("evaluate", prediction, labels) == 0
    told = capsys.readouterr().out
    assert "pixel accuracy (PA)  1.0000" in told
    assert "1 labelled px (50.0 %) have no prediction: not scored" in told
    assert call("evaluate", prediction, labels, "--unpredicted", "wrong") == 0
    told = capsys.readouterr().out
    assert "pixel accuracy (PA)  0.5000" in told
    assert "1 labelled px (50.0 %) have no prediction: counted as errors" in told


def test_matrix_is_printed_on_request(
    maps: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", *maps, "--matrix") == 0
    assert "truth ↓  prediction →" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--classes", "1=water", "--leave-out", "lake"], "no class is named 'lake'"),
        (["--classes", "water"], "is no list of classes"),
        (["--classes", "7=water"], "--classes"),
        (["-o", "no/such/folder/scores.json"], "folder"),
        (["--region", "0,0,1,1"], "region"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_status_1(
    maps: tuple[str, str], options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", *maps, *options, "-q") == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith("Error: ")
    assert said in told.err


@pytest.mark.parametrize("content", [b"", b"no raster", b"II*\0\x08\0\0\0"])
def test_labels_that_are_no_raster_are_one_line_and_status_1(
    maps: tuple[str, str], tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.tif"
    bad.write_bytes(content)
    assert call("evaluate", maps[0], bad) == 1
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert "bad.tif" in told.err


@pytest.mark.parametrize(
    "arguments",
    [["--ignore", "1,,2"], ["--unpredicted", "maybe"], ["--leave-out", "1", "--ignore", "2"]],
)
def test_wrong_usage_is_status_2(maps: tuple[str, str], arguments: list[str]) -> None:
    assert call("evaluate", *maps, *arguments) == 2


# -- beyond scores --------------------------------------------------------------------------------


@pytest.fixture
def larger(tmp_path: Path) -> tuple[str, str, str]:
    random = np.random.default_rng(0)
    truth = np.kron(random.integers(1, 4, (6, 6)), np.ones((8, 8), int))
    sides = [np.where(random.random(truth.shape) < share, 1, truth) for share in (0.1, 0.3)]
    return (
        write(tmp_path / "new.tif", sides[0]),
        write(tmp_path / "old.tif", sides[1]),
        write(tmp_path / "truth.tif", truth),
    )


CLASSES = ("--classes", "1=water,2=forest,3=shrub")


def test_everything_at_once_is_written_and_told(
    larger: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, old, truth = larger
    wanted = ("--bootstrap", "50", "--block", "240m", "--boundary", "1px", "--seams", "8")
    stages = ("--stages", "agde", "--target", "forest", "--exclude", "1", "--cell", "8px")
    files = ("-o", tmp_path / "out", "--errors", tmp_path / "e.tif", "--scene", old)
    assert call("evaluate", new, truth, *CLASSES, *wanted, *stages, *files, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "out/scores.json").read_text(encoding="utf-8"))
    assert told["intervals"]["block_px"] == [8, 8]
    assert told["boundary"]["distance_px"] == 1
    assert told["stages"]["units"] == 36
    assert told["settings"]["target"] == ["forest"]
    assert (tmp_path / "e.qml").is_file()
    assert call("evaluate", new, truth, *CLASSES, *files[:2]) == 1
    assert call("evaluate", new, truth, *CLASSES, *files[:2], "--overwrite") == 0


def test_maps_that_are_scored_on_other_pixels_are_told_beside_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write(tmp_path / "labels.tif", [[1, 2, 2, 2]])
    honest = write(tmp_path / "honest.tif", [[1, 1, 2, 2]])
    leaves_out = write(tmp_path / "out.tif", [[1, 255, 2, 2]])
    assert call("evaluate", honest, leaves_out, labels) == 0
    table = capsys.readouterr().out.split("pixel accuracy")[0]
    assert "on the 3 px that all maps have; below, each on its own (3 to 4 px)" in table
    # The two agree where both are.
    assert "honest.tif  1.0000" in table
    assert "out.tif − honest.tif  0.0000" in table
    assert call("evaluate", honest, leaves_out, labels, "--unpredicted", "wrong") == 0
    table = capsys.readouterr().out.split("pixel accuracy")[0]
    assert "that all maps have" not in table
    assert "honest.tif  0.7500" in table


def test_stages_are_those_of_the_cells_of_coverage(
    larger: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Seven pixels; neither 300000 nor 4000000 is a border of such cells.
    new, _, truth = larger
    options = (*CLASSES, "--stages", "agde", "--target", "water", "--exclude", "forest")
    counts = np.zeros((6, 6), int)
    stages = []
    for name, path in (("found", new), ("true", truth)):
        output = tmp_path / f"{name}.tif"
        assert call("coverage", path, *options, "--cell", "210m", "-o", output, "-q") == 0
        with rasterio.open(tmp_path / f"{name}_stage.tif") as file:
            stages.append(file.read(1))
    found, true = (np.where(stage == 255, 6, stage) - 1 for stage in stages)
    np.add.at(counts, (true.ravel(), found.ravel()), 1)
    capsys.readouterr()
    assert call("evaluate", new, truth, *options, "--cell", "210m", "--json") == 0
    told = json.loads(capsys.readouterr().out)["stages"]
    assert told["counts"] == counts.tolist()
    assert told["units"] == true.size == 8 * 8
    assert np.trace(counts) < true.size


def test_labels_are_the_last_of_several(
    larger: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", *larger, *CLASSES, "--bootstrap", "50", "--block", "8px") == 0
    told = capsys.readouterr().out
    assert "old.tif − new.tif" in told
    assert told.count("truth.tif") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "1"), "go with --stages"),
        (("--stages", "agde", "--target", "1"), "needs --target and --cell"),
        (("--stages", "agde", "--cell", "8px"), "needs --target"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(
    larger: tuple[str, str, str],
    options: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("evaluate", larger[0], larger[2], *options) == 2
    assert message in capsys.readouterr().err


def test_one_raster_alone_is_a_usage_error(
    larger: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", larger[0]) == 2
    assert "last, the labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--bootstrap", "5"), 2, "make no interval"),
        (("--bootstrap", "50", "--block", "big"), 2, "--block 'big' is no length above 0"),
        (("--boundary", "0px"), 2, "--boundary '0px' is no length above 0"),
        (("--boundary", "3mm"), 2, "in a unit that is known: write 2px"),
        (("--errors", "folder"), 2, "name it folder.tif"),
        (("--boundary", "0.1px"), 2, "within 1 to 100 pixels"),
        (("--stages", "none.csv", "--target", "1", "--cell", "8px"), 1, "read as stages"),
        (("-o", "scores.txt"), 2, "*.json or *.html"),
        (("--scene", "nowhere.tif", "-o", "page.html"), 1, "nowhere.tif"),
    ],
)
def test_what_cannot_be_is_one_line(
    larger: tuple[str, str, str],
    options: tuple[str, ...],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("evaluate", larger[0], larger[2], *CLASSES, *options) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "page.html").exists()


def test_a_table_of_classes_is_not_written_over(
    maps: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "classes.json"
    table.write_text('[{"id": 0, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "c"}]')
    before = table.read_text()
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *maps, "--classes", str(table), "-o", str(table), "--overwrite"])
    assert ended.value.code == 1
    assert "is an input of this very run" in capsys.readouterr().err
    assert table.read_text() == before
