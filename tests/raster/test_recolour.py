"""Scenes whose readings are changed on their way out of the files: by value and place, once."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.errors import ColourError
from geoseg.raster.grid import Grid
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

MakeRaster = Callable[..., Path]
RNG = np.random.default_rng(7)
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@dataclass(frozen=True)
class ByPlace:
    """Adds 10 × row + column, and to each band its own number; what is invalid it leaves alone."""

    added: tuple[int, ...]

    def select(self, order: Sequence[int]) -> ByPlace:
        return ByPlace(tuple(self.added[i] for i in order))

    def apply(self, data: NDArray[Any], valid: NDArray[np.bool_], window: Window) -> int:
        place = ramp(data.shape[1], data.shape[2], window.row, window.col)
        limit = np.iinfo(data.dtype).max
        clipped = 0
        for band, added in zip(data, self.added, strict=True):
            changed = band.astype(np.int64) + place + added
            clipped += int((changed > limit)[valid].sum())
            band[valid] = np.minimum(changed, limit)[valid]
        return clipped


def ramp(height: int, width: int, row: int = 0, col: int = 0) -> NDArray[np.int64]:
    rows, cols = np.mgrid[row : row + height, col : col + width]
    return np.asarray(10 * rows + cols)


def whole(scene: Scene) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    pixels = scene.read(scene.grid.window)
    return pixels.data, pixels.valid


def readings(*shape: int) -> NDArray[np.uint16]:
    return RNG.integers(1, 200, shape).astype(np.uint16)


def test_valid_readings_change_and_invalid_ones_stay(make_raster: MakeRaster) -> None:
    data = np.array([[[5, 0, 7], [8, 9, 65535]]], np.uint16)
    scene = Scene.open(make_raster("a.tif", data, nodata=0)).recoloured(ByPlace((100,)))
    found, valid = whole(scene)
    assert found.tolist() == [[[105, 0, 109], [118, 120, 65535]]]
    assert valid.tolist() == [[True, False, True], [True, True, True]]
    assert scene.is_recoloured
    assert not scene.recoloured(None).is_recoloured
    assert np.array_equal(whole(scene.recoloured(None))[0], data)


def test_value_that_becomes_the_nodata_value_stays_valid(make_raster: MakeRaster) -> None:
    # Validity is that of the file: a recolouring that hits 7 makes no hole.
    scene = Scene.open(make_raster("a.tif", np.array([[[3, 7]]], np.uint16), nodata=7))
    found, valid = whole(scene.recoloured(ByPlace((4,))))
    assert (found.tolist(), valid.tolist()) == ([[[7, 7]]], [[True, False]])


@FEW
@given(st.data())
def test_any_window_gives_what_the_whole_gives(make_raster: MakeRaster, data: Any) -> None:
    scene = Scene.open(make_raster("w.tif", WINDOWED, nodata=50)).recoloured(ByPlace((1, 2)))
    expected, mask = whole(scene)
    row, col = data.draw(st.integers(0, 10)), data.draw(st.integers(0, 12))
    height, width = data.draw(st.integers(1, 11 - row)), data.draw(st.integers(1, 13 - col))
    out = np.zeros((2, height + 2, width + 3), np.uint16)  # a view that is not contiguous
    pixels = scene.read(Window(row, col, height, width), out=out[:, 1:-1, 2:-1])
    at = np.s_[row : row + height, col : col + width]
    assert np.array_equal(pixels.data, expected[(slice(None), *at)])
    assert np.array_equal(pixels.valid, mask[at])
    assert np.array_equal(expected[:, mask], (WINDOWED + ramp(11, 13))[:, mask] + [[1], [2]])


WINDOWED = readings(2, 11, 13)


def test_bands_keep_their_colour_when_chosen_later(make_raster: MakeRaster) -> None:
    path = make_raster("a.tif", readings(3, 4, 5), names=["red", "green", "nir"])
    scene = Scene.open(path).recoloured(ByPlace((100, 200, 300)))
    all_bands = whole(scene)[0]
    assert np.array_equal(whole(scene.select(["nir", "red"]))[0], all_bands[[2, 0]])
    renamed = scene.renamed(["r", "g", "n"]).select(["g"])
    assert np.array_equal(whole(renamed)[0], all_bands[[1]])


def test_bands_of_a_narrower_type_keep_what_did_not_fit_into_it(make_raster: MakeRaster) -> None:
    narrow = make_raster("x_B1.tif", np.full((1, 2, 2), 250, np.uint8))
    wide = make_raster("x_B2.tif", np.full((1, 2, 2), 999, np.uint16))
    scene = Scene.open([narrow, wide]).recoloured(ByPlace((40, 0)))
    assert whole(scene)[0][0].tolist() == [[290, 291], [300, 301]]
    alone = scene.select([scene.band_names[0]])
    assert alone.dtype == np.uint16
    assert whole(alone)[0].tolist() == [[[290, 291], [300, 301]]]


def test_part_of_the_pixels_is_changed_by_its_place_in_the_file(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", readings(1, 6, 7))).recoloured(ByPlace((0,)))
    expected = whole(scene)[0]
    part = scene.on_grid(scene.grid.crop(Window(2, 3, 4, 4)))
    assert np.array_equal(whole(part)[0], expected[:, 2:, 3:])
    shifted = Grid(
        crs=scene.grid.crs,
        transform=scene.grid.transform @ Affine.translation(-2, -1),
        height=6,
        width=7,
    )
    found, valid = whole(scene.on_grid(shifted))
    assert np.array_equal(found[:, 1:, 2:], expected[:, :5, :5])
    assert not valid[0].any()
    assert not valid[:, :2].any()
    assert not found[:, ~valid].any()


def test_another_grid_sees_the_changed_readings(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", readings(1, 8, 8)))
    finer = Grid(
        crs=scene.grid.crs,
        transform=scene.grid.transform @ Affine.scale(0.5),
        height=16,
        width=16,
    )
    for view in (
        scene.recoloured(ByPlace((9,))).on_grid(finer),
        scene.on_grid(finer).recoloured(ByPlace((9,))),
    ):
        assert view.is_warped
        expected = whole(scene)[0] + ramp(8, 8).astype(np.uint16) + 9
        assert np.array_equal(whole(view)[0], np.kron(expected, np.ones((1, 2, 2), np.uint16)))


def test_tiles_of_an_export_are_changed_by_their_place_in_all_of_it(
    make_raster: MakeRaster,
) -> None:
    data = readings(1, 6, 8)
    data[0, 2, 2] = 0
    grid = Scene.open(make_raster("all.tif", data, nodata=0)).grid
    paths = []
    for number, (row, col, height, width) in enumerate([(0, 0, 6, 5), (0, 3, 6, 5)]):
        at = np.s_[:, row : row + height, col : col + width]
        place = grid.crop(Window(row, col, height, width)).transform
        paths.append(make_raster(f"t{number}.tif", data[at], nodata=0, transform=place))
    mosaic = Scene.open(paths)
    assert mosaic.grid == grid
    found, valid = whole(mosaic.recoloured(ByPlace((7,))))
    assert np.array_equal(found[:, valid], (data + ramp(6, 8) + 7)[:, valid])
    assert (~valid).sum() == 1


def test_colour_goes_with_a_scene_into_threads_and_processes(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", readings(2, 40, 9))).recoloured(ByPlace((3, 4)))
    expected = whole(scene)[0]
    assert np.array_equal(whole(pickle.loads(pickle.dumps(scene)))[0], expected)
    with ThreadPoolExecutor(4) as pool:
        rows = pool.map(lambda row: scene.read(Window(row, 0, 1, 9)).data, range(40))
        assert np.array_equal(np.concatenate(list(rows), axis=1), expected)


def test_overviews_are_not_read_in_a_colour_that_they_do_not_have(make_raster: MakeRaster) -> None:
    blocks = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    scene = Scene.open(make_raster("a.tif", readings(1, 64, 64), overviews=[2, 4], **blocks))
    assert scene.read_overview(256) is not None
    assert scene.recoloured(ByPlace((0,))).read_overview(256) is None


def test_second_colour_is_refused(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", readings(1, 3, 3))).recoloured(ByPlace((1,)))
    with pytest.raises(ColourError, match="a: has been brought to another colour already"):
        scene.recoloured(ByPlace((1,)))
