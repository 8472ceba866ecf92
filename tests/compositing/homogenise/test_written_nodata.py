"""What marks invalid pixels in the written file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geoseg.compositing.homogenise.colour import Colour, written_nodata
from geoseg.raster.scene import Scene

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("dtype", "nodata", "wanted"),
    [
        ("uint8", None, None),
        ("uint8", 0, 0),
        ("uint8", 255, 255),
        ("int16", -9999, -9999),
        ("int16", None, None),
        ("float32", -9999, -9999),
        ("float32", None, math.nan),
        ("float32", math.nan, math.nan),
    ],
)
def test_the_nodata_value_is_the_files_own(
    write: Write, dtype: str, nodata: float | None, wanted: float | None
) -> None:
    path = write("a.tif", np.ones((2, 4, 4)), dtype=dtype, nodata=nodata)
    assert written_nodata(Scene.open(path)) == pytest.approx(wanted, nan_ok=True)


def test_several_nodata_values_become_one(write: Write) -> None:
    for dtype, wanted in (("uint16", 0), ("int16", -32768), ("float32", math.nan)):
        files = [
            write(f"{dtype}/{name}.tif", np.ones((4, 4)), dtype=dtype, nodata=value)
            for name, value in (("red", 7), ("blue", 9))
        ]
        found = written_nodata(Scene.open(files))
        assert found == pytest.approx(wanted, nan_ok=True)
    one = [
        write(f"one/{name}.tif", np.ones((4, 4)), nodata=value)
        for name, value in (("red", 7), ("blue", None))
    ]
    assert written_nodata(Scene.open(one)) == 7


def test_an_alpha_band_or_a_hole_between_files_gets_a_nodata_value(write: Write) -> None:
    rgba = write("rgba.tif", np.ones((4, 4, 4)), dtype="uint8", photometric="RGB", alpha="YES")
    assert written_nodata(Scene.open(rgba)) == 0
    side = 4 * 30.0
    tiles = [
        write(f"t{i}{j}.tif", np.ones((4, 4)), corner=(6e5 + i * side, 5e6 - j * side))
        for i, j in ((0, 0), (1, 0), (0, 1), (1, 1))
    ]
    assert written_nodata(Scene.open(tiles)) is None
    assert written_nodata(Scene.open([tiles[0], tiles[3]])) == 0


def test_identity_of_a_scene_with_an_alpha_band_keeps_its_dark_pixels(write: Write) -> None:
    pixels = np.array([[[0, 5]], [[0, 5]], [[0, 5]], [[255, 0]]])
    scene = Scene.open(write("a.tif", pixels, dtype="uint8", photometric="RGB", alpha="YES"))
    colour = Colour.identity(scene)
    read = scene.read(scene.grid.window)
    assert colour.is_identity
    assert colour.apply(read.data, read.valid, scene.grid.window) == 0
    assert read.data[:, 0].tolist() == [[1, 5]] * 3
