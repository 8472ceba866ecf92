"""``geoseg export``, and ``geoseg predict`` with what it made, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import rasterio
import torch
from exporting import done, pixels, props, told
from onnx import helper

from geoseg.cli import _run
from geoseg.inference import exporting
from geoseg.models.bundle import load_bundle


@pytest.mark.parametrize("kind", ["normalised", "readings", "uint8"])
def test_an_export_answers_as_the_model_does_in_onnxruntime(here: Path, kind: str) -> None:
    done(f"export unet.safetensors --input {kind} --check scene.tif -o m.onnx")
    onnx.checker.check_model(onnx.load("m.onnx"), full_check=True)
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    assert [(i.name, i.type) for i in session.get_inputs()] == [("input", "tensor(float)")]
    assert session.get_inputs()[0].shape == ["batch", 3, "side", "side"]
    assert session.get_outputs()[0].shape == ["batch", 3, "side", "side"]
    bundle = load_bundle("unet.safetensors")
    mean, std = (np.array(v)[:, None, None] for v in (bundle.card.mean, bundle.card.std))
    rng = np.random.default_rng(5)
    if kind == "uint8":
        fed = rng.integers(1, 256, (2, 3, 64, 64)) / 255
        readings = (mean - 3 * std) + fed * 6 * std
    else:
        readings = mean + std * rng.standard_normal((2, 3, 64, 64))
        fed = readings if kind == "readings" else (readings - mean) / std
    # An invalid pixel is fed as each says it is; the model itself sees its fill there.
    if kind == "normalised":
        fed[0, :, 4, 4] = (-mean / std)[:, 0, 0]
    else:
        fed[0, :, 4, 4] = np.nan if kind == "readings" else 0
    readings[0, :, 4, 4] = bundle.card.fill
    with torch.inference_mode():
        seen = torch.from_numpy(((readings - mean) / std).astype(np.float32))
        truth = torch.softmax(bundle.network(seen), dim=1).numpy()
    (found,) = session.run(None, {"input": fed.astype(np.float32)})
    np.testing.assert_allclose(found, truth, atol=2e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_what_deepness_reads_is_there_to_the_letter(here: Path) -> None:
    done("export unet.safetensors --tile 96 -o m.onnx")
    found = {key: json.loads(text) for key, text in props("m.onnx").items() if "GEOSEG" not in key}
    assert found.pop("geoseg")["name"] == "unet"
    assert found.pop("geoseg_input") == {"input": "normalised", "answer": "probabilities"}
    assert found == {
        "model_type": "Segmentor",
        "class_names": {"0": "Wald & Wiese", "1": "water", "2": "Straße <b>"},
        "resolution": 3000.0,
        "tile_size": 96,
        "tiles_size": 96,
        "tiles_overlap": 15,
        "standardization_mean": [8000 / 255, 8500 / 255, 9000 / 255],
        "standardization_std": [600 / 255, 700 / 255, 800 / 255],
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
    }


def test_fed_as_deepness_feeds_it_an_export_gives_the_model_s_classes(here: Path) -> None:
    done("export unet.safetensors -o floats.onnx")
    done("export unet.safetensors --input uint8 --range 6000,11000 -o bytes.onnx")
    bundle = load_bundle("unet.safetensors")
    mean, std = (np.array(v)[:, None, None] for v in (bundle.card.mean, bundle.card.std))

    def as_deepness_does(path: str, tile: np.ndarray) -> np.ndarray:
        held = props(path)
        shift, scale = (
            np.array(json.loads(held[f"standardization_{key}"]), np.float32)[:, None, None]
            for key in ("mean", "std")
        )
        x = (np.float32(tile * 1.0 / 255.0) - shift) / scale
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"input": x[None].astype(np.float32)})
        return np.asarray(found)

    def truth(readings: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(((readings - mean) / std)[None].astype(np.float32))
        with torch.inference_mode():
            return torch.softmax(bundle.network(x), dim=1).numpy()

    rng = np.random.default_rng(1)
    numbers = rng.integers(6000, 11000, (3, 96, 96)).astype(np.uint16)
    np.testing.assert_allclose(as_deepness_does("floats.onnx", numbers), truth(numbers), atol=1e-3)
    levels = rng.integers(1, 256, (3, 96, 96)).astype(np.uint8)
    meant = 6000 + levels / 255 * 5000
    np.testing.assert_allclose(as_deepness_does("bytes.onnx", levels), truth(meant), atol=1e-3)


def test_the_same_export_is_the_same_bytes_and_names_what_made_it_without_folders(
    here: Path,
) -> None:
    done("export unet.safetensors --input uint8 -o a.onnx")
    done(f"export {here}/unet.safetensors --input uint8 -o b.onnx")
    assert Path("a.onnx").read_bytes() == Path("b.onnx").read_bytes()
    held = props("a.onnx")
    assert held["GEOSEG_COMMAND"] == "geoseg export unet.safetensors --input uint8"
    assert json.loads(held["GEOSEG_INPUTS"]) == {
        "unet.safetensors": load_bundle("unet.safetensors").card.hash
    }
    assert b"/geoseg/models" not in Path("a.onnx").read_bytes()
    assert str(here).encode() not in Path("a.onnx").read_bytes()


def test_what_is_said_holds_the_differences(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "export unet.safetensors --input uint8 --check scene.tif -o m.onnx --json"
    assert _run(words.split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["any_size"]
    assert found["tile"] == 64
    assert found["random"]["maximal_difference"] < 1e-3
    assert found["real"]["pixels"] == 9 * 64 * 64
    assert 0.5 < found["bytes_agree"] <= 1
    assert found["low"] == [6200.0, 6400.0, 6600.0]
    assert "invalid pixel" in found["nodata"]
    done("export unet.safetensors -o m.onnx --overwrite")
    assert _run(["export", "unet.safetensors", "-o", "t.onnx"]) == 0
    assert "probabilities differ by" in capsys.readouterr().out


def test_a_network_of_one_size_is_exported_for_that_size_and_predicts(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["export", "pooled.safetensors", "--tile", "96", "-o", "m.onnx", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["any_size"]
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, 96, 96]
    done("predict scene.tif --model m.onnx --tile 96 --stride 96 -o a.tif")
    done("predict scene.tif --model pooled.safetensors --tile 96 --stride 96 -o b.tif")
    assert (pixels("a.tif") == pixels("b.tif")).mean() > 0.999
    line = told("predict scene.tif --model m.onnx --tile 128 -o c.tif", capsys)
    assert "96 × 96 px alone: say --tile 96" in line


def test_an_export_that_answers_otherwise_is_refused_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(exporting.Answering):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).flip(1)

    monkeypatch.setattr(exporting, "Answering", Wrong)
    line = told("export unet.safetensors -o m.onnx", capsys)
    assert "does not answer as the model 'unet' does" in line
    assert "nothing is written" in line


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("unet.safetensors -o m.tif", 2, "by its ending"),
        ("unet.safetensors --check scene.tif -o m.json", 2, "--check says nothing about a .json"),
        ("unet.safetensors --date 2020-01-01 -o m.md", 2, "--date says nothing"),
        ("unet.safetensors --range 0,9 -o m.onnx", 2, "--input uint8"),
        ("unet.safetensors --input uint8 --range 9,0 -o m.onnx", 2, "lower one first"),
        ("unet.safetensors --input uint8 --range nan,0 -o m.onnx", 2, "no range"),
        ("none.safetensors -o m.onnx", 1, "not there"),
        ("cam.safetensors -o m.onnx", 1, "which classes a patch holds"),
        ("scene.tif -o m.md", 1, "no model"),
        ("scene.tif --date 2020-01-01 -o m.json", 1, "no class raster"),
        ("unet.safetensors --date yesterday -o m.json", 2, "no date"),
        ("unet.safetensors --check none.tif -o m.onnx", 1, "none.tif"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, status: int, said: str
) -> None:
    assert said in told(f"export {words}", capsys, status)


# -- predict and info with ONNX ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["normalised", "readings", "uint8"])
def test_a_map_by_onnx_is_that_of_the_model_but_for_ties(here: Path, kind: str) -> None:
    done(f"export unet.safetensors --input {kind} -o m.onnx")
    options = "--tile 64 --stride 40 --probabilities"
    done(f"predict scene.tif --model m.onnx {options} p.tif -o a.tif")
    done(f"predict scene.tif --model unet.safetensors {options} q.tif -o b.tif")
    one, other = pixels("p.tif"), pixels("q.tif")
    assert (np.isnan(one) == np.isnan(other)).all()
    np.testing.assert_allclose(one, other, atol=1e-3, equal_nan=True)
    differ = pixels("a.tif")[0] != pixels("b.tif")[0]
    lead = np.sort(other, axis=0)[-1] - np.sort(other, axis=0)[-2]
    assert (lead[differ] < 2e-3).all()
    with rasterio.open("a.tif") as file:
        assert "--model unet.onnx" in file.tags()["GEOSEG_COMMAND"]


def test_a_map_by_onnx_is_the_same_bytes_with_any_number_of_workers(here: Path) -> None:
    done("export unet.safetensors -o m.onnx")
    for workers in (1, 3):
        done(f"predict scene.tif --model m.onnx --tile 64 --workers {workers} -o {workers}.tif")
    assert Path("1.tif").read_bytes() == Path("3.tif").read_bytes()


def test_onnx_and_safetensors_are_averaged(here: Path) -> None:
    done("export unet.safetensors -o m.onnx")
    done("predict scene.tif --model m.onnx --model unet.safetensors --tta --tile 64 -o a.tif")
    done("predict scene.tif --model unet.safetensors --tta --tile 64 -o b.tif")
    assert (pixels("a.tif") == pixels("b.tif")).mean() > 0.999


def test_info_shows_an_onnx_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done("export unet.safetensors --input readings -o m.onnx")
    capsys.readouterr()
    assert _run(["info", "m.onnx"]) == 0
    out = capsys.readouterr().out
    assert "fed readings, answers probabilities, images of any size" in out
    assert "Wald & Wiese" in out
    assert _run(["info", "m.onnx", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["found"]
    assert found["onnx"]["shape"] == [-1, 3, -1, -1]
    assert found["mean"] == [8000.0, 8500.0, 9000.0]


def test_looking_at_a_file_imports_no_torch_and_no_runtime(here: Path) -> None:
    done("export unet.safetensors -o m.onnx")
    for words in ("info m.onnx", "export m.onnx -o m.json", "export unet.safetensors -o m.md"):
        script = (
            "import sys\nfrom geoseg.cli import _run\n"
            f"assert _run({words.split()!r}) == 0\n"
            "print('@', *({'torch', 'onnxruntime', 'geopandas'} & set(sys.modules)))"
        )
        found = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        assert found.stdout.splitlines()[-1].split() == ["@"], words


def test_a_card_that_is_damaged_is_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done("export unet.safetensors -o m.onnx")
    model = onnx.load("m.onnx")
    for key, value, said in (
        ("geoseg", "{", "no JSON"),
        ("geoseg", '{"format": "geoseg-model"}', "is missing"),
        ("geoseg_input", "[]", "what it is fed"),
        ("geoseg_input", '{"input": "uint8", "answer": "logits", "low": [NaN]}', "what it is fed"),
        (
            "geoseg_input",
            json.dumps(
                {"input": "uint8", "answer": "logits", "low": [0] * 3, "high": [10**400] * 3}
            ),
            "what it is fed",
        ),
    ):
        changed = props("m.onnx") | {key: value}
        helper.set_model_props(model, changed)
        Path("bad.onnx").write_bytes(model.SerializeToString())
        assert said in told("predict scene.tif --model bad.onnx -o x.tif", capsys)
        assert said in told("info bad.onnx", capsys)
        Path("bad.onnx").unlink()


# -- models of elsewhere -------------------------------------------------------------------------
