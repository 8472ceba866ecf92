from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import RasterReadError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.describe import describe_grid, describe_scene
from geoseg.raster.grid import Grid
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.provenance import provenance
from geoseg.raster.scene import Scene

UTM = "EPSG:32612"
HERE = Affine(30, 0, 300000, 0, -30, 4000000)


def grid(
    transform: Affine = HERE, crs: str | None = UTM, *, height: int = 3, width: int = 4
) -> Grid:
    place = None if crs is None else CRS.from_string(crs)
    return Grid(crs=place, transform=transform, height=height, width=width)


def write(path: Path, data: Any, *, dtype: str = "uint16", **profile: Any) -> Path:
    pixels = np.array(data, dtype=dtype)
    count, height, width = pixels.shape
    options = {"driver": "GTiff", "crs": UTM, "transform": HERE} | profile
    with rasterio.open(
        path, "w", count=count, height=height, width=width, dtype=dtype, **options
    ) as file:
        file.write(pixels)
        if "descriptions" in profile:
            file.descriptions = profile["descriptions"]
    return path


def classes(path: Path, pixels: Any, legend: str, **options: Any) -> Path:
    data = np.array(pixels, dtype=np.uint8)
    with RasterWriter(
        path,
        grid(height=data.shape[0], width=data.shape[1]),
        band_names=["class"],
        dtype="uint8",
        nodata=255,
        legend=parse_legend(legend),
        **options,
    ) as writer:
        writer.write_rows(0, data)
    return path


def described(path: Path) -> dict[str, Any]:
    with Scene.open(path) as scene:
        return describe_scene(scene)


# -- grids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "orientation"),
    [
        (HERE, "north up"),
        (Affine(30, 0, 0, 0, 30, 0), "south up"),
        (Affine(-30, 0, 0, 0, -30, 0), "north up, east to the left"),
        (Affine(0, 30, 0, 30, 0, 0), "rotated by 90°"),
        (Affine(0, 30, 0, -30, 0, 0), "rotated by -90°, mirrored"),
        (Affine(30, 10, 0, 0, -30, 0), "sheared, rows at 0°"),
    ],
)
def test_orientation_is_said_in_words(transform: Affine, orientation: str) -> None:
    assert describe_grid(grid(transform))["orientation"] == orientation


def test_rotation_is_said_in_degrees() -> None:
    c, s = 30 * math.cos(math.radians(12.5)), 30 * math.sin(math.radians(12.5))
    found = describe_grid(grid(Affine(c, s, 0, s, -c, 0)))
    assert found["orientation"] == "rotated by 12.5°"
    assert found["resolution"] == pytest.approx([30, 30])


def test_grid_has_bounds_centre_and_code() -> None:
    found = describe_grid(grid())
    assert found["bounds"] == [300000, 3999910, 300120, 4000000]
    assert (found["crs"], found["crs_name"]) == (UTM, "WGS 84 / UTM zone 12N")
    assert found["units"] == "metre"
    longitude, latitude = found["centre"]
    assert -114 < longitude < -112
    assert 36 < latitude < 37


def test_code_of_a_coordinate_system_is_no_guess() -> None:
    # UTM zone 12 by its parameters only: PROJ finds EPSG:6367 (Mexico) for it, at a guess.
    wkt = (
        'PROJCS["UTM Zone 12, Northern Hemisphere",GEOGCS["GRS 1980",DATUM["unknown",'
        'SPHEROID["GRS80",6378137,298.257222101]],PRIMEM["Greenwich",0],'
        'UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
        'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",-111],'
        'PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],'
        'PARAMETER["false_northing",0],UNIT["metre",1]]'
    )
    found = describe_grid(Grid(crs=CRS.from_wkt(wkt), transform=HERE, height=3, width=4))
    assert found["crs"] is None
    assert found["crs_name"] == "UTM Zone 12, Northern Hemisphere"


def test_grid_without_a_place_has_none() -> None:
    found = describe_grid(grid(Affine.identity(), None))
    for key in ("units", "crs", "crs_name", "orientation", "bounds", "centre"):
        assert found[key] is None


# -- scenes ---------------------------------------------------------------------------------------


