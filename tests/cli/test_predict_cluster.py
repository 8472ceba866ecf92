"""``geoseg predict --cluster``, and several cards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from rasterio.transform import Affine

import geoseg
from geoseg.cli import _run
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Five scenes and a model in the present folder."""
    monkeypatch.chdir(tmp_path)
    for seed in range(5):
        pixels = np.random.default_rng(seed).integers(1, 300, (2, 90, 50), dtype=np.uint16)
        with rasterio.open(
            f"scene{seed}.tif",
            "w",
            driver="GTiff",
            count=2,
            height=90,
            width=50,
            dtype="uint16",
            transform=Affine(10, 0, 500000, 0, -10, 5600000),
            crs="EPSG:32633",
            nodata=0,
        ) as dataset:
            dataset.write(pixels)
            dataset.descriptions = ("red", "nir")
    torch.manual_seed(0)
    card = ModelCard(
        name="model",
        network="pointwise",
        arguments={},
        bands=("red", "nir"),
        mean=(100.0, 100.0),
        std=(50.0, 50.0),
        fill=0.0,
        legend=parse_legend("3=water,5=land"),
        tile=20,
    )
    network = build("pointwise", in_channels=2, classes=2).eval()
    save_bundle(ModelBundle(network, card), "model.safetensors")
    return tmp_path


def predict(*words: str) -> int:
    return _run(["predict", *words, "-m", "model.safetensors", "--tile", "8", "--device", "cpu"])


def files(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.mark.usefixtures("work")
def test_one_scene_is_the_same_map_with_workers_of_our_own(capsys):
    Path("one").mkdir()
    Path("two").mkdir()
    assert predict("scene0.tif", "-o", "one/map.tif", "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    words = ["scene0.tif", "-o", "two/map.tif", "--cluster", "local", "--workers", "2", "--json"]
    assert predict(*words) == 0
    streams = capsys.readouterr()
    assert streams.err == ""
    shared = json.loads(streams.out)
    assert files("two") == files("one")
    assert (shared["pixels"], shared["nodata"]) == (alone["pixels"], alone["nodata"])


@pytest.mark.usefixtures("work")
def test_a_folder_of_maps_is_the_same_with_workers_of_our_own(capsys):
    Path("scene5.tif").write_bytes(Path("scene0.tif").read_bytes()[:3000])  # damaged
    assert predict("scene*.tif", "--output-dir", "one") == 1
    assert predict("scene*.tif", "--output-dir", "two", "--cluster", "local", "--workers", "2") == 1
    streams = capsys.readouterr()
    assert streams.err == ""
    assert "two, 5 of 6 maps" in streams.out
    assert files("two") == files("one")


@pytest.mark.usefixtures("work")
def test_the_function_takes_a_cluster_as_well():
    Path("one").mkdir()
    Path("two").mkdir()
    more = {"model": "model.safetensors", "tile": 8, "device": "cpu", "workers": 2}
    geoseg.predict("scene0.tif", "one/map.tif", **more)
    geoseg.predict("scene0.tif", "two/map.tif", cluster="local", **more)
    assert files("two") == files("one")


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("here", 2, "--cluster here is no address; write tcp://HOST:PORT"),
        ("tcp://127.0.0.1:1", 1, "no dask scheduler answers at tcp://127.0.0.1:1"),
    ],
)
@pytest.mark.usefixtures("work")
def test_a_cluster_that_cannot_be_reached_is_one_line(capsys, monkeypatch, address, status, says):
    monkeypatch.setattr("geoseg.cluster.reached._CONNECT_SECONDS", 1.0)
    for words in (["-o", "map.tif"], ["--output-dir", "maps"]):
        assert predict("scene0.tif", *words, "--cluster", address) == status
        streams = capsys.readouterr()
        assert says in streams.err
        assert len(streams.err.splitlines()) == 1
    assert not Path("map.tif").exists()


@pytest.mark.usefixtures("work")
def test_photographs_are_not_for_a_cluster(capsys):
    Image.fromarray(np.ones((9, 9, 3), np.uint8)).save("photo.png")
    assert predict("photo.png", "-o", "maps", "--cluster", "local") == 2
    assert "--cluster is for one scene, or for --output-dir" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are cards here")
@pytest.mark.parametrize(
    ("device", "says"),
    [("cuda:0,1", "torch sees no CUDA card here"), ("cuda:1,1", "names a card twice")],
)
@pytest.mark.usefixtures("work")
def test_cards_that_are_not_there_are_one_line(capsys, device, says):
    words = ["scene0.tif", "-m", "model.safetensors", "-o", "map.tif", "--device", device]
    assert _run(["predict", *words]) == 2
    streams = capsys.readouterr()
    assert says in streams.err
    assert len(streams.err.splitlines()) == 1
