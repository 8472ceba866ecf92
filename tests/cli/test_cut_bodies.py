"""Commands that read from a server that cuts every fifth body: as from a file here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.raster.far import small
from geoseg.raster.legend.written import parse_legend
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.webserver import WebServer, web_server

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    served = tmp_path_factory.mktemp("served")
    with web_server(served) as running:
        yield running


@pytest.fixture
def here(server: WebServer) -> Path:
    """A folder on the server for each test, for GDAL remembers files."""
    folder = server.folder / str(len(list(server.folder.iterdir())))
    folder.mkdir()
    rng = np.random.default_rng(1)
    for name, pixels in (
        ("scene.tif", rng.integers(1, 3000, (2, 320, 320), dtype="uint16")),
        ("labels.tif", rng.integers(1, 4, (1, 320, 320), dtype="uint8")),
    ):
        with rasterio.open(
            folder / name,
            "w",
            driver="GTiff",
            height=320,
            width=320,
            count=len(pixels),
            dtype=pixels.dtype,
            nodata=0,
            tiled=True,
            blockxsize=64,
            blockysize=64,
            crs="EPSG:32612",
            transform=rasterio.Affine(1, 0, 5e5, 0, -1, 4e6),
        ) as file:
            file.write(pixels)
            file.descriptions = ("red", "nir")[: len(pixels)]
    return folder


@pytest.fixture(params=[0, small.SMALL_BYTES], ids=["in-parts", "whole"])
def run(
    request: pytest.FixtureRequest,
    server: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    typed: Run,
) -> Run:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    monkeypatch.setattr(small, "SMALL_BYTES", request.param)
    small._FILES.clear()
    server.set(forever="cut", every=5)
    return typed


def test_info_says_the_same(run: Run, server: WebServer, here: Path) -> None:
    said = []
    for where in (server.url(f"{here.name}/scene.tif"), str(here / "scene.tif")):
        status, out, err = run("info", where, "--json")
        assert (status, err) == (0, "")
        said.append(json.loads(out)["found"][0])
    assert said[0]["bands"] == said[1]["bands"]
    assert len(server.asked()) > 5


def test_a_map_has_the_same_pixels(run: Run, server: WebServer, here: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    pointwise_bundle(
        [[1, 0], [0, 1]], bands=("red", "nir"), legend=parse_legend("1=grass,2=water"), path=model
    )
    maps = []
    for name, where in (
        ("far", server.url(f"{here.name}/scene.tif")),
        ("here", str(here / "scene.tif")),
    ):
        target = tmp_path / f"{name}.tif"
        status, _, err = run("predict", where, "--model", str(model), "-o", str(target))
        assert status == 0, err
        with rasterio.open(target) as file:
            maps.append(file.read())
    np.testing.assert_array_equal(*maps)


def test_patches_are_the_same(run: Run, server: WebServer, here: Path, tmp_path: Path) -> None:
    found = []
    for name, at in (("far", server.url(f"{here.name}/{{}}")), ("here", str(here / "{}"))):
        words = [at.format("scene.tif"), "--labels", at.format("labels.tif")]
        status, _, err = run(
            "tile", *words, "--size", "64", "-o", str(tmp_path / name), "--classes",
            "1=grass,2=water,3=rock",
        )  # fmt: skip
        assert status == 0, err
        found.append(
            {
                file.relative_to(tmp_path / name): file.read_bytes()
                for file in sorted((tmp_path / name).rglob("*"))
                if file.is_file() and file.suffix in (".npy", ".tif", ".bin")
            }
        )
    assert found[0]
    assert found[0] == found[1]