def test_bands_are_described_with_statistics_of_valid_pixels(tmp_path: Path) -> None:
    data = [[[0, 2, 4, 6]], [[1, 1, 3, 0]]]
    path = write(tmp_path / "s.tif", data, nodata=0, descriptions=["red", None])
    found = described(path)
    assert found["kind"] == "scene"
    red, other = found["bands"]
    assert (red["name"], red["named"], other["named"]) == ("red", True, False)
    # Columns 1 and 2 are valid in both.
    assert (red["minimum"], red["maximum"], red["mean"], red["std"]) == (2, 4, 3, 1)
    assert (other["minimum"], other["maximum"], other["nodata"]) == (1, 3, 0)
    assert found["nodata_share"] == 0.5
    assert found["statistics"] == {"pixels": 4, "exact": True}
    assert found["classes"] is None
    assert found["values"] is None
    assert found["bytes"] == path.stat().st_size
    assert any("bands without names" in remark for remark in found["remarks"])


def test_layout_is_that_of_the_file(tmp_path: Path) -> None:
    data = np.ones((1, 64, 64))
    tiled: dict[str, Any] = {
        "tiled": True,
        "blockxsize": 32,
        "blockysize": 16,
        "compress": "deflate",
    }
    assert described(write(tmp_path / "t.tif", data, **tiled))["layout"] == {
        "block_rows": 16,
        "block_cols": 32,
        "tiled": True,
        "compression": "deflate",
        "overviews": [],
        "cloud_optimized": False,
    }
    striped = described(write(tmp_path / "s.tif", data, blockysize=8))["layout"]
    assert (striped["tiled"], striped["block_rows"], striped["compression"]) == (False, 8, None)


def test_values_of_one_band_without_classes_are_listed_if_they_are_few(tmp_path: Path) -> None:
    path = write(tmp_path / "l.tif", [[[3, 3, 9, 255]]], dtype="uint8", nodata=255)
    assert described(path)["values"] == [
        {"value": 3, "share": 2 / 3},
        {"value": 9, "share": 1 / 3},
    ]
    many = write(tmp_path / "m.tif", np.arange(100).reshape(1, 10, 10))
    assert described(many)["values"] is None
    measured = write(tmp_path / "f.tif", [[[0.5, 1.5]]], dtype="float32")
    assert described(measured)["values"] is None


def test_class_raster_has_its_classes_with_shares_and_its_maker(tmp_path: Path) -> None:
    tags = provenance(
        ["geoseg", "predict", "scene.tif"], {"scene.tif": "ab"}, {"name": "small", "hash": "cd"}, {}
    )
    path = classes(
        tmp_path / "c.tif", [[1, 1, 2, 255]], "1=water:#0000ff,2=forest,3=ice", tags=tags
    )
    found = described(path)
    assert found["kind"] == "class raster"
    water, forest, ice = found["classes"]
    assert water == {"id": 1, "name": "water", "color": "#0000ff", "share": 2 / 3}
    assert (forest["share"], ice["share"]) == (1 / 3, 0)
    assert found["made_by"]["command"] == "geoseg predict scene.tif"
    assert found["made_by"]["model"]["name"] == "small"
    assert found["layout"]["cloud_optimized"]
    assert found["remarks"] == []


def test_values_that_the_legend_does_not_name_are_told(tmp_path: Path) -> None:
    path = classes(tmp_path / "c.tif", [[1, 7, 8, 255]], "1=water")
    (remark,) = described(path)["remarks"]
    assert remark == "holds values that its legend does not name: 7, 8"


def test_damaged_legend_is_told_and_the_rest_described(tmp_path: Path) -> None:
    path = classes(tmp_path / "c.tif", [[1, 1, 1, 255]], "1=water")
    Path(f"{path}.aux.xml").write_text("<PAMDataset><broken")
    found = described(path)
    assert found["classes"] is None
    assert any("legend cannot be used" in remark for remark in found["remarks"])


def test_scene_without_a_valid_pixel_is_described_and_that_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", np.zeros((2, 3, 4)), nodata=0, descriptions=["a", "b"])
    found = described(path)
    assert found["nodata_share"] == 1
    assert found["bands"][0]["mean"] is None
    assert found["remarks"] == ["no pixel looked at is valid in all bands"]


def test_large_class_raster_is_looked_at_through_its_overviews(tmp_path: Path) -> None:
    pixels = np.ones((1500, 1400), np.uint8)
    pixels[:, 700:] = 2
    found = described(classes(tmp_path / "c.tif", pixels, "1=west,2=east"))
    assert found["layout"]["overviews"]
    assert not found["statistics"]["exact"]
    assert [c["share"] for c in found["classes"]] == pytest.approx([0.5, 0.5], abs=0.01)


def test_truncated_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = write(tmp_path / "s.tif", rng.integers(0, 9999, (2, 400, 400)), blockysize=16)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RasterReadError, match=r"s\.tif"):
        described(path)
