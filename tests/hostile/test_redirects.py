"""What lies elsewhere leads to no file here, unless who runs geoseg says that it may."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from geoseg.cli import geoseg
from geoseg.compositing import catalog
from geoseg.errors import GeosegError, RasterReadError, RecipeError
from geoseg.raster.opening import handles
from geoseg.raster.opening.trust import VARIABLE, is_elsewhere, may_lead
from geoseg.raster.plain import PlainWriter, plain_grid
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window
from geoseg.recipe.reading import read_recipe
from geoseg.recipe.wiring import wire
from geoseg.testing.webserver import WebServer, web_server


def raster(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with PlainWriter(
        path, plain_grid(4, 4), band_names=["red"], dtype="uint8", nodata=None, block=(16, 16)
    ) as file:
        file.write(Window(0, 0, 4, 4), np.full((1, 4, 4), 7, np.uint8))
    return path


def vrt(source: str, relative: int = 0, tag: str = "SourceFilename") -> str:
    return (
        '<VRTDataset rasterXSize="4" rasterYSize="4"><SRS>EPSG:32612</SRS>'
        "<GeoTransform>301905,30,0,4154085,0,-30</GeoTransform>"
        f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource><{tag} relativeToVRT="{relative}">'
        f"{source}</{tag}><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[WebServer]:
    (tmp_path / "served").mkdir()
    with web_server(tmp_path / "served") as server:
        yield server


def pixels(source: str) -> Any:
    with Scene.open(source) as scene:
        return scene.read(scene.grid.window).data.max()


def test_a_vrt_on_a_server_is_read_with_its_sources_there(served: WebServer) -> None:
    raster(served.folder / "a.tif")
    (served.folder / "a.vrt").write_text(vrt("a.tif", 1))
    (served.folder / "b.vrt").write_text(vrt(f"/vsicurl/{served.url('a.vrt')}"))
    assert pixels(served.url("a.vrt")) == 7
    assert pixels(served.url("b.vrt")) == 7


@pytest.mark.parametrize("form", ["path", "relative", "nested", "disguised", "vrt://", "inline"])
def test_a_vrt_on_a_server_that_leads_here_is_refused(
    served: WebServer, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = raster(tmp_path / "mine" / "private.tif")
    texts = {
        "path": vrt(str(mine)),
        "relative": vrt(str(mine), 1),
        "nested": vrt("inner.vrt", 1),
        "disguised": vrt("inner.tif", 1),
        "vrt://": vrt(f"vrt://{mine}?bands=1"),
        "inline": vrt(vrt(str(mine)).replace("<", "&lt;")),
    }
    for inner in ("inner.vrt", "inner.tif"):
        (served.folder / inner).write_text(vrt(str(mine)))
    (served.folder / "a.vrt").write_text(texts[form])
    with pytest.raises(RasterReadError, match=r"on this machine; if you trust it, say --trust"):
        pixels(served.url("a.vrt"))
    monkeypatch.setenv(VARIABLE, "1")
    assert pixels(served.url("a.vrt")) == 7


def test_a_vrt_in_an_archive_leads_to_no_file_outside(tmp_path: Path) -> None:
    mine = raster(tmp_path / "private.tif")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.vrt", vrt(str(mine)))
        archive.writestr("b.vrt", vrt("inside.tif", 1))
        archive.write(mine, "inside.tif")
    assert pixels(f"/vsizip/{tmp_path}/a.zip/b.vrt") == 7
    with pytest.raises(RasterReadError, match="--trust"):
        pixels(f"/vsizip/{tmp_path}/a.zip/a.vrt")


def test_a_vrt_here_may_lead_anywhere_here(tmp_path: Path) -> None:
    mine = raster(tmp_path / "private.tif")
    (tmp_path / "a.vrt").write_text(vrt(str(mine)))
    assert pixels(str(tmp_path / "a.vrt")) == 7


def test_python_in_a_vrt_does_not_run(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif")
    code = f"open({str(tmp_path / 'ran')!r}, 'w')"
    (tmp_path / "a.vrt").write_text(
        vrt("a.tif", 1)
        .replace('band="1">', 'band="1" subClass="VRTDerivedRasterBand"><PixelFunctionType>f'
                 "</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
                 f"<PixelFunctionCode><![CDATA[{code}\ndef f(*a, **k): {code}]]>"
                 "</PixelFunctionCode>")
    )  # fmt: skip
    with pytest.raises(GeosegError):
        pixels(str(tmp_path / "a.vrt"))
    assert not (tmp_path / "ran").exists()
    with handles.environment(""):
        assert handles.get_gdal_config("GDAL_VRT_ENABLE_PYTHON") == "NO"


def test_formats_that_lead_elsewhere_are_refused_from_a_server(served: WebServer) -> None:
    (served.folder / "a.xml").write_text(
        '<GDAL_WMS><Service name="TMS"><ServerUrl>file:///tmp/${z}/${x}/${y}.png</ServerUrl>'
        "</Service><DataWindow><SizeX>4</SizeX><SizeY>4</SizeY><TileLevel>0</TileLevel></DataWindow>"
        "<Cache><Path>/maps/x</Path></Cache></GDAL_WMS>"
    )
    with pytest.raises(RasterReadError, match=r"a\.xml"):
        pixels(served.url("a.xml"))


@pytest.mark.parametrize(
    ("path", "elsewhere"),
    [
        ("/data/a.vrt", False), ("a.vrt", False), ("C:\\a.vrt", False), ("vrt:///a.tif", False),
        ("/data/vsicurl/a.vrt", False), ("https://h/a.vrt", True), ("s3://b/a.vrt", True),
        ("/vsicurl/https://h/a.vrt", True), ("/vsicurl?url=https%3A%2F%2Fh", True),
        ("/vsis3/b/a.vrt", True), ("/vsizip//vsicurl/https://h/a.zip/a.vrt", True),
        ("/vsizip/{/vsis3/b/a.zip}/a.vrt", True), ("zip+https://h/a.zip!a.vrt", True),
        ("/vsizip/a.zip/a.vrt", True), ("zip:///data/a.zip!a.vrt", True), ("/vsigzip/a.gz", True),
    ],
)  # fmt: skip
def test_places_are_told_apart(path: str, elsewhere: bool) -> None:
    assert is_elsewhere(path) is elsewhere


@pytest.mark.parametrize(
    "target",
    [
        "/etc/hostname", "relative.tif", "file:///etc/hostname", "/vsizip//etc/a.zip/a.tif",
        "/maps/vsicurl/../../etc/hostname", "vrt:///etc/hostname", "NETCDF:/x:y", "", "/vsimem/a",
        "/vsistdin/", "/vsisubfile/0_10,/etc/hostname", "/vsisparse/x", "/vsicached?file=/etc/x",
        "HDF5:\"/vsicurl/x\"://a", "<VRTDataset/>", "C:\\x.tif", "\\\\server\\x.tif",
    ],
)  # fmt: skip
def test_a_server_may_lead_to_servers_alone(target: str) -> None:
    assert not may_lead("https://h/a.vrt", target)
    assert may_lead("https://h/a.vrt", "https://elsewhere/a.tif")
    assert may_lead("/data/a.vrt", target)


# -- catalogs -------------------------------------------------------------------------------------


def item(href: str) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "scene",
        "assets": {"red": {"href": href, "eo:bands": [{"name": "red"}]}},
        "properties": {"datetime": "2021-07-10T10:20:30Z"},
        "links": [],
        "geometry": None,
    }


def start(folder: Path, href: str) -> Path:
    path = folder / "catalog.json"
    whole = {"type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "d",
             "links": [{"rel": "child", "href": href}, {"rel": "item", "href": href}]}  # fmt: skip
    path.write_text(json.dumps(whole))
    return path


@pytest.mark.parametrize("form", ["file://{0}", "NETCDF:{0}:a.tif", "vrt://{0}"])
def test_an_item_on_a_server_that_leads_here_is_refused(
    served: WebServer, tmp_path: Path, form: str
) -> None:
    mine = raster(tmp_path / "private.tif")
    (served.folder / "item.json").write_text(json.dumps(item(form.format(mine))))
    with pytest.raises(RasterReadError, match="--trust"):
        catalog.open_all(start(tmp_path, served.url("item.json")), with_quality=False)


def test_a_catalog_on_a_server_that_leads_here_is_refused(
    served: WebServer, tmp_path: Path
) -> None:
    (tmp_path / "private.json").write_text(json.dumps(item("a.tif")))
    inner = start(tmp_path, f"file://{tmp_path}/private.json").read_text()
    (served.folder / "catalog.json").write_text(inner)
    with pytest.raises(RasterReadError, match=r"catalog\.json: leads to .*--trust"):
        catalog.open_all(start(tmp_path, served.url("catalog.json")), with_quality=False)


@pytest.mark.parametrize(
    "href", ["file:///dev/zero", "/dev/zero", "catalog.json", "./", "../../../../../etc/passwd"]
)
def test_catalogs_that_lead_to_devices_themselves_or_nothing_end(tmp_path: Path, href: str) -> None:
    with pytest.raises(RasterReadError, match=r"catalog\.json"):
        catalog.open_all(start(tmp_path, href), with_quality=False)


def test_an_endless_catalog_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_MOST_PLACES", 5)
    for number in range(20):
        start(tmp_path, f"{number}.json").rename(tmp_path / f"{number - 1}.json")
    with pytest.raises(RasterReadError, match="more than 5 places"):
        catalog.open_all(tmp_path / "-1.json", with_quality=False)


# -- recipes --------------------------------------------------------------------------------------


def recipe(folder: Path, argument: str, output: str = "{out}/map.tif") -> Path:
    path = folder / "recipe.toml"
    path.write_text(
        f"[set]\nplace = '{argument}'\n[[step]]\nrun = 'recode'\narguments = ['{{place}}']\n"
        f"output = '{output}'\n"
    )
    return path


@pytest.mark.parametrize(
    "argument",
    ["/etc/hostname", "{data}/../../x.tif", "..\\x.tif", "C:\\x.tif", "\\\\server\\x.tif",
     "https://h/x.tif", "/vsicurl/https://h/x.tif", "file:///etc/hostname"],
)  # fmt: skip
def test_a_recipe_reads_nothing_that_nobody_named(
    tmp_path: Path, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe(tmp_path, argument)
    with pytest.raises(RecipeError, match=r"recipe\.toml, line 5: .*say --trust"):
        wire(read_recipe(path), lambda _: ())
    wire(read_recipe(path, overrides=[f"place={argument}"]), lambda _: ())
    monkeypatch.setenv(VARIABLE, "1")
    wire(read_recipe(path), lambda _: ())


@pytest.mark.parametrize("argument", ["--trust", "--confidence=/etc/x", "-o", "--"])
def test_a_recipe_has_no_options_among_its_arguments(tmp_path: Path, argument: str) -> None:
    with pytest.raises(RecipeError, match="is an option: write it under options"):
        read_recipe(recipe(tmp_path, argument))


def test_a_recipe_does_not_trust_itself(tmp_path: Path) -> None:
    path = recipe(tmp_path, "{data}/a.tif")
    path.write_text(path.read_text() + "options = { trust = true }\n")
    done = CliRunner().invoke(geoseg, ["run", str(path), "--data", str(tmp_path)])
    assert "'trust'" in str(done.exception)
    assert VARIABLE not in os.environ


@pytest.mark.parametrize("output", ["/etc/x", "{out}/../x.tif", "{out}/..\\x.tif", "{data}/x.tif"])
def test_a_recipe_writes_into_its_results_alone(tmp_path: Path, output: str) -> None:
    with pytest.raises(RecipeError, match="let it begin with"):
        wire(read_recipe(recipe(tmp_path, "{data}/a.tif", output)), lambda _: ())
