"""``geoseg predict --output-dir``: a map of each scene."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine

from geoseg.cli import _run
from geoseg.inference import engines, outputs
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.outputs import unfinished


def write(path, seed, *, names=("red", "nir"), pixels=None, **more):
    path.parent.mkdir(exist_ok=True)
    if pixels is None:
        shape = (len(names), 40 + seed, 50)
        pixels = np.random.default_rng(seed).integers(1, 300, shape, dtype=np.uint16)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype,
        transform=Affine(10, 0, 500000 + 1000 * seed, 0, -10, 5600000),
        crs="EPSG:32633",
        nodata=0,
        **more,
    ) as dataset:
        dataset.write(pixels)
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Three scenes and a model; rows are noted as soon as they are finished."""
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "TIMES_AS_LONG", 0)
    for seed, name in enumerate(("a", "b", "c")):
        write(tmp_path / "scenes" / f"{name}.tif", seed)
    torch.manual_seed(0)
    card = ModelCard(
        name="model",
        network="pointwise",
        arguments={},
        bands=("red", "nir"),
        mean=(100.0, 100.0),
        std=(50.0, 50.0),
        fill=0.0,
        legend=parse_legend("3=grass,5=water"),
        tile=64,
    )
    network = build("pointwise", in_channels=2, classes=2)
    save_bundle(ModelBundle(network, card), tmp_path / "model.safetensors")
    return tmp_path


def predict(work: Path, *more: str, scenes: str = "scenes/*.tif") -> int:
    words = [str(work / scenes), "-m", str(work / "model.safetensors"), "--tile", "16"]
    return _run(["predict", *words, "--output-dir", str(work / "maps"), *more])


def test_each_scene_gets_the_map_that_it_gets_by_itself(work, capsys):
    assert predict(work, "--json", "--confidence", str(work / "sure"), "--min-area", "0.2ha") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["made"], summary["there"], summary["failed"]) == (3, 0, 0)
    for one in summary["maps"]:
        assert one["state"] == "made"
        name = one["scene"]
        alone = ["predict", str(work / "scenes" / f"{name}.tif"), "--tile", "16"]
        alone += ["-m", str(work / "model.safetensors"), "-o", str(work / "alone.tif")]
        alone += ["--confidence", str(work / "c.tif"), "--min-area", "0.2ha", "--overwrite"]
        assert _run(alone) == 0
        for together, by_itself in ((work / "maps", "alone.tif"), (work / "sure", "c.tif")):
            assert (together / f"{name}.tif").read_bytes() == (work / by_itself).read_bytes()
    total = sum(one["pixels"]["grass"] for one in summary["maps"])
    assert summary["pixels"]["grass"] == total
    assert {p.name for p in (work / "maps").glob("*.tif")} == {"a.tif", "b.tif", "c.tif"}


def test_networks_are_made_ready_once(work, monkeypatch):
    made = []
    ready = engines.make_ensemble
    monkeypatch.setattr(
        engines, "make_ensemble", lambda *args, **more: made.append(1) or ready(*args, **more)
    )
    assert predict(work) == 0
    assert made == [1]


def test_scenes_that_fail_do_not_keep_the_others_from_their_maps(work, capsys):
    write(work / "scenes" / "a.tif", 0, pixels=np.zeros((2, 20, 20), np.uint16))
    write(work / "scenes" / "bb.tif", 3, names=("red", "swir"))
    (work / "scenes" / "d.tif").write_text("no pixels")
    assert predict(work) == 1
    streams = capsys.readouterr()
    assert streams.out.splitlines()[0].endswith("maps, 2 of 5 maps")
    assert "a failed: a: every pixel is nodata" in streams.out
    assert "bb failed: " in streams.out
    assert "d.tif failed: " in streams.out
    assert "Traceback" not in streams.err
    assert sorted(p.name for p in (work / "maps").iterdir() if p.suffix == ".tif") == [
        "b.tif",
        "c.tif",
    ]
    assert not list((work / "maps").glob(".*"))
    assert predict(work, "--resume", "--json") == 1
    states = {m["scene"]: m["state"] for m in json.loads(capsys.readouterr().out)["maps"]}
    assert states == {"a": "failed", "b": "there", "bb": "failed", "c": "there"}


