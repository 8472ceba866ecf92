"""``geoseg export``, and ``geoseg predict`` with what it made, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import onnxruntime
import pystac
import pytest
import rasterio
import torch
from onnx import TensorProto, helper, numpy_helper
from pystac.extensions.mlm import MLMExtension

from geoseg.cli import _run
from geoseg.inference import exporting
from geoseg.models.bundle import ModelBundle, load_bundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend import Legend
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.scenes import made_scene

SCHEMAS = Path(__file__).parent / "schemas"
BANDS = ("blue", "green", "red")
LEGEND = Legend.parse("2=Wald & Wiese:#1a7a33,5=water:#1f6fd0,9=Straße <b>:#d7301f")


def card(name: str, network: str, **more: Any) -> ModelCard:
    entries = {
        "name": name,
        "network": network,
        "arguments": {},
        "bands": BANDS,
        "mean": (8000.0, 8500.0, 9000.0),
        "std": (600.0, 700.0, 800.0),
        "fill": 0.0,
        "legend": LEGEND,
        "tile": 64,
        "resolution": 30.0,
        "training": {"epochs": 3, "scores": {"miou": 0.5, "classes": [{"id": 5, "iou": 0.25}]}},
    }
    return ModelCard(**(entries | more))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with invalid pixels, a U-Net with random weights, and models of other kinds."""
    made = tmp_path_factory.mktemp("export")
    made_scene(made / "scene.tif", height=150, width=170, bands=BANDS, seed=1, workers=1)
    torch.manual_seed(3)
    net = build("unet-small", in_channels=3, classes=3).eval()
    save_bundle(ModelBundle(net, card("unet", "unet-small")), made / "unet.safetensors")
    torch.save(net.state_dict(), made / "weights.pt")
    cam = build("shallow-cnn", in_channels=3, classes=3, widths=(3, 4, 5, 6)).eval()
    arguments = {"widths": (3, 4, 5, 6)}
    save_bundle(
        ModelBundle(cam, card("cam", "shallow-cnn", arguments=arguments)), made / "cam.safetensors"
    )
    pooled = build("smp:pspnet/resnet18", in_channels=3, classes=3).eval()
    save_bundle(
        ModelBundle(pooled, card("pooled", "smp:pspnet/resnet18")), made / "pooled.safetensors"
    )
    return made


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of our own from which those files are linked."""
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(words: str) -> None:
    assert _run([*words.split(), "-q"]) == 0


def told(words: str, capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    capsys.readouterr()
    before = {path.name for path in Path().iterdir()}
    assert _run([*words.split(), "-q"]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert {path.name for path in Path().iterdir()} == before
    assert line.startswith("Error: ")
    return line


def pixels(path: str) -> np.ndarray:
    with rasterio.open(path) as file:
        read: np.ndarray = file.read()
    return read


def props(path: str) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


# -- export --------------------------------------------------------------------------------------


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


def foreign(path: Path, *, channels: int, last: str | None, **metadata: str) -> None:
    """An ONNX file of somebody else: scores are 1 × 1 convolutions of (reading / 255 − …)."""
    kernel = np.eye(channels, 3, dtype=np.float32)[:, :, None, None] * 3
    nodes = [helper.make_node("Conv", ["image", "k"], ["scores"])]
    out = "scores"
    if last is not None:
        axis = {"axis": 1} if last == "Softmax" else {}
        nodes.append(helper.make_node(last, ["scores"], ["answer"], **axis))
        out = "answer"
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ("n", 3, "h", "w"))],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ("n", channels, "h", "w"))],
        [numpy_helper.from_array(kernel, "k")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    path.write_bytes(model.SerializeToString())


ABOUT = """
bands = ["blue", "green", "red"]
mean = [8000.0, 8500.0, 9000.0]
std = [600.0, 700.0, 800.0]
classes = ["a", "b", "c"]
output = "logits"
"""


def normal(path: str) -> tuple[np.ndarray, np.ndarray]:
    data = pixels(path).astype(np.float64)
    with rasterio.open(path) as file:
        valid = file.read_masks(1) > 0
    mean, std = (np.array(v)[:, None, None] for v in ((8000, 8500, 9000), (600, 700, 800)))
    return (data - mean) / std, valid


def test_a_foreign_onnx_says_what_it_lacks_and_predicts_when_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign(here / "other.onnx", channels=3, last=None)
    line = told("predict scene.tif --model other.onnx -o x.tif", capsys)
    assert "does not say its bands, mean, std, classes, output" in line
    assert "other.toml" in line
    Path("other.toml").write_text(ABOUT)
    done("predict scene.tif --model other.onnx --tile 50 -o x.tif")
    x, valid = normal("scene.tif")
    # The largest of three normalised readings, by hand; ids are 0, 1, 2.
    assert (pixels("x.tif")[0][valid] == x.argmax(axis=0)[valid]).all()
    assert (pixels("x.tif")[0][~valid] == 255).all()
    assert _run(["info", "other.onnx"]) == 0


def test_a_foreign_onnx_with_keys_of_deepness_lacks_only_its_bands(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign(
        here / "deep.onnx",
        channels=3,
        last="Softmax",
        model_type='"Segmentor"',
        class_names='{"0": "a", "1": "b", "2": "c"}',
        resolution="3000.0",
        tile_size="64",
        standardization_mean=json.dumps([8000 / 255, 8500 / 255, 9000 / 255]),
        standardization_std=json.dumps([600 / 255, 700 / 255, 800 / 255]),
    )
    line = told("predict scene.tif --model deep.onnx -o x.tif", capsys)
    assert "does not say its bands: write into deep.toml" in line
    Path("deep.json").write_text('{"bands": ["blue", "green", "red"]}')
    done("predict scene.tif --model deep.onnx -o x.tif")
    x, valid = normal("scene.tif")
    assert (pixels("x.tif")[0] == x.argmax(axis=0))[valid].mean() > 0.9999


def test_one_probability_a_pixel_tells_two_classes(here: Path) -> None:
    foreign(here / "two.onnx", channels=1, last="Sigmoid")
    Path("two.toml").write_text(
        ABOUT.replace('"a", "b", "c"', '"dark", "bright"').replace("logits", "sigmoid")
    )
    done("predict scene.tif --model two.onnx -o x.tif")
    x, valid = normal("scene.tif")
    assert (pixels("x.tif")[0] == (x[0] > 0))[valid].mean() > 0.9999


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (ABOUT.replace("logits", "magic"), "'magic'"),
        (ABOUT.replace('"a", "b", "c"', '"a", "b"'), "answers 3 numbers a pixel"),
        (ABOUT.replace(', "red"]', "]"), "one number a band"),
        (ABOUT.replace("700.0", "0"), "not above 0"),
        (ABOUT.replace('["a", "b", "c"]', "7"), "classes make no sense"),
        (ABOUT.replace('["a", "b", "c"]', '"classes.csv"'), "write classes out"),
        (ABOUT + "colour = 1\n", "'colour' describes no model"),
        ("bands = [", "is no TOML"),
        (ABOUT + "multiple = 0\n", "'multiple'"),
        (ABOUT + "tile = -1\n", "'tile'"),
    ],
)
def test_what_stands_beside_a_model_and_makes_no_sense_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], about: str, said: str
) -> None:
    foreign(here / "other.onnx", channels=3, last=None)
    Path("other.toml").write_text(about)
    Path("classes.csv").write_text("id,name\n1,a\n2,b\n3,c\n")
    assert said in told("predict scene.tif --model other.onnx -o x.tif", capsys)


def test_weights_of_elsewhere_predict_with_a_card_beside_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = told("predict scene.tif --model weights.pt -o x.tif", capsys)
    assert "network" in line
    assert "weights.toml" in line
    about = ABOUT.replace('classes = ["a", "b", "c"]', "classes = '2=a,5=b,9=c'")
    Path("weights.toml").write_text(about + 'network = "unet-small"\n')
    done("predict scene.tif --model weights.pt -o x.tif")
    done("predict scene.tif --model unet.safetensors -o y.tif")
    assert (pixels("x.tif") == pixels("y.tif")).all()
    Path("weights.toml").write_text(about + 'network = "unet"\n')
    assert "does not fit" in told("predict scene.tif --model weights.pt -o z.tif", capsys)
    done("export unet.safetensors -o m.onnx")


def test_a_pickle_of_code_does_not_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path("ran").touch, ())

    Path("weights.pt").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"head.weight": Bomb()}, "weights.pt")
    Path("weights.toml").write_text(ABOUT + 'network = "unet-small"\n')
    told("predict scene.tif --model weights.pt -o x.tif", capsys)
    assert not Path("ran").exists()


# -- STAC ----------------------------------------------------------------------------------------


def conforms(item: dict[str, Any], schema: str) -> None:
    read = json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(read)
    jsonschema.validate(item, read, cls=jsonschema.Draft7Validator)


@pytest.mark.parametrize("source", ["unet.safetensors", "m.onnx"])
def test_the_item_of_a_model_is_valid_mlm(here: Path, source: str) -> None:
    if source == "m.onnx":
        done("export unet.safetensors -o m.onnx")
    done(f"export {source} -o item.json")
    held = json.loads(Path("item.json").read_text(encoding="utf-8"))
    conforms(held, "mlm.json")
    item = pystac.Item.from_file("item.json")
    mlm = MLMExtension.ext(item)
    assert mlm.mlm_name == "unet"
    assert mlm.architecture == "unet-small"
    assert [str(task) for task in mlm.tasks] == ["semantic-segmentation"]
    (given,) = mlm.input
    assert [band.name if hasattr(band, "name") else band for band in given.bands] == list(BANDS)
    assert given.input.shape == [-1, 3, -1, -1]
    scaling = held["properties"]["mlm:input"][0]["value_scaling"]
    assert [(s["mean"], s["stddev"]) for s in scaling] == [
        (8000.0, 600.0), (8500.0, 700.0), (9000.0, 800.0)
    ]  # fmt: skip
    (result,) = mlm.output
    assert result.result.shape == [-1, 3, -1, -1]
    assert [c.value for c in result.classes] == [2, 5, 9]
    (asset,) = item.assets.values()
    assert "mlm:model" in asset.roles
    assert asset.href == f"./{source}"
    assert (Path("item.json").parent / asset.href).exists()


def test_the_item_of_a_map_is_valid_and_names_what_it_was_made_of(here: Path) -> None:
    done("predict scene.tif --model unet.safetensors -o map.tif")
    done("export map.tif --date 2020-07-14 -o map.json")
    held = json.loads(Path("map.json").read_text(encoding="utf-8"))
    conforms(held, "map.json")
    item = pystac.Item.from_file("map.json")
    assert item.datetime is not None
    assert item.datetime.isoformat() == "2020-07-14T00:00:00+00:00"
    with rasterio.open("map.tif") as file:
        assert held["properties"]["proj:shape"] == [file.height, file.width]
        assert held["properties"]["proj:transform"] == list(file.transform)[:6]
        assert held["properties"]["proj:code"] == f"EPSG:{file.crs.to_epsg()}"
        west, south, east, north = rasterio.warp.transform_bounds(
            file.crs, "EPSG:4326", *file.bounds
        )
    np.testing.assert_allclose(held["bbox"], [west, south, east, north], atol=1e-5)
    links = [link["href"] for link in held["links"] if link["rel"] == "derived_from"]
    assert links == ["scene.tif", "unet.safetensors"]
    (asset,) = held["assets"].values()
    (band,) = asset["bands"]
    assert band["nodata"] == 255
    assert [(c["value"], c["name"], c["title"]) for c in band["classification:classes"]] == [
        (2, "Wald-Wiese", "Wald & Wiese"), (5, "water", "water"), (9, "Strasse-b", "Straße <b>")
    ]  # fmt: skip
    done("export map.tif --date 2020-07-14T20:00:00+02:00 --derived-from https://x.org/s -o m.json")
    held = json.loads(Path("m.json").read_text(encoding="utf-8"))
    assert held["properties"]["datetime"] == "2020-07-14T18:00:00Z"
    assert [link["href"] for link in held["links"]] == ["https://x.org/s"]


def test_a_map_without_a_date_is_asked_for_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done("predict scene.tif --model unet.safetensors -o map.tif")
    assert "--date" in told("export map.tif -o map.json", capsys)


# -- the card ------------------------------------------------------------------------------------


def test_the_card_says_what_the_model_says_and_holds_no_markup_of_others(here: Path) -> None:
    pointwise_bundle(
        [[1, 0], [0, 1], [1, 1]], bands=["red", "nir"], legend=LEGEND,
        description="good | <script>alert(1)</script>", path=here / "small.safetensors",
    )  # fmt: skip
    done("export small.safetensors -o small.md")
    page = Path("small.md").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "<b>" not in page
    assert "Nobody has measured it" in page
    done("export unet.safetensors -o unet.md")
    page = Path("unet.md").read_text(encoding="utf-8")
    assert "| epochs | 3 |" in page
    assert "| miou | 0.5 |" in page
    assert "| 5 | water | \\#1f6fd0 | 0.250 |" in page
    assert "| blue | 8000 | 600 |" in page
