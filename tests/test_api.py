"""The Python functions: named once, cheap to import, and the same as the commands."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import rasterio
from shapely.geometry import box

import geoseg
from geoseg.cli import _run
from geoseg.errors import InputError, ModelError, OptionError, OutputError
from geoseg.raster.legend import Legend
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.scenes import tiny_scene

PACKAGE = Path(__file__).resolve().parents[1] / "geoseg"
FUNCTIONS = sorted(set(geoseg.__all__) - {"__version__"})
HEAVY = {"torch", "rasterio", "geopandas", "pyogrio", "numba", "numpy", "shapely", "click"}
LEGEND = "3=grass:#00ff00,5=water:#0000ff"


# -- names and what they cost --------------------------------------------------------------------


def test_what_type_checkers_read_names_the_same_functions_of_the_same_modules():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    said = {a.asname: node.module for node in imports for a in node.names}
    assert said == {name: getattr(geoseg, name).__module__ for name in FUNCTIONS}


def test_naming_a_function_imports_nothing_heavy():
    code = (
        "import sys, json, geoseg; [getattr(geoseg, n) for n in geoseg.__all__];"
        "print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    )
    environment = dict(os.environ, PYTHONPATH=str(PACKAGE.parent))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert set(json.loads(done.stdout)).isdisjoint(HEAVY)


def test_importing_the_package_imports_no_function_module():
    code = "import sys, geoseg; print([n for n in sys.modules if n.startswith('geoseg.')])"
    environment = dict(os.environ, PYTHONPATH=str(PACKAGE.parent))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error_and_functions_are_listed():
    with pytest.raises(AttributeError, match="predikt"):
        _ = geoseg.predikt
    assert set(FUNCTIONS) <= set(dir(geoseg))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_documents_every_parameter_and_what_it_raises(name):
    function = getattr(geoseg, name)
    text = inspect.getdoc(function) or ""
    assert "Raises\n------" in text
    parameters = inspect.signature(function).parameters
    head = text.partition("Raises\n------")[0]
    if len(parameters) > 2:
        described = {
            word.strip()
            for line in head.partition("Parameters\n----------\n")[2].splitlines()
            if line and not line.startswith(" ")
            for word in line.split(",")
        }
        assert set(parameters) - described == set()
    assert all(p.annotation is not p.empty for p in parameters.values())
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty


def test_settings_of_training_are_those_of_the_command():
    options = importlib.import_module("geoseg.api.learning").TrainOptions.__annotations__
    settings = importlib.import_module("geoseg.training.settings").Settings
    assert list(options) == [field.name for field in fields(settings)]


# -- scenes --------------------------------------------------------------------------------------


def test_open_scene_chooses_and_names_bands(tmp_path):
    path = tiny_scene(tmp_path / "s.tif", np.array([[[1, 2]], [[3, 4]]], np.uint16))
    with geoseg.open_scene(path, band_names=["red", "nir"], bands=["nir"]) as scene:
        assert scene.band_names == ("nir",)
        assert scene.read(scene.grid.window).data.tolist() == [[[3, 4]]]


def test_composite_is_the_median_of_the_dates(tmp_path):
    for number, value in enumerate((10, 30, 20)):
        pixels = np.full((1, 8, 8), value, np.uint16)
        tiny_scene(tmp_path / f"{number}.tif", pixels, bands=["red"], nodata=0)
    sources = [tmp_path / f"{number}.tif" for number in range(3)]
    result = geoseg.composite(sources, tmp_path / "out.tif", workers=1)
    assert result.bands == ("red",)
    with rasterio.open(tmp_path / "out.tif") as made:
        assert np.unique(made.read(1)).tolist() == [20]
        assert np.unique(made.read(2)).tolist() == [3]


def test_homogenise_moves_images_to_one_colour(tmp_path):
    rng = np.random.default_rng(0)
    ground = rng.integers(100, 200, (2, 64, 64))
    for name, pixels in (("a", ground), ("b", ground + 50)):
        tiny_scene(
            tmp_path / f"{name}.tif", pixels.astype(np.uint16), bands=["red", "nir"], nodata=0
        )
    result = geoseg.homogenise(
        [tmp_path / "a.tif", tmp_path / "b.tif"], tmp_path / "even", method="moments", workers=1
    )
    assert not result.kept
    with rasterio.open(tmp_path / "even/a.tif") as a, rasterio.open(tmp_path / "even/b.tif") as b:
        assert np.abs(a.read().astype(int) - b.read()).max() <= 1
    again = geoseg.homogenise(
        tmp_path / "a.tif", tmp_path / "more", apply=tmp_path / "even/colour.json", workers=1
    )
    assert again.standard == result.standard


def test_pansharpen_gives_the_panchromatic_pixels(tmp_path):
    rng = np.random.default_rng(0)
    fine = rng.integers(100, 900, (64, 64)).astype(np.uint16)
    coarse = fine.reshape(16, 4, 16, 4).mean((1, 3)).astype(np.uint16)
    place = {"crs": "EPSG:32633", "origin": (500000.0, 5600000.0)}
    tiny_scene(tmp_path / "pan.tif", fine, resolution=1.0, bands=["pan"], **place)
    tiny_scene(
        tmp_path / "ms.tif",
        np.stack([coarse, coarse // 2]),
        resolution=4.0,
        bands=["red", "nir"],
        **place,
    )
    result = geoseg.pansharpen(
        tmp_path / "ms.tif", tmp_path / "sharp.tif", panchromatic=tmp_path / "pan.tif", workers=1
    )
    assert result.bands == ("red", "nir")
    assert (result.grid.height, result.grid.width) == (64, 64)


def test_rasterise_paints_what_a_polygon_covers(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    place = {"crs": "EPSG:32633", "origin": (500000.0, 5600000.0), "resolution": 10.0}
    like = tiny_scene(tmp_path / "s.tif", np.ones((1, 4, 4), np.uint8), **place)
    frame = geopandas.GeoDataFrame(
        {"crop": ["wheat"]}, geometry=[box(500000, 5599980, 500020, 5600000)], crs="EPSG:32633"
    )
    frame.to_file(tmp_path / "p.gpkg")
    found = geoseg.rasterise(
        tmp_path / "p.gpkg", tmp_path / "l.tif", like=like, field="crop", workers=1
    )
    assert dict(found.pixels) == {"wheat": 4}
    assert found.unlabelled == 12


# -- data sets, models, maps ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A scene of two bands, the class of the greater of which a model finds; and its labels."""
    folder = tmp_path_factory.mktemp("api")
    rng = np.random.default_rng(4)
    pixels = rng.integers(1, 200, (2, 40, 56)).astype(np.uint16)
    pixels[:, :3, :5] = 0
    tiny_scene(folder / "scene.tif", pixels, bands=["red", "nir"], nodata=0)
    truth = np.where(pixels[0] >= pixels[1], 3, 5).astype(np.uint8)
    truth[:3, :5] = 255
    legend = Legend.parse(LEGEND)
    tiny_scene(folder / "labels.tif", truth, nodata=255, legend=legend)
    pointwise_bundle(
        np.eye(2) / 50, bands=["red", "nir"], legend=legend, path=folder / "model.safetensors"
    )
    return folder, pixels, truth


