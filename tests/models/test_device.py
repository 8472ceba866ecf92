"""What users call devices."""

from __future__ import annotations

import pytest
import torch

from geoseg.errors import OptionError
from geoseg.models.device import resolve_devices


@pytest.fixture
def four_cards(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.usefixtures("four_cards")
@pytest.mark.parametrize(
    ("name", "numbers"), [("cuda:2", [2]), ("cuda:0,1", [0, 1]), ("cuda:3,0,2", [3, 0, 2])]
)
def test_numbers_are_cards_in_their_order(name, numbers):
    assert resolve_devices(name) == [torch.device("cuda", number) for number in numbers]


@pytest.mark.usefixtures("four_cards")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cuda:0,0", "names a card twice"),
        ("cuda:1,01", "names a card twice"),
        ("cuda:0,4", "there are only 4 CUDA cards"),
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
