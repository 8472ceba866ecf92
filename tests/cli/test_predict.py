"""``geoseg predict`` as it is typed: outputs, and one line for every bad input."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine

from geoseg.cli import _run
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend

UTM = Affine(10, 0, 500000, 0, -10, 5600000)


def write(path, pixels, *, names=("red", "nir"), transform=UTM, crs="EPSG:32633", nodata=0, **more):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype,
        transform=transform,
        crs=crs,
        nodata=nodata,
        **more,
    ) as dataset:
        dataset.write(pixels)
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)
    return str(path)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A scene, and a model that fits it."""
    folder = tmp_path_factory.mktemp("predict")
    rng = np.random.default_rng(1)
    write(folder / "scene.tif", rng.integers(1, 300, (2, 60, 80), dtype=np.uint16))
    torch.manual_seed(0)
    card = ModelCard(
        name="model",
        network="pointwise",
        arguments={},
        bands=("red", "nir"),
        mean=(100.0, 100.0),
        std=(50.0, 50.0),
        fill=0.0,
        legend=parse_legend("3=grass,5=water,9=rock & <scree>"),
        tile=64,
    )
    network = build("pointwise", in_channels=2, classes=3)
    save_bundle(ModelBundle(network, card), folder / "model.safetensors")
    return folder


@pytest.fixture
def refused(work, tmp_path, capsys):
    """Run a command that must fail: one line, its status, and nothing left behind."""

    def check(words, *says, status=1, model="model.safetensors"):
        before = sorted(p.name for p in tmp_path.iterdir())
        full = ["predict", *words, "-m", str(work / model), "-o", str(tmp_path / "map.tif")]
        assert _run(full) == status
        streams = capsys.readouterr()
        assert streams.out == ""
        assert len(streams.err.strip().splitlines()) == 1, streams.err
        for word in says:
            assert word in streams.err
        assert sorted(p.name for p in tmp_path.iterdir()) == before

    return check


def test_predict_writes_maps_and_says_what_they_hold(work, tmp_path, capsys):
    out, p, c = (tmp_path / name for name in ("map.tif", "p.tif", "c.tif"))
    words = ["predict", str(work / "scene.tif"), "-m", str(work / "model.safetensors"), "--json"]
    words += ["-o", str(out), "--probabilities", str(p), "--confidence", str(c), "--tile", "32"]
    assert _run(words) == 0
    streams = capsys.readouterr()
    assert streams.err == ""
    summary = json.loads(streams.out)
    assert summary["outputs"] == [str(out), str(p), str(c)]
    with rasterio.open(out) as dataset:
        classes = dataset.read(1)
        assert dataset.nodata == 255
        made_by = dataset.tags()["GEOSEG_COMMAND"]
    assert made_by.startswith("geoseg predict scene.tif --model model.safetensors")
    assert {name: int((classes == i).sum()) for i, name in ((3, "grass"), (5, "water"))} == {
        name: summary["pixels"][name] for name in ("grass", "water")
    }
    with rasterio.open(p) as dataset:
        probabilities = dataset.read()
        assert dataset.descriptions == ("grass", "water", "rock & <scree>")
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)
    with rasterio.open(c) as dataset:
        np.testing.assert_array_equal(dataset.read(1), probabilities.max(0))
    assert {q.name for q in tmp_path.iterdir()} == {
        *("map.tif", "map.tif.aux.xml", "map.qml", "p.tif", "p.qml", "c.tif", "c.qml")
    }


def test_predict_takes_bands_in_separate_files_as_one_scene(work, tmp_path, capsys):
    with rasterio.open(work / "scene.tif") as dataset:
        pixels = dataset.read()
    parts = [
        write(tmp_path / f"scene_{name}.tif", pixels[i : i + 1], names=(name,))
        for i, name in enumerate(("red", "nir"))
    ]
    whole, joined = tmp_path / "whole.tif", tmp_path / "joined.tif"
    model = str(work / "model.safetensors")
    assert _run(["predict", str(work / "scene.tif"), "-m", model, "-o", str(whole)]) == 0
    assert _run(["predict", *reversed(parts), "-m", model, "-o", str(joined)]) == 0
    with rasterio.open(whole) as one, rasterio.open(joined) as other:
        np.testing.assert_array_equal(one.read(), other.read())


