"""Reads over a network that fail again and again: repeated, in smaller parts, and then told."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioIOError
from rasterio.windows import Window as RasterioWindow

from geoseg.errors import RasterReadError
from geoseg.raster.far import small
from geoseg.raster.far.patient import _blocks, read_patiently
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.opening import remote
from geoseg.raster.opening.handles import Handles
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips
from geoseg.testing.webserver import WebServer, web_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("served")
    pixels = np.random.default_rng(2).integers(1, 60000, (3, 640, 512), dtype="uint16")
    for k in range(6):
        with rasterio.open(
            folder / f"{k}.tif",
            "w",
            driver="GTiff",
            height=640,
            width=512,
            count=3,
            dtype="uint16",
            tiled=True,
            blockxsize=64,
            blockysize=64,
            interleave="pixel" if k % 2 else "band",
            crs="EPSG:32612",
            transform=rasterio.Affine(2, 0, 5e5, 0, -2, 4e6),
        ) as file:
            file.write(pixels)
    with web_server(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")


@pytest.mark.parametrize(("name", "most"), [("0.tif", 0), ("1.tif", 0), ("3.tif", 32 << 20)])
def test_every_fifth_body_may_be_cut(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(small, "SMALL_BYTES", most)
    server.set(forever="cut", every=5)
    with Scene.open(server.url(name)) as scene, Scene.open(server.folder / name) as here:
        strips = list(read_strips([scene], workers=2, target_rows=128))
        there = np.concatenate([strip.arrays[0] for strip in strips], axis=1)
        np.testing.assert_array_equal(there, here.read(here.grid.window).data)
    asked = server.asked()
    whole = (server.folder / name).stat().st_size
    assert sum(one.sent for one in asked) > (0 if most else whole)


@pytest.mark.parametrize("most", [0, 32 << 20])
def test_fingerprints_are_the_same_where_every_fifth_body_is_cut(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(small, "SMALL_BYTES", most)
    server.set()
    expected = fingerprint_files([server.url("4.tif")])
    server.set(forever="cut", every=5)
    # The same readings at another address.
    assert fingerprint_files([server.url("2.tif")]) == expected


def test_a_fingerprint_that_cannot_be_read_names_file_and_rows(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small, "SMALL_BYTES", 0)
    server.set(faults=[None, None], forever="cut")
    with pytest.raises(
        RasterReadError, match=r"5\.tif: cannot be (read at rows|opened) .*server|5"
    ):
        fingerprint_files([server.url("5.tif")])


def test_a_damaged_file_in_an_archive_is_named_by_its_fingerprint(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "a.tif",
        "w",
        driver="GTiff",
        height=256,
        width=256,
        count=1,
        dtype="uint8",
        compress="deflate",
        blockysize=16,
        crs="EPSG:32612",
        transform=rasterio.Affine(2, 0, 5e5, 0, -2, 4e6),
    ) as file:
        file.write(np.random.default_rng(3).integers(0, 255, (1, 256, 256), dtype="uint8"))
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 9000] = bytes(9000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.tif", bytes(data))
    with pytest.raises(RasterReadError, match=r"a\.tif: cannot be read at rows .*damaged"):
        fingerprint_files([f"/vsizip/{tmp_path / 'a.zip'}/a.tif"])


def test_what_failed_whole_is_read_block_by_block_each_with_repeats_of_its_own(
    server: WebServer,
) -> None:
    server.set()
    tried: list[tuple[int, ...]] = []
    seen = np.zeros((2, 100, 100), int)

    def read(part: RasterioWindow, bands: slice, rows: slice, cols: slice) -> None:
        key = (bands.start, part.row_off, part.col_off, part.height, part.width)
        tried.append(key)
        if part.height == 100 or tried.count(key) < 6:
            raise RasterioIOError("cut")
        assert (1, part.height, part.width) == seen[bands, rows, cols].shape
        seen[bands, rows, cols] += 1

    handles = Handles()
    read_patiently(read, server.url("0.tif"), RasterioWindow(30, 40, 100, 100), handles, bands=2)
    handles.close()
    assert (seen == 1).all()
    # Rows 40–139 lie in three rows of blocks of 64, columns 30–129 in three columns.
    assert len(tried) == 1 + 9 * 2 * 6
    assert tried[1] == (0, 40, 30, 24, 34)


def test_a_file_here_is_read_once_and_no_more(tmp_path: Path) -> None:
    tried = []

    def read(part: RasterioWindow, bands: slice, rows: slice, cols: slice) -> None:
        tried.append(part)
        raise RasterioIOError("damaged")

    with pytest.raises(RasterReadError, match=r"x\.tif: cannot be read at rows 3–7 \(truncated"):
        read_patiently(
            read, str(tmp_path / "x.tif"), RasterioWindow(0, 3, 9, 5), Handles(), bands=2
        )
    assert len(tried) == 1


def test_no_repeats_where_gdal_is_told_so(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.set()
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    tried = []

    def read(part: RasterioWindow, bands: slice, rows: slice, cols: slice) -> None:
        tried.append(part)
        raise RasterioIOError("cut")

    with pytest.raises(RasterReadError, match="cannot be read at rows 0–8"):
        read_patiently(read, server.url("0.tif"), RasterioWindow(0, 0, 9, 9), Handles(), bands=2)
    assert (len(tried), server.asked()) == (1, [])


def test_what_will_not_pass_is_told_without_repeats(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.set(ranges=False)
    tried = []

    def read(part: RasterioWindow, bands: slice, rows: slice, cols: slice) -> None:
        tried.append(part)
        raise RasterioIOError("200")

    with pytest.raises(RasterReadError, match="whole files only"):
        read_patiently(read, server.url("0.tif"), RasterioWindow(0, 0, 9, 9), Handles(), bands=2)
    assert len(tried) == 1


def test_blocks_cover_a_window_once() -> None:
    seen = np.zeros((70, 33), int)
    for part, rows, cols in _blocks(RasterioWindow(5, 60, 33, 70), (64, 16)):
        assert part.row_off // 64 == (part.row_off + part.height - 1) // 64
        assert part.col_off // 16 == (part.col_off + part.width - 1) // 16
        assert (part.row_off - 60, part.col_off - 5) == (rows.start, cols.start)
        seen[rows, cols] += 1
    assert (seen == 1).all()


def test_a_server_is_asked_once_whether_it_gives_parts(server: WebServer) -> None:
    remote._GIVE_PARTS.clear()
    server.set()
    assert remote.trouble_with_parts(server.url("0.tif")) is None
    assert remote.trouble_with_parts(server.url("1.tif")) is None
    assert len(server.asked()) == 1
    assert remote.trouble_with_parts("s3://bucket/a.tif") is None
