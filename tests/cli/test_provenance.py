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

import pytest
from rio_cogeo.cogeo import cog_validate

from geoseg import cli
from geoseg.cli import _run
from geoseg.testing import demo

DOCS = Path(__file__).resolve().parents[2] / "docs"
HOLDS_SECONDS = re.compile(
    r".*\.(curves\.csv|report\.html|report\.json)|results/report\.(html|json)|.*/\.geoseg-run\.json"
)
"""How long training and recipes took is what these say."""
SAYS = (".tif", ".gpkg", ".geojson", ".safetensors", ".onnx")
"""Files that say what made them; what stands beside them (styles, tables) is told by them."""


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

    for path in sorted(first):
        if not path.endswith(SAYS):
            continue
        capsys.readouterr()
        assert _run(["info", "--json", str(one / path)]) == 0
        (found,) = json.loads(capsys.readouterr().out)["found"]
        assert found["written"], path
        if found["kind"] == "model":
            assert found["hash"], path
            continue
        made_by = found["made_by"]
        assert made_by["command"].startswith("geoseg"), path
        assert {"version", "versions", "inputs", "options"} <= set(made_by), path


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
