"""Photographs are read as they are shown: turned by their EXIF orientation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageOps

from geoseg.errors import RasterReadError
from geoseg.raster.orientation import Orientation
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window


def photograph(path: Path, code: int | None, *, height: int = 40, width: int = 56) -> Path:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse.repeat(8, axis=0).repeat(8, axis=1))
    exif = Image.Exif()
    if code is not None:
        exif[0x0112] = code
    picture.save(path, quality=95, exif=exif.tobytes())
    return path


def shown(path: Path, code: int) -> NDArray[np.uint8]:
    """What GDAL decodes, turned by Pillow: two decoders of JPEG do not agree to the bit."""
    with rasterio.open(path) as file:
        picture = Image.fromarray(np.ascontiguousarray(file.read().transpose(1, 2, 0)))
    picture.getexif()[0x0112] = code
    turned = ImageOps.exif_transpose(picture)
    assert turned is not None
    return np.asarray(turned).transpose(2, 0, 1)


pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.mark.parametrize("code", range(1, 9))
def test_every_orientation_is_read_as_it_is_shown(tmp_path: Path, code: int) -> None:
    path = photograph(tmp_path / "a.jpg", code)
    truth = shown(path, code)
    with Scene.open(path) as scene:
        assert (scene.grid.height, scene.grid.width) == truth.shape[1:]
        whole = scene.read(scene.grid.window)
        assert np.array_equal(whole.data, truth)
        assert whole.valid.all()
        part = Window(3, 5, 20, 17)
        assert np.array_equal(scene.read(part).data, truth[(slice(None), *part.slices())])
        strips = list(read_strips([scene], target_rows=7, workers=2))
        rows = np.concatenate([strip.arrays[0] for strip in strips], axis=1)
        assert np.array_equal(rows, truth)
        one = scene.select(["green"]).read(part)
        assert np.array_equal(one.data[0], truth[1][part.slices()])


def test_a_window_is_found_where_it_is_stored() -> None:
    """Turned to the right: what is shown in the last column was stored in the first row."""
    turned = Orientation.of_tag("6", stored_height=2, stored_width=3)
    assert (turned.height, turned.width) == (3, 2)
    assert turned.stored(Window(0, 1, 1, 1)) == Window(0, 0, 1, 1)
    assert turned.stored(Window(2, 0, 1, 2)) == Window(0, 2, 2, 1)
    target = np.zeros((3, 2), int)
    turned.as_stored(target)[...] = [[1, 2, 3], [4, 5, 6]]
    assert target.tolist() == [[4, 1], [5, 2], [6, 3]]


def test_a_picture_with_a_place_on_earth_is_not_turned(tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.jpg", 6)
    (tmp_path / "a.jgw").write_text("1\n0\n0\n-1\n100\n200\n")
    with Scene.open(path) as scene:
        assert (scene.grid.height, scene.grid.width) == (40, 56)


@pytest.mark.parametrize("tag", [None, "", "0", "9", "12", "x"])
def test_an_orientation_that_is_none_is_as_stored(tag: str | None) -> None:
    assert not Orientation.of_tag(tag, stored_height=2, stored_width=3).is_turned


def test_a_photograph_cut_short_is_refused(tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.jpg", 6, height=400, width=560)
    path.write_bytes(path.read_bytes()[:6000])
    with Scene.open(path) as scene, pytest.raises(RasterReadError, match="truncated"):
        scene.read(scene.grid.window)
