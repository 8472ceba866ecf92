"""Reading from a server: the same pixels as from the disk, in few requests, whatever fails."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.env import get_gdal_config

from geoseg.errors import LabelError, RasterReadError
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.style import class_aux_xml
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.opening import remote
from geoseg.raster.opening.handles import environment, open_dataset
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips
from geoseg.testing.webserver import Fault, WebServer, web_server

SIDE = 512


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def folder(server: WebServer) -> Path:
    server.set()
    return server.folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")


def made(folder: Path, name: str, **options: Any) -> Path:
    """Write a raster of noise, whose parts differ; a name a test, for GDAL remembers files."""
    pixels = np.random.default_rng(1).integers(1, 60000, (2, SIDE, SIDE), dtype="uint16")
    pixels[:, :5] = 0
    how = {"tiled": True, "blockxsize": 128, "blockysize": 128, "interleave": "band"} | options
    with rasterio.open(
        folder / name,
        "w",
        driver="GTiff",
        height=SIDE,
        width=SIDE,
        count=2,
        dtype="uint16",
        nodata=0,
        crs="EPSG:32612",
        transform=Affine(2.0, 0, 5e5, 0, -2.0, 4e6),
        **how,
    ) as file:
        file.write(pixels)
    return folder / name


def pixels_of(path: str | Path, workers: int = 2) -> tuple[NDArray[Any], NDArray[Any]]:
    with Scene.open(path) as scene:
        strips = list(read_strips([scene], workers=workers, target_rows=128))
    return (
        np.concatenate([strip.arrays[0] for strip in strips], axis=1),
        np.concatenate([strip.valid for strip in strips]),
    )


def assert_same(server: WebServer, file: Path) -> None:
    here, there = pixels_of(file), pixels_of(server.url(file.name))
    np.testing.assert_array_equal(here[0], there[0])
    np.testing.assert_array_equal(here[1], there[1])


@pytest.mark.parametrize("how", [{}, {"interleave": "pixel", "compress": "deflate"}])
def test_a_scene_is_read_in_few_requests_and_no_block_twice(
    server: WebServer, folder: Path, how: dict[str, Any]
) -> None:
    file = made(folder, f"few{len(how)}.tif", **how)
    assert_same(server, file)
    asked = server.asked()
    # 16 blocks of each band. Threads that begin at once may each ask for the head of the file.
    assert sum(one.method == "GET" for one in asked) <= 20
    assert sum(one.sent for one in asked) < file.stat().st_size + 4 * (96 << 10)
    assert sum(one.status == 404 for one in asked) <= 3
    assert all(one.ranged for one in asked if one.method == "GET")


def test_a_mask_beside_the_file_is_seen_and_no_folder_is_asked_for(
    server: WebServer, folder: Path
) -> None:
    file = made(folder, "masked.tif")
    with rasterio.open(file, "r+") as opened:
        opened.nodata = None
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(file, "r+") as opened:
        mask = np.full((SIDE, SIDE), 255, "uint8")
        mask[:, :100] = 0
        opened.write_mask(mask)
    assert (folder / "masked.tif.msk").is_file()
    assert not pixels_of(server.url("masked.tif"))[1][:, :100].any()
    assert {one.path for one in server.asked()} <= {
        f"/masked.tif{part}" for part in ("", ".msk", ".MSK", ".aux.xml", ".msk.aux.xml")
    }


@pytest.mark.parametrize(
    "faults",
    [
        [503, 429, None, 500, 502],
        ["reset"],
        [None, "reset", "reset"],
        ["cut"],
        [None, None, "cut", "cut"],
        [None, None, None, "cut", "reset", 504],
    ],
)
def test_requests_that_fail_are_made_again(
    server: WebServer, folder: Path, faults: list[Fault | None]
) -> None:
    file = made(folder, f"faults{'-'.join(map(str, faults))}.tif")
    server.set(faults=faults)
    assert_same(server, file)


@pytest.mark.parametrize(
    ("forever", "said"),
    [
        (503, r"the server fails \(503\); try again later"),
        (403, r"the server refuses access \(403\)"),
        (401, r"the server wants to know who asks \(401\)"),
        (429, r"the server is asked too often \(429\)"),
        ("reset", "the server cannot be reached"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_line_without_secrets(
    server: WebServer, folder: Path, forever: Fault, said: str
) -> None:
    made(folder, f"never{forever}.tif")
    server.set(forever=forever)
    address = server.url(f"never{forever}.tif").replace("http://", "http://me:hidden@")
    with pytest.raises(RasterReadError, match=said) as raised:
        Scene.open(f"{address}?sig=hidden")
    assert "hidden" not in str(raised.value)
    assert f"never{forever}.tif" in str(raised.value)


def test_a_server_that_leaves_in_the_middle_is_named_with_the_rows(
    server: WebServer, folder: Path
) -> None:
    file = made(folder, "leaves.tif")
    with Scene.open(server.url(file.name)) as scene:
        server.set(forever="cut")
        with pytest.raises(RasterReadError, match=r"leaves\.tif: cannot be read at rows .*server"):
            list(read_strips([scene], workers=2))


def test_a_space_in_an_address_is_told_and_what_it_is_signed_with_is_not(
    server: WebServer, folder: Path
) -> None:
    made(folder, "a b.tif")
    with pytest.raises(RasterReadError, match=r"/a b\.tif: has a space .* write %20") as raised:
        Scene.open(f"{server.url('a b.tif')}?sig=hidden")
    assert "hidden" not in str(raised.value)


def test_a_missing_file_costs_no_waiting(server: WebServer, folder: Path) -> None:
    with pytest.raises(RasterReadError, match=r"no such file \(404\); check the address"):
        Scene.open(server.url("none.tif"))
    assert len(server.asked()) <= 4


def test_a_server_without_ranges_is_refused(server: WebServer, folder: Path) -> None:
    made(folder, "whole.tif")
    server.set(ranges=False)
    remote._GIVE_PARTS.clear()
    with pytest.raises(RasterReadError, match="whole files only"):
        Scene.open(server.url("whole.tif"))
    assert len(server.asked()) <= 1  # noted when it has been answered


def test_a_page_in_place_of_a_raster_is_refused(server: WebServer, folder: Path) -> None:
    (folder / "page.tif").write_text("<!DOCTYPE html><html>sign in</html>")
    with pytest.raises(RasterReadError, match="page for a browser"):
        Scene.open(server.url("page.tif"))


def test_no_server_at_all_is_refused() -> None:
    with pytest.raises(RasterReadError, match="cannot be reached"):
        Scene.open("http://127.0.0.1:9/a.tif")


def test_what_the_user_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_DISABLE_READDIR_ON_OPEN", "FALSE")
    with rasterio.Env(GDAL_HTTP_MULTIPLEX="NO"):
        told = remote.settings("https://host/a.tif")
    assert not {"GDAL_DISABLE_READDIR_ON_OPEN", "GDAL_HTTP_MULTIPLEX"} & told.keys()
    assert "GDAL_HTTP_MAX_RETRY" in told


def test_an_address_without_an_ending_can_be_read(server: WebServer, folder: Path) -> None:
    made(folder, "plain")
    with environment(server.url("plain")), open_dataset(server.url("plain")) as dataset:
        assert dataset.count == 2


def test_the_endpoint_of_the_tools_of_aws_is_gdals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store:9000")
    told = remote.settings("s3://bucket/a.tif")
    assert told["AWS_S3_ENDPOINT"] == "store:9000"
    assert (told["AWS_HTTPS"], told["AWS_VIRTUAL_HOSTING"]) == ("NO", "FALSE")


def test_repeats_follow_what_gdal_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "2")
    assert remote.pauses() == [2, 4, 8]
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "1")
    assert remote.pauses() == [2]
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    assert remote.pauses() == []


def test_classes_that_lie_beside_a_map_are_read_from_its_server(
    server: WebServer, folder: Path
) -> None:
    legend = parse_legend("1=grass:#00ff00,4=water:#0000ff")
    (folder / "classes.tif.aux.xml").write_text(class_aux_xml(legend))
    assert raster_legend(server.url("classes.tif")) == legend
    assert raster_legend(server.url("nothing.tif")) is None
    server.set(forever=503)
    assert raster_legend(server.url("classes.tif")) is None
    server.set()
    (folder / "broken.tif.aux.xml").write_text("<PAM")
    with pytest.raises(LabelError, match=r"^http://127\.0\.0\.1:\d+/broken\.tif\.aux\.xml: "):
        raster_legend(server.url("broken.tif"))


def test_what_the_main_thread_sets_while_it_reads_is_set_for_others_too() -> None:
    address = "https://host/a.tif"
    alone = remote.settings(address)
    with environment(address), ThreadPoolExecutor(1) as pool:
        assert get_gdal_config("GDAL_HTTP_MAX_RETRY") is not None
        # For all threads, and gone when this one is done: others may not rely on it.
        assert pool.submit(remote.settings, address).result() == alone
        other = pool.submit(remote.settings, "https://host/a").result()
        assert other["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"
    with rasterio.Env(GDAL_HTTP_MAX_RETRY="9"), environment(address), ThreadPoolExecutor(1) as pool:
        assert "GDAL_HTTP_MAX_RETRY" not in pool.submit(remote.settings, address).result()


class _Heard(BaseHTTPRequestHandler):
    """Sends on to another server, where there is one, and notes what it was told."""

    def do_GET(self) -> None:
        self.server.heard.append(dict(self.headers))  # type: ignore[attr-defined]
        target = self.server.target  # type: ignore[attr-defined]
        self.send_response(302 if target else 200)
        self.send_header("Content-Length", "0")
        if target:
            self.send_header("Location", target)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hearing(target: str | None = None) -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), _Heard)
    server.heard, server.target = [], target
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_who_asks_is_told_to_no_server_that_is_sent_on_to() -> None:
    told = "Authorization: Bearer hidden\nX-Token: hidden-too"
    with hearing() as other, hearing(f"http://127.0.0.1:{other.server_port}/b.tif") as first:
        for who, headers in (("somebody:hidden@", None), ("", told)):
            with rasterio.Env(**({} if headers is None else {"GDAL_HTTP_HEADERS": headers})):
                asked = remote.request(f"http://{who}127.0.0.1:{first.server_port}/a", first=9)
                with urlopen(asked, timeout=10):
                    pass
    assert [one["Range"] for one in (*first.heard, *other.heard)] == ["bytes=0-8"] * 4
    assert first.heard[0]["Authorization"].startswith("Basic ")
    assert (first.heard[1]["Authorization"], first.heard[1]["X-Token"]) == (
        "Bearer hidden",
        "hidden-too",
    )
    for one in other.heard:
        assert not {"authorization", "x-token"} & {name.lower() for name in one}
