"""Composites of Earth Engine by the Python function, against a server on loopback."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio

sys.path.insert(0, str(Path(__file__).parents[1] / "compositing" / "earthengine"))

from earthengine_command import BOX, PLACE, WHEN, command_of, three_dates
from earthengine_server import clean_client, serve
from earthengine_world import LC08

import geoseg
from geoseg.errors import OptionError

DAYS = {"start": date(2018, 4, 1), "end": date(2018, 10, 1)}


@pytest.fixture
def url():
    with clean_client(), serve(three_dates()) as address:
        yield address


def test_the_file_is_that_of_the_command(url, tmp_path, capsys, monkeypatch):
    command = command_of(url, tmp_path, capsys, monkeypatch)
    status, _, _ = command(f"--earth-engine {LC08} {WHEN} {PLACE} --bands blue,nir -o a.tif")
    assert status == 0
    result = geoseg.composite_earth_engine(
        LC08, "b.tif", region=BOX, crs="EPSG:32633", bands=["blue", "nir"], url=url, **DAYS
    )
    assert result.composite.bands == ("blue", "nir")
    with rasterio.open("a.tif") as typed, rasterio.open("b.tif") as called:
        assert np.array_equal(typed.read(), called.read(), equal_nan=True)
        assert typed.tags() == called.tags()


def test_labels_need_a_collection(tmp_path):
    with pytest.raises(OptionError, match="labels_collection"):
        geoseg.composite_earth_engine(
            LC08, tmp_path / "a.tif", region=BOX, labels_band="crop", **DAYS
        )
