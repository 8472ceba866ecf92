"""A making of polygons that was stopped goes on to the same bytes, or is refused in words."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from geoseg.assessment.keptpolygons import PolygonRun
from geoseg.assessment.measure import Measure
from geoseg.assessment.vectorise import Vectorised, VectoriseSettings, vectorise
from geoseg.errors import LabelError, OutputError
from geoseg.raster.kept import kept_folder_of
from geoseg.raster.legend import Legend
from geoseg.raster.polygons.files import layer
from geoseg.raster.style import class_aux_xml
from geoseg.raster.unfinished import LeftoverError

HERE = Affine(30, 0, 300_000, 0, -30, 4_000_000)
HEIGHT, WIDTH = 150, 60
SMALL = {
    "geoseg.raster.polygons.stream._BAND_PIXELS": 8 * WIDTH,
    "geoseg.raster.polygons.stream._LEAST_BAND_ROWS": 8,
    "geoseg.raster.polygons.files.layer._BATCH": 40,
    "geoseg.raster.polygons.files.layer._POINTS": 50,
    "geoseg.raster.unfinished.EVERY_SECONDS": 0.0,
    "geoseg.raster.unfinished.TIMES_AS_LONG": 0,
}
"""Sizes with which a small raster has many bands, batches and notes."""
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "simple": {"simplify": Measure.length("1.5px"), "min_area": Measure.area("3px")},
    "dissolved": {"dissolve": True, "simplify": Measure.length("1px")},
    "zones": {"zones": "zones.gpkg", "zone_field": "name"},
    "cut": {"zones": "zones.gpkg", "dissolve": True, "classes": (1, "water")},
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(name, value)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a raster and zones."""
    folder = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(5)
    pixels = np.kron(rng.integers(1, 4, (30, 12)), np.ones((5, 5))).astype(np.uint8)
    specks = rng.random(pixels.shape) < 0.1
    pixels[specks] = rng.integers(1, 6, specks.sum())
    pixels[40:75] = 255  # bands without anything
    pixels[90:, 3] = 9  # an id that is no class, far down
    pixels[:, 30] = 2  # what is open from the first row to the last
    with rasterio.open(
        folder / "map.tif", "w", driver="GTiff", count=1, height=HEIGHT, width=WIDTH,
        dtype="uint8", crs="EPSG:32612", transform=HERE, nodata=255,
        blockxsize=16, blockysize=16, tiled=True,
    ) as file:  # fmt: skip
        file.write(pixels, 1)
    names = Legend.parse("1=forest,2=water,3=hut")
    Path(f"{folder / 'map.tif'}.aux.xml").write_text(class_aux_xml(names), encoding="utf-8")
    x, y = 300_000, 4_000_000
    parts = [
        shapely.box(x + 100, y - 4000, x + 900, y - 200),
        shapely.box(x + 500, y - 3000, x + 1700, y - 1000),
        shapely.Point(x + 1200, y - 3800).buffer(500),
    ]
    frame = geopandas.GeoDataFrame({"name": ["a", "b", "c"]}, geometry=parts, crs="EPSG:32612")
    frame.to_file(folder / "zones.gpkg")
    return folder


def make(here: Path, out: Path, way: str = "plain", **more: Any) -> Vectorised:
    chosen = dict(WAYS[way])
    if "zones" in chosen:
        chosen["zones"] = str(here / chosen["zones"])
    chosen |= more.pop("settings", {})
    return vectorise(here / "map.tif", out, settings=VectoriseSettings(**chosen), **more)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stop(here: Path, out: Path, way: str = "plain", *, notes: int = 3, **more: Any) -> None:
    """Run until so many notes were written; then as if by Ctrl-C, in the middle of the work."""
    left = [notes]
    note = PolygonRun.note

    def counted(self: PolygonRun, done: Any) -> None:
        note(self, done)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PolygonRun, "note", counted)
        with pytest.raises(KeyboardInterrupt):
            make(here, out, way, **{"keep": True, **more})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "stopped").mkdir()
    return tmp_path / "stopped" / "map.gpkg"


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_a_run_stopped_again_and_again_gives_the_same_bytes(
    here: Path, out: Path, tmp_path: Path, way: str, suffix: str
) -> None:
    out = out.with_suffix(f".{suffix}")
    whole = tmp_path / "whole" / out.name
    whole.parent.mkdir()
    expected = make(here, whole, way, workers=2)
    for number, notes in enumerate((1, 4, 9)):
        stop(here, out, way, notes=notes, resume=number > 0, workers=1 + number)
    made = make(here, out, way, resume=True)
    assert files(out.parent) == files(whole.parent)
    assert made.taken_over > 0
    assert (made.features, made.left_out) == (expected.features, expected.left_out)
    assert made.classes == expected.classes
    assert made.zones == expected.zones
    assert set(made.notes) == set(expected.notes)


