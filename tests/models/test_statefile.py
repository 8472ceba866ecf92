"""Weights from files that somebody else may have made."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import ModelError
from geoseg.models.statefile import read_state

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_state(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def same(found: Any) -> bool:
    return found.keys() == WEIGHTS.keys() and all(torch.equal(found[k], WEIGHTS[k]) for k in found)


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
@pytest.mark.parametrize("inside", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_is_read(
    suffix: str, inside: str | None, zipped: bool, tmp_path: Path
) -> None:
    held: Any = WEIGHTS if inside is None else {"epoch": 3, inside: WEIGHTS, "loss": [0.5]}
    path = tmp_path / f"weights{suffix}"
    torch.save(held, path, _use_new_zipfile_serialization=zipped)
    state = read_state(path)
    assert same(state.tensors)
    assert state.bands is None


def test_safetensors_without_a_card_are_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(WEIGHTS, path)
    state = read_state(path)
    assert same(state.tensors)
    assert (state.bands, state.network) == (None, None)


def test_numbers_beside_the_weights_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    others: dict[Any, Any] = {"epoch": 3, 7: torch.zeros(1)}
    torch.save(others | WEIGHTS, path)
    assert same(read_state(path).tensors)


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mkdir, ("ran",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_of_more_than_weights_is_refused_and_does_not_run(
    zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    torch.save({**WEIGHTS, "more": Evil()}, path, _use_new_zipfile_serialization=zipped)
    assert "a pickle of more than weights" in refusal(path)
    path.write_bytes(pickle.dumps({"weights": Evil()}))
    refusal(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("none.pt", "are not there"),
        ("none.safetensors", "is not there"),
        ("weights.h5", "ends in none of .safetensors, .pt, .pth"),
    ],
)
def test_files_that_are_not_there_or_of_another_kind(
    name: str, complaint: str, tmp_path: Path
) -> None:
    assert complaint in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("held", "complaint"),
    [
        ({}, "holds no weights by name"),
        ([torch.zeros(2)], "holds no weights by name"),
        (torch.zeros(2), "holds no weights by name"),
        ({"state_dict": {}}, "holds no weights by name"),
        ({"epoch": 3}, "holds no weights by name"),
        ({"a": torch.tensor([1.0, float("nan")])}, "weights in 'a' are NaN or infinite"),
        ({"a": torch.tensor([float("inf")])}, "weights in 'a' are NaN or infinite"),
    ],
)
def test_files_without_usable_weights_are_refused(
    held: Any, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(held, path)
    assert complaint in refusal(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "folder.pt"
    path.mkdir()
    assert "no file of weights" in refusal(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_gives_weights_or_an_error_in_words(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    zipped = data.draw(st.booleans())
    path = folder / "damaged.pt"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    message = ""
    try:
        read_state(path)
    except ModelError as error:
        message = str(error)
    assert "\n" not in message
