"""Tiles become the same file as GDAL's own driver makes of the same raster."""

# ruff: noqa: PT012 - leaving a with block is what raises here

from __future__ import annotations

import errno
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rio_cogeo.cogeo import cog_validate

from geoseg.errors import OutputError
from geoseg.raster.cog.halving import halved
from geoseg.raster.cog.spool import Spool
from geoseg.raster.cog.tilepacking import TilePacking
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid

PLACE = Affine(30, 0, 300000, 0, -30, 4200000)


def writer_of(path: Path, data: NDArray[Any], **options: Any) -> RasterWriter:
    grid = Grid(
        crs=CRS.from_epsg(32612), transform=PLACE, height=data.shape[1], width=data.shape[2]
    )
    names = [f"b{i}" for i in range(len(data))]
    given: dict[str, Any] = {"band_names": names, "dtype": data.dtype.name, "nodata": None}
    return RasterWriter(path, grid, **(given | {"blocksize": 128} | options))


def by_rows(path: Path, data: NDArray[Any], **options: Any) -> None:
    with writer_of(path, data, **options) as writer:
        for row in range(0, data.shape[1], 50):
            writer.write_rows(row, data[:, row : row + 50])


def by_tiles(path: Path, data: NDArray[Any], side: int = 128, **options: Any) -> None:
    rng = np.random.default_rng(1)
    with writer_of(path, data, **options) as writer, ThreadPoolExecutor(4) as pool:
        places = [
            (r, c) for r in range(0, data.shape[1], side) for c in range(0, data.shape[2], side)
        ]
        rng.shuffle(places)
        list(
            pool.map(
                lambda at: writer.write_tiles(
                    *map(int, at), data[:, at[0] : at[0] + side, at[1] : at[1] + side]
                ),
                places,
            )
        )


