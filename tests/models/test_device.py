"""What users call devices."""

from __future__ import annotations

import pytest
import torch

from geoseg.errors import DeviceError, OptionError
from geoseg.models.device import failures_in_words, resolve_devices


@pytest.fixture
def four_cards(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.usefixtures("four_cards")
@pytest.mark.parametrize(
    ("name", "numbers"), [("cuda:2", [2]), ("cuda:0,1", [0, 1]), ("cuda:3,0,2", [3, 0, 2])]
)
def test_numbers_are_cards_in_their_order(name, numbers):
    assert resolve_devices(name) == [torch.device("cuda", number) for number in numbers]


def test_where_there_is_no_card_what_was_typed_is_repeated(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for name in ("cuda:0,1", "cuda:1", "cuda"):
        with pytest.raises(OptionError, match=f"^--device {name}: torch sees no CUDA card"):
            resolve_devices(name)


@pytest.mark.usefixtures("four_cards")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cuda:0,0", "names a card twice"),
        ("cuda:1,01", "names a card twice"),
        ("cuda:0,4", "^--device cuda:0,4: there are only 4 CUDA cards"),
        ("cuda:0,", "is no device"),
        ("cpu:0,1", "is no device"),
    ],
)
def test_what_is_no_card_is_one_line(name, says):
    with pytest.raises(OptionError, match=says) as told:
        resolve_devices(name)
    assert "\n" not in str(told.value)


def test_one_device_is_one_device():
    assert resolve_devices("cpu") == [torch.device("cpu")]


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile"),
        RuntimeError("CUDA error: unspecified launch failure\nCompile with"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
)
def test_a_card_that_fails_is_told_in_words(error):
    told = r"^the card failed .*\((CUDA|cuDNN) error: [^\n]*\);"
    with pytest.raises(DeviceError, match=told), failures_in_words():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("The size of tensor a must match"),
        ValueError("CUDA error: none of torch's"),
    ],
)
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as caught, failures_in_words():
        raise error
    assert caught.value is error
