"""``geoseg pansharpen`` as it is typed: outputs, and one line for every bad input."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.cli import _run

LANDSAT = "LC08_L1TP_190026_20180401_20200831_02_T1"


def write(path, pixels, *, pixel, corner=(500000, 5500000), crs="EPSG:32633", names=()):
    path.parent.mkdir(exist_ok=True)
    pixels = np.asarray(pixels, np.uint16)
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    with rasterio.open(
        path, "w", driver="GTiff", count=len(pixels), height=pixels.shape[1],
        width=pixels.shape[2], dtype="uint16", crs=crs,
        transform=Affine(pixel, 0, corner[0], 0, -pixel, corner[1]),
    ) as dataset:  # fmt: skip
        dataset.write(pixels)
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)


@pytest.fixture
def pair(tmp_path):
    """Four bands of 8 × 8 and a panchromatic one of 32 × 32 that is half of two of them."""
    rng = np.random.default_rng(0)
    fine = rng.integers(200, 2000, (4, 32, 32))
    coarse = fine.reshape(4, 8, 4, 8, 4).mean(axis=(2, 4)).round()
    write(tmp_path / "ms.tif", coarse, pixel=3.2)
    write(tmp_path / "pan.tif", (fine[1] + fine[2]) // 2, pixel=0.8)
    return tmp_path / "ms.tif", tmp_path / "pan.tif"


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command; give status, output, errors."""

    def call(*words, out="out.tif"):
        capsys.readouterr()
        status = _run(["pansharpen", *map(str, words), "-o", str(tmp_path / out)])
        return status, *capsys.readouterr()

    return call


def test_beijing_2_is_sharpened_and_told(pair, run, tmp_path):
    status, out, err = run(*pair, "--sensor", "beijing-2", "--json")
    assert status == 0, err
    told = json.loads(out)
    assert told["bands"] == ["blue", "green", "red", "nir"]
    assert told["weights"]["green"] == pytest.approx(0.5, abs=0.02)
    assert told["weights"]["blue"] == pytest.approx(0, abs=0.02)
    assert told["explained"] > 0.99
    assert told["pixels"] == told["pixels_with_reading"] == 1024
    assert told["pixels_compared"] == 64
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.descriptions == ("blue", "green", "red", "nir")
        assert dataset.dtypes == ("uint16",) * 4
        assert (dataset.width, dataset.res) == (32, (0.8, 0.8))
        assert dataset.nodata == 0
        command = dataset.tags()["GEOSEG_COMMAND"]
    assert command.startswith("geoseg pansharpen ms.tif pan.tif --method gsa")
    assert command.endswith("--sensor beijing-2")


def test_text_and_notes_tell_what_a_user_should_know(pair, run, tmp_path):
    noise = np.random.default_rng(7).integers(1, 2000, (32, 32))
    write(tmp_path / "other.tif", noise, pixel=0.8)
    status, out, err = run(pair[0], tmp_path / "other.tif")
    assert status == 0, err
    assert "of the panchromatic band is explained by the bands" in out
    assert "are they of one date, and do they lie on each other?" in err
    assert "did not fit the type of the pixels" in err
    assert run(pair[0], tmp_path / "other.tif", "--overwrite", "-q")[2] == ""


def test_reflectance_stays_reflectance(run, tmp_path):
    rng = np.random.default_rng(0)
    groups = {
        "PRODUCT_CONTENTS": {"LANDSAT_PRODUCT_ID": LANDSAT},
        "IMAGE_ATTRIBUTES": {"SUN_ELEVATION": "30.0"},
        "LEVEL1_RADIOMETRIC_RESCALING": {},
    }
    fine = rng.integers(7000, 12000, (16, 16))
    coarse = fine.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    for number, pixels, side in (("4", coarse, 30), ("5", coarse + 50, 30), ("8", fine, 15)):
        write(tmp_path / LANDSAT / f"{LANDSAT}_B{number}.TIF", pixels, pixel=side)
        groups["PRODUCT_CONTENTS"][f"FILE_NAME_BAND_{number}"] = f"{LANDSAT}_B{number}.TIF"
        rescaling = groups["LEVEL1_RADIOMETRIC_RESCALING"]
        rescaling[f"REFLECTANCE_MULT_BAND_{number}"] = "2.0000E-05"
        rescaling[f"REFLECTANCE_ADD_BAND_{number}"] = "-0.1"
    metadata = tmp_path / LANDSAT / f"{LANDSAT}_MTL.json"
    metadata.write_text(json.dumps({"LANDSAT_METADATA_FILE": groups}))
    status, _, err = run(metadata)
    assert status == 0, err
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.descriptions == ("red", "nir")
        assert dataset.scales == pytest.approx((4e-05, 4e-05))
        assert dataset.offsets == pytest.approx((-0.2, -0.2))
        assert dataset.units == ("reflectance", "reflectance")


