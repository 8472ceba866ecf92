"""What every command leaves: the same bytes wherever and whenever it runs, and what made them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from geoseg import cli
from geoseg.cli import _run
from geoseg.report.pictures import write_png
from geoseg.testing import demo
from geoseg.testing.scenes import tiny_scene
from geoseg.testing.spectra import LEGEND

DOCS = Path(__file__).resolve().parents[2] / "docs"
HOLDS_SECONDS = re.compile(
    r".*\.(curves\.csv|report\.html|report\.json)|results/report\.(html|json)|.*/\.geoseg-run\.json"
)
"""How long training and recipes took is what these say."""
DOES_NOT_SAY = re.compile(r".*/README\.txt|.*/\.geoseg-run\.json(\.lock)?")
"""A text for people, and what a recipe remembers; ``geoseg info`` tells of every other file."""
NEVER_MISSING = {"command", "version", "versions", "inputs", "options"}


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples") / "inputs"
    loaded(DOCS / "examples" / "inputs.py").make(folder)
    return folder


def command_lines(name: str) -> list[list[str]]:
    text = (DOCS / "examples" / f"{name}.sh").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    words = [shlex.split(line)[1:] for line in lines if line.startswith("geoseg ")]
    assert name in [each[0] for each in words]
    return words


def made_in(folder: Path, inputs: Path, name: str) -> dict[str, bytes]:
    """Run an example there; what it made, by path."""
    shutil.copytree(inputs, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    os.chdir(folder)
    for words in command_lines(name):
        assert _run([*words, "-q"]) == 0, words
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {
        path.relative_to(folder).as_posix(): content
        for path, content in after.items()
        if before.get(path) != content
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", cli._COMMANDS)
def test_outputs_are_the_same_bytes_anywhere_and_say_what_made_them(
    name: str,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "_HEIGHT", 300)
    monkeypatch.setattr(demo, "_WIDTH", 300)
    one, other = tmp_path / "one", tmp_path / "another place, später"
    monkeypatch.setenv("GEOSEG_MODEL", str(inputs / "model.safetensors"))
    first = made_in(one, inputs, name)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        second = made_in(other, inputs, name)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert set(first) == set(second)
    changed = [path for path in first if first[path] != second[path]]
    assert [path for path in changed if not HOLDS_SECONDS.fullmatch(path)] == []
    nowhere = [path for path in first if str(tmp_path).encode() in first[path]]
    assert [path for path in nowhere if not path.endswith(".geoseg-run.json")] == []

    told = sorted(path for path in first if not DOES_NOT_SAY.fullmatch(path))
    for path, found in seen(one, told, capsys).items():
        assert found["written"], path
        assert set(found["made_by"]) >= NEVER_MISSING, path
        assert found["made_by"]["command"].startswith("geoseg"), path
        assert found["made_by"]["inputs"] or name == "demo", path
        assert str(tmp_path) not in json.dumps(found["made_by"]), path


def seen(
    folder: Path, paths: list[str], capsys: pytest.CaptureFixture[str]
) -> dict[str, dict[str, Any]]:
    """What ``geoseg info`` sees of files, by path."""
    if not paths:
        return {}
    capsys.readouterr()
    assert _run(["info", "--json", *(str(folder / path) for path in paths)]) == 0
    found = json.loads(capsys.readouterr().out)["found"]
    assert len(found) == len(paths)
    return dict(zip(paths, found, strict=True))


EVALUATE = "evaluate labels.tif labels.tif --scene scene.tif"
TILE = "tile scene.tif --labels labels.tif --size 32 --format geotiff -o seen"
KINDS = {
    "evaluation": (
        [f"{EVALUATE} -o found", f"{EVALUATE} -o page.html"],
        {
            "found/scores.json": "scores",
            "found/report.html": "page",
            "found/classes.csv": "table",
            "found/confusion.csv": "table",
            "page.html": "page",
        },
    ),
    "zones": (
        ["coverage labels.tif --target forest --zones fields.gpkg -o zones.gpkg"],
        {"zones.gpkg": "polygons", "zones.csv": "table", "zones.qml": "style"},
    ),
    "photographs": (
        ["coverage maps --target forest --images pictures --previews seen -o table.csv"],
        {
            "table.csv": "table",
            "table.csv-metadata.json": "what made a table",
            "seen/a.jpg": "picture",
        },
    ),
    "polygons": (
        [f"vectorise labels.tif -o polygons.{suffix}" for suffix in ("geojson", "parquet")],
        {"polygons.geojson": "polygons", "polygons.parquet": "polygons"},
    ),
    "cam": (
        [
            TILE,
            "train seen --model shallow-cnn --optimizer adam --epochs 1 -o holds.safetensors",
            "cam scene.tif --model holds.safetensors --reference labels.tif --patches 8"
            " --weak-labels weak.tif --fitted-model fitted.safetensors --report page.html"
            " -o cam.tif",
        ],
        {
            "seen/train/images/scene_r000000_c000032.tif": "scene",
            "seen/train/files.txt": "part of a data set",
            "seen/train/class_pixels.npy": "part of a data set",
            "seen/dataset.json": "data set",
            "holds.safetensors": "model",
            "fitted.safetensors": "model",
            "weak.tif": "class raster",
            "weak.tif.aux.xml": "names and colours",
            "page.html": "page",
            "page.json": "report",
        },
    ),
    "comparison": (
        [
            TILE,
            "train seen --model unet-small --model-option widths=8,16 --epochs 1"
            " --compare 'lr=0.01; 0.02' -o compared",
        ],
        {
            "compared/comparison.json": "report",
            "compared/comparison.html": "page",
            "compared/comparison.csv": "table",
            "compared/lr-0-01.curves.csv": "table",
            "compared/lr-0-01.curves.png": "picture",
            "compared/lr-0-01.report.html": "page",
            "compared/lr-0-01.report.json": "report",
            "compared/lr-0-01.test.json": "report",
            "compared/lr-0-01.safetensors": "model",
        },
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_says_what_made_it(
    name: str,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines, kinds = KINDS[name]
    shutil.copytree(inputs, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    if name == "photographs":
        photograph(Path("maps"), Path("pictures"))
    for line in lines:
        assert _run([*shlex.split(line), "-q"]) == 0, line
    found = seen(Path(), list(kinds), capsys)
    assert {path: each["kind"] for path, each in found.items()} == kinds
    commands = {line.split()[0] for line in lines}
    for path, each in found.items():
        made = each["made_by"]
        assert set(made) >= NEVER_MISSING, path
        assert made["inputs"], path
        assert made["command"].split()[0] == "geoseg", path
        assert made["command"].split()[1] in commands, path
        assert str(tmp_path) not in json.dumps(made), path
    if name == "cam":
        assert found["fitted.safetensors"]["made_by"]["command"].startswith("geoseg cam scene.tif")
        assert "--lr" not in found["holds.safetensors"]["made_by"]["command"]


def photograph(maps: Path, pictures: Path) -> None:
    """Make a photograph and its map."""
    maps.mkdir()
    pictures.mkdir()
    codes = np.full((40, 40), LEGEND.ids[0], np.uint8)
    codes[:20] = LEGEND.ids[LEGEND.names.index("forest")]
    tiny_scene(maps / "a.tif", codes, nodata=255, legend=LEGEND)
    (pictures / "a.png").write_bytes(write_png(np.full((40, 40, 3), 90, np.uint8)))


def test_a_date_is_in_files_only_where_it_is_asked_for(
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(inputs, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    lines = [
        "recode labels.tif --codes '1=1,*=0' -o {0}.tif",
        "evaluate labels.tif labels.tif -o {0}.json",
    ]
    lines += ["export labels.tif --date 2020-07-14 -o {0}-item.json"]
    for line in lines:
        assert _run([*shlex.split(line.format("plain")), "-q"]) == 0, line
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "951782400")
    for line in lines:
        assert _run([*shlex.split(line.format("dated")), "-q"]) == 0, line
    for path in (".tif", ".json", "-item.json"):
        found = seen(Path(), [f"plain{path}", f"dated{path}"], capsys)
        assert "date" not in found[f"plain{path}"]["made_by"]
        assert found[f"dated{path}"]["made_by"].pop("date") == "2000-02-29T00:00:00Z"
    with rasterio.open("dated.tif") as raster:
        assert raster.tags()["TIFFTAG_DATETIME"] == "2000:02:29 00:00:00"
    item = json.loads(Path("dated-item.json").read_text(encoding="utf-8"))
    assert item["properties"]["created"] == "2000-02-29T00:00:00Z"
    capsys.readouterr()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert _run([*shlex.split(lines[0].format("never")), "-q"]) != 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "SOURCE_DATE_EPOCH='yesterday'" in said
    assert not Path("never.tif").exists()


@pytest.mark.slow
def test_a_map_opens_elsewhere_and_says_there_what_made_it(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = made_in(tmp_path / "here", inputs, "predict")
    rasters = [tmp_path / "here" / path for path in made if path.endswith(".tif")]
    assert rasters
    for path in rasters:
        whole, errors, warnings = cog_validate(str(path), quiet=True)
        assert (whole, errors, warnings) == (True, [], []), path
    program = shutil.which("gdalinfo")
    if program is None:
        pytest.skip("no gdalinfo here")
    for path in rasters:
        done = subprocess.run([program, path], capture_output=True, text=True, check=True)
        for tag in ("COMMAND=geoseg predict", "VERSION=", "INPUTS={", "MODEL=[", "OPTIONS={"):
            assert f"GEOSEG_{tag}" in done.stdout, path
