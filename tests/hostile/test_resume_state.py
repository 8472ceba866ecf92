"""What a stopped run left, damaged: refused in one line, begun anew, or the same bytes come out.

Never another map, never a file outside. A run is stopped as by SIGKILL: its folder is copied away
when it has noted something, and goes on from there.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from geoseg import cli
from geoseg.raster.outputs import unfinished
from geoseg.testing.damage import ODD_NUMBERS, damaged_bytes, damaged_json

INPUTS = Path(__file__).parents[2] / "docs" / "examples" / "inputs.py"
PREDICT = "predict {data}/scene.tif -m {data}/model.safetensors --tile 32 --device cpu --workers 1"
TILE = "tile {data}/scene.tif --labels {data}/labels.tif --size 32 --stride 32 --workers 1"
MEAN = "composite {data}/may.tif {data}/june.tif --workers 1"
LINES = "vectorise {data}/labels.tif --workers 1"
COMMANDS = {
    "predict": (f"{PREDICT} --confidence {{out}}/sure.tif -o {{out}}/map.tif", "--stride 24"),
    "clean": (f"{PREDICT} --min-area 1ha -o {{out}}/map.tif", "--stride 24"),
    "composite": (f"{MEAN} -o {{out}}/mean.tif", "--method median"),
    "tile": (f"{TILE} -o {{out}}/set", "--seed 3"),
    "tile-files": (f"{TILE} --format geotiff -o {{out}}/set", "--seed 3"),
    "vectorise": (f"{LINES} --simplify 2px -o {{out}}/polygons.gpkg", "--min-area 1ha"),
    "dissolve": (f"{LINES} --dissolve -o {{out}}/polygons.gpkg", "--min-area 1ha"),
    "geojson": (f"{LINES} -o {{out}}/polygons.geojson", "--min-area 1ha"),
    "parquet": (f"{LINES} -o {{out}}/polygons.parquet", "--min-area 1ha"),
}
"""Commands by a name, and an option that makes another run of each."""
QUICK = ("clean", "composite", "tile", "dissolve")

Files = dict[str, bytes]


@dataclass
class Stopped:
    """One command: what it makes, and what it leaves where it is stopped."""

    words: list[str]
    out: Path
    whole: Files = field(default_factory=dict)
    states: list[Files] = field(default_factory=list)
    """What lay in its folder after each note."""
    others: list[Files] = field(default_factory=list)
    """The same of a run with another option."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "data"
    runpy.run_path(str(INPUTS))["make"](folder)
    return folder


@pytest.fixture(autouse=True)
def _note_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "TIMES_AS_LONG", 0)


def files(folder: Path) -> Files:
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "lock":
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def put(folder: Path, state: Files) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in state.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def call(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    status = cli._run(words)
    return status, capsys.readouterr().err


def states(words: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> list[Files]:
    """Run to the end, and keep what lay there after each note."""
    found: list[Files] = []
    note = unfinished.Unfinished.note_finished

    def noted(self: Any, say: Callable[[], Any]) -> None:
        note(self, say)
        found.append(files(out))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unfinished.Unfinished, "note_finished", noted)
        status, said = call(words, capsys)
    assert status == 0, said
    return found


def stopped(name: str, data: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> Stopped:
    words, other = COMMANDS[name]
    out = folder / "out"
    out.mkdir()
    told = [word.replace("{data}", str(data)).replace("{out}", str(out)) for word in words.split()]
    made = Stopped(told, out)
    made.others = states([*told, *other.split()], out, capsys)
    put(out, {})
    made.states = states(told, out, capsys)
    made.whole = files(out)
    assert made.states
    assert made.others
    return made


def other_bytes(kind: str, run: Stopped, name: str, good: bytes, rng: Random) -> bytes:
    """A file's content with something wrong."""
    if kind == "cut":
        return good[: rng.randrange(len(good) + 1)]
    if kind == "flip" and good:
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)
    if kind == "json":
        return damaged_json(json.loads(good), rng)
    if kind == "number":
        return other_number(json.loads(good), rng)
    if kind == "swap":
        return rng.choice(run.others).get(name, b"")
    if kind == "earlier":
        return rng.choice(run.states).get(name, b"")
    return damaged_bytes(good, rng)


def other_number(value: dict[str, Any], rng: Random) -> bytes:
    """Replace one number of a note."""
    numbers = [key for key in value if isinstance(value[key], int | list)]
    if numbers:
        key = rng.choice(numbers)
        some, held = [*ODD_NUMBERS, *range(0, 300, 7)], value[key]
        if isinstance(held, list) and held and isinstance(held[0], int):
            held[rng.randrange(len(held))] = rng.choice(some)
        else:
            value[key] = rng.choice(some)
    return json.dumps(value).encode()


def damage(run: Stopped, secret: Path, rng: Random) -> str:
    """Lay out what a run left, with something wrong; say what."""
    state = rng.choice(run.states)
    put(run.out, state)
    hidden = sorted(name for name in state if ".part" in name)
    kind = rng.choice(
        ["cut", "flip", "flip", "bytes", "json", "json", "swap", "swap", "earlier", "gone", "link",
         "folder", "number", "longer"]
    )  # fmt: skip
    notes = [name for name in hidden if name.endswith(".json")]
    name = rng.choice(notes if kind in ("json", "number") else hidden)
    path = run.out / name
    if kind == "longer":
        with path.open("r+b") as file:
            file.truncate(len(state[name]) + rng.choice((1, 1 << 20, 1 << 33)))
    elif kind in ("gone", "link", "folder"):
        path.unlink()
        if kind == "link":
            path.symlink_to(secret)
        if kind == "folder":
            path.mkdir()
    else:
        path.write_bytes(other_bytes(kind, run, name, state[name], rng))
    return f"{kind} of {name}"


def check(
    run: Stopped, secret: Path, what: str, capsys: pytest.CaptureFixture[str], fuzz: Any
) -> str:
    status, said = call([*run.words, "--resume"], capsys)
    assert secret.read_bytes() == b"of somebody else"
    assert os.listdir(secret.parent) == [secret.name]
    if status == 0:
        assert files(run.out) == run.whole, f"{what}: other bytes"
        return "same"
    lines = [line for line in said.splitlines() if not line.startswith("Note: ")]
    assert status == 1, f"{what}: {said}"
    assert len(lines) == 1, f"{what}: {said}"
    assert fuzz.is_one_line(lines[0]), f"{what}: {said!r}"
    assert "defect" not in said, f"{what}: {said}"
    return "refused"


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS],
)
def test_a_damaged_state_makes_no_other_output(
    name: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fuzz: Any
) -> None:
    run = stopped(name, data, tmp_path, capsys)
    secret = tmp_path / "secret" / "file"
    secret.parent.mkdir()
    secret.write_bytes(b"of somebody else")
    for rng in fuzz.cases(12):
        what = damage(run, secret, rng)
        outcome = check(run, secret, what, capsys, fuzz)
        fuzz.found[outcome] += 1
        if outcome == "refused" and rng.random() < 0.2:
            status, said = call([*run.words, "--overwrite"], capsys)
            if not what.startswith(("folder", "link")):  # which nobody removes unasked
                assert status == 0, f"{what}: {said}"
                assert files(run.out) == run.whole, what
