"""EXIF of PNG and WebP, against what GDAL reads of a JPEG with the same block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from geoseg.raster.opening.exif import exif_tags
from geoseg.raster.photographs import place_of
from geoseg.raster.scene import Scene

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3


def save(path: Path, orientation: int | None = 6, *, place: bool = False) -> Path:
    exif = Image.Exif()
    if orientation is not None:
        exif[274] = orientation
    if place:
        exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.12), 3: "W", 4: (2.0, 21.0, 0.0)}
    options: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    Image.fromarray(PIXELS).save(path, exif=exif.tobytes(), **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_read_as_they_are_shown(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = save(tmp_path / f"shot{suffix}", orientation)
    with Image.open(path) as stored:
        shown = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    with Scene.open(path) as scene:
        read = scene.read(scene.grid.window).data
    np.testing.assert_array_equal(read.transpose(1, 2, 0), shown)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_tags_are_those_that_gdal_has_of_a_jpeg(tmp_path: Path, suffix: str) -> None:
    jpeg = save(tmp_path / "shot.jpg", place=True)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(jpeg) as file:
        wanted = file.tags()
    path = save(tmp_path / f"shot{suffix}", place=True)
    found = exif_tags(str(path))
    assert sorted(found) == sorted(name for name in wanted if name in found)
    assert len(found) == 5
    assert found["EXIF_Orientation"] == wanted["EXIF_Orientation"] == "6"
    assert place_of(str(path)) == pytest.approx((-2.35, 48 + 51 / 60 + 30.12 / 3600))
    assert place_of(str(path)) == pytest.approx(place_of(str(jpeg)))


def test_files_without_a_block_say_nothing(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "plain.png")
    assert exif_tags(str(tmp_path / "plain.png")) == {}
    assert exif_tags(str(save(tmp_path / "shot.jpg"))) == {}  # GDAL's to read
    assert exif_tags(str(tmp_path / "missing.png")) == {}


@given(st.data())
def test_damaged_blocks_do_no_harm(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = save(folder / "whole.png", place=True).read_bytes()
    at = whole.index(b"eXIf") + 4
    place = data.draw(st.integers(at, len(whole) - 1))
    value = data.draw(st.binary(min_size=1, max_size=8))
    bad = folder / "bad.png"
    bad.write_bytes(
        (whole[:place] + value + whole[place + len(value) :])[
            : data.draw(st.integers(at, len(whole)))
        ]
    )
    assert all(isinstance(text, str) for text in exif_tags(str(bad)).values())