def test_predict_writes_the_bytes_that_the_command_writes(work, tmp_path):
    folder, _, truth = work
    scene, model = folder / "scene.tif", folder / "model.safetensors"
    done = geoseg.predict(scene, tmp_path / "map.tif", model=model, tile=16, workers=2)
    words = ["predict", str(scene), "--model", str(model), "--tile", "16", "-q"]
    assert _run([*words, "-o", str(tmp_path / "command.tif")]) == 0
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "command.tif").read_bytes()
    with rasterio.open(tmp_path / "map.tif") as made:
        assert (made.read(1) == truth).all()
    assert done.nodata == 15


def test_predict_array_finds_the_greater_band_and_leaves_nodata(work):
    folder, pixels, truth = work
    found = geoseg.predict_array(folder / "model.safetensors", pixels, nodata=0, tile=16, workers=1)
    assert (found.classes == truth).all()
    z = np.exp(pixels / 50.0)
    expected = z / z.sum(0)
    valid = truth != 255
    assert np.abs(found.probabilities - expected)[:, valid].max() < 1e-5
    assert np.isnan(found.probabilities[:, ~valid]).all()
    assert found.legend.names == ("grass", "water")


def test_predict_array_takes_nan_as_nodata_and_a_loaded_model(work):
    folder, pixels, truth = work
    readings = np.where(pixels == 0, np.nan, pixels).astype(np.float32)
    model = geoseg.load_model(folder / "model.safetensors")
    assert (geoseg.predict_array(model, readings, workers=1).classes == truth).all()


@pytest.mark.parametrize(
    ("array", "error", "says"),
    [
        (np.zeros((4, 4)), OptionError, "bands, rows, cols"),
        (np.zeros((2, 0, 4)), OptionError, "bands, rows, cols"),
        (np.zeros((2, 4, 4), bool), OptionError, "bool"),
        (np.ones((3, 4, 4), np.uint8), InputError, "red, nir"),
        (np.full((2, 4, 4), np.nan), InputError, "nodata"),
    ],
)
def test_predict_array_refuses_what_is_no_scene_of_the_model(work, array, error, says):
    with pytest.raises(error, match=says):
        geoseg.predict_array(work[0] / "model.safetensors", array, workers=1)


@pytest.mark.parametrize("nodata", [-1, 70000, 0.5])
def test_predict_array_refuses_a_nodata_that_readings_cannot_have(work, nodata):
    with pytest.raises(OptionError, match="uint16"):
        geoseg.predict_array(work[0] / "model.safetensors", work[1], nodata=nodata)