def test_every_bad_input_is_one_line(pair, run, tmp_path):
    ms, pan = pair
    write(tmp_path / "two.tif", np.ones((2, 32, 32)), pixel=0.8, names=("a", "b"))
    write(tmp_path / "far.tif", np.ones((32, 32)), pixel=0.8, corner=(600000, 5500000))
    write(tmp_path / "system.tif", np.ones((32, 32)), pixel=0.8, crs="EPSG:32632")
    write(tmp_path / "flat.tif", np.full((32, 32), 9), pixel=0.8)
    write(tmp_path / "coarse.tif", np.ones((2, 2)), pixel=12.8)
    (tmp_path / "text.tif").write_text("no raster")
    for words, status, says in (
        ([ms], 1, "has no panchromatic band; give the panchromatic raster after it"),
        ([ms, tmp_path / "gone.tif"], 1, "gone.tif: no such file"),
        ([tmp_path / "gone.tif", pan], 1, "gone.tif: no such file"),
        ([ms, tmp_path / "text.tif"], 1, "is not a raster that GDAL can read"),
        ([ms, tmp_path / "two.tif"], 1, "has 2 bands (a, b); say which is the panchromatic one"),
        ([ms, tmp_path / "two.tif", "--pan-band", "c"], 1, "c"),
        ([ms, tmp_path / "far.tif"], 1, "does not overlap"),
        ([ms, tmp_path / "system.tif"], 1, "coordinate systems differ (EPSG:32633; EPSG:32632)"),
        ([ms, tmp_path / "coarse.tif"], 1, "are no smaller than those of"),
        ([ms, tmp_path / "flat.tif"], 1, "explain nothing of the panchromatic band"),
        ([pan, ms], 1, "say which is the panchromatic one"),
        ([ms, pan, "--sensor", "beijing"], 2, "no sensor is called “beijing”"),
        ([ms, pan, "--bands", "purple"], 1, "purple"),
        ([ms, pan, "--dtype", "int8"], 2, "--dtype"),
        ([ms, pan, "--method", "brovey"], 2, "--method"),
    ):
        got, out, err = run(*words)
        assert got == status, (words, err)
        assert says in err
        assert len([line for line in err.splitlines() if line.startswith("Error")]) == 1
        assert "Traceback" not in err
        assert out == ""
        assert not (tmp_path / "out.tif").exists()
    before = pan.read_bytes()
    status, _, err = run(ms, pan, "--overwrite", out="pan.tif")
    assert status == 1
    assert "pan.tif" in err
    assert pan.read_bytes() == before


def test_the_examples_of_the_help_work_as_typed(pair, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for number, size, side in (("2", 8, 30), ("3", 8, 30), ("4", 8, 30), ("8", 16, 15)):
        pixels = rng.integers(5000, 9000, (size, size))
        write(tmp_path / LANDSAT / f"{LANDSAT}_B{number}.TIF", pixels, pixel=side)
    monkeypatch.chdir(tmp_path)
    assert _run(["pansharpen", "--help"]) == 0
    told = capsys.readouterr().out.split("Examples:")[1].split("Options:")[0]
    examples = [line for line in told.splitlines() if "geoseg" in line]
    assert len(examples) == 2
    for example in examples:
        assert _run(shlex.split(example)[1:]) == 0, capsys.readouterr().err
    with rasterio.open("rgb.tif") as dataset:
        assert dataset.descriptions == ("red", "green", "blue")
