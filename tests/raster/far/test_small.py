"""Small files far away are read whole, in few requests; others, and corners of them, are not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window as RasterioWindow

from geoseg.raster.far import small
from geoseg.raster.far.small import read_small
from geoseg.raster.opening.handles import Handles
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips
from geoseg.testing.webserver import WebServer, web_server

SIDE = 256
BAND = SIDE * SIDE
ALL = RasterioWindow(0, 0, SIDE, SIDE)
PIXELS = np.random.default_rng(5).integers(1, 255, (3, SIDE, SIDE), dtype="uint8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("served")
    for name, how in (("pixel", "pixel"), ("band", "band"), ("other", "pixel"), ("alpha", "pixel")):
        with rasterio.open(
            folder / f"{name}.tif",
            "w",
            driver="GTiff",
            height=SIDE,
            width=SIDE,
            count=3,
            dtype="uint8",
            tiled=True,
            blockxsize=16,
            blockysize=16,
            interleave=how,
            crs="EPSG:32612",
            transform=rasterio.Affine(2, 0, 5e5, 0, -2, 4e6),
        ) as file:
            file.write(PIXELS)
            if name == "alpha":
                file.write(np.where(PIXELS[2] < 128, 0, 255).astype("uint8"), 3)
                file.colorinterp = [
                    rasterio.enums.ColorInterp.gray,
                    rasterio.enums.ColorInterp.undefined,
                    rasterio.enums.ColorInterp.alpha,
                ]
    with web_server(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, server: WebServer) -> None:
    small._FILES.clear()
    server.set()


@pytest.fixture
def handles() -> Iterator[Handles]:
    one = Handles()
    yield one
    one.close()


@pytest.mark.parametrize("name", ["pixel.tif", "band.tif"])
def test_a_small_scene_costs_few_requests_and_is_the_same(server: WebServer, name: str) -> None:
    with Scene.open(server.url(name)) as scene:
        strips = list(read_strips([scene], workers=3, target_rows=32))
        fingerprint = scene.fingerprint()
    np.testing.assert_array_equal(np.concatenate([s.arrays[0] for s in strips], axis=1), PIXELS)
    asked = server.asked()
    # Of 256 blocks (of each band), in 8 strips; threads may ask for one head at the same time.
    assert sum(one.method == "GET" for one in asked) <= 16
    assert sum(one.sent for one in asked) < 1.6 * (server.folder / name).stat().st_size
    small._FILES.clear()
    with Scene.open(server.url(name)) as scene:
        assert scene.fingerprint() == fingerprint


def test_an_alpha_band_says_what_is_valid(server: WebServer) -> None:
    with Scene.open(server.url("alpha.tif")) as scene:
        found = scene.read(scene.grid.window)
    np.testing.assert_array_equal(found.data, PIXELS[:2])
    np.testing.assert_array_equal(found.valid, PIXELS[2] >= 128)


def test_a_corner_is_read_alone_and_many_are_the_file(server: WebServer, handles: Handles) -> None:
    corner, url = RasterioWindow(0, 0, 64, 32), server.url("pixel.tif")
    # A thirty-second part each.
    assert read_small(handles, url, (1, 2, 3), corner) is None
    assert read_small(handles, url, (1, 2, 3), corner) is None
    there = read_small(handles, url, (3, 1), corner)
    assert there is not None
    np.testing.assert_array_equal(there, PIXELS[[2, 0], :32, :64])
    assert small._FILES[url].room == 3 * BAND


def test_of_bands_that_lie_apart_those_alone_are_read_that_are_wanted(
    server: WebServer, handles: Handles
) -> None:
    url = server.url("band.tif")
    there = read_small(handles, url, (2,), ALL)
    assert there is not None
    np.testing.assert_array_equal(there, PIXELS[1:2])
    assert set(small._FILES[url].bands) == {2}
    there = read_small(handles, url, (2, 3), ALL)
    assert there is not None
    np.testing.assert_array_equal(there, PIXELS[1:])
    assert set(small._FILES[url].bands) == {2, 3}


def test_files_here_and_large_ones_are_read_as_usual(
    server: WebServer, handles: Handles, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_small(handles, str(server.folder / "pixel.tif"), (1,), ALL) is None
    assert not small._FILES
    monkeypatch.setattr(small, "SMALL_BYTES", 3 * BAND - 1)
    assert read_small(handles, server.url("pixel.tif"), (1,), ALL) is None


def test_files_give_their_room_away_when_they_are_done_with_and_not_before(
    server: WebServer, handles: Handles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small, "KEPT_BYTES", 4 * BAND)
    first, second = server.url("pixel.tif"), server.url("other.tif")
    half = RasterioWindow(0, 0, SIDE, SIDE // 2)
    assert read_small(handles, first, (1, 2, 3), half) is not None
    assert read_small(handles, second, (1, 2, 3), half) is None
    assert read_small(handles, first, (1, 2, 3), half) is not None
    assert read_small(handles, second, (1, 2, 3), half) is not None
    assert (small._FILES[first].room, small._FILES[first].bands) == (0, {})
    # Nobody asked for the rest of it for long.
    monkeypatch.setattr(small, "_IDLE_SECONDS", -1.0)
    assert read_small(handles, first, (1, 2, 3), ALL) is not None
    assert sum(file.room for file in small._FILES.values()) == 3 * BAND
