"""Grids of settings."""

from __future__ import annotations

from typing import Any

import pytest

from geoseg.errors import OptionError
from geoseg.training.comparison.grid import (
    expand,
    file_names,
    setting_name,
    setting_value,
    value_text,
)
from geoseg.training.settings import Settings


def test_every_combination_is_there_the_last_key_fastest() -> None:
    made = expand(Settings(epochs=3), {"loss": ["ce", "weighted-ce"], "seed": ["0", "1", "2"]})
    assert [chosen for chosen, _ in made] == [
        {"loss": loss, "seed": seed} for loss in ("ce", "weighted-ce") for seed in (0, 1, 2)
    ]
    assert [(s.loss, s.seed, s.epochs) for _, s in made][3] == ("weighted-ce", 0, 3)


def test_an_empty_grid_is_the_settings_themselves() -> None:
    base = Settings(seed=4)
    assert expand(base, {}) == (({}, base),)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("seed", "7", 7),
        ("lr", "0.01", 0.01),
        ("lr", "1e-3", 0.001),
        ("lr", "none", None),
        ("patience", "none", None),
        ("patience", "5", 5),
        ("keep", "last", "last"),
        ("loss", " focal(gamma=2) ", "focal(gamma=2)"),
        ("augment", "none", "none"),
        (
            "model_options",
            "widths=[4, 8], batch_norm=false",
            {"widths": (4, 8), "batch_norm": False},
        ),
    ],
)
def test_text_is_read_in_the_setting_s_type(name: str, text: str, value: Any) -> None:
    found = setting_value(name, text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [("lr", 1, 1.0), ("seed", 3, 3), ("loss", "ce", "ce"), ("model_options", {"a": 1}, {"a": 1})],
)
def test_values_of_python_are_taken_as_they_are(name: str, value: Any, found: Any) -> None:
    assert setting_value(name, value) == found


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", "one", "'one' is no value for 'seed'"),
        ("seed", "1.5", "'1.5' is no value for 'seed'"),
        ("seed", 1.5, "1.5 is no value for 'seed'"),
        ("seed", True, "true is no value for 'seed'"),
        ("seed", None, "none is no value for 'seed'"),
        ("keep", "first", "it is one of best, last"),
        ("loss", 3, "3 is no value for 'loss'"),
        ("model_options", "widths", "'=' is missing"),
    ],
)
def test_values_of_another_type_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        setting_value(name, value)


def test_unknown_settings_are_named_with_those_spelt_alike() -> None:
    assert setting_name("batch-size") == "batch_size"
    with pytest.raises(OptionError, match=r"no setting is called 'samper'.*did you mean 'sampler'"):
        setting_name("samper")


def test_values_and_keys_given_twice_are_refused() -> None:
    with pytest.raises(OptionError, match="seed = 1 twice"):
        expand(Settings(), {"seed": ["1", "2", 1]})
    with pytest.raises(OptionError, match="names 'batch_size' twice"):
        expand(Settings(), {"batch-size": ["1"], "batch_size": ["2"]})
    with pytest.raises(OptionError, match="no value for 'seed'"):
        expand(Settings(), {"seed": []})


def test_settings_without_meaning_are_refused_at_once() -> None:
    with pytest.raises(OptionError, match="--epochs must be at least 1"):
        expand(Settings(), {"epochs": ["4", "0"]})


def test_files_are_named_after_their_own_values_alone() -> None:
    small = file_names([{"loss": "focal(gamma=2)", "seed": 0}])
    grown = file_names([{"loss": "ce", "seed": 1}, {"loss": "focal(gamma=2)", "seed": 0}])
    assert small == ("focal-gamma-2_seed-0",)
    assert grown[1] == small[0]
    assert file_names([{}]) == ("run",)


def test_files_that_would_be_called_alike_are_told_apart() -> None:
    names = file_names([{"loss": "a(b)"}, {"loss": "a-b"}, {"loss": "A-B"}, {"loss": "x" * 300}])
    assert len({name.casefold() for name in names}) == 4
    assert all(len(name) < 120 and "." not in name for name in names)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (0.001, "0.001"),
        (True, "true"),
        ({"widths": (4, 8), "batch_norm": False}, "widths=[4, 8], batch_norm=false"),
    ],
)
def test_values_are_shown_as_they_are_typed(value: Any, text: str) -> None:
    assert value_text(value) == text
