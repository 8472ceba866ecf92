"""A composite that was stopped goes on to the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geoseg.compositing import making, writing
from geoseg.compositing.plan import COMPOSITE
from geoseg.compositing.reduce import Reduction
from geoseg.errors import OutputError
from geoseg.raster.cog.spool import Spool
from geoseg.raster.outputs import unfinished
from geoseg.raster.outputs.kept import KEPT_ROWS, KEPT_TILES, TILE_LIST, kept_folder_of
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.unfinished import finished_parts

BOX = "600150,4960000,661000,4999000"
pytestmark = pytest.mark.usefixtures("_note_all")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


WAYS: dict[str, dict[str, Any]] = {
    "tiles": {},
    "tiles, counts apart": {"counts": True, "dtype": "uint16"},
    "tiles, another grid": {"shift": 10.3, "region": BOX, "extent": "union"},
    "tiles, between pixels": {"shift": 0.4, "resampling": "bilinear", "counts": True},
    "rows": {"rows": True},
    "rows, counts apart": {
        "rows": True,
        "counts": True,
        "dtype": "int16",
        "reduction": Reduction(method="percentile", percentile=30.0),
    },
    "rows, region": {"rows": True, "region": BOX, "reduction": Reduction(method="medoid")},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_run_stopped_again_and_again_gives_the_same_bytes(
    dates, out, monkeypatch, way, make, stop, whole
):
    monkeypatch.setattr(making, "_MOST_PIXELS", 512 * 520)
    way = dict(way)
    paths = dates(**{k: way.pop(k) for k in ("rows", "shift") if k in way})
    expected = make(paths, whole, workers=2, **way)
    assert expected.taken_over == 0
    before = 0
    for number, after in enumerate((1, 0, 1)):
        stop(paths, out, after=after, resume=number > 0, workers=1 + number, **way)
        kept = finished_parts(out, COMPOSITE)
        assert kept > before
        before = kept
    made = make(paths, out, resume=True, workers=3, **way)
    assert files(out.parent) == files(whole.parent)
    assert made.taken_over >= before > 0
    assert made.counts.tolist() == expected.counts.tolist()
    assert made.clipped == expected.clipped


def test_what_was_written_but_not_noted_is_made_again(dates, out, make, stop, whole):
    paths = dates()
    make(paths, whole)
    stop(paths, out, after=1, workers=1)
    kept = kept_folder_of(out)
    noted = (kept / "done.json").read_bytes()
    sizes = {name: (kept / name).stat().st_size for name in (KEPT_TILES, TILE_LIST)}
    stop(paths, out, after=2, workers=1, resume=True)
    (kept / "done.json").write_bytes(noted)
    length = json.loads(noted)["lists"][0]
    for name, size in sizes.items():  # torn, as a disk may leave what was never flushed
        torn = bytearray((kept / name).read_bytes())
        begin = length if name == TILE_LIST else size
        torn[begin:] = bytes([77]) * (len(torn) - begin)
        (kept / name).write_bytes(torn)
    made = make(paths, out, resume=True)
    assert made.taken_over == json.loads(noted)["pixels"] > 0
    assert files(out.parent) == files(whole.parent)


def test_finished_windows_are_not_made_again(dates, out, monkeypatch, make, stop):
    paths = dates()
    stop(paths, out, after=1, workers=1)
    kept = finished_parts(out, COMPOSITE)
    seen = []
    whole = making.Making.make

    def looked_at(self, window, *rest):
        seen.append(window.area)
        return whole(self, window, *rest)

    monkeypatch.setattr(making.Making, "make", looked_at)
    told = []
    made = make(paths, out, resume=True, progress=told.append)
    assert made.taken_over == kept == told[0]
    assert sum(seen) == made.grid.window.area - kept
    assert sum(told) == made.grid.window.area


@pytest.mark.parametrize("rows", [False, True], ids=["tiles", "rows"])
def test_pixels_are_noted_when_they_are_on_the_disk_itself(dates, out, monkeypatch, rows, make):
    """What is flushed is all that was written when it was decided what is finished."""
    events: list[tuple[str, Any]] = []
    write, flush = Spool.write_at, Spool.flush
    note, finished = unfinished.Unfinished.note_finished, writing.Writing._finished

    def wrote(self, place, data):
        write(self, place, data)
        events.append(("wrote", (self.path, place)))

    def flushed(self):
        flush(self)
        events.append(("flushed", self.path))

    def noted(self, say):
        note(self, say)
        events.append(("noted", self.noted["pixels"]))

    def counted(self, window, *rest, **more):
        events.append(("finished", window.area))
        finished(self, window, *rest, **more)

    monkeypatch.setattr(Spool, "write_at", wrote)
    monkeypatch.setattr(Spool, "flush", flushed)
    monkeypatch.setattr(unfinished.Unfinished, "note_finished", noted)
    monkeypatch.setattr(writing.Writing, "_finished", counted)
    make(dates(rows=rows), out, keep=True, workers=1, counts=True)
    waiting: set[Any] = set()
    dirty_when_finished: set[Any] = set()
    total = notes = 0
    lasting = {KEPT_ROWS} if rows else {KEPT_TILES, TILE_LIST}
    for name, what in events:
        if name == "wrote" and what[0].name in lasting:
            waiting.add(what)
        elif name == "flushed":
            waiting = {one for one in waiting if one[0] != what}
            dirty_when_finished = {one for one in dirty_when_finished if one[0] != what}
        elif name == "finished":
            total += what
            dirty_when_finished = set(waiting)
        elif name == "noted":
            notes += 1
            assert what == total
            assert not dirty_when_finished
    assert notes > 3


def test_with_nothing_to_go_on_from_all_is_made(dates, out, make):
    assert make(dates(), out, resume=True).taken_over == 0
    assert sorted(p.name for p in out.parent.iterdir()) == ["out.tif"]


@pytest.mark.parametrize("renames", [0, 1])
@pytest.mark.parametrize("rows", [False, True], ids=["tiles", "rows"])
def test_a_run_stopped_while_outputs_get_their_names_gives_them_again(
    dates, out, renames, rows, make, whole
):
    paths = dates(rows=rows)
    make(paths, whole, counts=True)
    publish, left = TemporaryFolder.publish, [renames]

    def counted(self, *args, **more):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        publish(self, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TemporaryFolder, "publish", counted)
        with pytest.raises(KeyboardInterrupt):
            make(paths, out, keep=True, counts=True)
    assert sum(p.suffix == ".tif" for p in out.parent.iterdir()) == renames
    made = make(paths, out, resume=True, counts=True)
    assert made.taken_over == made.grid.window.area
    assert files(out.parent) == files(whole.parent)


def test_a_file_of_others_that_appears_while_outputs_are_made_stays(dates, out, make):
    paths, publish = dates(), TemporaryFolder.publish

    def interrupted(self, *args, **more):
        raise KeyboardInterrupt

    def late(self, *args, **more):
        if not out.exists():
            out.write_text("mine")
        publish(self, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TemporaryFolder, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(paths, out, keep=True)
        assert not out.exists()
        patch.setattr(TemporaryFolder, "publish", late)
        with pytest.raises(OutputError, match="appeared while"):
            make(paths, out, resume=True)
    assert out.read_text() == "mine"
