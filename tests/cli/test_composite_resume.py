"""``geoseg composite --resume``: stopped by a signal, gone on with, refused in one line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.cli import _run
from geoseg.compositing import writing
from geoseg.raster.outputs import unfinished


@pytest.fixture
def scenes(tmp_path):
    rng = np.random.default_rng(2)
    for month in ("may", "june"):
        with rasterio.open(
            tmp_path / f"{month}.tif",
            "w",
            driver="GTiff",
            count=2,
            height=1100,
            width=1030,
            dtype="uint16",
            crs="EPSG:32633",
            transform=Affine(10, 0, 500000, 0, -10, 5500000),
            nodata=0,
            tiled=True,
        ) as dataset:
            dataset.write(rng.integers(0, 999, (2, 1100, 1030), dtype=np.uint16))
            dataset.descriptions = ("red", "nir")
    return tmp_path


@pytest.fixture
def run(scenes, monkeypatch, capsys):
    monkeypatch.chdir(scenes)
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "TIMES_AS_LONG", 0)

    def call(words):
        capsys.readouterr()
        status = _run(["composite", "may.tif", "june.tif", *words.split()])
        return status, *capsys.readouterr()

    return call


def stop(run, words, error=None):
    left, finished = [1], writing.Writing._finished

    def counted(self, *given, **named):
        finished(self, *given, **named)
        left[0] -= 1
        if left[0] < 0:
            raise error or KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing.Writing, "_finished", counted)
        return run(words)


def test_what_is_kept_is_told_and_gone_on_with(run, scenes):
    assert run("--dilate 1 -o whole.tif")[0] == 0
    status, out, err = stop(run, "--dilate 1 -o out.tif --workers 1")
    assert (status, out) == (130, "")
    told = err.splitlines()[-1]
    assert told.startswith("Interrupted; .out.tif.part keeps ")
    assert told.endswith(" of 1,100 rows; --resume goes on from there.")
    rows = int(told.split("keeps ")[1].split(" of")[0].replace(",", ""))
    assert 0 < rows < 1100
    for words in ("-o out.tif", "-o out.tif --dilate 1"):
        status, _, err = run(words)
        assert (status, err.count("\n")) == (1, 1)
        assert "go on with --resume, or begin anew with --overwrite" in err
    status, _, err = run("-o out.tif --resume")
    assert (status, err.count("\n")) == (1, 1)
    assert "--dilate: 1 then, 0 now" in err
    status, out, _ = run("--dilate 1 -o out.tif --resume")
    assert status == 0
    assert f"  {rows:,} of 1,100 rows were there from before\n" in out
    assert (scenes / "out.tif").read_bytes() == (scenes / "whole.tif").read_bytes()
    status, out, _ = run("--dilate 1 -o out.tif --resume --json")
    assert json.loads(out)["rows_from_before"] == 1100
    assert sorted(p.name for p in scenes.iterdir()) == [
        "june.tif",
        "may.tif",
        "out.tif",
        "whole.tif",
    ]


def test_an_error_says_what_is_kept(run):
    from geoseg.errors import RasterReadError  # noqa: PLC0415

    status, _, err = stop(run, "-o out.tif", RasterReadError("may.tif: gone"))
    assert status == 1
    assert ".out.tif.part keeps" in err
    assert "may.tif: gone" in err


def test_nothing_to_go_on_from_is_told(run):
    status, _, err = run("-o out.tif --resume --quality none")
    assert status == 0
    assert "Note: nothing is kept of out.tif; it begins with the first row." in err


def test_overwrite_begins_anew(run):
    stop(run, "--dilate 1 -o out.tif")
    status, out, _ = run("-o out.tif --overwrite")
    assert status == 0
    assert "from before" not in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--cluster nowhere", "write tcp://HOST:PORT of a dask scheduler, or local"),
        ("--cluster tcp://127.0.0.1:9", "no dask scheduler answers at tcp://127.0.0.1:9"),
    ],
)
def test_a_cluster_that_is_none_is_one_line(run, scenes, words, told, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("geoseg.cluster.reached._CONNECT_SECONDS", 0.2)
    status, out, err = run(f"-o out.tif {words}")
    assert (status in (1, 2), out, err.count("\n")) == (True, "", 1)
    assert told in err
    assert not (scenes / "out.tif").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_command_that_is_killed_goes_on(run, scenes):
    assert run("-o whole.tif --method medoid")[0] == 0
    words = [sys.executable, "-c", SLOWLY, "composite", "may.tif", "june.tif"]
    words += ["--method", "medoid", "-o", "out.tif", "--workers", "1"]
    part = scenes / ".out.tif.part" / "done.json"
    with subprocess.Popen(words, cwd=scenes, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not part.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err
    status, out, _ = run("-o out.tif --method medoid --resume")
    assert status == 0
    assert "rows were there from before" in out
    assert (scenes / "out.tif").read_bytes() == (scenes / "whole.tif").read_bytes()


SLOWLY = """
import sys, time
from geoseg.cli import main
from geoseg.compositing import writing
from geoseg.raster.outputs import unfinished

unfinished.EVERY_SECONDS = unfinished.TIMES_AS_LONG = 0
whole = writing.Writing._finished

def slowly(self, *given, **named):
    whole(self, *given, **named)
    time.sleep(0.5)

writing.Writing._finished = slowly
sys.exit(main(sys.argv[1:]))
"""
