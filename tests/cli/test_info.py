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


def write(path: Path, *, bands: int = 2, dtype: str = "uint16", **profile: Any) -> Path:
    data = np.arange(bands * 12).reshape(bands, 3, 4).astype(dtype)
    options = {"driver": "GTiff", "crs": "EPSG:32612", "transform": HERE, "nodata": 0} | profile
    with rasterio.open(path, "w", count=bands, height=3, width=4, dtype=dtype, **options) as file:
        file.write(data)
        file.descriptions = ["red", "nir", "swir"][:bands]
    return path


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def test_scene_is_told_in_a_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("info", write(tmp_path / "scene.tif")) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.splitlines()[0] == str(tmp_path / "scene.tif")
    assert "4 × 3 px, 2 bands, uint16" in told.out
    assert "EPSG:32612 (WGS 84 / UTM zone 12N), north up" in told.out


def test_several_files_are_a_block_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(tmp_path / f"{name}.tif") for name in "abc"]
    assert call("info", *files) == 0
    blocks = capsys.readouterr().out.rstrip().split("\n\n" + str(tmp_path))
    assert len(blocks) == 3


def test_unreadable_file_is_one_line_the_others_go_on_and_the_status_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    (tmp_path / "empty").mkdir()
    good = write(tmp_path / "good.tif")
    missing = tmp_path / "missing.tif"
    assert call("info", text, good, tmp_path / "empty", missing) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == str(good)
    lines = told.err.splitlines()
    assert [line.startswith("Error: ") for line in lines] == [True] * 3
    for line, name in zip(lines, ("text.tif", "empty", "missing.tif"), strict=True):
        assert name in line


def test_json_is_one_object_with_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, missing = write(tmp_path / "good.tif"), tmp_path / "missing.tif"
    assert call("info", good, missing, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [item["kind"] for item in told["found"]] == ["scene"]
    assert [band["name"] for band in told["found"][0]["bands"]] == ["red", "nir"]
    (problem,) = told["problems"]
    assert problem["file"] == str(missing)
    assert "missing.tif" in problem["error"]


def test_nan_nodata_is_valid_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "f.tif", dtype="float32", nodata=float("nan"))
    assert call("info", path, "--json") == 0

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert call("info", path) == 0
    assert "NaN" in capsys.readouterr().out


def test_nothing_named_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("info", "--json") == 2
