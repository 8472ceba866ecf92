"""Finished rows are read back before there is a file, and what is known late is set late."""

# ruff: noqa: PT012 - leaving a with block is what raises here

from __future__ import annotations

import errno
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.errors import OutputError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend.palette import Ramp


def writer_of(path: Path, height: int, width: int, bands: int = 2, **options: Any) -> RasterWriter:
    grid = Grid(
        crs=CRS.from_epsg(32612),
        transform=Affine(30, 0, 300000, 0, -30, 4200000),
        height=height,
        width=width,
    )
    names = [f"b{i}" for i in range(bands)]
    given: dict[str, Any] = {"dtype": "float32", "nodata": float("nan")} | options
    return RasterWriter(path, grid, band_names=names, **given)


def pixels(bands: int, height: int, width: int) -> NDArray[np.float32]:
    values = np.random.default_rng(0).random((bands, height, width), dtype=np.float32)
    values[:, ::3, ::2] = np.nan
    return values


# -- rows read back -------------------------------------------------------------------------------


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    values = pixels(2, 20, 7)
    with writer_of(tmp_path / "x.tif", 20, 7) as writer:
        writer.write_rows(10, values[:, 10:])
        assert np.array_equal(writer.read_rows(12, 17), values[:, 12:17], equal_nan=True)
        writer.write_rows(0, values[:, :10])
        back = writer.read_rows(0, 20)
        assert back.dtype == np.float32
        assert np.array_equal(back, values, equal_nan=True)
        assert writer.read_rows(4, 4).shape == (2, 0, 7)
    with rasterio.open(tmp_path / "x.tif") as source:  # reading changed nothing
        assert np.array_equal(source.read(), values, equal_nan=True)


def test_rows_are_read_into_what_is_given(tmp_path: Path) -> None:
    values = pixels(2, 6, 5)
    room = np.zeros((3, 2, 2, 5), np.float32)
    with writer_of(tmp_path / "x.tif", 6, 5) as writer:
        writer.write_rows(0, values)
        assert np.shares_memory(writer.read_rows(3, 5, room[1]), room)
    assert np.array_equal(room[1], values[:, 3:5], equal_nan=True)
    assert not room[[0, 2]].any()


def test_rows_that_have_not_arrived_are_no_rows_to_read(tmp_path: Path) -> None:
    with writer_of(tmp_path / "x.tif", 6, 5) as writer:
        writer.write_rows(0, np.ones((2, 4, 5), np.float32))
        with pytest.raises(ValueError, match="2 of the rows 2 to 6 have not arrived"):
            writer.read_rows(2, 6)
        writer.write_rows(4, np.ones((2, 2, 5), np.float32))
        assert writer.read_rows(2, 6).all()


def test_rows_that_are_being_written_have_not_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    with writer_of(tmp_path / "x.tif", 2, 5) as writer:
        assert writer._raw is not None
        spool = writer._raw._spool
        whole = spool.write_at

        def looked_at(*args: Any) -> None:
            with pytest.raises(ValueError, match="not arrived"):
                writer.read_rows(0, 2)
            seen.append(args)
            whole(*args)

        monkeypatch.setattr(spool, "write_at", looked_at)
        writer.write_rows(0, np.ones((2, 2, 5), np.float32))
    assert len(seen) == 2


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((2, 2, 5), np.float64),
        np.zeros((2, 3, 5), np.float32),
        np.zeros((2, 2, 10), np.float32)[:, :, ::2],
    ],
)
def test_room_of_another_kind_is_refused(tmp_path: Path, out: NDArray[Any]) -> None:
    with writer_of(tmp_path / "x.tif", 6, 5) as writer:
        writer.write_rows(0, np.ones((2, 6, 5), np.float32))
        with pytest.raises(ValueError, match="contiguous array"):
            writer.read_rows(0, 2, out)


def test_rows_outside_the_raster_or_the_block_are_refused(tmp_path: Path) -> None:
    writer = writer_of(tmp_path / "x.tif", 6, 5)
    with pytest.raises(ValueError, match="inside the with block"):
        writer.read_rows(0, 0)
    with writer:
        writer.write_rows(0, np.ones((2, 6, 5), np.float32))
        for first, stop in ((-1, 2), (5, 7), (4, 3)):
            with pytest.raises(ValueError, match="outside"):
                writer.read_rows(first, stop)
    with pytest.raises(ValueError, match="inside the with block"):
        writer.read_rows(0, 1)


def test_threads_write_and_read_side_by_side(tmp_path: Path) -> None:
    values = pixels(3, 400, 50)

    with (
        writer_of(tmp_path / "x.tif", 400, 50, bands=3) as writer,
        ThreadPoolExecutor(8) as pool,
    ):

        def there_and_back(row: int) -> bool:
            writer.write_rows(row, values[:, row : row + 5])
            back = writer.read_rows(row, row + 5)
            return np.array_equal(back, values[:, row : row + 5], equal_nan=True)

        assert all(pool.map(there_and_back, range(0, 400, 5)))


@pytest.mark.parametrize("platform", ["win32", sys.platform])
def test_a_system_that_reads_in_pieces_gives_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    values = pixels(2, 30, 40)
    with writer_of(tmp_path / "x.tif", 30, 40) as writer:
        writer.write_rows(0, values)
        whole = os.pread
        monkeypatch.setattr("os.pread", lambda f, size, at: whole(f, min(size, 1000), at))
        monkeypatch.setattr("geoseg.raster.cog.spool._PART", 1001)
        monkeypatch.setattr("geoseg.raster.cog.spool.sys.platform", platform)
        back = writer.read_rows(3, 30)
        monkeypatch.undo()
    assert np.array_equal(back, values[:, 3:], equal_nan=True)


@pytest.mark.skipif(sys.platform == "win32", reason="reads otherwise there")
def test_a_disk_that_fails_is_an_output_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for pread in (broken, lambda *_: b""):
        with (
            pytest.raises(OutputError, match=r"x\.tif cannot be written") as caught,
            writer_of(tmp_path / "x.tif", 3, 4) as writer,
        ):
            writer.write_rows(0, np.ones((2, 3, 4), np.float32))
            monkeypatch.setattr("os.pread", pread)
            writer.read_rows(0, 3)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []


# -- known late -----------------------------------------------------------------------------------


def test_the_ramp_may_be_set_when_all_rows_are_there(tmp_path: Path) -> None:
    for name, ramp in (("early", Ramp("activation", -2, 2)), ("late", None)):
        with writer_of(tmp_path / f"{name}.tif", 3, 4, ramp=ramp) as writer:
            writer.write_rows(0, pixels(2, 3, 4))
            writer.make()
            writer.ramp = Ramp("activation", -2, 2)
    for suffix in (".tif", ".qml"):
        early = (tmp_path / f"early{suffix}").read_bytes()
        assert (tmp_path / f"late{suffix}").read_bytes() == early
