from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.cli import main


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    pixels = np.array([[1, 1, 2], [1, 3, 2], [255, 2, 2]], np.uint8)
    with rasterio.open(
        tmp_path / "map.tif",
        "w",
        driver="GTiff",
        height=3,
        width=3,
        count=1,
        dtype="uint8",
        crs="EPSG:32612",
        nodata=255,
        transform=Affine(100, 0, 300000, 0, -100, 4000000),
    ) as file:
        file.write(pixels, 1)
    return tmp_path / "map.tif"


def call(*arguments: Any) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def test_summary_goes_to_standard_output_and_notes_to_standard_error(
    raster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.gpkg"
    assert call("vectorise", raster, "-o", out, "--min-area", "2px") == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].startswith(f"{out}: 2 polygons in ")
    assert lines[1].split() == ["class", "1", "1", "3.0", "ha"]
    assert lines[2].split() == ["class", "2", "1", "4.0", "ha"]
    assert lines[3] == "left out: 1 smaller than 2px, 1.0 ha"
    assert told.err.splitlines() == [
        f"{raster} names no classes: polygons are named by their values"
    ]
    assert geopandas.read_file(out)["class"].tolist() == [1, 2]


def test_json_is_one_object(
    raster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--classes", "2, 3", "--simplify", "1px", "--json", "-q"]
    assert call("vectorise", raster, "-o", tmp_path / "out.geojson", *options) == 0
    told = capsys.readouterr()
    assert told.err == ""
    found = json.loads(told.out)
    assert found["polygons"] == 2
    assert [(c["id"], c["pixels"]) for c in found["classes"]] == [(2, 4), (3, 1)]
    assert found["left_out"]["polygons"] == 0
    assert found["files"] == [str(tmp_path / "out.geojson"), str(tmp_path / "out.qml")]


def test_the_american_spelling_is_accepted(raster: Path, tmp_path: Path) -> None:
    assert call("vectorize", raster, "-o", tmp_path / "out.gpkg", "-q") == 0


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--min-area", "much"], 2, "'much' is no area; write 100px, 0.5ha or 450m2"),
        (["--simplify", "0"], 2, "'0' is no tolerance"),
        (["--classes", "1,,2"], 2, "holds an empty name"),
        (["--classes", "ice"], 1, "no class is named 'ice'"),
        (["--classes", "9"], 1, "has no pixel of the classes that are wanted"),
        (["-o", "nowhere/out.gpkg"], 1, "does not exist; make it first"),
        (["-o", "out.shp"], 1, "name the output *.gpkg or *.geojson"),
    ],
)
def test_what_cannot_be_is_one_line(
    raster: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    output = [] if "-o" in options else ["-o", "out.gpkg"]
    assert call("vectorise", raster, *output, *options) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err.splitlines()[-1]
    assert "Traceback" not in told.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_raster_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("vectorise", tmp_path / "none.tif", "-o", tmp_path / "out.gpkg") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_geoparquet_needs_pyarrow_and_says_so(
    raster: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert call("vectorise", raster, "-o", tmp_path / "out.parquet") == 2
    assert "GeoParquet needs pyarrow: install it" in capsys.readouterr().err
