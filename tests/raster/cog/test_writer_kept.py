"""Tiles that a stopped run wrote are taken over, and the raster becomes the same file."""

# ruff: noqa: PT012 - leaving a with block is what raises here

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.errors import OutputError
from geoseg.raster.cog.spool import Spool
from geoseg.raster.cog.tilelist import TileList, TilePlace
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.outputs.kept import KeptFolder
from geoseg.raster.outputs.unfinished import (
    Kind,
    LeftoverError,
    Unfinished,
    changed,
    check_leftover,
    finished_parts,
    or_versions,
    remove_useless,
)
from geoseg.raster.window import Window

SIDE = 128


class _StoppedError(Exception):
    pass


def writer_of(path: Path, data: NDArray[Any], **options: Any) -> RasterWriter:
    place = Affine(30, 0, 300000, 0, -30, 4200000)
    grid = Grid(
        crs=CRS.from_epsg(32612), transform=place, height=data.shape[1], width=data.shape[2]
    )
    names = [f"b{number}" for number in range(len(data))]
    usual: dict[str, Any] = {"dtype": data.dtype.name, "nodata": None, "blocksize": SIDE}
    return RasterWriter(path, grid, band_names=names, **(usual | options))


def tiles_of(data: NDArray[Any]) -> list[tuple[int, int]]:
    return [(r, c) for r in range(0, data.shape[1], SIDE) for c in range(0, data.shape[2], SIDE)]


def put(writer: RasterWriter, data: NDArray[Any], at: tuple[int, int]) -> None:
    row, col = at
    writer.write_tiles(row, col, data[:, row : row + SIDE, col : col + SIDE])


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.integers(1, 600),
    cols=st.integers(1, 600),
    kind=st.sampled_from(["uint8", "int16", "float32"]),
    how=st.sampled_from(["average", "mode", "nearest"]),
    seed=st.integers(0, 99),
    stops=st.integers(1, 3),
)
def test_tiles_of_runs_that_were_stopped_become_the_same_file(
    tmp_path_factory, rows, cols, kind, how, seed, stops
):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 5, (2, rows, cols)).astype(kind)
    if kind == "float32":
        data[rng.random(data.shape) < 0.2] = np.nan
    options = {"overview_resampling": how, "nodata": np.nan if kind == "float32" else 0}
    folder = tmp_path_factory.mktemp("kept")
    whole, out = folder / "whole.tif", folder / "out.tif"
    with writer_of(whole, data, **options) as writer:
        for at in tiles_of(data):
            put(writer, data, at)
    left = [tuple(at) for at in rng.permutation(tiles_of(data)).tolist()]
    finished: list[tuple[int, int]] = []
    noted = 0
    for stop in range(stops + 1):
        kept = KeptFolder(out)
        try:
            with writer_of(out, data, kept=kept, noted=noted, **options) as writer:
                for row, col in finished:
                    rest = data[:, row : row + SIDE, col : col + SIDE].shape[1:]
                    writer.take_tiles(Window(row, col, *rest))
                last = stop == stops
                here = left if last else left[: rng.integers(0, len(left) + 1)]
                for at in here:
                    put(writer, data, at)
                if last:
                    continue
                noted = writer.flush()
                finished, left = [*finished, *here], left[len(here) :]
                for at in left[: rng.integers(0, len(left) + 1)]:  # is lost
                    put(writer, data, at)
                raise _StoppedError
        except _StoppedError:
            pass
        finally:
            kept.close()
    assert out.read_bytes() == whole.read_bytes()


def test_tiles_that_are_not_there_are_not_taken_over(tmp_path):
    data = np.ones((1, 128, 200), np.uint8)
    kept = KeptFolder(tmp_path / "out.tif")
    with (
        pytest.raises(OutputError, match="finished tiles of it are gone"),
        writer_of(tmp_path / "out.tif", data, kept=kept, noted=0) as writer,
    ):
        put(writer, data, (0, 0))
        writer.take_tiles(Window(0, 128, 128, 72))
    kept.remove()