def test_polygons_that_are_made_are_not_made_again(here: Path, out: Path) -> None:
    stop(here, out, notes=10)
    told: list[int] = []
    made = make(here, out, resume=True, progress=told.append)
    assert told[0] == made.taken_over * WIDTH
    assert 60 <= made.taken_over < HEIGHT
    assert sum(told) == HEIGHT * WIDTH


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_what_was_written_but_not_noted_is_made_again(
    here: Path, out: Path, tmp_path: Path, suffix: str
) -> None:
    out = out.with_suffix(f".{suffix}")
    whole = tmp_path / f"map.{suffix}"
    make(here, whole)
    stop(here, out, notes=6)
    kept = kept_folder_of(out)
    for path in kept.iterdir():
        if path.name in ("batches.raw", "made.geojson", "vertices.raw"):
            with path.open("ab") as file:
                file.write(b"torn" * 1000)
    assert make(here, out, resume=True).taken_over > 0
    assert out.read_bytes() == whole.read_bytes()


def test_a_run_that_is_not_asked_to_keep_anything_leaves_nothing(here: Path, out: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer.PolygonFile, "publish", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(here, out)
    assert files(out.parent) == {}


def _interrupt(*_args: Any, **_more: Any) -> None:
    raise KeyboardInterrupt


def test_a_leftover_is_gone_on_with_or_begun_anew_but_never_by_chance(
    here: Path, out: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "map.gpkg"
    make(here, whole)
    stop(here, out)
    with pytest.raises(LeftoverError, match=r"go on with --resume, or begin anew with --overwrite"):
        make(here, out, keep=True)
    assert make(here, out, overwrite=True, keep=True).taken_over == 0
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in out.parent.iterdir()) == ["map.gpkg", "map.qml"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"simplify": Measure.length("2px")}, r"--simplify: nothing then, 2px now"),
        ({"min_area": Measure.area("2px")}, r"--min-area: nothing then, 2px now"),
        ({"classes": (1,)}, r"--classes: nothing then, 1 now"),
    ],
)
def test_other_options_are_refused_in_words(
    here: Path, out: Path, change: dict[str, Any], told: str
) -> None:
    stop(here, out)
    with pytest.raises(LeftoverError, match=told):
        make(here, out, resume=True, settings=change)
    make(here, out, resume=True)  # and what is kept is kept