def test_predict_array_lets_whole_numbers_be_without_nan(work):
    found = geoseg.predict_array(
        work[0] / "model.safetensors", work[1], nodata=np.nan, tile=16, workers=1
    )
    assert not (found.classes == 255).any()


def test_a_model_that_is_not_there_and_no_model_are_refused(work, tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.safetensors"):
        geoseg.load_model(tmp_path / "nowhere.safetensors")
    with pytest.raises(OptionError, match="at least one model"):
        geoseg.predict_array([], work[1])


def test_nothing_is_replaced_without_being_asked(work, tmp_path):
    (tmp_path / "map.tif").write_text("mine")
    with pytest.raises(OutputError):
        geoseg.predict(
            work[0] / "scene.tif", tmp_path / "map.tif", model=work[0] / "model.safetensors"
        )
    assert (tmp_path / "map.tif").read_text() == "mine"


def test_patches_train_a_model_that_predicts(work, tmp_path):
    folder, pixels, truth = work
    said: list[str] = []
    made = geoseg.tile(
        folder / "scene.tif",
        tmp_path / "patches",
        labels=folder / "labels.tif",
        size=8,
        split=(0.8, 0.2, 0),
        workers=1,
        say=said.append,
    )
    patches = geoseg.open_patches(made.folder)
    arrays = patches.split("train")
    assert arrays.images.shape[1:] == (2, 8, 8)
    seen: list[int] = []
    fitted = geoseg.train(
        patches,
        tmp_path / "m.safetensors",
        model="pointwise",
        epochs=2,
        device="cpu",
        threads=1,
        on_epoch=lambda record: seen.append(record.epoch),
    )
    assert len(seen) == len(fitted.history) == 2
    found = geoseg.predict_array(tmp_path / "m.safetensors", pixels, nodata=0, workers=1)
    assert set(np.unique(found.classes[truth != 255])) <= {3, 5}


def test_cam_writes_the_maps_that_the_command_writes(work, tmp_path):
    folder, _, _ = work
    geoseg.tile(
        folder / "scene.tif", tmp_path / "p", labels=folder / "labels.tif", size=8, workers=1
    )
    geoseg.train(
        tmp_path / "p",
        tmp_path / "m.safetensors",
        model="shallow-cnn",
        model_options={"widths": (2, 2, 2, 2)},
        epochs=1,
        device="cpu",
    )
    scene, model = folder / "scene.tif", tmp_path / "m.safetensors"
    geoseg.cam(scene, tmp_path / "cam.tif", model=model, weak_labels=tmp_path / "weak.tif")
    words = ["cam", str(scene), "--model", str(model), "-q"]
    words += ["-o", str(tmp_path / "c.tif"), "--weak-labels", str(tmp_path / "w.tif")]
    assert _run(words) == 0
    assert (tmp_path / "cam.tif").read_bytes() == (tmp_path / "c.tif").read_bytes()
    assert (tmp_path / "weak.tif").read_bytes() == (tmp_path / "w.tif").read_bytes()
    with pytest.raises(OptionError, match="weak_labels"):
        geoseg.cam(scene, tmp_path / "x.tif", model=model, refine=True)


# -- measures ------------------------------------------------------------------------------------


@pytest.fixture
def halves(tmp_path):
    """A map of 10 × 10 px of 10 m: the left half is grass; of the truth, the left six columns."""
    legend = Legend.parse(LEGEND)
    place = {"crs": "EPSG:32633", "origin": (500000.0, 5600000.0), "resolution": 10.0}
    for name, columns in (("map", 5), ("labels", 6)):
        pixels = np.full((10, 10), 5, np.uint8)
        pixels[:, :columns] = 3
        tiny_scene(tmp_path / f"{name}.tif", pixels, nodata=255, legend=legend, **place)
    return tmp_path


def test_evaluate_counts_pixels(halves):
    found = geoseg.evaluate(halves / "map.tif", halves / "labels.tif", workers=1)
    assert found.scores.iou.tolist() == pytest.approx([50 / 60, 40 / 50])
    with pytest.raises(OptionError, match="ignore or wrong"):
        geoseg.evaluate(halves / "map.tif", halves / "labels.tif", unpredicted="maybe")


def test_coverage_is_a_share_in_percent(halves):
    found = geoseg.coverage(
        halves / "map.tif", halves / "c.tif", target=["grass"], cell="100m", workers=1
    )
    assert found.total.coverage == pytest.approx(50)
    with pytest.raises(OptionError, match="one of cell, like and zones"):
        geoseg.coverage(halves / "map.tif", halves / "d.tif", target=["grass"])


def test_vectorise_makes_a_polygon_of_each_half(halves):
    found = geoseg.vectorise(halves / "map.tif", halves / "map.gpkg", workers=1)
    assert {c.name: a.pixels for c, a in found.classes.items()} == {"grass": 50, "water": 50}
    only = geoseg.vectorise(halves / "map.tif", halves / "w.gpkg", only=["water"], workers=1)
    assert [c.name for c in only.classes] == ["water"]
