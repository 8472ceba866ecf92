"""Files of models and weights: nothing in them runs, nor takes memory on a header's word."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from geoseg.errors import GeosegError, ModelError
from geoseg.models.bundle import load_bundle
from geoseg.models.card import read_card
from geoseg.models.opening import open_model
from geoseg.models.registry import names, options
from geoseg.models.statefile import read_state
from geoseg.testing.bundles import pointwise_bundle
from geoseg.testing.damage import damaged_bytes, damaged_json, damaged_value

from geoseg.assessment.describe import describe_model  # isort: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    pointwise_bundle([[1.0, -1.0], [0.5, 0.25]], path=path)
    return path.read_bytes()


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and numbers of a safetensors file."""
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def file_of(header: Any, numbers: bytes) -> bytes:
    """A safetensors file of a header, given as bytes or as JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def _bytes(data: bytes, rng: Random) -> bytes:
    return damaged_bytes(data, rng)


def _header(data: bytes, rng: Random) -> bytes:
    header, numbers = parts(data)
    return file_of(damaged_json(header, rng), numbers)


def _card(data: bytes, rng: Random) -> bytes:
    header, numbers = parts(data)
    card = json.loads(header["__metadata__"]["geoseg"])
    header["__metadata__"]["geoseg"] = damaged_json(card, rng).decode("utf-8", "replace")
    return file_of(header, numbers)


def _network(data: bytes, rng: Random) -> bytes:
    """Another network, and odd options of it."""
    header, numbers = parts(data)
    card = json.loads(header["__metadata__"]["geoseg"])
    card["network"] = name = rng.choice([*names(), "smp:unet/resnet18", "smp:", "os:system"])
    known = {} if name in ("smp:", "os:system") else options(name)
    given = {"encoder_weights": "imagenet", "weights": "x"} | json.loads(json.dumps(known))
    chosen = rng.sample(sorted(given), rng.randint(1, min(3, len(given))))
    card["arguments"] = damaged_value({key: given[key] for key in chosen}, rng)
    header["__metadata__"]["geoseg"] = json.dumps(card)
    return file_of(header, numbers)


KINDS: dict[str, tuple[Callable[[bytes, Random], bytes], int]] = {
    "bytes": (_bytes, 250),
    "header": (_header, 250),
    "card": (_card, 250),
    "network": (_network, 40),
}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_models_are_refused_in_one_line_or_read(kind: str, fuzz: Any, good: bytes) -> None:
    damage, usual = KINDS[kind]
    path = fuzz.folder / "model.safetensors"
    for rng in fuzz.cases(usual):
        path.write_bytes(damage(good, rng))
        fuzz.read(lambda: read_card(path), path.name)
        found = fuzz.read(lambda: load_bundle(path), path.name)
        if found is not None:
            assert all(bool(torch.isfinite(v).all()) for v in found.network.state_dict().values())
        fuzz.read(lambda: read_state(path), path.name)


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch ran",))


def _state(data: Any, path: Path) -> bytes:
    torch.save(data, path)
    return path.read_bytes()


def test_damaged_weights_of_torch_are_refused_in_one_line_or_read(fuzz: Any) -> None:
    path = fuzz.folder / "weights.pt"
    data = _state({"a.weight": torch.ones(4, 3), "b": torch.arange(5)}, path)
    for rng in fuzz.cases(200):
        path.write_bytes(damaged_bytes(data, rng))
        fuzz.read(lambda: read_state(path), path.name)


@pytest.mark.parametrize("old", [False, True])
def test_code_in_weights_does_not_run(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    torch.save({"a": torch.ones(2), "b": _Runs()}, path, _use_new_zipfile_serialization=not old)
    (tmp_path / "weights.toml").write_text('network = "unet"\nbands=["a"]\nmean=[0]\nstd=[1]\n'
                                           'classes=["a", "b"]\n')  # fmt: skip
    for reader in (read_state, open_model):
        with pytest.raises(ModelError, match=r"weights\.pt"):
            reader(path)
    bare = tmp_path / "model.safetensors"
    bare.write_bytes(pickle.dumps(_Runs()))
    for reader in (load_bundle, open_model, read_state, read_card):
        with pytest.raises(ModelError, match="is a pickle"):
            reader(bare)
    assert not (tmp_path / "ran").exists()


def _expanded(path: Path) -> None:
    torch.save({"a": torch.ones(1).expand(1 << 20, 1 << 20)}, path)


def _sparse(path: Path) -> None:
    one = torch.sparse_coo_tensor(
        torch.zeros(2, 1, dtype=torch.int64), torch.ones(1), (9**9, 9**9), check_invariants=True
    )
    torch.save({"a": one}, path)


def _meta(path: Path) -> None:
    torch.save({"a": torch.empty(1 << 40, device="meta")}, path)


def _zip_bomb(path: Path) -> None:
    torch.save({"a": torch.zeros(1 << 20)}, path)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("make", [_expanded, _sparse, _meta, _zip_bomb])
def test_weights_that_are_larger_than_their_file_are_refused(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    make(path)
    with pytest.raises(ModelError, match=r"weights\.pt"):
        read_state(path)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 2**63]}},
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}},
        {"a": {"dtype": "F8_E4M3", "shape": [16], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F4", "shape": [32], "data_offsets": [0, 16]}},
        {"a": {"dtype": "object", "shape": [2], "data_offsets": [0, 16]}},
        {"a": {"dtype": "C64", "shape": [2], "data_offsets": [0, 16]}},
        {
            "a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
            "b": {"dtype": "F32", "shape": [3], "data_offsets": [4, 16]},
        },
    ],
)
def test_headers_that_lie_about_their_tensors_are_refused(header: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(file_of(header, b"\xff" * 16))
    with pytest.raises(ModelError, match=r"weights\.safetensors"):
        read_state(path)


def test_what_info_says_of_a_damaged_model_is_one_line(fuzz: Any, good: bytes) -> None:
    path = fuzz.folder / "model.safetensors"
    for rng in fuzz.cases(60):
        path.write_bytes(_card(good, rng))
        fuzz.read(lambda: describe_model(path), path.name)


_LIMITED = """
import os, resource, sys
from pathlib import Path
import geoseg.models.bundle, geoseg.models.opening, geoseg.models.statefile, torch
from geoseg.errors import GeosegError
for path in map(Path, sys.argv[1:]):
    child = os.fork()  # a limit each, and what is imported once for all
    if child == 0:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
        for read in (geoseg.models.opening.open_model, geoseg.models.statefile.read_state):
            try:
                read(path)
            except GeosegError as error:
                print(path.name in str(error), error, flush=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status:
        sys.exit(f"{path}: {status}")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_memory_is_not_taken_on_a_header_s_word(tmp_path: Path, good: bytes) -> None:
    header, numbers = parts(good)
    long = {**header, **{f"t{i}": header["head.bias"] for i in range(5)}}
    cases: dict[str, bytes] = {
        "length": struct.pack("<Q", 99_999_999) + b"{" + b" " * 50,
        "endless": struct.pack("<Q", 2**63 - 1) + b"{}",
        "extra": file_of(long, numbers),
    }
    card = json.loads(header["__metadata__"]["geoseg"])
    for number, change in enumerate(
        (
            {"network": "unet", "arguments": {"width": 10**9}},
            {"network": "smp:unet/resnet50", "arguments": {}},
        )
    ):
        told = {"geoseg": json.dumps(card | change)}
        cases[f"card {number}"] = file_of({**header, "__metadata__": told}, numbers)
    paths = []
    for name, content in cases.items():
        paths.append(tmp_path / f"{name}.safetensors")
        paths[-1].write_bytes(content)
    for make in (_expanded, _sparse, _zip_bomb):
        paths.append(tmp_path / f"{make.__name__}.pt")
        make(paths[-1])
    words = [sys.executable, "-c", _LIMITED, *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= len(paths)
    assert all(line.startswith("True ") for line in done.stdout.splitlines()), done.stdout


def test_a_file_of_weights_names_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "weights.toml").write_text('classes = "/etc/hostname"\nbands=["a"]\n')
    torch.save({"a": torch.ones(1)}, tmp_path / "weights.pt")
    with pytest.raises(GeosegError, match="weights"):
        open_model(tmp_path / "weights.pt")
