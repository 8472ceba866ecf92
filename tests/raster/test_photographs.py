"""Pictures without a place on Earth: which they are, where taken, with what they belong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geoseg.errors import InputError, RasterReadError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grouping import group_scenes
from geoseg.raster.legend.style import is_folder_of_maps
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.pairing import pair_by_stem
from geoseg.raster.photographs import find_photographs, place_of
from geoseg.raster.plain import PlainWriter, plain_grid


def shoot(path: Path, gps: dict[int, Any] | None = None, *, grey: bool = False) -> Path:
    exif = Image.Exif()
    if gps is not None:
        exif[0x8825] = gps
    pixels = np.full((4, 6) if grey else (4, 6, 3), 9, np.uint8)
    Image.fromarray(pixels).save(path, exif=exif.tobytes())
    return path


@pytest.mark.parametrize(
    ("gps", "place"),
    [
        ({1: "N", 2: (48, 30, 36), 3: "E", 4: (2, 15, 0)}, (2.25, 48.51)),
        ({1: "S", 2: (48.5, 0, 0), 3: "W", 4: (180, 0, 0)}, (-180, -48.5)),
        (None, None),
        ({1: "N", 2: (48, 30, 36)}, None),
        ({1: "N", 2: (0, 0, 0), 3: "E", 4: (0, 0, 0)}, None),
        ({1: "N", 2: (91, 0, 0), 3: "E", 4: (2, 0, 0)}, None),
        ({1: "X", 2: (48, 0, 0), 3: "E", 4: (2, 0, 0)}, None),
    ],
)
def test_the_place_of_a_photograph_is_that_of_its_exif(
    tmp_path: Path, gps: dict[int, Any] | None, place: tuple[float, float] | None
) -> None:
    found = place_of(str(shoot(tmp_path / "a.jpg", gps)))
    assert found == (None if place is None else pytest.approx(place))


def test_a_file_that_is_none_has_no_place(tmp_path: Path) -> None:
    with pytest.raises(RasterReadError, match="no such file"):
        place_of(str(tmp_path / "a.jpg"))


def test_pictures_without_a_place_are_photographs_and_nothing_else_is(tmp_path: Path) -> None:
    shoot(tmp_path / "a.jpg")
    shoot(tmp_path / "b.png")
    (tmp_path / "c.jpg").write_bytes(b"no picture")
    found = find_photographs([tmp_path])
    assert found is not None
    assert [Path(path).name for path in found.paths] == ["a.jpg", "b.png"]
    assert found.pixels == 48
    assert [Path(problem.path).name for problem in found.problems] == ["c.jpg"]
    grid = plain_grid(2, 2)
    with PlainWriter(
        tmp_path / "d.tif", grid, band_names=["red"], dtype="uint8", nodata=None
    ) as writer:
        writer.write(grid.window, np.ones((1, 2, 2), np.uint8))
    assert find_photographs([tmp_path]) is None
    assert find_photographs([tmp_path / "c.jpg"]) is None


def test_photographs_in_grey_are_scenes_and_no_bands_of_one(tmp_path: Path) -> None:
    for number in range(3):
        shoot(tmp_path / f"IMG_{number:04d}.jpg", grey=True)
    scenes, problems = group_scenes([tmp_path])
    assert len(scenes) == 3
    assert not problems
    for band in ("red", "nir"):
        shoot(tmp_path / f"field_{band}.png", grey=True)
    scenes, _ = group_scenes([tmp_path / "field_red.png", tmp_path / "field_nir.png"])
    assert [scene.band_names for scene in scenes] == [("red", "nir")]


def test_files_are_paired_by_name_in_the_order_of_the_first() -> None:
    found = pair_by_stem(["x/b.jpg", "x/a.jpg", "x/c.jpg"], ["y/a.png", "y/b.tif", "y/d.png"])
    assert found.pairs == (("x/b.jpg", "y/b.tif"), ("x/a.jpg", "y/a.png"))
    assert found.first_alone == ("x/c.jpg",)
    assert found.second_alone == ("y/d.png",)


@pytest.mark.parametrize(
    ("first", "second"), [(["a.jpg"], ["a.png", "a.tif"]), (["a.jpg", "a.png"], ["a.tif"])]
)
def test_names_that_mean_two_files_are_refused(first: list[str], second: list[str]) -> None:
    with pytest.raises(InputError, match="same name but for the ending"):
        pair_by_stem(first, second)
    assert pair_by_stem(first, ["b.tif", "b.png"]).pairs == ()


def test_only_folders_of_rasters_written_here_with_their_styles_may_be_replaced(
    tmp_path: Path,
) -> None:
    grid = plain_grid(2, 2)
    with RasterWriter(
        tmp_path / "a.tif", grid, band_names=["class"], dtype="uint8", nodata=255,
        legend=parse_legend("1=plant"),
    ) as writer:  # fmt: skip
        writer.write_rows(0, np.ones((2, 2), np.uint8))
    assert is_folder_of_maps(tmp_path)
    with PlainWriter(
        tmp_path / "own.tif", grid, band_names=["red"], dtype="uint8", nodata=None
    ) as plain:
        plain.write(grid.window, np.ones((1, 2, 2), np.uint8))
    assert not is_folder_of_maps(tmp_path)
    (tmp_path / "own.tif").unlink()
    shoot(tmp_path / "b.jpg")
    assert not is_folder_of_maps(tmp_path)
