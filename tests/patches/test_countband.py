"""The band of a composite that counts dates: not taken for a reading, unless it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geoseg import composite
from geoseg.compositing.composite import CLEAR
from geoseg.patches.countband import COUNTS
from geoseg.patches.tile import tile

WriteRaster = Callable[..., Path]


@pytest.fixture
def summer(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A composite of two dates."""
    dates = [
        write_raster(f"{n}.tif", np.full((2, 8, 8), n, np.uint16), nodata=0, names=["red", "nir"])
        for n in (1, 3)
    ]
    composite(dates, tmp_path / "summer.tif", quality="none")
    return tmp_path / "summer.tif"


def test_the_count_of_a_composite_is_left_out_and_that_is_said(
    summer: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    found = tile(summer, tmp_path / "set", size=4, split=(1, 0, 0), say=said.append).open()
    assert found.bands == ("red", "nir")
    assert found.split("train").images.shape == (4, 2, 4, 4)
    assert said == ["band 'clear' of summer counts dates and is left out; --bands takes it in"]
    assert COUNTS == CLEAR


def test_the_count_is_taken_where_bands_name_it(summer: Path, tmp_path: Path) -> None:
    said: list[str] = []
    options = {"size": 4, "split": (1, 0, 0), "bands": ("red", "clear"), "say": said.append}
    assert tile(summer, tmp_path / "set", **options).open().bands == ("red", "clear")
    assert said == []


def test_a_band_of_that_name_that_is_no_count_stays(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = write_raster("s.tif", np.ones((2, 8, 8), np.uint8), names=["red", "clear"])
    found = tile(scene, tmp_path / "set", size=4, split=(1, 0, 0)).open()
    assert found.bands == ("red", "clear")