def test_another_raster_or_other_zones_are_refused_in_words(
    here: Path, out: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for path in here.iterdir():
        (mine / path.name).write_bytes(path.read_bytes())
    stop(mine, out, "zones", notes=12)
    frame = geopandas.read_file(mine / "zones.gpkg")
    frame.iloc[:2].to_file(mine / "zones.gpkg")
    with pytest.raises(LeftoverError, match="--zones: its polygons are not the same"):
        make(mine, out, "zones", resume=True)
    (mine / "zones.gpkg").write_bytes((here / "zones.gpkg").read_bytes())
    with rasterio.open(mine / "map.tif", "r+") as file:
        pixels = file.read(1)
        pixels[0, 0] = 3 if pixels[0, 0] != 3 else 1
        file.write(pixels, 1)
    with pytest.raises(LeftoverError, match="the raster's files are not the same"):
        make(mine, out, "zones", resume=True)


def test_a_damaged_leftover_is_refused_in_one_line(here: Path, out: Path) -> None:
    out = out.with_suffix(".geojson")
    stop(here, out, notes=8)
    kept = kept_folder_of(out)
    state = kept / json.loads((kept / "done.json").read_text())["state"]
    content = state.read_bytes()
    state.write_bytes(content[:100])
    with pytest.raises(LeftoverError, match=r"is damaged.*--overwrite"):
        make(here, out, resume=True)
    state.write_bytes(content)
    (kept / "made.geojson").write_bytes(b"")
    with pytest.raises(LeftoverError, match=r"is damaged.*--overwrite"):
        make(here, out, resume=True)


def test_what_is_whole_is_left_alone_and_what_is_of_others_too(here: Path, out: Path) -> None:
    make(here, out)
    before = out.stat().st_mtime_ns
    found = make(here, out, resume=True)
    assert found.whole
    assert (out.stat().st_mtime_ns, found.files[0]) == (before, out)
    with pytest.raises(OutputError, match="made of something else; replace it with --overwrite"):
        make(here, out, resume=True, settings={"classes": (2,)})


@pytest.mark.parametrize("suffix", ["gpkg", "geojson"])
def test_stopped_between_the_names_of_its_files_a_run_gives_them_theirs(
    here: Path, out: Path, tmp_path: Path, suffix: str
) -> None:
    out = out.with_suffix(f".{suffix}")
    whole = tmp_path / "whole" / out.name
    whole.parent.mkdir()
    make(here, whole, "zones")
    replace = Path.replace
    for failing in (1, 2, 3):
        names = [failing]

        def counted(self: Path, target: Any, names: list[int] = names) -> Path:
            if Path(target).parent == out.parent:
                names[0] -= 1
                if names[0] == 0:
                    raise KeyboardInterrupt
            return replace(self, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", counted)
            try:
                make(here, out, "zones", keep=True, resume=True)
            except KeyboardInterrupt:
                assert not out.exists()
    make(here, out, "zones", resume=True)
    assert files(out.parent) == files(whole.parent)


def test_where_there_is_nothing_to_write_nothing_is_kept(here: Path, out: Path) -> None:
    with pytest.raises(LabelError, match="are smaller than 9000px"):
        make(here, out, keep=True, settings={"min_area": Measure.area("9000px")})
    assert files(out.parent) == {}


RUNNER = """
import json, os, sys, time
from pathlib import Path
import importlib
for name, value in json.loads(sys.argv[1]).items():
    module, _, attribute = name.rpartition(".")
    setattr(importlib.import_module(module), attribute, value)
import geoseg.assessment.polygonmaking as making
from geoseg.assessment.measure import Measure
from geoseg.assessment.vectorise import VectoriseSettings, vectorise
from geoseg.errors import GeosegError
print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        try:
            vectorise(job["map"], job["out"], settings=VectoriseSettings(
                simplify=Measure.length("1px"), dissolve=job["dissolve"],
                zones=job["zones"]), workers=2, resume=job["resume"], keep=True)
            os._exit(0)
        except GeosegError as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(2)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""
"""A process that makes polygons in children: each begins at once, with all that it imports."""


class Children:
    """Runs in processes that can be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, json.dumps(SMALL)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._said() == "ready"

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, job: dict[str, Any], seconds: float | None) -> tuple[int, float]:
        """Run, and kill after some seconds; return the status, negative for a signal."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        child, began = int(self._said()), time.perf_counter()
        if seconds is not None:
            time.sleep(seconds)
            with suppress(ProcessLookupError):  # it was done before
                os.kill(child, signal.SIGKILL)
        status = int(self._said())
        took = time.perf_counter() - began
        return (-(status & 127) or status >> 8), took

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children()
    yield found
    found.close()


def killed_again_and_again(
    here: Path, tmp_path: Path, children: Children, suffix: str, kills: int, *, dissolve: bool
) -> int:
    """Kill a run at random moments until it is done; return how often it took something over."""
    job = {
        "map": str(here / "map.tif"),
        "zones": str(here / "zones.gpkg") if dissolve else None,
        "dissolve": dissolve,
    }
    whole, out = (tmp_path / name / f"map.{suffix}" for name in ("whole", "killed"))
    whole.parent.mkdir()
    out.parent.mkdir()
    children.run({**job, "out": str(whole), "resume": True}, None)  # what is compiled is compiled
    for path in whole.parent.iterdir():
        path.unlink()
    status, took = children.run({**job, "out": str(whole), "resume": False}, None)
    assert status == 0
    rng = random.Random(f"{suffix} {kills}")
    went_on = 0
    for number in range(kills):
        went_on += (kept_folder_of(out) / "done.json").exists()
        status, _ = children.run(
            {**job, "out": str(out), "resume": number > 0 or out.exists()},
            rng.uniform(0.1, 0.9) * took,
        )
        assert status in (-9, 0)
        if status == 0:
            assert files(out.parent) == files(whole.parent)
            for path in out.parent.iterdir():
                path.unlink()
    status, _ = children.run({**job, "out": str(out), "resume": True}, None)
    assert status == 0
    assert files(out.parent) == files(whole.parent)
    return went_on


@pytest.mark.parametrize(
    ("suffix", "dissolve"), [("gpkg", False), ("geojson", True), ("parquet", False)]
)
def test_killed_at_any_moment_a_run_goes_on_to_the_same_bytes(
    here: Path, tmp_path: Path, children: Children, suffix: str, dissolve: bool
) -> None:
    killed_again_and_again(here, tmp_path, children, suffix, 3, dissolve=dissolve)


@pytest.mark.slow
@pytest.mark.parametrize("dissolve", [False, True])
@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_killed_many_times_a_run_goes_on_to_the_same_bytes(
    here: Path, tmp_path: Path, children: Children, suffix: str, dissolve: bool
) -> None:
    assert killed_again_and_again(here, tmp_path, children, suffix, 12, dissolve=dissolve) > 0
