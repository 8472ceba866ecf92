"""Recipes written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.recipe.form import Places


@pytest.fixture
def write(tmp_path):
    """Write a recipe and return its path."""

    def function(text: str, name: str = "recipe.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return function


@pytest.fixture
def places(tmp_path):
    """Folders of data and results, the first of them there."""
    (tmp_path / "data").mkdir()
    return Places(data=tmp_path / "data", out=tmp_path / "out", recipe=tmp_path)
