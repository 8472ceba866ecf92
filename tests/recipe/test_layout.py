"""Paths in what people write of data, and whether they are there."""

from __future__ import annotations

import pytest

from geoseg.recipe.layout import named_paths, not_found

LAYOUT = """
train/images/NAME.jpg  train/masks/NAME.png
images/01.tif … images/20.tif   four bands, 0.5 m, e.g. of 25595_11025
`labels.tif`      one band: 1 corn, 2 soybean (see plots.gpkg), and districts/
Masks are rasters of one band: 0 unknown. Ask, then wait.
"""


def test_what_looks_like_a_path_is_one():
    assert named_paths(LAYOUT) == (
        *("train/images/NAME.jpg", "train/masks/NAME.png", "images/01.tif", "images/20.tif"),
        *("labels.tif", "plots.gpkg", "districts/"),
    )
    assert named_paths("") == ()


@pytest.mark.parametrize(
    ("path", "there", "missing"),
    [
        ("images/NAME.jpg", "images/a b.jpg", False),
        ("images/NAME.jpg", "images/a.JPG", False),
        ("images/NAME.jpg", "images/a.png", True),
        ("images/NAME.jpg", "masks/a.jpg", True),
        ("NUMBER_sat.jpg", "12_sat.jpg", False),
        ("NUMBER_sat.jpg", "12_mask.jpg", True),
        ("B2345.tif", "other.tif", True),
        ("districts/", "districts/a.shp", False),
        ("districts/", "other/a.shp", True),
        ("../up.tif", "a.tif", True),
    ],
)
def test_paths_are_looked_for_in_the_folder(tmp_path, path, there, missing):
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("")
    assert not_found(f"{path} is it", tmp_path) == ((path,) if missing else ())


def test_of_a_folder_that_is_not_there_all_is_missing(tmp_path):
    assert not_found("a.tif b.tif a.tif", tmp_path / "none") == ("a.tif", "b.tif")
