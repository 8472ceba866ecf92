"""``geoseg coverage``: real files in, what is said and written."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.cli import main
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend.written import parse_legend

HERE = Affine(30, 0, 300000, 0, -30, 4000000)
LEGEND = parse_legend("1=water,2=forest,3=grass")


@pytest.fixture
def map_(tmp_path: Path) -> Path:
    path = tmp_path / "map.tif"
    grid = Grid(crs=CRS.from_epsg(32612), transform=HERE, height=2, width=4)
    with RasterWriter(
        path, grid, band_names=["class"], dtype="uint8", nodata=255, legend=LEGEND
    ) as writer:
        writer.write_rows(0, np.array([[2, 3, 1, 2], [2, 2, 255, 255]], np.uint8))
    return path


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    path = tmp_path / "zones.gpkg"
    shapes = [
        shapely.box(300000, 3999940, 300060, 4000000),
        shapely.box(300060, 3999970, 300090, 4e6),
    ]
    geopandas.GeoDataFrame({"name": ["west", "lake"]}, geometry=shapes, crs=32612).to_file(path)
    return path


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_cells_with_stages_are_written_and_summed_up(
    map_: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "c.tif"
    words = ["--target", "forest", "--exclude", "water", "--cell", "2px", "--stages", "agde"]
    assert call("coverage", map_, "-o", target, *words, "--hectares") == 0
    said = capsys.readouterr().out
    assert said.splitlines()[:2] == [str(target), str(tmp_path / "c_stage.tif")]
    assert "forest among all but water: 80.00 %, stage V" in said
    assert "without data: 25.00 %" in said
    assert "cells by stage: I 0, II 0, III 0, IV 1, V 0, other 1" in said
    with rasterio.open(target) as file:
        assert file.descriptions == ("coverage", "nodata_share", "target_ha")
        assert file.read(1).tolist() == [[75, 100]]
    with rasterio.open(tmp_path / "c_stage.tif") as file:
        assert file.read(1).tolist() == [[4, 6]]


def test_zones_are_told_as_json(
    map_: Path, zones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--target", "2", "--exclude", "water", "--zones", zones, "--zone-field", "name"]
    assert call("coverage", map_, "-o", tmp_path / "o.gpkg", *words, "--json") == 0
    found = told(capsys)
    assert found["coverage"] == 75
    assert [zone["name"] for zone in found["zones"]] == ["west", "lake"]
    assert [zone["coverage"] for zone in found["zones"]] == [75, None]
    assert found["outputs"] == [str(tmp_path / "o.gpkg"), str(tmp_path / "o.csv")]
    assert found["target"] == ["forest"]


def test_zones_are_told_as_a_table(
    map_: Path, zones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--target", "grass", "--zones", zones, "--zone-field", "name", "--stages", "agde"]
    assert call("coverage", map_, "-o", tmp_path / "o.gpkg", *words) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["west", "25.00", "%", "II", "0.1", "0.00", "%"] in lines


def test_expected_coverage_of_probabilities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.tif"
    profile = {"driver": "GTiff", "count": 2, "height": 1, "width": 2, "dtype": "float32"}
    with rasterio.open(path, "w", crs="EPSG:32612", transform=HERE, **profile) as file:
        file.write(np.array([[[0.25, 0.5]], [[0.75, 0.5]]], np.float32))
        file.set_band_description(1, "forest")
        file.set_band_description(2, "grass")
    words = ["--from-probabilities", "--target", "grass", "--cell", "2px", "--json"]
    assert call("coverage", path, "-o", tmp_path / "c.tif", *words) == 0
    assert told(capsys)["coverage"] == 62.5


def test_what_nothing_counts_in_is_noted(
    map_: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--target", "forest", "--cell", "1px", "--classes", "8=forest,9=rest"]
    assert call("coverage", map_, "-o", tmp_path / "c.tif", *words) == 0
    err = capsys.readouterr().err
    assert "hold values that are no class (1, 2, 3)" in err
    assert "Note: nothing counts anywhere" in err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--cell", "60m", "--zones", "z.gpkg"], 2, "Give one of --cell, --like and --zones"),
        ([], 2, "Give one of --cell, --like and --zones"),
        (["--cell", "60m", "--zone-field", "a"], 2, "it goes with --zones"),
        (["--zones", "z.gpkg", "--hectares"], 2, "goes with cells"),
        (["--cell", "60acres"], 2, "write 300m"),
        (["--cell", "1deg"], 1, "give 300m or 10px"),
        (["--cell", "60m", "--exclude", "ice"], 1, "no class is named 'ice'; there are 1 water"),
        (["--cell", "60m", "--stages", "none.csv"], 1, "give agde, or a CSV file"),
        (["--like", "none.tif"], 1, "none.tif"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    map_: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    message: str,
) -> None:
    before = sorted(tmp_path.iterdir())
    output = tmp_path / ("o.gpkg" if "z.gpkg" in words else "o.tif")
    assert call("coverage", map_, "-o", output, "--target", "forest", *words) == status
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


def test_inputs_are_not_written_over(
    map_: Path, zones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--target", "forest", "--overwrite"]
    assert call("coverage", map_, "-o", map_, *words, "--cell", "60m") == 1
    assert call("coverage", map_, "-o", zones, *words, "--zones", zones) == 1
    assert capsys.readouterr().err.count("is an input of this very run") == 2


def test_a_table_of_stages_is_not_written_over_by_that_of_zones(
    map_: Path, zones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = tmp_path / "o.csv"
    stages.write_text("name,low,high\nall,0,100\n")
    words = ["--target", "forest", "--overwrite", "--stages", stages]
    assert call("coverage", map_, "-o", tmp_path / "o.gpkg", *words, "--zones", zones) == 1
    assert call("coverage", tmp_path, "-o", stages, *words) == 1
    assert capsys.readouterr().err.count("is an input of this very run") == 2
    assert stages.read_text().startswith("name,low,high")


def test_the_style_of_a_map_stays_beside_zones_of_its_name(map_: Path, zones: Path) -> None:
    style = map_.with_suffix(".qml")
    before = style.read_text()
    output = map_.with_suffix(".gpkg")
    assert call("coverage", map_, "-o", output, "--target", "forest", "--zones", zones) == 0
    assert style.read_text() == before
    with closing(sqlite3.connect(output)) as file:
        (layer, qml), *_ = file.execute("SELECT f_table_name, styleQML FROM layer_styles")
    assert layer == "coverage"
    assert "categorizedSymbol" in qml
    assert geopandas.read_file(output, layer="coverage")["zone"].tolist() == [1, 2]


def test_outputs_name_their_kind(
    map_: Path, zones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("coverage", map_, "-o", "o.png", "--target", "forest", "--cell", "60m") == 2
    assert call("coverage", map_, "-o", "o.tif", "--target", "forest", "--zones", zones) == 2
    assert capsys.readouterr().err.count("name the output") == 2
