"""A prediction that was stopped goes on to the same bytes."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from resuming import HEIGHT, WIDTH, files, make, stop

from geoseg.errors import InputError, ModelError, OutputError, RasterReadError
from geoseg.inference.unfinished import kept_rows
from geoseg.raster.cog.spool import Spool
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.outputs.kept import KEPT_ROWS, KeptFolder, kept_folder_of
from geoseg.raster.outputs.temporary import TemporaryFolder


@pytest.mark.parametrize(
    "way",
    [
        {},
        {"tile": 32, "stride": 7, "blend": "gaussian", "batch": 3},
        {"stride": 12, "min_area": 6},
        {"tile": 24, "stride": 9, "scale": 2, "min_area": 6, "tta": True},
        {"tile": 150, "stride": 100, "also": False},
    ],
    ids=["usual", "much overlap", "cleaned", "reduced", "one tile"],
)
def test_a_run_stopped_again_and_again_gives_the_same_bytes(scene, out, make_bundle, tmp_path, way):
    models = [make_bundle("unet-small", widths=(2, 4), seed=s, name=f"n{s}") for s in (0, 1)]
    whole, nothing = tmp_path / "whole" / "map.tif", {"min_area": 0}
    whole.parent.mkdir()
    expected = make(scene, whole, models, workers=2, **way)
    assert sum(number > 0 for number in expected.pixels.values()) > 1
    if "min_area" in way:
        assert expected.pixels != make(scene, whole, models, overwrite=True, **way | nothing).pixels
        make(scene, whole, models, overwrite=True, **way)
    for number, writes in enumerate((1, 0, 2)):
        if way.get("tile") == 150:
            writes = 0  # noqa: PLW2901 - there is but one row of tiles
        stop(scene, out, models, writes=writes, resume=number > 0, workers=1 + number, **way)
    made = make(scene, out, models, resume=True, **way)
    assert files(out.parent) == files(whole.parent)
    assert (made.pixels, made.nodata) == (expected.pixels, expected.nodata)
    assert (made.taken_over > 0) == (way.get("tile") != 150)


def test_what_was_written_but_not_noted_is_computed_again(scene, out, make_bundle, tmp_path):
    whole = tmp_path / "whole" / "map.tif"
    whole.parent.mkdir()
    model = make_bundle()
    make(scene, whole, [model], also=False)
    stop(scene, out, [model], writes=2, also=False)
    kept = kept_folder_of(out)
    noted = (kept / "done.json").read_bytes()
    stop(scene, out, [model], writes=3, also=False, resume=True)
    (kept / "done.json").write_bytes(noted)
    rows = json.loads(noted)["rows"]
    torn = bytearray((kept / KEPT_ROWS).read_bytes())
    torn[rows * WIDTH :] = bytes([77]) * (len(torn) - rows * WIDTH)
    (kept / KEPT_ROWS).write_bytes(torn)
    assert make(scene, out, [model], also=False, resume=True).taken_over == rows == 16
    assert files(out.parent) == files(whole.parent)


def test_finished_rows_are_not_computed_again(write_scene, out, make_bundle):
    scene, model = write_scene(np.ones((2, 96, 16), np.uint16)), make_bundle()
    stop(scene, out, [model], writes=4, stride=16)
    result = make(scene, out, [model], stride=16, resume=True)
    assert (result.taken_over, result.tiles) == (64, 2)


def test_rows_are_noted_when_they_are_on_the_disk_itself(scene, out, make_bundle, monkeypatch):
    events: list[tuple[str, Any]] = []

    def heard(kind, name, of):
        call = getattr(kind, name)

        def told(self, *args):
            what = of(self, args)
            if what is not None:
                events.append((name, what))
            return call(self, *args)

        monkeypatch.setattr(kind, name, told)

    def rows_of(spool, _):
        return spool.path if spool.path.name == KEPT_ROWS else None

    heard(Spool, "write_at", rows_of)
    heard(Spool, "flush", rows_of)
    heard(KeptFolder, "note", lambda _, args: json.loads(args[1]).get("rows"))
    make(scene, out, [make_bundle()], keep=True, workers=1)
    written: set[Path] = set()
    notes = 0
    for name, what in events:
        if name == "write_at":
            written.add(what)
        elif name == "flush":
            written.discard(what)
        else:
            notes += 1
            assert not written
    assert notes > 5


def test_with_nothing_to_go_on_from_all_is_computed(scene, out, make_bundle):
    stop(scene, out, [make_bundle()], writes=0)
    assert list(out.parent.iterdir()) == []
    assert make(scene, out, [make_bundle()], resume=True).taken_over == 0
    assert out.exists()


def test_a_map_that_is_whole_is_not_made_again(scene, out, make_bundle, monkeypatch):
    first = make(scene, out, [make_bundle()], keep=True, min_area=20)
    before = {p: p.stat().st_mtime_ns for p in out.parent.iterdir()}
    again = make(scene, out, [make_bundle()], resume=True, min_area=20)
    assert (again.tiles, again.taken_over) == (0, HEIGHT)
    assert (again.pixels, again.hectares, again.nodata) == (
        first.pixels,
        first.hectares,
        first.nodata,
    )
    assert {p: p.stat().st_mtime_ns for p in out.parent.iterdir()} == before
    with pytest.raises(OutputError, match="is there already"):
        make(scene, out, [make_bundle()], resume=True, min_area=21)
    out.with_name("c.tif").unlink()
    with pytest.raises(OutputError, match="is there already"):
        make(scene, out, [make_bundle()], resume=True, min_area=20)
    assert {p for p in before if p.exists()} == set(out.parent.iterdir())


@pytest.mark.parametrize("renames", [0, 1, 2])
@pytest.mark.parametrize("min_area", [0, 30])
def test_a_run_stopped_while_outputs_get_their_names_gives_them_again(
    scene, out, make_bundle, tmp_path, renames, min_area
):
    whole = tmp_path / "whole" / "map.tif"
    whole.parent.mkdir()
    make(scene, whole, [make_bundle()], min_area=min_area)
    publish, left = TemporaryFolder.publish, [renames]

    def counted(self, *args, **more):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        publish(self, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TemporaryFolder, "publish", counted)
        with pytest.raises(KeyboardInterrupt):
            make(scene, out, [make_bundle()], keep=True, min_area=min_area)
    assert sum(p.suffix == ".tif" for p in out.parent.iterdir()) == renames
    assert make(scene, out, [make_bundle()], resume=True, min_area=min_area).tiles == 0
    assert files(out.parent) == files(whole.parent)


def test_a_disk_that_was_full_for_a_moment_costs_no_row_and_loses_none(
    scene, out, make_bundle, tmp_path
):
    whole = tmp_path / "whole" / "map.tif"
    whole.parent.mkdir()
    expected = make(scene, whole, [make_bundle()])
    write, left = RasterWriter.write_rows, [8]

    def full(self, row, *data):
        left[0] -= 1
        if left[0] == -1:  # there is room again for the rows below
            raise OutputError("no space left") from OSError(errno.ENOSPC, "full")
        write(self, row, *data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RasterWriter, "write_rows", full)
        with pytest.raises(OutputError, match="no space left"):
            make(scene, out, [make_bundle()], keep=True)
    # Three rasters a row of tiles: two rows of tiles are whole.
    assert kept_rows(out) == 16
    made = make(scene, out, [make_bundle()], resume=True)
    assert (made.taken_over, made.pixels) == (16, expected.pixels)
    assert files(out.parent) == files(whole.parent)


@pytest.mark.parametrize(
    "error", [RasterReadError("gone"), ModelError("no memory"), MemoryError(), SystemExit(143)]
)
def test_what_stops_a_run_does_not_cost_what_was_finished(scene, out, make_bundle, error):
    stop(scene, out, [make_bundle()], error=error)
    assert kept_rows(out) > 0


def test_a_scene_without_anything_leaves_nothing(write_scene, out, make_bundle):
    empty = write_scene(np.zeros((2, 60, 20), np.uint16))
    with pytest.raises(InputError, match="every pixel is nodata"):
        make(empty, out, [make_bundle()], keep=True)
    assert list(out.parent.iterdir()) == []
