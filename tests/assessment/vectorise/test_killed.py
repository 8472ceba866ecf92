"""A making of polygons that is killed again and again ends in the same bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from polygonstops import SMALL, files

from geoseg.raster.outputs.kept import kept_folder_of
from geoseg.testing.children import Children

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


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children(RUNNER, json.dumps(SMALL))
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
    assert killed_again_and_again(here, tmp_path, children, suffix, 6, dissolve=dissolve) > 0