def test_a_list_forgets_what_was_not_noted(tmp_path):
    first = TileList(tmp_path / "list", 0)
    tiles = [TilePlace(level, 1, 2, 300 + level, 1 << 40) for level in range(3)]
    first.add(tiles[0])
    noted = first.size
    first.add(tiles[1])
    first.close()
    again = TileList(tmp_path / "list", noted)
    assert again.taken == tiles[:1]
    again.add(tiles[2])
    again.close()
    last = TileList(tmp_path / "list", again.size)
    last.close()
    assert last.taken == [tiles[0], tiles[2]]


@pytest.mark.parametrize("noted", [5, 48])
def test_a_list_that_is_damaged_is_told(tmp_path, noted):
    (tmp_path / "list").write_bytes(bytes(24))
    with pytest.raises(OSError, match=r"damaged|cut short") as told:
        TileList(tmp_path / "list", noted)
    assert told.value.errno == errno.EIO


def test_what_is_behind_in_a_file_that_is_taken_up_is_cut_off(tmp_path):
    (tmp_path / "raw").write_bytes(b"finished and not")
    spool = Spool(tmp_path / "raw", 8, again=True)
    assert spool.append(b"!") == 8
    spool.close()
    assert (tmp_path / "raw").read_bytes() == b"finished!"


# -- what any command keeps ----------------------------------------------------------------------


def differences(before, now):
    return [f"--{name}: another" for name in sorted(changed(before, now)) if name == "size"]


WORK = Kind(what="a test", parts="parts", count="parts", files=("raw",), differences=differences)


def begin(outputs, plan=None, **more):
    given = {"resume": False, "overwrite": False} | more
    return Unfinished(outputs, {"size": 1} if plan is None else plan, WORK, **given)


def test_what_is_noted_is_there_for_the_next_run(tmp_path):
    outputs = [tmp_path / "a.tif", tmp_path / "b.tif"]
    order = []
    with begin(outputs) as run:
        (run.folder(outputs[0]).path / "raw").write_text("data")
        (run.folder(outputs[0]).path / "scratch").write_text("data")
        run.note_finished(lambda: order.append("flushed") or {"parts": 3, "more": [1]})
    assert order == ["flushed"]
    assert finished_parts(outputs[0], WORK) == finished_parts(outputs[1], WORK) == 3
    with pytest.raises(LeftoverError, match="holds parts of an unfinished run; go on"):
        check_leftover(outputs, WORK, resume=False, overwrite=False)
    with pytest.raises(LeftoverError, match="--size: another"), begin(outputs, {}, resume=True):
        pass
    with begin(outputs, resume=True) as run:
        assert (run.finished, run.noted) == (3, {"parts": 3, "more": [1]})
        assert (run.folder(outputs[0]).path / "raw").exists()
        assert not (run.folder(outputs[0]).path / "scratch").exists()
        run.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_finished_part_leaves_nothing(tmp_path):
    with begin([tmp_path / "a.tif"]) as run:
        assert run.finished == 0
    assert list(tmp_path.iterdir()) == []


def test_work_of_another_command_is_left_alone(tmp_path):
    out = tmp_path / "a.tif"
    with begin([out]) as run:
        run.note_finished(lambda: {"parts": 1})
    other = Kind(what="another test", differences=differences)
    assert finished_parts(out, other) == 0
    with pytest.raises(LeftoverError, match="holds something else than another test"):
        check_leftover([out], other, resume=True, overwrite=False)
    remove_useless([out], other)
    assert finished_parts(out, WORK) == 1


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"parts": "many"})])
def test_a_note_that_is_damaged_counts_as_none(tmp_path, content):
    out = tmp_path / "a.tif"
    with begin([out]) as run:
        run.note_finished(lambda: {"parts": 1})
    (tmp_path / ".a.tif.part" / "done.json").write_text(content)
    assert finished_parts(out, WORK) == 0
    with begin([out], resume=True) as run:
        assert run.finished == 0


def test_versions_are_told_one_by_one():
    def told(before, now):
        return or_versions([], {"versions": before}, {"versions": now})

    assert told({"gdal": "1", "x": "1"}, {"gdal": "2", "x": "1"}) == ["gdal: 1 then, 2 now"]
    assert told({"gdal": "1"}, {"gdal": "1"}) == []
    assert told(None, {}) == ["another release of geoseg began it"]
    assert or_versions(["a"], {"versions": {}}, {"versions": {"gdal": "1"}}) == ["a"]
