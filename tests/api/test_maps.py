"""Maps by Python functions."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from PIL import Image
from scipy import ndimage

import geoseg
from geoseg.cli import _run
from geoseg.errors import InputError, ModelError, OptionError, OutputError
from geoseg.raster.legend.written import parse_legend
from geoseg.testing.bundles import pointwise_bundle


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


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("nodata", [None, 0])
def test_what_is_masked_has_no_class(work, dtype, nodata):
    folder, pixels, truth = work
    masked = np.ma.masked_equal(pixels.astype(dtype), 7)
    masked[1, 20:25] = np.ma.masked  # one band is enough
    expected = np.where(masked.mask.any(0), 255, truth)
    if nodata is None:  # the corner holds zeros, which are readings then: red is as great as nir
        expected[:3, :5] = 3
    found = geoseg.predict_array(
        folder / "model.safetensors", masked, nodata=nodata, tile=16, workers=1
    )
    assert (found.classes == expected).all()
    assert np.isnan(found.probabilities[:, expected == 255]).all()


def test_the_mask_that_rasterio_reads_is_kept(work):
    folder, _, truth = work
    with rasterio.open(folder / "scene.tif") as scene:
        pixels = scene.read(masked=True)
    found = geoseg.predict_array(folder / "model.safetensors", pixels, tile=16, workers=1)
    assert (found.classes == truth).all()


@pytest.mark.parametrize(
    ("array", "error", "says"),
    [
        (np.zeros((4, 4)), OptionError, "bands, rows, cols"),
        (np.zeros((2, 0, 4)), OptionError, "bands, rows, cols"),
        ([[[1, 2], [3]]], OptionError, "no array"),
        (np.zeros((2, 4, 4), bool), OptionError, "bool"),
        (np.ones((3, 4, 4), np.uint8), InputError, "has 3 bands, .* wants 2: .* of red, nir"),
        (np.ones((4, 5, 2), np.uint8), InputError, r"bands last: .* numpy\.moveaxis"),
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
    geoseg.cam(
        scene,
        tmp_path / "cam.tif",
        model=model,
        weak_labels=tmp_path / "weak.tif",
        report=tmp_path / "cam.html",
    )
    assert "cam.html" in {path.name for path in tmp_path.iterdir()}
    words = ["cam", str(scene), "--model", str(model), "-q"]
    words += ["-o", str(tmp_path / "c.tif"), "--weak-labels", str(tmp_path / "w.tif")]
    assert _run(words) == 0
    assert (tmp_path / "cam.tif").read_bytes() == (tmp_path / "c.tif").read_bytes()
    assert (tmp_path / "weak.tif").read_bytes() == (tmp_path / "w.tif").read_bytes()
    with pytest.raises(OptionError, match="weak_labels"):
        geoseg.cam(scene, tmp_path / "x.tif", model=model, refine=True)


# -- photographs ---------------------------------------------------------------------------------


@pytest.fixture
def photographs(tmp_path):
    """Two pictures, green on the left: of 5 of 10 columns in one, of 2 of 8 in the other."""
    (tmp_path / "images").mkdir()
    for name, (columns, green) in {"a": (10, 5), "b": (8, 2)}.items():
        pixels = np.full((6, columns, 3), 40, np.uint8)
        pixels[:, :green, 1] = 220
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    pointwise_bundle(
        np.array([[1, 0, 0], [0, 1, 0]]) / 10,
        np.array([1.0, 0.0]),
        bands=["red", "green", "blue"],
        legend=parse_legend("0=soil,1=weed"),
        path=tmp_path / "model.safetensors",
    )
    return tmp_path


def test_photographs_become_a_folder_of_maps_and_a_table_of_coverage(photographs):
    here = photographs
    done = geoseg.predict(
        here / "images", here / "maps", model=here / "model.safetensors", tile=8, workers=1
    )
    assert done.maps == ("a.tif", "b.tif")
    assert done.pixels == {"soil": 30 + 36, "weed": 30 + 12}
    found = geoseg.coverage(
        here / "maps",
        here / "weeds.csv",
        target=["weed"],
        stages="agde",
        images=here / "images",
        previews=here / "previews",
        workers=1,
    )
    assert [(one.name, one.coverage) for one in found.photographs] == [("a.png", 50), ("b.png", 25)]
    assert found.coverage == pytest.approx(100 * 42 / 108)
    assert (here / "previews/a.jpg").is_file()
    words = ["predict", str(here / "images"), "--model", str(here / "model.safetensors")]
    assert _run([*words, "--tile", "8", "-q", "-o", str(here / "typed")]) == 0
    for name in done.maps:
        assert (here / "maps" / name).read_bytes() == (here / "typed" / name).read_bytes()


def test_a_photograph_can_be_one_scene_and_several_cannot(photographs):
    here, model = photographs, photographs / "model.safetensors"
    geoseg.predict(here / "images/a.png", here / "a.tif", model=model, tile=8, workers=1)
    with geoseg.open_scene(here / "a.tif") as made:
        assert made.read(made.grid.window).data[0, 0].tolist() == [1] * 5 + [0] * 5
    with pytest.raises(OptionError, match="2 photographs are a scene each"):
        geoseg.predict(here / "images", here / "b.tif", model=model)
    with pytest.raises(OptionError, match="for one scene"):
        geoseg.predict(here / "images", here / "b", model=model, confidence=here / "c.tif")


# -- settings ------------------------------------------------------------------------------------


def test_overlap_is_another_word_for_stride(work, tmp_path):
    scene, model = work[0] / "scene.tif", work[0] / "model.safetensors"
    for name, how in {"a": {"overlap": 0.75}, "b": {"stride": 4}}.items():
        geoseg.predict(scene, tmp_path / f"{name}.tif", model=model, tile=16, workers=1, **how)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    for how, says in (
        ({"overlap": 1.0}, "from 0 to below 1"),
        ({"overlap": 0.5, "stride": 8}, "one"),
    ):
        with pytest.raises(OptionError, match=says):
            geoseg.predict(scene, tmp_path / "c.tif", model=model, tile=16, **how)


@pytest.mark.parametrize("least", [40, "40px"])
def test_small_components_go_to_their_neighbours(work, tmp_path, least):
    geoseg.predict(
        work[0] / "scene.tif",
        tmp_path / "m.tif",
        model=work[0] / "model.safetensors",
        tile=16,
        min_area=least,
        workers=1,
    )
    with rasterio.open(tmp_path / "m.tif") as made:
        found = made.read(1)
    for value in (3, 5):
        parts, count = ndimage.label(found == value)
        assert (np.bincount(parts.ravel())[1:] >= 40).all(), count
