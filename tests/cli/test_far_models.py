"""Models at addresses: what commands do with them is what they do with the same file here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

from geoseg import load_model
from geoseg.errors import OptionError
from geoseg.models.pretrained import initialise
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.opening import objects
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.webserver import WebServer, web_server
from geoseg.training.settings import Settings

Run = Callable[..., tuple[int, str, str]]
BUCKET = "s3://maps"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("served")
    pointwise_bundle(
        [[1, 0], [0, 1]],
        bands=("red", "nir"),
        legend=parse_legend("1=grass,2=water"),
        path=folder / "model.safetensors",
    )
    with web_server(folder) as found:
        yield found


@pytest.fixture
def server(running: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WebServer:
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    running.set(marks=True)
    return running


@pytest.fixture
def scene(tmp_path: Path) -> str:
    with rasterio.open(
        tmp_path / "scene.tif",
        "w",
        driver="GTiff",
        height=32,
        width=32,
        count=2,
        dtype="uint8",
        crs="EPSG:32612",
        transform=Affine(1, 0, 5e5, 0, -1, 4e6),
    ) as file:
        file.write(np.random.default_rng(0).integers(1, 255, (2, 32, 32), dtype="uint8"))
        file.descriptions = ("red", "nir")
    return str(tmp_path / "scene.tif")


def tags(path: Path) -> dict[str, str]:
    with rasterio.open(path) as file:
        return {key: value for key, value in file.tags().items() if key.startswith("GEOSEG")}


def test_a_map_by_a_model_at_an_address_is_the_map_by_the_same_file(
    typed: Run, server: WebServer, scene: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = ("predict", scene, "--device", "cpu", "-q", "-o")
    here, far, named = (tmp_path / f"{name}.tif" for name in ("here", "far", "named"))
    assert typed(*how, str(here), "--model", str(server.folder / "model.safetensors"))[0] == 0
    address = server.url("model.safetensors").replace("127", "me:hidden@127")
    status, _, err = typed(*how, str(far), "--model", f"{address}?X-Amz-Signature=hidden")
    assert (status, err) == (0, "")
    monkeypatch.setenv("GEOSEG_MODEL", server.url("model.safetensors"))
    assert typed(*how, str(named))[0] == 0
    assert far.read_bytes() == here.read_bytes() == named.read_bytes()
    assert "hidden" not in str(tags(far))
    assert json.loads(tags(far)["GEOSEG_MODEL"]) == json.loads(tags(here)["GEOSEG_MODEL"])
    assert [one.status for one in server.asked()] == [200, 304]


def test_a_model_in_object_storage_is_used_and_described(
    typed: Run, storage: None, server: WebServer, scene: str, tmp_path: Path
) -> None:
    objects.put(server.folder / "model.safetensors", f"{BUCKET}/m/model.safetensors")
    far = tmp_path / "far.tif"
    for address in (f"{BUCKET}/m/model.safetensors", "/vsis3/maps/m/model.safetensors"):
        given = ("--model", address, "--overwrite", "-o", str(far))
        assert typed("predict", scene, "--device", "cpu", *given)[0] == 0
    found = json.loads(typed("info", f"{BUCKET}/m/model.safetensors", "--json")[1])["found"][0]
    here = json.loads(typed("info", str(server.folder / "model.safetensors"), "--json")[1])
    assert found["file"] == f"{BUCKET}/m/model.safetensors"
    here["found"][0] |= {"file": found["file"], "written": None}
    assert found == here["found"][0]
    status, out, err = typed("info", f"{BUCKET}/m/none.safetensors")
    assert (status, out) == (1, "")
    assert err == (
        f"Error: {BUCKET}/m/none.safetensors: there is no such object; check the address\n"
    )


def test_models_at_addresses_are_exported(typed: Run, server: WebServer, tmp_path: Path) -> None:
    address = server.url("model.safetensors")
    secret = address.replace("127", "me:hidden@127")
    for name in ("card.md", "item.json", "model.onnx"):
        status, _, err = typed("export", secret, "-o", str(tmp_path / name))
        assert status == 0, err
        assert b"hidden" not in (tmp_path / name).read_bytes()
    item = json.loads((tmp_path / "item.json").read_text())
    assert {asset["href"] for asset in item["assets"].values()} == {address}
    # And ONNX at an address is a model as well.
    (tmp_path / "model.onnx").replace(server.folder / "exported.onnx")
    assert load_model(server.url("exported.onnx")).card.bands == ("red", "nir")


def test_weights_of_elsewhere_are_read_with_the_card_beside_them(server: WebServer) -> None:
    network = build("unet-small", in_channels=2, classes=2)
    torch.save(network.state_dict(), server.folder / "foreign.pt")
    card = 'bands=["red","nir"]\nmean=[0,0]\nstd=[1,1]\nclasses=["a","b"]\nnetwork="unet-small"\n'
    (server.folder / "foreign.toml").write_text(card)
    assert load_model(server.url("foreign.pt")).card.legend.names == ("a", "b")
    (server.folder / "foreign.toml").write_text(card.replace('"a"', '"c"'))
    assert load_model(server.url("foreign.pt")).card.legend.names == ("c", "b")
    (server.folder / "foreign.toml").write_text(card.replace("unet-small", "nonsense"))
    with pytest.raises(Exception, match="nonsense") as caught:
        load_model(server.url("foreign.pt"))
    assert str(caught.value).startswith(server.url("foreign.toml"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page", b"<html>sign in</html>", "is a page for a browser and not the file"),
        ("zip", b"PK\x03\x04" + bytes(100), "a pickle, which runs code when loaded"),
        ("short", (90).to_bytes(8, "little") + b"{}", "is damaged or truncated"),
        ("other", b"x" * 1000, "is no model of geoseg"),
        ("empty", b"", "is no model: it is empty"),
        ("cut", None, "is truncated"),
    ],
)
def test_what_is_no_model_is_told_before_all_of_it_came(
    typed: Run, server: WebServer, name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is None:
        content = (server.folder / "model.safetensors").read_bytes()[:-1]
    (server.folder / f"{name}.safetensors").write_bytes(content)
    address = server.url(f"{name}.safetensors")
    status, out, err = typed("info", address)
    assert (status, out) == (1, "")
    assert err.startswith(f"Error: {address}")
    assert words in err
    assert err.count("\n") == 1
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_a_run_starts_from_weights_at_an_address(server: WebServer, tmp_path: Path) -> None:
    bundle = load_model(server.url("model.safetensors"))
    network = build(bundle.card.network, in_channels=2, classes=2, **bundle.card.arguments)
    secret = server.url("model.safetensors").replace("127", "me:hidden@127")
    said = initialise(network, bundle.card.network, secret, bands=("red", "nir"))
    assert server.url("model.safetensors") in said
    assert "hidden" not in said
    assert "hidden" not in str(Settings(weights=secret).to_json())


def test_python_paths_of_addresses_are_told_what_is_wrong(server: WebServer) -> None:
    with pytest.raises(OptionError, match="give it as a text"):
        load_model(Path(server.url("model.safetensors")))
