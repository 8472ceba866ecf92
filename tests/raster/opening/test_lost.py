"""The head of a remote TIFF that comes in part: read again, so that no tag of it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.errors import RasterReadError
from geoseg.raster.opening.lost import losses
from geoseg.raster.scene import Scene
from geoseg.testing.webserver import WebServer, web_server

PIXELS = np.random.default_rng(5).integers(1, 255, (2, 200, 200), dtype="uint8")
PLACE = rasterio.Affine(1, 0, 5e5, 0, -1, 4e6)


def write(path: Path) -> None:
    """Write a file whose directory, with its tags, lies behind its pixels."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=200,
        width=200,
        count=2,
        dtype="uint8",
        nodata=7,
        tiled=True,
        interleave="band",
        blockxsize=16,
        blockysize=16,
        compress="deflate",
        crs="EPSG:32612",
        transform=PLACE,
    ) as file:
        file.write(PIXELS)
        file.set_band_description(1, "red")
        file.scales = (2.0, 3.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def name(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file of its own for each test: what is read is remembered."""
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    name = f"{len(list(server.folder.iterdir()))}.tif"
    write(server.folder / name)
    server.set()
    return name


def directory_at(path: Path) -> int:
    """Where the directory of a file begins."""
    return int.from_bytes(path.read_bytes()[4:8], "little")


@pytest.mark.parametrize(
    ("number", "length"),
    [(0, 0), (0, 8), (0, 4000), (2, 40), *((1, length) for length in range(-780, 0, 60))],
)
def test_a_cut_anywhere_in_the_head_loses_no_tag(
    server: WebServer, name: str, number: int, length: int
) -> None:
    # The second request is for the end of the file, where its tags are.
    path = server.folder / name
    begin = directory_at(path) // 16384 * 16384
    length = path.stat().st_size - begin + length if length < 0 else length
    server.set(faults=[None] * number + [f"cut:{length}"])
    with Scene.open(server.url(name)) as scene:
        assert str(scene.grid.crs) == "EPSG:32612"
        assert scene.grid.transform == PLACE
        assert [band.nodata for band in scene.bands] == [7, 7]
        assert [band.scale for band in scene.bands] == [2, 3]
        assert scene.bands[0].name == "red"
        np.testing.assert_array_equal(scene.read(scene.grid.window).data, PIXELS)


def test_a_cut_is_heard(server: WebServer, name: str) -> None:
    path = server.folder / name
    size = path.stat().st_size - directory_at(path) // 16384 * 16384
    server.set(faults=[None, f"cut:{size - 9}"])
    with losses() as lost, rasterio.open(f"/vsicurl/{server.url(name)}") as dataset:
        assert dataset.scales == (1, 1)  # or nothing is tried here
    assert lost
    assert all(path.name in said for said in lost)


def test_a_file_that_ends_within_its_tags_is_an_error(
    server: WebServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    path = server.folder / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RasterReadError, match=r"\.tif: cannot be opened .*its head") as told:
        Scene.open(server.url(name))
    assert "\n" not in str(told.value)


def test_nothing_is_heard_of_what_others_open(tmp_path: Path) -> None:
    with losses() as outer:
        with losses() as inner:
            pass
        assert outer is not inner
    assert outer == inner == []
