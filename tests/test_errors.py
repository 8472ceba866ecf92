"""Messages: one line, and no secret of an address in it."""

from __future__ import annotations

import pickle

import pytest

from geoseg.errors import OutputError, RasterReadError, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/data/a.tif: no such file", "/data/a.tif: no such file"),
        ("https://h/a.tif: gone", "https://h/a.tif: gone"),
        ("https://h/a.tif?sig=x%2F&se=1: gone", "https://h/a.tif: gone"),
        ("https://me:pw@h:8/a.tif?t=1; see", "https://h:8/a.tif; see"),
        ('{"a": "https://h/a.tif?t=1", "b": 2}', '{"a": "https://h/a.tif", "b": 2}'),
        ("zip+https://u@h/a.zip?k=v!a.tif and more", "zip+https://h/a.zip and more"),
        ("https://h/a b.tif?t=1: gone", "https://h/a b.tif: gone"),
        ("https://h/a and https://h/b?t=1 fail", "https://h/a and https://h/b fail"),
        ("s3://b/a?.tif matches none", "s3://b/a?.tif matches none"),
        ("/vsicurl/https://h/a.tif?t=1", "/vsicurl/https://h/a.tif"),
        ("one https://h/a?t=1, two https://h/b?t=2.", "one https://h/a, two https://h/b."),
    ],
)
def test_secrets_of_addresses_are_left_out(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    assert str(RasterReadError(text)) == shown


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(OutputError("https://h/a?t=1 is full")))
    assert (type(error), str(error)) == (OutputError, "https://h/a is full")
