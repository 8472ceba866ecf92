"""Sentinel-2 folders as they are downloaded, made small."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from geoseg.compositing.products import open_product
from geoseg.errors import RasterReadError

Write = Callable[..., Path]

NAME = "S2A_MSIL2A_20201126T154319_N0214_R125_T11CMM_20201127T152008.SAFE"
XML = "<a><PROCESSING_BASELINE>{}</PROCESSING_BASELINE>" + (
    "<Cloud_Coverage_Assessment>3.25</Cloud_Coverage_Assessment></a>"
)


@pytest.fixture
def safe(write: Write, tmp_path: Path) -> Path:
    """Bands of 10 m hold 10, those of 20 m 20, those of 60 m 60."""
    for metres, bands in ((10, "B02 B03 B04 B08"), (20, "B02 B05 B11 SCL"), (60, "B01 B02 SCL")):
        side = 120 // metres
        for band in bands.split():
            name = f"IMG_DATA/R{metres}m/T11CMM_20201126T154319_{band}_{metres}m.tif"
            data = [[metres] * side] * side
            write(f"{NAME}/GRANULE/L2A_T11CMM/{name}", data, pixel=metres)
    write(f"{NAME}/GRANULE/L2A_T11CMM/IMG_DATA/R10m/T11CMM_20201126T154319_TCI_10m.tif", [[1]])
    return tmp_path / NAME


def test_a_folder_is_a_product_with_the_smallest_pixels_of_each_band(safe: Path) -> None:
    (safe / "MTD_MSIL2A.xml").write_text(XML.format("02.14"))
    product = open_product(safe)
    assert product.name == NAME.removesuffix(".SAFE")
    assert product.acquired == date(2020, 11, 26)
    assert product.cloud_cover == 3.25
    names = ("ultra blue", "blue", "green", "red", "red edge 1", "nir", "swir1")
    assert product.band_names == names
    scenes = product.scenes(["blue", "swir1", "nir", "ultra blue"])
    assert [(s.band_names, s.grid.width) for s in scenes] == [
        (("blue", "nir"), 12),
        (("swir1",), 6),
        (("ultra blue",), 2),
    ]
    assert (scenes[0].read(scenes[0].grid.window).data == 10).all()
    quality = product.quality()
    assert quality is not None
    assert (quality.band_names, quality.grid.width) == (("scl",), 6)
    assert {(b.scale, b.offset, b.fill) for b in product.bands} == {(0.0001, 0.0, 0)}
    assert open_product(safe / "MTD_MSIL2A.xml").bands == product.bands


def test_the_baseline_of_the_metadata_goes_before_that_of_the_name(safe: Path) -> None:
    (safe / "MTD_MSIL2A.xml").write_text(XML.format("05.09"))
    assert {band.offset for band in open_product(safe).bands} == {-0.1}
    (safe / "MTD_MSIL2A.xml").unlink()
    assert {band.offset for band in open_product(safe).bands} == {0.0}


def test_without_a_baseline_it_is_refused(safe: Path) -> None:
    folder = safe.rename(safe.parent / "scene")
    with pytest.raises(RasterReadError, match=r"does not say its processing baseline.*MTD_MSIL2A"):
        open_product(folder)
    (folder / "MTD_MSIL2A.xml").write_text(XML.format("4"))
    with pytest.raises(RasterReadError, match="“4” is no processing baseline"):
        open_product(folder)


def test_quality_may_be_left_out(safe: Path) -> None:
    assert open_product(safe, quality="none").quality() is None
    for file in safe.rglob("*_SCL_*"):
        file.unlink()
    with pytest.raises(RasterReadError, match="has no quality band there"):
        open_product(safe).quality()


def test_folders_without_level_2a_or_with_several_granules_are_refused(safe: Path) -> None:
    (safe / "GRANULE" / "L2A_T11CMN").mkdir()
    with pytest.raises(RasterReadError, match="holds 2 granules"):
        open_product(safe)
    (safe / "GRANULE" / "L2A_T11CMN").rmdir()
    for file in safe.rglob("*.tif"):
        file.unlink()
    with pytest.raises(RasterReadError, match="holds no bands of level 2A"):
        open_product(safe)
