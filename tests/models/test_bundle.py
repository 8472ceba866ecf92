"""One file that rebuilds a model, and files that only say they do."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geoseg.compositing.homogenise.standard import ImageLine
from geoseg.errors import ModelError, OutputError
from geoseg.models.bundle import ModelBundle, load_bundle, save_bundle
from geoseg.models.card import ModelCard, read_card
from geoseg.models.registry import build
from geoseg.raster.legend import Legend, LegendClass
from geoseg.testing.colours import even_standard

LEGEND = Legend(
    (LegendClass(1, "water", (0, 0, 255)), LegendClass(7, "»crop«", (0, 255, 0), (7, 8)))
)
CARD = ModelCard(
    name="a model",
    network="unet-small",
    arguments={"widths": [4, 8]},
    bands=("red", "nir"),
    sensor="landsat-8",
    mean=(100.5, 1e4),
    std=(3.25, 0.1),
    fill=0.0,
    legend=LEGEND,
    tile=64,
    resolution=30.0,
    training={"seed": 3, "nested": {"scores": [0.5, None]}},
    description="one\nfor tests",
)


def network() -> nn.Module:
    torch.manual_seed(1)
    return build("unet-small", in_channels=2, classes=2, widths=(4, 8)).eval()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_bundle(ModelBundle(network(), CARD), path)
    return path


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(path: Path, header: object, body: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def change_card(path: Path, **changes: Any) -> Path:
    header, body = header_of(path)
    card = json.loads(header["__metadata__"]["geoseg"])
    card.update(changes)
    header["__metadata__"]["geoseg"] = json.dumps(card)
    return with_header(path, header, body)


def refusal(path: Path, read: Callable[[Path], object] = load_bundle) -> str:
    with pytest.raises(ModelError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


# -- there and back -------------------------------------------------------------------------------


def test_a_model_comes_back_as_it_was_saved(model: Path) -> None:
    bundle = load_bundle(model)
    wanted = network().state_dict()
    found = bundle.network.state_dict()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)
    assert not bundle.network.training
    assert replace(bundle.card, hash="") == CARD


def test_a_colour_comes_back_as_it_was_saved_and_is_not_there_without(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    line = ImageLine(name="a", fingerprint="00ff", gains=(1.1, 0.9), offsets=(0.1, -3.0))
    colour = even_standard({"red": (100.5, 3.3), "nir": (1e4, 0.0)}, images=[line])
    save_bundle(ModelBundle(network(), replace(CARD, colour=colour)), path)
    assert read_card(path).colour == load_bundle(path).card.colour == colour
    assert "colour" not in CARD.to_json()
    assert ModelCard.from_json(CARD.to_json() | {"colour": None}).colour is None


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ({"method": "magic"}, "'method' is none of moments, histogram, overlap"),
        ({"bands": []}, "its bands are none"),
        ({"format": "x"}, "its format is 'x'"),
        ({"version": 99}, "its version is 99"),
        ({"dodge": {"cell": 3, "brightness": 0.5, "contrast": 0.5}}, "cells of 3 px"),
        ({"images": [{"name": "a", "fingerprint": "b", "gains": [0, 1]}]}, "not above 0"),
        ({"origin": 3}, "'origin' is no text"),
    ],
)
def test_a_damaged_colour_is_refused(model: Path, damage: dict[str, Any], says: str) -> None:
    colour = even_standard({"red": (100.5, 3.3), "nir": (1e4, 0.0)})
    message = refusal(change_card(model, colour=colour.to_json() | damage), read_card)
    assert says in message
    assert message.endswith("; train the model again")


def test_a_colour_of_other_bands_is_refused(model: Path) -> None:
    for names in (("nir", "red"), ("red",), ("red", "nir", "blue")):
        colour = even_standard(dict.fromkeys(names, (1.0, 1.0))).to_json()
        assert "other bands" in refusal(change_card(model, colour=colour), read_card)
    assert "no JSON object" in refusal(change_card(model, colour="red"), read_card)


def test_the_hash_is_that_of_the_files_bytes(model: Path, tmp_path: Path) -> None:
    wanted = blake2b(model.read_bytes(), digest_size=16).hexdigest()
    assert read_card(model).hash == load_bundle(model).card.hash == wanted
    assert save_bundle(ModelBundle(network(), CARD), tmp_path / "b.safetensors").hash == wanted


def test_same_model_same_bytes_whatever_its_layout(model: Path, tmp_path: Path) -> None:
    turned = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    other = tmp_path / "other.safetensors"
    save_bundle(ModelBundle(turned, CARD), other)
    assert other.read_bytes() == model.read_bytes()


def test_half_precision_stores_kernels_alone_and_loads_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_bundle(ModelBundle(network(), CARD), path, dtype=torch.float16)
    header, _ = header_of(path)
    kinds = {len(e["shape"]): e["dtype"] for k, e in header.items() if k != "__metadata__"}
    assert kinds == {4: "F16", 1: "F32", 0: "I64"}
    found, wanted = load_bundle(path).network.state_dict(), network().state_dict()
    for key, value in found.items():
        assert value.dtype == wanted[key].dtype
        torch.testing.assert_close(value, wanted[key], rtol=1e-3, atol=1e-4)


def test_a_card_is_read_without_torch(model: Path) -> None:
    code = (
        "import sys; from geoseg.models.card import read_card;"
        f"card = read_card({str(model)!r});"
        "assert card.legend.names == ('water', '»crop«');"
        "print(sorted({'torch', 'safetensors', 'rasterio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout.strip() == "[]"


def test_sidecars_appear_with_the_model(tmp_path: Path) -> None:
    path, beside = tmp_path / "m.safetensors", tmp_path / "m.report.json"
    save_bundle(ModelBundle(network(), CARD), path, sidecars={beside: "{}\n"})
    assert beside.read_text() == "{}\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.report.json", "m.safetensors"]


def test_a_model_is_replaced_only_where_allowed(model: Path) -> None:
    before = model.read_bytes()
    with pytest.raises(OutputError):
        save_bundle(ModelBundle(network(), CARD), model, overwrite=False)
    assert model.read_bytes() == before
    assert [p.name for p in model.parent.iterdir()] == [model.name]


@pytest.mark.skipif(os.name == "nt", reason="files have other rights there")
def test_a_model_is_as_readable_as_any_new_file(model: Path) -> None:
    other = model.with_name("other")
    other.touch()
    assert model.stat().st_mode == other.stat().st_mode


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        save_bundle(ModelBundle(network(), CARD), tmp_path / "no" / "m.safetensors")


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    spoilt = network()
    with torch.no_grad():
        next(spoilt.parameters())[0] = float("nan")
    with pytest.raises(ModelError, match="NaN or infinite"):
        save_bundle(ModelBundle(spoilt, CARD), tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


# -- files that are no models ---------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused_unread(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"weights": Evil(), "padding": "x" * 100}, protocol))
    for read in (load_bundle, read_card):
        assert "is a pickle, which runs code when loaded" in refusal(path, read)


def test_what_torch_saves_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"weights": torch.zeros(3)}, path)
    assert "is a zip file, as torch.save writes" in refusal(path)
    old = io.BytesIO()
    torch.save({"w": torch.zeros(3)}, old, _use_new_zipfile_serialization=False)
    path.write_bytes(old.getvalue())
    assert "is a pickle" in refusal(path)


def test_a_safetensors_file_whose_length_looks_like_a_pickle_is_read(model: Path) -> None:
    # A header of 0x…0280 bytes begins with the bytes of a pickle of protocol 2.
    header, body = header_of(model)
    text = json.dumps(header).encode()
    wanted = next(n for n in range(len(text), len(text) + 2**16) if n % 2**16 == 0x0280)
    with_header(model, text.ljust(wanted), body)
    assert model.read_bytes()[:2] == b"\x80\x02"
    assert load_bundle(model).card.name == "a model"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b"\0" * 7, "empty"),
        (b"\0" * 64, "is no model of geoseg"),
        (b"II*\0" + b"\0" * 64, "is no model of geoseg"),
        (b"{" * 64, "damaged or truncated: a header of"),
        (struct.pack("<Q", 2**63) + b"{}" + b" " * 30, "a header of"),
        (struct.pack("<Q", 100_000_001) + b"{}" + b" " * 30, "a header of"),
        (struct.pack("<Q", 31) + b"{}" + b" " * 28, "a header of"),
        (struct.pack("<Q", 4) + b"{[}]", "is no JSON"),
        (struct.pack("<Q", 4) + b"{\xff\xfe}", "is no JSON"),
        (struct.pack("<Q", 11) + b'{"a": NaN}  ', "is no JSON"),
        (struct.pack("<Q", 200_005) + b'{"a":' + b"[" * 200_000, "is no JSON"),
        (struct.pack("<Q", 5010) + b'{"a":' + b"9" * 5000 + b"    }", "is no JSON"),
        (struct.pack("<Q", 8) + b'{"a":{}}', "does not say where 'a' lies"),
        (struct.pack("<Q", 2) + b"{}", "no card of geoseg"),
        (struct.pack("<Q", 2) + b"{}more", "4 bytes of weights where its header says 0"),
    ],
)
def test_a_file_that_is_no_model_is_refused_in_words(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    for read in (load_bundle, read_card):
        assert complaint in refusal(path, read)


def test_a_huge_header_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 3 * 10**9) + b"{")
        file.truncate(4 * 10**9)  # sparse: takes no disk
    assert "a header of 3000000000 bytes" in refusal(path)


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    assert "is not there" in refusal(tmp_path / "none.safetensors")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("lost", [1, 100, 2000])
def test_a_truncated_model_is_refused(model: Path, lost: int) -> None:
    model.write_bytes(model.read_bytes()[:-lost])
    assert "truncated" in refusal(model)


def test_any_zip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data", "x" * 100)
    assert "zip file" in refusal(path)


# -- cards and weights that do not make sense -----------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": "other"}, "its format is 'other'"),
        ({"version": 2}, "update geoseg"),
        ({"version": True}, "'version' is no whole number"),
        ({"network": "resnet"}, "no network is called 'resnet'"),
        ({"network": 3}, "'network' is no text"),
        ({"arguments": []}, "'arguments' is no JSON object"),
        ({"arguments": {"depth": 3}}, "has no option 'depth'"),
        ({"arguments": {"in_channels": 3}}, "among the network's options"),
        ({"arguments": {"widths": [10**9]}}, "widths are"),
        ({"arguments": {"widths": [2] * 10**5}}, "widths are"),
        ({"arguments": {"widths": [4, 8, 16]}}, "weights missing"),
        ({"arguments": {"widths": [4, 9]}}, "has the shape"),
        ({"bands": []}, "bands are none"),
        ({"bands": ["red", "red"]}, "named twice"),
        ({"bands": ["red", 2]}, "'bands' is no list of texts"),
        ({"mean": [1.0]}, "'mean' does not hold one number a band"),
        ({"mean": [1.0, "2"]}, "'mean' is no finite number"),
        ({"mean": [1.0, 10**400]}, "'mean' is no finite number"),
        ({"std": [1.0, 0.0]}, "standard deviation is not above 0"),
        ({"std": [1.0, True]}, "'std' is no finite number"),
        ({"fill": None}, "'fill' is no finite number"),
        ({"classes": []}, "classes make no sense"),
        ({"classes": [{"id": 1}]}, "classes make no sense"),
        ({"classes": 5}, "classes make no sense"),
        ({"tile": 0}, "'tile' is no whole number"),
        ({"resolution": "30"}, "'resolution' is no finite number"),
        ({"training": None}, "'training' is no JSON object"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(
    model: Path, changes: dict[str, Any], complaint: str
) -> None:
    assert complaint in refusal(change_card(model, **changes))


def test_a_missing_entry_is_named(model: Path) -> None:
    header, body = header_of(model)
    card = json.loads(header["__metadata__"]["geoseg"])
    del card["mean"]
    header["__metadata__"]["geoseg"] = json.dumps(card)
    assert "'mean' is missing" in refusal(with_header(model, header, body))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(model: Path, value: float) -> None:
    header, body = header_of(model)
    begin = header["head.weight"]["data_offsets"][0]
    body = body[:begin] + struct.pack("<f", value) + body[begin + 4 :]
    assert "weights in 'head.weight' are NaN" in refusal(with_header(model, header, body))


def test_negative_variances_are_refused(model: Path) -> None:
    header, body = header_of(model)
    key = next(k for k in header if k.endswith("running_var"))
    begin = header[key]["data_offsets"][0]
    body = body[:begin] + struct.pack("<f", -1) + body[begin + 4 :]
    assert "are negative" in refusal(with_header(model, header, body))


def test_weights_of_another_type_or_place_are_refused(model: Path) -> None:
    header, body = header_of(model)
    header["head.weight"]["dtype"] = "I32"
    assert "is of the type 'I32'" in refusal(with_header(model, header, body))
    header["head.weight"]["dtype"] = "F32"
    header["head.weight"]["data_offsets"][0] += 4
    assert "is damaged" in refusal(with_header(model, header, body))


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_damaged_file_never_gives_anything_but_a_model_or_an_error_in_words(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    good = folder / "good.safetensors"
    if not good.exists():
        save_bundle(ModelBundle(network(), CARD), good)
    content = bytearray(good.read_bytes())
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, header + 40))] = data.draw(st.integers(0, 255))
    bad = folder / "bad.safetensors"
    bad.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    message = ""
    try:
        load_bundle(bad)
    except ModelError as error:
        message = str(error)
    assert "\n" not in message
