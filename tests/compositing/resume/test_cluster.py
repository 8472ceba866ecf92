"""A composite made by the workers of a cluster is the same file, whatever becomes of them."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from geoseg.cluster.cluster import Cluster
from geoseg.compositing import making
from geoseg.compositing.plan import COMPOSITE
from geoseg.compositing.reduce import Reduction
from geoseg.errors import RasterReadError
from geoseg.raster.elsewhere import HandlesFrom
from geoseg.raster.outputs.unfinished import finished_parts

pytestmark = pytest.mark.usefixtures("_note_all")
BOX = "600150,4960000,661000,4999000"


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes of two threads each."""
    with Cluster.open("local", workers=4) as opened:
        yield opened


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


WAYS = {
    "tiles": {},
    "tiles, counts apart": {"counts": True, "dtype": "uint16"},
    "tiles, another grid": {"shift": 10.3, "region": BOX, "extent": "union"},
    "tiles, between pixels": {"shift": 0.4, "resampling": "bilinear", "counts": True},
    "rows": {"rows": True, "reduction": Reduction(method="medoid"), "region": BOX},
    "rows, counts apart": {"rows": True, "counts": True, "dtype": "int16"},
}
QUICK = ("tiles, another grid", "rows, counts apart")


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(way, id=name, marks=[pytest.mark.slow] * (name not in QUICK))
        for name, way in WAYS.items()
    ],
)
def test_the_workers_make_the_same_files(cluster, dates, out, whole, make, way):
    way = dict(way)
    paths = dates(**{k: way.pop(k) for k in ("rows", "shift") if k in way})
    expected = make(paths, whole, **way)
    found = make(paths, out, cluster=cluster, workers=3, **way)
    assert files(out.parent) == files(whole.parent)
    assert (found.counts.tolist(), found.clipped) == (expected.counts.tolist(), expected.clipped)


@pytest.mark.parametrize("rows", [False, True], ids=["tiles", "rows"])
def test_a_run_goes_on_with_a_cluster_and_without(cluster, dates, out, whole, make, stop, rows):
    paths = dates(rows=rows)
    make(paths, whole, counts=True)
    stop(paths, out, after=0, counts=True, workers=1)
    stop(paths, out, after=0, counts=True, cluster=cluster, resume=True)
    kept = finished_parts(out, COMPOSITE)
    assert make(paths, out, counts=True, resume=True).taken_over == kept > 0
    assert files(out.parent) == files(whole.parent)


def test_paths_are_those_of_the_folder_where_the_command_stands(
    cluster, dates, out, whole, make, monkeypatch
):
    paths = dates()
    monkeypatch.chdir(paths[0].parent)
    names = [Path(path.name) for path in paths]
    make(names, whole)
    make(names, out, cluster=cluster)
    assert files(out.parent) == files(whole.parent)


def test_open_files_are_named_from_the_folder_they_were_made_in(dates, tmp_path, monkeypatch):
    dates()
    handles = pickle.loads(pickle.dumps(HandlesFrom(tmp_path, 3)))
    monkeypatch.chdir("/")
    with handles.borrow("in/date0.tif") as dataset:
        assert dataset.count == 3
    with handles.borrow(str(tmp_path / "in/date1.tif")) as dataset:
        assert dataset.count == 3
    handles.close()


def test_a_file_that_a_worker_cannot_read_is_one_line_that_names_both(
    cluster, dates, out, make, monkeypatch
):
    paths = dates()
    ordered = Cluster.ordered

    def meanwhile(self, *given, **named):
        paths[1].unlink()
        return ordered(self, *given, **named)

    monkeypatch.setattr(Cluster, "ordered", meanwhile)
    with pytest.raises(RasterReadError) as told:
        make(paths, out, cluster=cluster)
    assert "date1.tif: no such file" in str(told.value)
    assert "the worker tcp://127.0.0.1" in str(told.value)
    assert "\n" not in str(told.value)
    assert list(out.parent.iterdir()) == []


def test_workers_killed_in_turn_change_no_byte(dates, out, whole, make, monkeypatch):
    paths = dates(rows=True)
    make(paths, whole)
    monkeypatch.setattr(making, "_MOST_PIXELS", 64 * 1600)  # items of 64 rows
    with Cluster.open("local", workers=2) as cluster:
        killed = []

        def kill_one(pixels):
            pids = list(cluster._reached.client.run(os.getpid, on_error="ignore").values())
            if pids and len(killed) < 4:
                killed.append(pids[len(killed) % len(pids)])
                os.kill(killed[-1], signal.SIGKILL)

        make(paths, out, cluster=cluster, progress=kill_one)
    assert len(killed) == 4
    assert files(out.parent) == files(whole.parent)
