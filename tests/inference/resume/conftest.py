"""A scene whose rows are noted one tile after the other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from geoseg.raster.outputs import unfinished as unfinished_module

sys.path.append(str(Path(__file__).parent))

from resuming import PIXELS


@pytest.fixture(autouse=True)
def _note_all_rows(monkeypatch):
    monkeypatch.setattr(unfinished_module, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished_module, "TIMES_AS_LONG", 0)


@pytest.fixture
def scene(write_scene):
    return write_scene(PIXELS, tiled=True, blockxsize=16, blockysize=16)


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "stopped"
    folder.mkdir()
    return folder / "map.tif"
