"""What files say of pixels without a reading."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from geoseg.raster.declared import Declared, declared
from geoseg.raster.scene import Scene

MakeRaster = Callable[..., Path]
ONES = np.ones((2, 4, 4), np.uint8)


def test_nothing_is_declared_of_a_plain_file(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", ONES))
    assert declared(scene) == Declared(values=(), otherwise=False)


def test_a_nodata_value_is_there_once(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", ONES, nodata=7))
    assert declared(scene) == Declared(values=(7,), otherwise=False)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_number_do_not_count(make_raster: MakeRaster, value: float) -> None:
    scene = Scene.open(make_raster("a.tif", ONES.astype(np.float32), nodata=value))
    assert declared(scene).values == ()


def test_an_internal_mask_says_so_otherwise(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", ONES, mask=np.eye(4, dtype=bool)))
    assert declared(scene) == Declared(values=(), otherwise=True)


@pytest.mark.parametrize(
    ("missing", "otherwise"), [((), False), ((0,), True), ((5,), True), ((2, 3), True)]
)
def test_a_hole_between_files_says_so_otherwise(
    make_raster: MakeRaster, missing: tuple[int, ...], otherwise: bool
) -> None:
    files = [
        make_raster(
            f"{n}.tif", ONES, transform=Affine(10, 0, 40 * (n % 3), 0, -10, 500 - 40 * (n // 3))
        )
        for n in range(6)
        if n not in missing
    ]
    # Another one lies over two of them.
    files.append(make_raster("over.tif", ONES, transform=Affine(10, 0, 50, 0, -10, 490)))
    assert declared(Scene.open(files)).otherwise is otherwise


def test_chosen_bands_declare_for_themselves(make_raster: MakeRaster) -> None:
    red = make_raster("s_red.tif", ONES[0], names=["red"], nodata=3)
    nir = make_raster("s_nir.tif", ONES[0], names=["nir"], nodata=5)
    scene = Scene.open([red, nir])
    assert declared(scene).values == (3, 5)
    assert declared(scene.select(["nir"])).values == (5,)
