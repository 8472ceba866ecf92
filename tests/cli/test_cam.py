"""``geoseg cam`` as it is typed: outputs, and one line for every bad input."""

from __future__ import annotations

import json
import math
import shlex
import shutil

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine
from torch import nn

from geoseg.cli import _run
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard, read_card
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend

UTM = Affine(10, 0, 500000, 0, -10, 5600000)
CLASSES = "3=grass,5=water,9=rock & <scree>"
IDS = np.array([3, 5, 9], np.uint8)


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


def write_labels(path, labels, **more):
    return write(path, labels[None].astype(np.uint8), names=(), **({"nodata": 255} | more))


def model_of(path, network, **arguments):
    torch.manual_seed(3)
    net = build(network, in_channels=2, classes=3, **arguments)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_()
                module.bias.normal_()
    card = ModelCard(
        name=path.stem,
        network=network,
        arguments=arguments,
        bands=("red", "nir"),
        mean=(100.0, 100.0),
        std=(50.0, 50.0),
        fill=0.0,
        legend=parse_legend(CLASSES),
        tile=20,
    )
    save_bundle(ModelBundle(net.eval(), card), path)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A scene with labels, patches of it, and models that fit it."""
    folder = tmp_path_factory.mktemp("cam")
    rng = np.random.default_rng(1)
    blocks = rng.integers(1, 300, (2, 8, 10))
    pixels = np.kron(blocks, np.ones((8, 8), int)) + rng.integers(0, 9, (2, 64, 80))
    pixels[0, 40:, 70:] = 0
    labels = IDS[np.digitize(pixels[0], [100, 200])]
    write(folder / "scene.tif", pixels.astype(np.uint16))
    write_labels(folder / "labels.tif", labels)
    write_labels(folder / "nocrs.tif", labels, crs=None)
    write_labels(folder / "far.tif", labels, transform=Affine(10, 0, 9e5, 0, -10, 5e6))
    write(folder / "two.tif", np.stack([labels, labels]), names=())
    write_labels(folder / "others.tif", np.full((64, 80), 77))
    write_labels(folder / "one.tif", np.full((64, 80), 5))
    model_of(folder / "presence.safetensors", "shallow-cnn", widths=(3, 4, 5, 6))
    model_of(folder / "pixels.safetensors", "pointwise")
    tiles = ["tile", str(folder / "scene.tif"), "--size", "16", "-q"]
    labelled = [*tiles, "--labels", str(folder / "labels.tif")]
    assert _run([*labelled, "--classes", CLASSES, "-o", str(folder / "patches")]) == 0
    assert _run([*labelled, "-o", str(folder / "other-names")]) == 0
    assert _run([*tiles, "-o", str(folder / "unlabelled")]) == 0
    shifted = write(
        folder / "shifted.tif", pixels.astype(np.uint16), transform=Affine(10, 0, 0, 0, -10, 0)
    )
    elsewhere = ["tile", shifted, "--size", "16", "-q", "--labels", str(folder / "nocrs.tif")]
    elsewhere += ["--assume-aligned", "--classes", CLASSES]
    assert _run([*elsewhere, "-o", str(folder / "elsewhere")]) == 0
    return folder


@pytest.fixture
def cam(work, tmp_path, capsys):
    """Run the command; give what it said."""

    def run(*words, model="presence.safetensors", out="cam.tif", scene="scene.tif"):
        full = ["cam", str(work / scene), "-m", str(work / model), "-o", str(tmp_path / out)]
        capsys.readouterr()
        assert _run([*full, *map(str, words), "--workers", "2"]) == 0, capsys.readouterr().err
        return capsys.readouterr()

    return run


@pytest.fixture
def refused(work, tmp_path, capsys):
    """Run a command that must fail: one line, its status, and nothing left behind."""

    def check(words, *says, status=1, model="presence.safetensors", scene=None, out="cam.tif"):
        capsys.readouterr()
        before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
        full = ["cam", str(scene or work / "scene.tif"), "-m", str(work / model)]
        assert _run([*full, "-o", str(tmp_path / out), *map(str, words)]) == status
        streams = capsys.readouterr()
        assert streams.out == ""
        errors = streams.err.strip().splitlines()
        assert len(errors) == 1, streams.err
        for word in says:
            assert word in errors[0]
        assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before

    return check


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def finite(value):
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def test_maps_labels_and_confidence_are_written_and_told_of(cam, work, tmp_path):
    weak, sure = tmp_path / "weak.tif", tmp_path / "sure.tif"
    said = cam("--weak-labels", weak, "--confidence", sure, "--combine", "zscore", "--json")
    assert said.err == ""
    summary = json.loads(said.out)
    assert summary["outputs"] == [str(tmp_path / "cam.tif"), str(weak), str(sure)]
    assert summary["combine"] == "zscore"
    labels = read(weak)[0]
    missing = (read(work / "scene.tif") == 0).any(axis=0)
    np.testing.assert_array_equal(labels == 255, missing)
    names = ("grass", "water", "rock & <scree>")
    for one, name in zip(IDS, names, strict=True):
        assert summary["pixels"][name] == (labels == one).sum()
    assert summary["nodata"] == missing.sum()
    assert summary["tiles"] > 1
    with rasterio.open(tmp_path / "cam.tif") as dataset:
        assert dataset.descriptions == names
        command = dataset.tags()["GEOSEG_COMMAND"]
    assert command.startswith("geoseg cam scene.tif --model presence.safetensors --tile 20")
    assert "--combine zscore" in command
    assert {q.name for q in tmp_path.iterdir()} == {
        *("cam.tif", "cam.qml", "weak.tif", "weak.tif.aux.xml", "weak.qml", "sure.tif", "sure.qml")
    }


@pytest.mark.parametrize("more", [[], ["--tile", "200"], ["--patches", "500"]])
def test_json_is_one_object_of_finite_numbers(cam, work, tmp_path, more):
    """Also where there is no seam to measure, and no patch apart from those fitted on."""
    words = ["--reference", work / "labels.tif", "--weak-labels", tmp_path / "w.tif"]
    words += ["--combine", "logistic", "--patches", "5", *more]

    def refuse(text):
        raise AssertionError(text)

    summary = json.loads(cam(*words, "--json").out, parse_constant=refuse)
    assert finite(summary)
    assert set(summary["scores"]["ways"]) == {"argmax", "zscore", "median", "logistic"}
    if more == ["--tile", "200"]:
        assert summary["seam_ratio"] is None
    if more == ["--patches", "500"]:
        assert summary["scores"]["patches_fitted_on"] < 500


def test_what_is_told_people_says_the_same_as_the_numbers(cam, work, tmp_path):
    words = ["--reference", work / "labels.tif", "--weak-labels", tmp_path / "w.tif"]
    words += ["--combine", "logistic", "--patches", "5"]
    summary = json.loads(cam(*words, "--json").out)
    text = cam(*words, "--overwrite").out
    scores = summary["scores"]
    assert f"task accuracy {scores['task_accuracy']:.4f}" in text
    assert f"majority guess {scores['majority_guess']:.4f}" in text
    assert f"the most frequent class everywhere {scores['pixel_majority']:.4f}" in text
    for way, name in (("logistic", "logistic regression"), ("zscore", "z-score")):
        (line,) = [one for one in text.splitlines() if one.strip().startswith(name)]
        assert f"accuracy {scores['ways'][way]['accuracy']:.4f}" in line
        assert f"mIoU {scores['ways'][way]['miou']:.4f}" in line
    assert "measured apart from the 5 patches fitted on" in text
    assert f"nodata {summary['nodata']}" in text


@pytest.mark.parametrize(
    ("tile", "says"),
    [
        ("200", "seams not measured (there are no lines between patches)"),
        ("1", "seams not measured"),
        ("20", "patches leave no lines"),
    ],
)
def test_seams_are_told_of_where_there_are_any(cam, tile, says):
    assert says in cam("--tile", tile).out


def test_the_report_holds_the_numbers_in_one_file(cam, work, tmp_path):
    report = tmp_path / "report.html"
    words = ["--reference", work / "labels.tif", "--weak-labels", tmp_path / "w.tif"]
    said = cam(*words, "--patches", "5", "--report", report, "--json")
    scores = json.loads(said.out)["scores"]
    beside = json.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
    assert beside["scores"] == scores
    page = report.read_text(encoding="utf-8")
    for way in scores["ways"].values():
        assert any(f"{way['accuracy'] * k:.{d}f}" in page for k, d in ((1, 4), (1, 3), (100, 1)))
    assert "rock &amp; &lt;scree&gt;" in page
    assert "<scree>" not in page
    assert "data:image/png;base64," in page
    assert 'src="http' not in page


def test_the_fitted_model_labels_without_a_reference(cam, work, tmp_path):
    fitted = tmp_path / "fitted.safetensors"
    one, two, three = (tmp_path / f"weak-{n}.tif" for n in range(3))
    reference = ["--combine", "logistic", "--reference", work / "labels.tif", "--patches", "8"]
    cam(*reference, "--weak-labels", one, "--fitted-model", fitted)
    card = read_card(fitted)
    assert card.combination is not None
    assert card.combination["fitted_on"]["patches"] == 8
    said = cam("--combine", "logistic", "--weak-labels", two, model=fitted, out="b.tif")
    assert said.err == ""
    np.testing.assert_array_equal(read(one), read(two))
    words = ["--combine", "logistic", "--weak-labels", three, "--stride", "20", "--tta"]
    said = cam(*words, model=fitted, out="c.tif")
    assert "was fitted with" in said.err
    assert "stride 8 (now 20)" in said.err
    assert "tta" in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_bands_in_separate_files_are_one_scene(cam, work, tmp_path, capsys):
    pixels = read(work / "scene.tif")
    parts = [
        write(tmp_path / f"scene_{name}.tif", pixels[i : i + 1], names=(name,))
        for i, name in enumerate(("red", "nir"))
    ]
    cam()
    model, joined = str(work / "presence.safetensors"), tmp_path / "joined.tif"
    assert _run(["cam", *reversed(parts), "-m", model, "-o", str(joined)]) == 0
    np.testing.assert_array_equal(read(tmp_path / "cam.tif"), read(joined))


def test_unnamed_bands_are_taken_in_order_and_this_is_said(cam, work, tmp_path, capsys):
    scene = write(tmp_path / "plain.tif", read(work / "scene.tif"), names=())
    cam()
    said = cam(scene=scene, out="plain-cam.tif")
    assert "taken in order as red, nir" in said.err
    np.testing.assert_array_equal(read(tmp_path / "cam.tif"), read(tmp_path / "plain-cam.tif"))


def test_a_reference_without_a_place_is_taken_as_aligned_where_asked(cam, work, tmp_path):
    with_place = json.loads(cam("--reference", work / "labels.tif", "--json").out)
    words = ["--reference", work / "nocrs.tif", "--assume-aligned", "--json", "--overwrite"]
    assert json.loads(cam(*words).out)["scores"] == with_place["scores"]


REFUSALS = [
    (["--confidence", "{out}/c.tif"], 2, "--weak-labels"),
    (["--fitted-model", "{out}/f.safetensors"], 2, "--reference"),
    (["--fitted-model", "{out}/f.pt", "--reference", "{work}/labels.tif"], 2, ".safetensors"),
    (["--report", "{out}/r.html"], 2, "--weak-labels or --reference"),
    (["--weak-labels", "{out}/cam.tif"], 2, "same path"),
    (["--weak-labels", "{out}/no/w.tif"], 1, "does not exist"),
    (["--weak-labels", "{out}/w.tif", "--combine", "logistic"], 2, "keeps no regression"),
    (["--reference", "{work}/far.tif"], 1, "far.tif"),
    (["--reference", "{work}/nocrs.tif"], 1, "--assume-aligned"),
    (["--reference", "{work}/two.tif"], 1, "2 bands"),
    (["--reference", "{work}/gone.tif"], 1, "gone.tif"),
    (["--combine", "logistic", "--reference", "{work}/others.tif"], 1, "no pixel"),
    (["--reference", "{work}/others.tif", "--report", "{out}/r.html"], 1, "no pixel"),
    (["--combine", "logistic", "--reference", "{work}/one.tif"], 1, "of one class"),
    (["--known", "{work}/elsewhere"], 1, "not cut from this scene"),
    (["--known", "{work}/other-names"], 1, "classes"),
    (["--known", "{work}/unlabelled"], 1, "no labels"),
    (["--known", "{work}/gone"], 1, "gone"),
    (["--known", "{work}"], 1, "geoseg tile"),
    (["--region", "0,0,10,10"], 1, ""),
    (["--region", "500700,5599300,500800,5599500"], 1, "no valid pixel inside"),
    (["--region", "gone.gpkg"], 1, "gone.gpkg"),
    (["--bands", "swir"], 1, "swir"),
    (["--bands", "red"], 1, "nir"),
    (["--upsampling", "repeat", "--scales", "1,1.5"], 2, "do not go together"),
    (["--scales", "9"], 2, "0.25 to 4"),
    (["--scales", "nan"], 2, "0.25 to 4"),
    (["--scales", ",".join(["1"] * 9)], 2, "one to 8"),
    (["--tile", "16", "--stride", "17"], 2, "stride of 17"),
    (["--weak-labels", "{out}/w.tif", "--min-area", "much"], 2, "no area"),
    (["--min-area", "9px"], 2, "--weak-labels"),
    (["--combine", "zscore"], 2, "--weak-labels"),
    (["--refine"], 2, "--weak-labels"),
    (["--reference", "{work}/others.tif"], 1, "no pixel"),
    (["--device", "abacus"], 2, "abacus"),
]


@pytest.mark.parametrize(("words", "status", "says"), REFUSALS)
def test_mistakes_are_one_line_and_leave_nothing(refused, work, tmp_path, words, status, says):
    refused([w.format(work=work, out=tmp_path) for w in words], says, status=status)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--scales", "1,x"], "write 1,1.5"),
        (["--scales", ""], "write 1,1.5"),
        (["--combine", "vote"], "'vote' is not one of 'argmax'"),
        (["--patches", "0"], "--patches"),
    ],
)
def test_what_options_cannot_be_is_wrong_usage(work, tmp_path, capsys, words, says):
    full = ["cam", str(work / "scene.tif"), "-m", str(work / "presence.safetensors")]
    assert _run([*full, "-o", str(tmp_path / "cam.tif"), *words]) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_pixels_is_refused(refused):
    refused([], "gives a class to every pixel", "geoseg predict", model="pixels.safetensors")


def test_what_is_missing_is_named(refused, work):
    refused([], "gone.safetensors", model="gone.safetensors")
    refused([], "gone.tif", scene=work / "gone.tif")


def test_missing_bands_are_named_with_those_there_are(refused, tmp_path):
    path = write(tmp_path / "s.tif", np.ones((2, 30, 30), np.uint16), names=("red", "swir"))
    refused([], "nir", "red, swir", "'presence'", scene=path)


def test_a_scene_of_nodata_alone_is_refused(refused, tmp_path):
    path = write(tmp_path / "s.tif", np.zeros((2, 40, 40), np.uint16))
    refused([], "every pixel is nodata", scene=path)


def test_an_output_that_is_there_stays(refused, tmp_path):
    for name in ("cam.tif", "w.tif", "r.html"):
        path = tmp_path / name
        path.write_text("mine")
        words = ["--weak-labels", tmp_path / "w.tif", "--report", tmp_path / "r.html"]
        refused(words, name, "--overwrite")
        assert path.read_text() == "mine"
        path.unlink()


def test_the_scene_is_never_replaced(refused, work, tmp_path):
    scene = tmp_path / "scene.tif"
    shutil.copy(work / "scene.tif", scene)
    refused(["--overwrite"], "an input of this very run", scene=scene, out="scene.tif")
    words = ["--overwrite", "--weak-labels", scene]
    refused(words, "an input of this very run", scene=scene)


def test_a_truncated_scene_leaves_nothing(refused, tmp_path):
    rng = np.random.default_rng(2)
    pixels = rng.integers(1, 60000, (2, 300, 300), dtype=np.uint16)
    path = tmp_path / "cut.tif"
    write(path, pixels, tiled=True, blockxsize=128, blockysize=128)
    path.write_bytes(path.read_bytes()[:200_000])
    refused(["--weak-labels", tmp_path / "w.tif"], "cut.tif", scene=path)


def test_examples_of_the_help_work_as_typed(work, tmp_path, monkeypatch, capsys):
    for name in ("scene.tif", "labels.tif", "presence.safetensors"):
        shutil.copy(work / name, tmp_path / name)
    shutil.copytree(work / "patches", tmp_path / "patches")
    monkeypatch.chdir(tmp_path)
    assert _run(["cam", "--help"]) == 0
    text = capsys.readouterr().out.replace("\\\n", " ")
    examples = [one.strip() for one in text.splitlines() if one.strip().startswith("geoseg cam ")]
    assert len(examples) == 3
    for number, example in enumerate(examples):
        words = shlex.split(example)
        assert _run([*words[1:], "--overwrite"]) == 0, capsys.readouterr().err
        assert read("cam.tif").shape == (3, 64, 80)
        assert ("weak.tif" in words) == (number > 0)
        if number:
            assert set(np.unique(read("weak.tif"))) <= {3, 5, 9, 255}
    assert (tmp_path / "sure.tif").exists()
    assert (tmp_path / "report.html").exists()