def test_an_interrupted_run_goes_on_where_it_was(work, capsys, monkeypatch):
    whole = work / "whole"
    assert predict(work, "--output-dir", str(whole)) == 0
    capsys.readouterr()
    left, row = [8], outputs.Maps.write

    def stopped(self, *args):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        row(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(outputs.Maps, "write", stopped)
        assert predict(work) == 130
    assert "maps has 1 of 3 maps; --resume goes on from there." in capsys.readouterr().err
    assert predict(work) == 1
    assert "go on with --resume" in capsys.readouterr().err
    assert predict(work, "--resume", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert [one["state"] for one in summary["maps"]] == ["there", "resumed", "made"]
    assert (summary["made"], summary["there"]) == (2, 1)
    assert {p.name: p.read_bytes() for p in (work / "maps").iterdir()} == {
        p.name: p.read_bytes() for p in whole.iterdir()
    }


def test_maps_of_other_settings_are_not_taken_for_done(work, capsys):
    assert predict(work) == 0
    assert predict(work, "--resume", "--tile", "17") == 1
    assert capsys.readouterr().out.count("is there already") == 3
    assert predict(work, "--overwrite", "--tile", "17") == 0


def test_scenes_of_one_name_are_refused_before_anything_is_done(work, capsys):
    write(work / "more" / "B.tif", 7)
    scenes = [str(work / "scenes"), str(work / "more"), "--output-dir", str(work / "maps")]
    assert _run(["predict", *scenes, "-m", str(work / "model.safetensors")]) == 2
    err = capsys.readouterr().err
    assert "b.tif and" in err
    assert "two folders" in err
    assert not (work / "maps").exists()


def test_maps_do_not_replace_scenes(work, capsys):
    before = (work / "scenes" / "a.tif").read_bytes()
    assert predict(work, "--overwrite", "--output-dir", str(work / "scenes")) == 1
    assert "is an input of this very run" in capsys.readouterr().err
    assert (work / "scenes" / "a.tif").read_bytes() == before


@pytest.mark.parametrize("more", [[], ["-o", "map.tif", "--output-dir", "maps"]])
def test_a_map_and_a_folder_of_maps_are_one_or_the_other(work, capsys, more):
    words = ["predict", str(work / "scenes" / "a.tif"), "-m", str(work / "model.safetensors")]
    assert _run([*words, *more]) == 2
    assert "say where to write" in capsys.readouterr().err


def test_a_folder_whose_own_folder_is_missing_is_told(work, capsys):
    assert predict(work, "--output-dir", str(work / "no" / "maps")) == 1
    assert f"the folder {work / 'no'} does not exist" in capsys.readouterr().err


def test_bands_in_files_of_their_own_are_one_scene(work, capsys):
    for name in ("red", "nir"):
        write(work / "bands" / f"x_{name}.tif", 5, names=(name,))
    assert predict(work, "--json", scenes="bands") == 0
    (one,) = json.loads(capsys.readouterr().out)["maps"]
    assert one["state"] == "made"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_photographs_are_a_scene_each_and_can_be_gone_on_with(work, capsys):
    for seed in (1, 2):
        pixels = np.random.default_rng(seed).integers(0, 255, (3, 20, 30 + seed), dtype=np.uint8)
        (work / "photos").mkdir(exist_ok=True)
        with rasterio.open(
            work / "photos" / f"p{seed}.png",
            "w",
            driver="PNG",
            count=3,
            height=20,
            width=30 + seed,
            dtype="uint8",
        ) as dataset:
            dataset.write(pixels)
    names = ["--band-names", "red,nir,blue", "--json"]
    assert predict(work, *names, scenes="photos") == 0
    assert json.loads(capsys.readouterr().out)["made"] == 2
    (work / "maps" / "p2.tif").unlink()
    assert predict(work, *names, "--resume", scenes="photos") == 0
    states = [one["state"] for one in json.loads(capsys.readouterr().out)["maps"]]
    assert states == ["there", "made"]
