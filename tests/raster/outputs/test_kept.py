"""What a stopped run leaves beside an output, and how a writer goes on from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from geoseg.errors import OutputError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.outputs.kept import KEPT_ROWS, KeptFolder, kept_folder_of, read_kept

HEIGHT, WIDTH = 75, 41
GRID = Grid(crs=None, transform=Affine(2, 0, 10, 0, -2, 90), height=HEIGHT, width=WIDTH)
ROWS = np.random.default_rng(4).normal(size=(2, HEIGHT, WIDTH)).astype(np.float32)


def writer(path: Path, **more) -> RasterWriter:
    return RasterWriter(
        path,
        GRID,
        band_names=["a", "b"],
        dtype="float32",
        nodata=float("nan"),
        blocksize=16,
        **more,
    )


@pytest.mark.parametrize("stops", [(0,), (1,), (16,), (40, 41), (16, 30, 75)])
def test_a_writer_goes_on_with_rows_that_a_stopped_one_flushed(tmp_path, stops):
    whole, out = tmp_path / "whole.tif", tmp_path / "map.tif"
    with writer(whole) as one:
        one.write_rows(0, ROWS)
    arrived = 0
    for stop in stops:
        kept = KeptFolder(out)
        kept.clear(but=(KEPT_ROWS,) if arrived else ())
        with pytest.raises(KeyboardInterrupt), writer(out, kept=kept, arrived=arrived) as one:  # noqa: PT012
            one.write_rows(arrived, ROWS[:, arrived:stop])
            one.flush()
            if stop < HEIGHT:
                # Not flushed: it may be anything.
                one.write_rows(stop, np.full((2, 1, WIDTH), 7, np.float32))
            raise KeyboardInterrupt
        kept.close()
        arrived = stop
    assert not out.exists()
    kept = KeptFolder(out)
    kept.clear(but=(KEPT_ROWS,) if arrived else ())
    with writer(out, kept=kept, arrived=arrived) as one:
        np.testing.assert_array_equal(one.read_rows(0, arrived), ROWS[:, :arrived])
        one.write_rows(arrived, ROWS[:, arrived:])
    kept.remove()
    assert out.read_bytes() == whole.read_bytes()
    assert {p.name for p in tmp_path.iterdir()} == {"whole.tif", "map.tif"}


def test_rows_that_arrived_are_not_written_again(tmp_path):
    kept = KeptFolder(tmp_path / "map.tif")
    with pytest.raises(KeyboardInterrupt), writer(tmp_path / "map.tif", kept=kept) as one:  # noqa: PT012
        one.write_rows(0, ROWS[:, :20])
        raise KeyboardInterrupt
    kept.clear(but=(KEPT_ROWS,))
    with (
        pytest.raises(ValueError, match="written before"),
        writer(tmp_path / "map.tif", kept=kept, arrived=20) as one,
    ):
        one.write_rows(19, ROWS[:, 19:])
    kept.remove()


@pytest.mark.parametrize("size", [None, 100])
def test_rows_that_are_gone_or_cut_short_are_told(tmp_path, size):
    kept = KeptFolder(tmp_path / "map.tif")
    if size is not None:
        (kept.path / KEPT_ROWS).write_bytes(bytes(size))
    with (
        pytest.raises(OutputError, match=r"map\.tif cannot be written"),
        writer(tmp_path / "map.tif", kept=kept, arrived=20),
    ):
        pass
    kept.remove()


def test_a_folder_is_one_runs_at_a_time(tmp_path):
    kept = KeptFolder(tmp_path / "map.tif")
    with pytest.raises(OutputError, match="another run is making it"):
        KeptFolder(tmp_path / "map.tif")
    kept.close()
    KeptFolder(tmp_path / "map.tif").remove()
    assert list(tmp_path.iterdir()) == []


def test_a_note_is_replaced_as_a_whole(tmp_path, monkeypatch):
    kept = KeptFolder(tmp_path / "map.tif")
    kept.note("plan", "one")

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            kept.note("plan", "another")
    assert read_kept(kept.target, "plan") == "one"
    kept.note("plan", "another")
    assert read_kept(kept.target, "plan") == "another"
    assert read_kept(kept.target, "none") is None
    assert kept_folder_of(kept.target) == tmp_path / ".map.tif.part"
    kept.remove()