def noise(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    values = rng.random(shape) if dtype.startswith("f") else rng.integers(0, 9, shape)
    return values.astype(dtype)


def levels_of(path: Path) -> list[NDArray[Any]]:
    with rasterio.open(path) as source:
        found, count = [source.read()], len(source.overviews(1))
    for level in range(count):
        with rasterio.open(path, overview_level=level) as source:
            found.append(source.read())
    return found


@pytest.mark.parametrize(
    ("dtype", "nodata", "how"),
    [
        ("float32", math.nan, "average"),
        ("float64", None, "average"),
        ("uint16", 0, "average"),
        ("int16", -5, "nearest"),
        ("uint8", 255, "mode"),
    ],
)
@pytest.mark.parametrize("bands", [1, 3])
def test_a_file_says_and_shows_what_gdals_own_driver_does(
    tmp_path: Path, dtype: str, nodata: float | None, how: Any, bands: int
) -> None:
    data = noise(dtype, (bands, 384, 640))
    if nodata is not None:
        data[:, 100:230, 50:300] = nodata
    ours, plain, theirs = (tmp_path / f"{name}.tif" for name in ("ours", "plain", "theirs"))
    by_rows(ours, data, nodata=nodata, overview_resampling=how)
    profile = {"height": 384, "width": 640, "count": bands, "dtype": dtype, "nodata": nodata}
    with rasterio.open(plain, "w", crs="EPSG:32612", transform=PLACE, **profile) as dataset:
        dataset.write(data)
    rasterio.shutil.copy(
        plain,
        theirs,
        driver="COG",
        COMPRESS="DEFLATE",
        PREDICTOR="YES",
        BLOCKSIZE="128",
        OVERVIEW_RESAMPLING=how.upper(),
    )
    assert cog_validate(ours, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(ours) as one, rasterio.open(theirs) as other:
        assert repr(one.profile) == repr(other.profile)  # NaN equals nothing
        assert one.tags(ns="IMAGE_STRUCTURE") == other.tags(ns="IMAGE_STRUCTURE")
        assert one.overviews(1) == other.overviews(1) == [2, 4, 8]
        assert one.tags().items() >= other.tags().items()
    for one_level, other_level in zip(levels_of(ours), levels_of(theirs), strict=True):
        np.testing.assert_allclose(one_level, other_level, rtol=3e-7)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(height=st.integers(1, 600), width=st.integers(1, 600), workers=st.sampled_from([1, 3]))
def test_any_size_is_whole_and_halved_level_by_level(
    tmp_path: Path, height: int, width: int, workers: int
) -> None:
    data = noise("int16", (2, height, width))
    path = tmp_path / "x.tif"
    by_rows(path, data, nodata=3, workers=workers, overwrite=True)
    levels = levels_of(path)
    assert max(levels[-1].shape[1:]) <= 129
    expected = data
    for level in levels:
        np.testing.assert_array_equal(level, expected)
        expected = halved(expected, "average", 3)


@pytest.mark.parametrize("workers", [1, 4])
def test_tiles_make_the_same_bytes_as_rows(tmp_path: Path, workers: int) -> None:
    data = noise("float32", (2, 300, 517))
    by_rows(tmp_path / "rows.tif", data, workers=workers)
    by_tiles(tmp_path / "tiles.tif", data)
    assert (tmp_path / "rows.tif").read_bytes() == (tmp_path / "tiles.tif").read_bytes()


def test_rows_of_tiles_may_come_either_way(tmp_path: Path) -> None:
    data = noise("uint8", (1, 300, 200))
    by_rows(tmp_path / "rows.tif", data)
    with writer_of(tmp_path / "both.tif", data) as writer:
        writer.write_rows(128, data[:, 128:256])
        writer.write_tiles(256, 0, data[:, 256:])
        writer.write_tiles(0, 0, data[:, :128])
    assert (tmp_path / "rows.tif").read_bytes() == (tmp_path / "both.tif").read_bytes()


def test_a_tile_cannot_be_written_twice_nor_besides_its_rows(tmp_path: Path) -> None:
    data = noise("uint8", (1, 300, 200))
    with (
        pytest.raises(OutputError, match=r"172 of 300 rows were never written"),
        writer_of(tmp_path / "x.tif", data) as writer,
    ):
        writer.write_tiles(0, 0, data[:, :128, :128])
        with pytest.raises(ValueError, match="written before"):
            writer.write_tiles(0, 0, data[:, :128])
        with pytest.raises(ValueError, match="written before"):
            writer.write_rows(100, data[:, 100:101])
        writer.write_tiles(0, 128, data[:, :128, 128:])
        writer.write_rows(130, data[:, 130:131])
        with pytest.raises(ValueError, match="written before"):
            writer.write_tiles(128, 0, data[:, 128:256])
        with pytest.raises(ValueError, match="not arrived"):
            writer.read_rows(0, 5)
        writer.write_rows(130, data[:, 130:130])
        writer._arrivals._arrived[130] = False  # as if it were never written
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("row", "col", "height", "width"),
    [(1, 0, 128, 200), (0, 64, 128, 136), (0, 0, 100, 200), (0, 0, 128, 100), (256, 0, 128, 200)],
)
def test_what_is_no_tile_is_refused(
    tmp_path: Path, row: int, col: int, height: int, width: int
) -> None:
    writer = writer_of(tmp_path / "x.tif", noise("uint8", (1, 300, 200)))
    with pytest.raises(ValueError, match="not made of tiles"), writer:
        writer.write_tiles(row, col, np.zeros((1, height, width), np.uint8))
    with pytest.raises(ValueError, match="expected uint8"), writer:
        writer.write_tiles(0, 0, np.zeros((1, 128, 200), np.int16))
    assert list(tmp_path.iterdir()) == []


def test_a_place_beyond_32_bits_makes_a_bigtiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise("float32", (2, 300, 200))
    by_rows(tmp_path / "classic.tif", data)
    monkeypatch.setattr("geoseg.raster.cog.tiff._CLASSIC_END", 10_000)
    by_rows(tmp_path / "big.tif", data)
    assert (tmp_path / "classic.tif").read_bytes()[:4] == b"II*\0"
    assert (tmp_path / "big.tif").read_bytes()[:4] == b"II+\0"
    assert cog_validate(tmp_path / "big.tif", strict=True, quiet=True) == (True, [], [])
    for one, other in zip(
        levels_of(tmp_path / "classic.tif"), levels_of(tmp_path / "big.tif"), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    with rasterio.open(tmp_path / "classic.tif") as one, rasterio.open(tmp_path / "big.tif") as two:
        assert one.profile == two.profile
        assert one.descriptions == two.descriptions


@pytest.mark.parametrize("blocksize", [16, 48, 96])
def test_tiles_of_any_size_can_be_read_in_every_copy(tmp_path: Path, blocksize: int) -> None:
    # GDAL itself gives smaller copies tiles of 128 where 16, 48 or 96 were asked for.
    data = noise("int16", (2, 200, 301))
    by_rows(tmp_path / "x.tif", data, blocksize=blocksize)
    levels = levels_of(tmp_path / "x.tif")
    assert len(levels) > 2
    for level in levels:
        np.testing.assert_array_equal(level, data)
        data = halved(data, "average", None)
    with rasterio.open(tmp_path / "x.tif", OVERVIEW_LEVEL=0) as copy:
        assert copy.block_shapes == [(blocksize, blocksize)] * 2


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("write", [by_rows, by_tiles])
def test_a_disk_that_fills_up_while_tiles_are_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, workers: int
) -> None:
    calls = iter(range(1 << 30))
    whole = Spool.append

    def full(spool: Spool, data: Any) -> int:
        if next(calls) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(spool, data)

    monkeypatch.setattr(Spool, "append", full)
    with pytest.raises(OutputError, match="no space left") as caught:
        write(tmp_path / "x.tif", noise("uint8", (1, 400, 400)), workers=workers)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert not [t.name for t in threading.enumerate() if t.name.startswith("geoseg-tiles")]


def test_a_way_to_halve_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cubic"):
        writer_of(tmp_path / "x.tif", noise("uint8", (1, 3, 3)), overview_resampling="cubic")


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", 255), ("uint16", 0), ("int16", -9999), ("float32", float("nan")), ("float32", -1.5),
     ("uint8", None), ("uint8", 300)],
)  # fmt: skip
def test_a_raster_of_little_else_than_nodata_is_that_of_gdals_tiles(
    tmp_path: Path, dtype: str, nodata: float | None, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    height, width = 100, 75
    fill = 0 if nodata is None or nodata == 300 else nodata
    pixels = np.full((2, height, width), fill).astype(dtype)
    pixels[:, 40:44, 20:23] = 3
    pixels[1, 0, 0] = 5
    grid = Grid(crs=None, transform=Affine(2, 0, 10, 0, -2, 90), height=height, width=width)

    def made(name: str) -> bytes:
        path = tmp_path / name
        options = {"band_names": ["a", "b"], "dtype": dtype, "nodata": nodata, "blocksize": 16}
        with RasterWriter(path, grid, workers=workers, **options) as writer:
            for row in range(0, height, 7):
                writer.write_rows(row, pixels[:, row : row + 7])
            np.testing.assert_array_equal(writer.read_rows(3, 90), pixels[:, 3:90])
        with rasterio.open(path) as file:
            np.testing.assert_array_equal(file.read(), pixels)
        return path.read_bytes()

    quick = made("quick.tif")
    monkeypatch.setattr(TilePacking, "_is_nodata", lambda *_: False)
    assert quick == made("slow.tif")
