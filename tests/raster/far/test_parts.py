"""Masks and the parts of VRTs far away: never empty where they are not, asked for again."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from holes import BLOCK, SIDE, pixels_around_holes, write_with_holes

from geoseg.raster.far import small
from geoseg.raster.opening.handles import is_far, is_remote
from geoseg.raster.opening.lost import blocks_lost
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window
from geoseg.testing.webserver import WebServer, web_server

VRT = (
    f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}"><SRS>EPSG:32612</SRS>'
    "<GeoTransform>500000,1,0,4000000,0,-1</GeoTransform>{}</VRTDataset>"
)
BAND = (
    '<VRTRasterBand dataType="Byte" band="{0}"><NoDataValue>0</NoDataValue><SimpleSource>'
    '<SourceFilename relativeToVRT="0">/vsicurl/{1}</SourceFilename><SourceBand>{0}</SourceBand>'
    f'<SourceProperties RasterXSize="{SIDE}" RasterYSize="{SIDE}" DataType="Byte"'
    f' BlockXSize="{BLOCK}" BlockYSize="{BLOCK}"/><SrcRect xOff="0" yOff="0" xSize="{SIDE}"'
    f' ySize="{SIDE}"/><DstRect xOff="0" yOff="0" xSize="{SIDE}" ySize="{SIDE}"/>'
    "</SimpleSource></VRTRasterBand>"
)
PIXELS = pixels_around_holes()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("served")) as running:
        write_with_holes(running.folder / "a.tif")
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    monkeypatch.setattr(small, "SMALL_BYTES", 0)


def vrt(server: WebServer, tmp_path: Path, where: str, key: str) -> str:
    """A VRT of the file, by a name that was not asked for before."""
    folder = server.folder if where == "there" else tmp_path
    path = folder / f"{key}.vrt"
    path.write_text(VRT.format("".join(BAND.format(b, server.url(f"a.tif?{key}")) for b in (1, 2))))
    return server.url(path.name) if where == "there" else str(path)


@pytest.mark.parametrize("where", ["here", "there"])
@pytest.mark.parametrize("k", range(9))
def test_a_cut_anywhere_changes_no_pixel_of_a_vrt(
    server: WebServer, tmp_path: Path, where: str, k: int
) -> None:
    source = vrt(server, tmp_path, where, f"{where}{k}")
    server.set(faults=[None] * k + ["cut"])
    with Scene.open(source) as scene:
        for row in (1200, 0, 304):
            found = scene.read(Window(row, row, 48, 48))
            at = slice(row, row + 48)
            np.testing.assert_array_equal(found.data, PIXELS[:, at, at])
            np.testing.assert_array_equal(found.valid, found.data[0] != 0)


def test_a_vrt_here_is_read_again_where_every_fifth_body_is_cut(
    server: WebServer, tmp_path: Path
) -> None:
    source = vrt(server, tmp_path, "here", "fifth")
    assert is_far(source)
    assert not is_remote(source)
    server.set(forever="cut", every=5)
    with Scene.open(source) as scene:
        for row in range(0, SIDE, 160):
            at = slice(row, row + 32)
            np.testing.assert_array_equal(
                scene.read(Window(row, row, 32, 32)).data, PIXELS[:, at, at]
            )


@pytest.mark.parametrize("k", range(12))
def test_a_cut_anywhere_changes_no_pixel_of_a_mask(server: WebServer, k: int) -> None:
    valid = np.zeros((SIDE, SIDE), np.uint8)
    valid[:, 100:] = 255
    valid[640:960] = 0
    name = f"masked{k}.tif"
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "dtype": "uint8", "tiled": True}
    profile |= {"blockxsize": BLOCK, "blockysize": BLOCK, "crs": "EPSG:32612"}
    profile["transform"] = rasterio.Affine(1, 0, 5e5, 0, -1, 4e6)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(server.folder / name, "w", count=2, **profile) as file,
    ):
        file.write(PIXELS)
        file.write_mask(valid)
    assert (server.folder / f"{name}.msk").is_file()
    server.set(faults=[None] * k + ["cut"])
    with Scene.open(server.url(name)) as scene:
        for row in (1200, 0, 620):
            found = scene.read(Window(row, 90, 48, 48))
            rows, cols = slice(row, row + 48), slice(90, 138)
            np.testing.assert_array_equal(found.valid, valid[rows, cols] != 0)
            np.testing.assert_array_equal(
                found.data[:, found.valid], PIXELS[:, rows, cols][:, found.valid]
            )


@pytest.mark.parametrize("k", range(8))
def test_a_cut_anywhere_changes_no_pixel_of_an_overview(server: WebServer, k: int) -> None:
    name = f"overviews{k}.tif"
    shutil.copy(server.folder / "a.tif", server.folder / name)
    with rasterio.open(server.folder / name, "r+") as file:
        file.build_overviews([2, 4, 8], rasterio.enums.Resampling.nearest)
    server.set(faults=[None] * k + ["cut"])
    with Scene.open(server.url(name)) as scene, Scene.open(server.folder / name) as here:
        far, near = scene.read_overview(40_000), here.read_overview(40_000)
        assert far is not None
        assert near is not None
        for there, expected in zip(far, near, strict=True):
            np.testing.assert_array_equal(there.data, expected.data)
            np.testing.assert_array_equal(there.valid, expected.valid)


@pytest.mark.parametrize(
    ("content", "far"),
    [
        ("<SourceFilename>/vsicurl/https://h/a.tif</SourceFilename>", True),
        ("<SourceFilename> /vsis3/b/a.tif</SourceFilename>", True),
        ("<SourceFilename>https://h/a.tif</SourceFilename>", True),
        ("<SourceFilename>/vsicurl?url=https%3A%2F%2Fh</SourceFilename>", True),
        ("<SourceFilename relativeToVRT='0'>s3://b/a.tif</SourceFilename>", True),
        ("<MDI key='page'>https://h</MDI><SourceFilename>a.tif</SourceFilename>", False),
        ("<SourceFilename>a.tif</SourceFilename><!-- https://h -->", False),
        ("", False),
    ],
)
def test_vrts_here_of_files_far_away_are_told_from_others(
    tmp_path: Path, content: str, far: bool
) -> None:
    path = tmp_path / "a.vrt"
    path.write_text(content)
    assert is_far(str(path)) is far
    path.write_text("<SourceFilename>/vsis3/b/other.tif</SourceFilename>")
    assert is_far(str(path))
    assert not is_far(str(tmp_path / "none.vrt"))


def test_what_gdal_signals_is_heard_and_told_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("rasterio._err")
    with blocks_lost() as lost:
        log.info("GDAL signalled an error: %s", "Cannot read offset/size for strile around ~1")
        log.info("something else")
    log.info("Cannot read offset/size for strile around ~2")
    log.warning("something that is heard")
    assert lost == ["GDAL signalled an error: Cannot read offset/size for strile around ~1"]
    assert [record.getMessage() for record in caplog.records] == ["something that is heard"]
