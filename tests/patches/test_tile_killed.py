"""A run that is killed outright, at any moment, goes on to the same bytes."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.patches.tile import tile
from geoseg.testing.children import Children

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody is killed there")

RUNNER = """
import json, os, sys
from geoseg.patches import look
from geoseg.patches.tile import tile
from geoseg.raster import vector
from geoseg.raster.outputs import unfinished
unfinished.EVERY_SECONDS, unfinished.TIMES_AS_LONG, look._SMALL = 0.02, 1, 0
print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        result = tile(job["scenes"], job["out"], resume=True, **job["options"])
        with open(job["told"], "w") as file:
            file.write(str(result.summary.get("patches_before", -1)))
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""A process that cuts patches in children: each begins at once, with all that it imports."""


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children(RUNNER)
    yield found
    found.close()


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("storage", ["npy", "geotiff"])
@pytest.mark.parametrize("kills", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_to_the_same_bytes(
    write_raster: Callable[..., Path],
    tmp_path: Path,
    children: Children,
    monkeypatch: pytest.MonkeyPatch,
    storage: str,
    kills: int,
) -> None:
    monkeypatch.setattr("geoseg.patches.look._SMALL", 0)
    rng = np.random.default_rng(kills)
    scenes, labels = [], []
    for name in "abc":
        pixels = rng.integers(1, 900, (3, 320, 260), dtype=np.uint16)
        scenes.append(write_raster(f"{name}.tif", pixels, block=32))
        ids = rng.integers(1, 4, (320, 260), dtype=np.uint8)
        labels.append(write_raster(f"{name}_ids.tif", ids, block=64))
    data = scenes[1].read_bytes()
    scenes[1].write_bytes(data[: len(data) * 2 // 3])
    options: dict[str, Any] = {
        "labels": [str(path) for path in labels],
        "classes": "1=water,2=forest",
        "size": 32,
        "stride": 8 if storage == "npy" else 20,
        "storage": storage,
        "workers": 2,
    }
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    tile(scenes, tmp_path / "whole" / "set", **options)
    expected = files(tmp_path / "whole")
    job = {
        "scenes": [str(path) for path in scenes],
        "out": str(tmp_path / "killed" / "set"),
        "told": str(tmp_path / "told"),
        "options": options,
    }
    status, whole = children.run(job, None)
    assert status == 0
    shutil.rmtree(tmp_path / "killed" / "set")
    taken_over, killed = 0, 0
    for _ in range(10 * kills):
        status, _ = children.run(job, float(rng.uniform(0, whole)))
        assert status in (0, -signal.SIGKILL)
        killed += status != 0
        if status == 0:
            taken_over += int((tmp_path / "told").read_text()) > 0
            assert files(tmp_path / "killed") == expected
            shutil.rmtree(tmp_path / "killed" / "set")
        if killed >= kills:
            break
    assert killed == kills
    status, _ = children.run(job, None)
    assert status == 0
    taken_over += int((tmp_path / "told").read_text()) > 0
    assert files(tmp_path / "killed") == expected
    assert taken_over > 0 or kills < 10
