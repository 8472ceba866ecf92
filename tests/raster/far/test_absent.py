"""Blocks that a remote TIFF seems not to hold: read where they were lost, else believed once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from holes import pixels_around_holes, write_with_holes
from rasterio.errors import RasterioIOError
from rasterio.windows import Window as RasterioWindow

from geoseg.errors import RasterReadError
from geoseg.raster.far import absent, small
from geoseg.raster.far.absent import check_present
from geoseg.raster.opening.handles import Handles
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window
from geoseg.testing.webserver import WebServer, web_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def name(request: pytest.FixtureRequest, server: WebServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file of its own for each test, with an index too long for the head of it."""
    monkeypatch.setattr(small, "SMALL_BYTES", 0)
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    server.set()
    name = f"{len(list(server.folder.iterdir()))}.tif"
    write_with_holes(server.folder / name)
    return name


@pytest.mark.parametrize("k", range(9))
@pytest.mark.parametrize("side", [16, 48])
def test_a_cut_anywhere_changes_no_pixel(server: WebServer, name: str, k: int, side: int) -> None:
    server.set(faults=[None] * k + ["cut"])
    with Scene.open(server.url(name)) as scene:
        for row in (1200, 0, 304):
            found = scene.read(Window(row, row, side, side))
            at = slice(row, row + side)
            np.testing.assert_array_equal(found.data, pixels_around_holes()[:, at, at])
            np.testing.assert_array_equal(found.valid, found.data[0] != 0)


def test_blocks_that_are_absent_are_looked_for_once(server: WebServer, name: str) -> None:
    with Scene.open(server.url(name)) as scene:
        assert not scene.read(Window(320, 0, 32, 32)).valid.any()
        looked = len(server.asked())
        assert not scene.read(Window(320, 64, 32, 32)).valid.any()
    assert len(server.asked()) == looked


def test_what_only_seems_absent_is_an_error(
    server: WebServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, real = server.url(name), absent._offset
    handles = Handles()
    with handles.borrow(url) as dataset:
        place = RasterioWindow(0, 0, 16, 16)
        check_present(dataset, url, [1], place)
        for said in (None, "0"):
            monkeypatch.setattr(
                absent,
                "_offset",
                lambda of, *at, said=said: said if of is dataset else real(of, *at),
            )
            with pytest.raises(RasterioIOError, match="index"):
                check_present(dataset, url, [1], place)
    handles.close()


def test_looks_that_never_agree_end_in_one_error_line(
    server: WebServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absent, "_look", lambda *_: None)
    with (
        Scene.open(server.url(name)) as scene,
        pytest.raises(RasterReadError, match=r"\.tif: cannot be read at rows 320–3"),
    ):
        scene.read(Window(320, 0, 32, 32))


def test_files_here_are_not_looked_into(server: WebServer, name: str) -> None:
    path: Path = server.folder / name
    check_present(None, str(path), [1], RasterioWindow(0, 320, 32, 32))  # type: ignore[arg-type]
