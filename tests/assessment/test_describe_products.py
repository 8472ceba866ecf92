"""Products and folders of outputs, as ``geoseg info`` sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.assessment.describe import describe
from geoseg.assessment.describe_text import text
from geoseg.errors import InputError, RasterReadError
from geoseg.raster.opening.handles import environment, open_dataset

ID = "LC09_L2SP_190026_20220715_20230407_02_T1"
HERE = Affine(30, 0, 500000, 0, -30, 4500000)


def write(path: Path, value: int = 9, *, side: float = 30) -> Path:
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "nodata": 0}
    place = {"crs": "EPSG:32633", "transform": HERE @ Affine.scale(side / 30)}
    with rasterio.open(path, "w", height=4, width=5, **profile, **place) as file:
        file.write(np.full((1, 4, 5), value, np.uint16))
    return path


def landsat(folder: Path, *bands: str) -> Path:
    folder.mkdir(exist_ok=True)
    for place, band in enumerate(bands):
        write(folder / f"{ID}_{band}.TIF", 10_000 + place)
    return folder


def metadata(folder: Path) -> Path:
    path = folder / f"{ID}_MTL.json"
    numbers = (2, 3)
    groups: dict[str, dict[str, str]] = {
        "PRODUCT_CONTENTS": {"LANDSAT_PRODUCT_ID": ID, "COLLECTION_NUMBER": "02"}
        | {f"FILE_NAME_BAND_{n}": f"{ID}_SR_B{n}.TIF" for n in numbers}
        | {"FILE_NAME_QUALITY": f"{ID}_QA_PIXEL.TIF"},
        "IMAGE_ATTRIBUTES": {"CLOUD_COVER": "12.50", "SUN_ELEVATION": "30.0"},
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {
            f"REFLECTANCE_{what}_BAND_{n}": value
            for n in numbers
            for what, value in (("MULT", "2.75e-05"), ("ADD", "-0.2"))
        },
    }
    path.write_text(json.dumps({"LANDSAT_METADATA_FILE": groups}))
    return path


def all_of(source: Path) -> list[dict[str, Any]]:
    found = list(describe(str(source)))
    assert all(isinstance(item, dict) for item in found), found
    return found  # type: ignore[return-value]


def test_the_folder_of_a_product_is_told_as_its_composite_would_be(tmp_path: Path) -> None:
    folder = landsat(tmp_path / "p", "QA_PIXEL", "SR_B3", "SR_B2")
    (found,) = all_of(folder)
    assert found["name"] == ID
    assert [band["name"] for band in found["bands"]] == ["blue", "green"]
    assert [band["in_files"] for band in found["bands"]] == ["SR_B2", "SR_B3"]
    assert found["sensor"]["name"] == "landsat-9-c2-l2"
    assert (found["acquired"], found["cloud_cover"]) == ("2022-07-15", None)
    assert found["quality"] == ["qa_pixel"]
    assert (found["bands"][0]["scale"], found["bands"][0]["offset"]) == (2.75e-05, -0.2)
    assert found["bands"][0]["mean"] == 10_002, "readings stay as they are in the files"
    told = text(found)
    assert "sensor    Landsat 9 Collection 2 level 2 (landsat-9-c2-l2)" in told
    assert "SR_B3" in told
    assert "geoseg composite" in told


def test_the_metadata_and_the_folder_name_the_same_product(tmp_path: Path) -> None:
    folder = landsat(tmp_path / "p", "QA_PIXEL", "SR_B2", "SR_B3")
    path = metadata(folder)
    by_folder, by_file = all_of(folder), all_of(path)
    assert by_folder == by_file
    assert by_file[0]["cloud_cover"] == 12.5
    assert "2022-07-15, 12.5 % cloud" in text(by_file[0])


def test_other_rasters_in_the_folder_are_told_too(tmp_path: Path) -> None:
    folder = landsat(tmp_path / "p", "SR_B2", "SR_B3", "SR_QA_AEROSOL")
    write(folder / "map.tif", 3)
    product, other = all_of(folder)
    assert product["name"] == ID
    assert other["files"] == [str(folder / "map.tif")]


def test_bands_of_two_sizes_are_two_scenes_of_the_product(tmp_path: Path) -> None:
    folder = landsat(tmp_path / "p", "SR_B2")
    write(folder / f"{ID}_SR_B3.TIF", side=60)
    found = all_of(folder)
    assert [[band["name"] for band in item["bands"]] for item in found] == [["blue"], ["green"]]
    assert {item["name"] for item in found} == {ID}


def test_two_products_in_a_folder_are_scenes_as_their_files_are(tmp_path: Path) -> None:
    folder = landsat(tmp_path / "p", "SR_B2", "SR_B3")
    for band in ("SR_B2", "SR_B3"):
        write(folder / f"LC08_L2SP_190026_20210715_20230407_02_T1_{band}.TIF")
    found = all_of(folder)
    assert [len(item["bands"]) for item in found] == [2, 2]
    assert [band["name"] for band in found[0]["bands"]] == ["SR_B2", "SR_B3"]


def test_a_folder_of_products_is_each_of_them(tmp_path: Path) -> None:
    landsat(tmp_path / "a", "SR_B2")
    landsat(tmp_path / "b", "SR_B3")
    (tmp_path / "notes").mkdir()
    found = all_of(tmp_path)
    assert [item["bands"][0]["name"] for item in found] == ["blue", "green"]


def test_metadata_without_its_bands_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RasterReadError, match=f"no band of {ID} is there; download"):
        list(describe(str(metadata(tmp_path))))


def test_a_stac_item_is_its_product_and_a_catalog_says_what_takes_it(tmp_path: Path) -> None:
    write(tmp_path / "b.tif")
    asset = {"href": "./b.tif", "eo:bands": [{"name": "B1", "common_name": "red"}]}
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "one",
        "properties": {"datetime": "2020-01-02T00:00:00Z"},
        "assets": {"B1": asset | {"type": "image/tiff", "roles": ["data"]}},
    }
    (tmp_path / "item.json").write_text(json.dumps(item))
    (found,) = all_of(tmp_path / "item.json")
    assert [band["name"] for band in found["bands"]] == ["red"]
    assert found["sensor"] is None
    assert "sensor" not in text(found)
    catalog = {"type": "Catalog", "stac_version": "1.0.0", "links": []}
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    with pytest.raises(InputError, match="is a STAC catalog and no scene; geoseg composite"):
        list(describe(str(tmp_path / "catalog.json")))


@pytest.mark.parametrize("ending", ["json", "txt", "xml"])
def test_metadata_where_a_raster_is_wanted_say_who_takes_them(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"{ID}_MTL.{ending}"
    path.write_text("GROUP = LANDSAT_METADATA_FILE")
    with (
        pytest.raises(RasterReadError, match="with geoseg composite, or name the folder"),
        environment(str(path)),
    ):
        open_dataset(str(path))


def test_looking_at_a_geopackage_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "tiles.gpkg"
    profile: dict[str, Any] = {"driver": "GPKG", "dtype": "uint8", "count": 1}
    with (
        rasterio.Env(GDAL_PAM_ENABLED="NO"),
        rasterio.open(
            path, "w", height=256, width=256, crs="EPSG:3857", transform=HERE, **profile
        ) as file,
    ):
        file.write(np.ones((1, 256, 256), np.uint8))
        file.update_tags(GEOSEG_COMMAND="geoseg tile")
    for _ in range(2):
        (found,) = all_of(path)
        assert "grid" in found or found["kind"] == "polygons"
        with environment(str(path)), open_dataset(str(path)) as dataset:
            dataset.read()
        assert [file.name for file in tmp_path.iterdir()] == ["tiles.gpkg"]


# -- folders that geoseg makes --------------------------------------------------------------------


def test_a_folder_of_scores_is_told_by_run(tmp_path: Path) -> None:
    made = {"command": "geoseg evaluate map.tif labels.tif", "version": "0.1.0"}
    scores = {"geoseg": "0.1.0", "fingerprints": {"map.tif": "ab"}, "made_by": made}
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    (tmp_path / "classes.csv").write_text("id,name\n1,water\n")
    (tmp_path / "notes.txt").write_text("mine")
    (found,) = all_of(tmp_path)
    assert found["kind"] == "folder"
    assert found["holds"] == [
        {"name": "classes.csv", "kind": "table"},
        {"name": "scores.json", "kind": "scores"},
    ]
    assert found["made_by"]["command"] == made["command"]
    told = text(found).splitlines()
    assert told[0] == str(tmp_path)
    assert any("made by  geoseg evaluate map.tif labels.tif" in line for line in told)


def test_a_folder_of_nothing_that_is_known_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (found,) = describe(str(tmp_path))
    assert isinstance(found, InputError)
    assert "holds no rasters" in str(found)