def test_the_model_of_the_environment_is_used_where_none_is_named(
    work, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("GEOSEG_MODEL", str(work / "model.safetensors"))
    out = tmp_path / "map.tif"
    assert _run(["predict", str(work / "scene.tif"), "-o", str(out)]) == 0
    assert out.exists()


def test_without_a_model_the_built_in_one_says_which_bands_it_needs(
    work, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("GEOSEG_MODEL", raising=False)
    assert _run(["predict", str(work / "scene.tif"), "-o", str(tmp_path / "map.tif")]) == 1
    err = capsys.readouterr().err
    assert "blue, green, red, nir" in err
    assert "scene.tif are red, nir;" in err


def test_a_missing_scene_is_named(refused):
    refused(["none.tif"], "none.tif")


def test_a_text_file_is_no_raster(refused, tmp_path):
    path = tmp_path / "notes.tif"
    path.write_text("not pixels")
    refused([str(path)], "notes.tif")


def test_a_truncated_file_is_named_and_nothing_is_left(refused, tmp_path):
    rng = np.random.default_rng(2)
    pixels = rng.integers(1, 60000, (2, 600, 600), dtype=np.uint16)
    path = Path(write(tmp_path / "cut.tif", pixels, tiled=True, blockxsize=128, blockysize=128))
    path.write_bytes(path.read_bytes()[:700_000])
    refused([str(path)], "cut.tif")


def test_a_missing_band_is_named_with_those_there_are(refused, tmp_path):
    pixels = np.ones((2, 9, 9), np.uint16)
    refused(
        [write(tmp_path / "s.tif", pixels, names=("red", "swir"))], "nir", "red, swir", "'model'"
    )


def test_unnamed_bands_of_the_wrong_number_are_refused(refused, tmp_path):
    path = write(tmp_path / "s.tif", np.ones((3, 9, 9), np.uint16), names=())
    refused([path], "3 bands have no names", "--band-names")


def test_a_scene_of_nodata_alone_is_refused(refused, tmp_path):
    refused([write(tmp_path / "s.tif", np.zeros((2, 40, 40), np.uint16))], "every pixel is nodata")


def test_a_pickle_is_no_model(refused, work):
    class Evil:
        def __reduce__(self):
            return (os.system, ("echo ran",))

    (work / "model.pt").write_bytes(pickle.dumps(Evil()))
    refused([str(work / "scene.tif")], "does not say its bands", "model.pt", model="model.pt")
    torch.save({"w": torch.ones(1)}, work / "zip.pt")
    refused([str(work / "scene.tif")], "does not say its bands", "zip.pt", model="zip.pt")


def test_a_missing_model_is_named(refused, work):
    refused([str(work / "scene.tif")], "other.safetensors", model="other.safetensors")


def test_a_missing_output_folder_is_named(work, tmp_path, capsys):
    out = tmp_path / "no" / "map.tif"
    words = ["predict", str(work / "scene.tif"), "-m", str(work / "model.safetensors")]
    assert _run([*words, "-o", str(out)]) == 1
    assert str(out.parent) in capsys.readouterr().err


def test_stride_and_overlap_together_are_wrong_usage(refused, work):
    refused(
        [str(work / "scene.tif"), "--stride", "8", "--overlap", "0.5"],
        "--stride and --overlap",
        status=2,
    )


@pytest.mark.parametrize("text", ["2", "1:0", "1:x", "half"])
def test_a_scale_is_one_to_n(work, tmp_path, capsys, text):
    words = ["predict", str(work / "scene.tif"), "-o", str(tmp_path / "map.tif"), "--scale", text]
    assert _run(words) == 2
    assert "1:2" in capsys.readouterr().err


def test_hectares_need_a_coordinate_system(refused, tmp_path):
    pixels = np.ones((2, 9, 9), np.uint16)
    path = write(tmp_path / "s.tif", pixels, crs=None)
    refused([path, "--min-area", "1ha"], "no coordinate system")


def test_a_map_says_the_area_that_was_typed_and_the_pixels_that_it_meant(work, tmp_path, capsys):
    out = tmp_path / "map.tif"
    words = ["predict", str(work / "scene.tif"), "-m", str(work / "model.safetensors")]
    assert _run([*words, "-o", str(out), "--tile", "32", "--min-area", "0.5 ha"]) == 0
    with rasterio.open(out) as dataset:
        side, tags = dataset.res[0], dataset.tags()
    assert "--min-area 0.5ha" in tags["GEOSEG_COMMAND"]
    options = json.loads(tags["GEOSEG_OPTIONS"])
    assert options["min-area"] == "0.5ha"
    assert options["min-area-pixels"] == math.ceil(5000 / side**2)


@pytest.mark.parametrize("option", ["--probabilities", "--confidence"])
def test_an_output_that_ends_otherwise_is_wrong_usage(refused, work, tmp_path, option):
    words = [str(work / "scene.tif"), option, str(tmp_path / "map.png")]
    refused(words, "map.png: name the output *.tif or *.tiff", status=2)


def test_a_scene_without_a_coordinate_system_is_predicted_and_this_is_said(work, tmp_path, capsys):
    scene = write(tmp_path / "s.tif", np.ones((2, 9, 9), np.uint16), crs=None)
    model, out = str(work / "model.safetensors"), tmp_path / "map.tif"
    assert _run(["predict", scene, "-m", model, "-o", str(out)]) == 0
    assert "no coordinate system" in capsys.readouterr().err
    with rasterio.open(out) as dataset:
        assert dataset.crs is None
        assert dataset.transform == UTM


_NOTING_ALL_ROWS = """
from geoseg.cli import main
from geoseg.raster.outputs import unfinished

unfinished.EVERY_SECONDS, unfinished.TIMES_AS_LONG = 0.0, 0
main()
"""


@pytest.fixture
def slow_run(work, tmp_path):
    """Begin a run that takes a while, and come back when it has noted some more rows."""
    big = np.random.default_rng(3).integers(1, 300, (2, 1000, 300), dtype=np.uint16)
    (tmp_path / "in").mkdir()
    scene = write(tmp_path / "in" / "big.tif", big, tiled=True, blockxsize=256, blockysize=256)
    words = ["predict", scene, "-m", str(work / "model.safetensors"), "--tile", "64"]
    words += ["--stride", "16", "--tta", "--min-area", "6px"]

    def words_to(folder):
        folder.mkdir(exist_ok=True)
        return [*words, "-o", str(folder / "map.tif"), "--confidence", str(folder / "c.tif")]

    def begin(folder, *more):
        process = subprocess.Popen(
            [sys.executable, "-c", _NOTING_ALL_ROWS, *words_to(folder), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        noted = folder / ".map.tif.part" / "done.json"

        def rows():
            return json.loads(noted.read_text())["rows"] if noted.exists() else 0

        # At first so many that some tiles need not be computed again.
        before, deadline = rows(), time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if rows() > max(before, 96):
                break
            time.sleep(0.005)
        return process

    return words_to, begin


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
def test_a_run_that_is_killed_and_interrupted_goes_on_to_the_same_bytes(slow_run, tmp_path, capsys):
    words_to, begin = slow_run
    whole, out = tmp_path / "whole", tmp_path / "stopped"
    assert _run([*words_to(whole), "--json"]) == 0
    tiles = json.loads(capsys.readouterr().out)["tiles"]

    process = begin(out)
    process.kill()
    process.communicate()
    assert not (out / "map.tif").exists()
    assert _run(words_to(out)) == 1
    assert "go on with --resume, or begin anew with --overwrite" in capsys.readouterr().err

    for number, sent in enumerate((signal.SIGINT, signal.SIGTERM)):
        process = begin(out, "--resume")
        process.send_signal(sent)
        _, err = process.communicate(timeout=60)
        assert process.returncode == (130 if sent == signal.SIGINT else 128 + sent), number
        assert ".map.tif.part keeps " in err
        assert "of 1,000 rows; --resume goes on from there." in err
        assert sorted(p.name for p in out.iterdir()) == [".c.tif.part", ".map.tif.part"]

    assert _run([*words_to(out), "--resume", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["rows_from_before"] > 0
    assert summary["tiles"] < tiles
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {
        p.name: p.read_bytes() for p in whole.iterdir()
    }


def test_resume_with_nothing_left_begins_and_with_a_whole_map_ends(work, tmp_path, capsys):
    words = ["predict", str(work / "scene.tif"), "-m", str(work / "model.safetensors")]
    words += ["-o", str(tmp_path / "map.tif"), "--resume"]
    assert _run(words) == 0
    assert "nothing is kept of" in capsys.readouterr().err
    before = (tmp_path / "map.tif").stat().st_mtime_ns
    assert _run(words) == 0
    streams = capsys.readouterr()
    assert streams.err == ""
    assert "60 of 60 rows were there from before" in streams.out
    assert "0 tiles computed" in streams.out
    assert (tmp_path / "map.tif").stat().st_mtime_ns == before
    assert _run([*words, "--tile", "31"]) == 1
    assert "is there already" in capsys.readouterr().err
