"""Areas as a person gives them, and what outputs say of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import OptionError
from geoseg.inference.cam.settings import LabelSettings
from geoseg.inference.settings import PredictSettings, asked_area, meant_area
from geoseg.raster.grid import Grid

GRID = Grid(crs=CRS.from_epsg(32612), transform=Affine(30, 0, 0, 0, -30, 0), height=100, width=100)


@pytest.mark.parametrize(
    ("typed", "told", "pixels", "meant"),
    [
        ("2ha", "2ha", 23, {"min-area-pixels": 23}),
        (" 450 M² ", "450m2", 1, {"min-area-pixels": 1}),
        ("23px", "23px", 23, {}),
        ("23", "23px", 23, {}),
        (None, "0px", 0, {}),
    ],
)
def test_an_area_is_told_as_it_was_typed_with_what_it_meant(
    typed: str | None, told: str, pixels: int, meant: dict[str, int]
) -> None:
    asked = asked_area(typed, GRID)
    settings = replace(PredictSettings(), **asked)
    labels = replace(LabelSettings(), **asked)
    assert settings.min_area == labels.min_area == pixels
    assert settings.words()["min-area"] == labels.words()["min-area"] == told
    assert meant_area(settings.min_area, settings.min_area_given) == meant


@pytest.mark.parametrize("typed", ["0.5", "0.5px", " 2.5 PX "])
def test_a_part_of_a_pixel_is_a_forgotten_unit(typed: str) -> None:
    with pytest.raises(OptionError, match=r"is no area; write 3500px, 0\.5ha or 450m2"):
        asked_area(typed, GRID)
