"""Commands that read from servers and write to object storage: as with files here, or one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import obstore
import pytest
import rasterio
from affine import Affine

from geoseg.errors import OutputError
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.opening import objects
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.webserver import WebServer, web_server

Run = Callable[..., tuple[int, str, str]]
BUCKET = "s3://maps"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("served")
    rng = np.random.default_rng(1)
    for name, pixels in (
        ("scene.tif", rng.integers(1, 3000, (2, 96, 64), dtype="uint16")),
        ("labels.tif", rng.integers(1, 4, (1, 96, 64), dtype="uint8")),
    ):
        with rasterio.open(
            folder / name,
            "w",
            driver="GTiff",
            height=96,
            width=64,
            count=len(pixels),
            dtype=pixels.dtype,
            nodata=0,
            crs="EPSG:32612",
            transform=Affine(1, 0, 5e5, 0, -1, 4e6),
        ) as file:
            file.write(pixels)
            file.descriptions = ("red", "nir")[: len(pixels)]
    with web_server(folder) as running:
        yield running


@pytest.fixture
def run(storage: None, typed: Run) -> Run:
    return typed


@pytest.fixture
def model(tmp_path: Path) -> str:
    pointwise_bundle(
        [[1, 0], [0, 1]],
        bands=("red", "nir"),
        legend=parse_legend("1=grass,2=water"),
        path=tmp_path / "model.safetensors",
    )
    return str(tmp_path / "model.safetensors")


def fetched(address: str) -> bytes:
    scheme, bucket, key = objects._split(address)
    return bytes(obstore.get(objects._store(scheme, bucket), key).bytes())


def left(tmp_path: Path) -> list[str]:
    found = (tmp_path / "made").rglob("*")
    return sorted(file.name for file in found if file.is_file())


def test_a_map_goes_from_a_server_to_object_storage(
    run: Run, server: WebServer, tmp_path: Path
) -> None:
    codes = ("--codes", "1=1,*=0", "--classes", "0=other,1=corn")
    here = shutil.copy(server.folder / "labels.tif", tmp_path / "labels.tif")
    assert run("recode", str(here), *codes, "-o", str(tmp_path / "x.tif"))[0] == 0
    status, out, err = run("recode", server.url("labels.tif"), *codes, "-o", f"{BUCKET}/r/x.tif")
    assert (status, out.splitlines()[0]) == (0, f"{BUCKET}/r/x.tif")
    assert re.search(rf"putting \d+\.\d kB to {BUCKET}/r/x.tif", err)
    assert objects.listed(f"{BUCKET}/r/*") == [
        f"{BUCKET}/r/x.{end}" for end in ("qml", "tif", "tif.aux.xml")
    ]
    assert fetched(f"{BUCKET}/r/x.qml") == (tmp_path / "x.qml").read_bytes()
    with (
        rasterio.open(tmp_path / "x.tif") as one,
        rasterio.MemoryFile(fetched(f"{BUCKET}/r/x.tif")) as memory,
        memory.open() as other,
    ):
        np.testing.assert_array_equal(one.read(), other.read())
    assert left(tmp_path) == []
    # And from there on: what was put is read again, by a command, at its address.
    status, out, _ = run("info", f"{BUCKET}/r/x.tif", "--json")
    assert status == 0
    assert [c["name"] for c in json.loads(out)["found"][0]["classes"]] == ["other", "corn"]


def test_several_outputs_of_a_prediction_go_where_each_should(
    run: Run, server: WebServer, tmp_path: Path, model: str
) -> None:
    given = ("predict", server.url("scene.tif"), "--model", model, "--device", "cpu")
    given += ("--confidence", f"{BUCKET}/p/more/sure.tif", "-o", f"{BUCKET}/p/map.tif")
    status, out, err = run(*given, "--json")
    assert status == 0, err
    assert json.loads(out)["outputs"] == [f"{BUCKET}/p/map.tif", f"{BUCKET}/p/more/sure.tif"]
    first = fetched(f"{BUCKET}/p/map.tif")
    status, _, err = run(*given)
    assert status == 1
    assert err == f"Error: {BUCKET}/p/map.tif is there already; replace it with --overwrite\n"
    assert run(*given, "--overwrite")[0] == 0
    assert fetched(f"{BUCKET}/p/map.tif") == first


def test_what_could_not_be_put_is_kept_and_put_by_resume(
    run: Run,
    store: dict[str, str],
    server: WebServer,
    tmp_path: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = ("predict", server.url("scene.tif"), "--model", model, "--device", "cpu")
    given += ("-o", f"{BUCKET}/late/map.tif")
    put = objects.put

    def down(file: Path, address: str) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        put(file, address)

    monkeypatch.setattr(objects, "put", down)
    status, out, err = run(*given)
    assert (status, out) == (1, "")
    error = err.splitlines()[-1]
    assert "nothing is lost: it is whole in" in error
    assert str(tmp_path / "made") in error
    assert "map.tif" in left(tmp_path)
    monkeypatch.setattr(objects, "put", put)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store["AWS_ENDPOINT_URL"])
    status, _, err = run(*given, "--resume")
    assert status == 0, err
    assert fetched(f"{BUCKET}/late/map.tif")
    assert left(tmp_path) == []


def test_a_composite_that_could_not_be_put_is_put_by_resume(
    run: Run, server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{BUCKET}/stopped/composite.tif"
    given = ("composite", str(server.folder / "scene.tif"), "--quality", "none", "-o", address)
    with monkeypatch.context() as broken:
        broken.setattr(objects, "put", _refuse)
        status, _, err = run(*given)
    assert status == 1
    assert "or to be put there with --resume" in err
    status, _, err = run(*given)
    assert (status, "put it there with --resume" in err) == (1, True)
    status, _, err = run(*given, "--resume")
    assert status == 0, err
    assert fetched(address)[:2] == b"II"
    assert left(tmp_path) == []


def _refuse(*_: object) -> None:
    raise OutputError("s3://maps: cannot be written (access denied)")


def test_a_data_set_goes_to_object_storage(run: Run, server: WebServer, tmp_path: Path) -> None:
    given = ("tile", server.url("scene.tif"), "--labels", server.url("labels.tif"), "--size", "32")
    status, out, err = run(*given, "-o", f"{BUCKET}/patches")
    assert status == 0, err
    assert f"{BUCKET}/patches: " in out
    assert run(*given, "-o", str(tmp_path / "patches"))[0] == 0
    there = objects.listed(f"{BUCKET}/patches/**")
    files = [f for f in (tmp_path / "patches").rglob("*") if f.is_file()]
    assert there == sorted(f"{BUCKET}/{f.relative_to(tmp_path).as_posix()}" for f in files)
    for name in ("train/images.npy", "train/labels.npy"):
        assert fetched(f"{BUCKET}/patches/{name}") == (tmp_path / "patches" / name).read_bytes()
    assert run(*given, "-o", f"{BUCKET}/patches", "--overwrite")[0] == 1


def test_scenes_are_listed_by_a_pattern(run: Run, server: WebServer) -> None:
    for name in ("b", "a"):
        objects.put(server.folder / "labels.tif", f"{BUCKET}/many/{name}.tif")
    status, out, err = run(
        "recode", f"{BUCKET}/many/*.tif", "--codes", "1=1,*=0", "-o", f"{BUCKET}/n"
    )
    assert (status, out.splitlines()[0]) == (0, f"{BUCKET}/n, 2 rasters"), err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "https://host/map.tif?sig=hidden"), "https://host/map.tif: outputs are written"),
        (("-o", "s3://nowhere/map.tif"), "there is no bucket nowhere"),
        (("-o", f"{BUCKET}/"), "names no file to write"),
        (("-o", f"{BUCKET}/x.png"), f"{BUCKET}/x.png"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_read(
    run: Run, server: WebServer, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    server.set()
    status, _, err = run("recode", server.url("labels.tif"), "--codes", "1=1,*=0", *words)
    # How an output ends is a matter of usage.
    assert (status, err.count("\n")) == (2 if said.endswith(".png") else 1, 1)
    assert said in err
    assert "hidden" not in err
    assert left(tmp_path) == []


def test_a_folder_of_results_is_not_taken_for_an_address(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run("run", "recipe.toml", "--data", ".", "-o", f"{BUCKET}/results")
    assert (status, err) == (
        1,
        "Error: s3:/maps/results: this command writes to a folder of this machine\n",
    )
    assert not (tmp_path / "s3:").exists()


def test_processes_that_train_together_do_not_all_put_the_model(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    status, _, err = run("train", "patches", "-o", f"{BUCKET}/model.safetensors")
    assert (status, err.count("\n")) == (1, 1)
    assert "several processes that work together write to files" in err
    assert left(tmp_path) == []


def test_an_input_in_object_storage_is_not_written_over(run: Run, server: WebServer) -> None:
    address = f"{BUCKET}/own/labels.tif"
    objects.put(server.folder / "labels.tif", address)
    status, _, err = run("recode", address, "--codes", "1=1,*=0", "-o", address, "--overwrite")
    assert (status, err) == (
        1,
        f"Error: {address} is an input of this very run; name another output\n",
    )


def test_neither_summaries_nor_metadata_hold_what_an_address_is_signed_with(
    run: Run, server: WebServer, tmp_path: Path
) -> None:
    address = f"{server.url('labels.tif').replace('//', '//me:hidden@')}?sig=hidden"
    target = tmp_path / "x.tif"
    said = [run("info", address, "--json"), run("info", address)]
    said.append(run("recode", address, "--codes", "1=1,*=0", "-o", str(target)))
    assert [status for status, _, _ in said] == [0, 0, 0]
    assert "hidden" not in "".join(out + err for _, out, err in said)
    assert b"hidden" not in target.read_bytes()
