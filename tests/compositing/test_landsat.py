"""Landsat products: folders and metadata files of small made products."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.compositing.landsat import Identity, is_one, read_metadata
from geoseg.compositing.products import open_product
from geoseg.errors import BandError, GridError, OptionError, RasterReadError

Write = Callable[..., Path]

L2 = "LC09_L2SP_190026_20220715_20230407_02_T1"
L1 = "LE07_L1TP_190026_20010715_20170204_01_T1"


def metadata_of_level_2(**image: str) -> dict[str, dict[str, str]]:
    bands = [f"SR_B{n}" for n in range(1, 8)] + ["ST_B10", "QA_PIXEL", "QA_RADSAT"]
    return {
        "PRODUCT_CONTENTS": {"LANDSAT_PRODUCT_ID": L2, "COLLECTION_NUMBER": "02"}
        | {f"FILE_NAME_{i}": f"{L2}_{band}.TIF" for i, band in enumerate(bands)}
        | {"FILE_NAME_METADATA_ODL": f"{L2}_MTL.txt"},
        "IMAGE_ATTRIBUTES": {"CLOUD_COVER": "12.50", "SUN_ELEVATION": "30.0"} | image,
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {
            f"REFLECTANCE_{what}_BAND_{n}": value
            for n in range(1, 8)
            for what, value in (("MULT", "2.75e-05"), ("ADD", "-0.2"))
        },
        "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS": {
            "TEMPERATURE_MULT_BAND_ST_B10": "0.00341802",
            "TEMPERATURE_ADD_BAND_ST_B10": "149.0",
        },
        # Names files of level 1, which are not part of the product.
        "LEVEL1_PROCESSING_RECORD": {"FILE_NAME_BAND_8": "LC09_L1TP_190026_20220715_B8.TIF"},
    }


def metadata_of_level_1(elevation: str = "30.0") -> dict[str, dict[str, str]]:
    names = {f"FILE_NAME_BAND_{n}": f"{L1}_B{n}.TIF" for n in ("1", "2", "3", "4", "5", "7", "8")}
    names |= {f"FILE_NAME_BAND_6_VCID_{n}": f"{L1}_B6_VCID_{n}.TIF" for n in (1, 2)}
    scales = {
        f"REFLECTANCE_{what}_BAND_{n}": str(value)
        for n in (1, 2, 3, 4, 5, 7, 8)
        for what, value in (("MULT", 0.002 * n), ("ADD", -0.01 * n))
    }
    scales |= {"RADIANCE_MULT_BAND_6_VCID_1": "0.067", "RADIANCE_ADD_BAND_6_VCID_1": "-0.067"}
    scales |= {"RADIANCE_MULT_BAND_6_VCID_2": "0.037", "RADIANCE_ADD_BAND_6_VCID_2": "3.16"}
    return {
        "METADATA_FILE_INFO": {"LANDSAT_PRODUCT_ID": L1, "COLLECTION_NUMBER": "01"},
        "PRODUCT_METADATA": names | {"FILE_NAME_BAND_QUALITY": f"{L1}_BQA.TIF"},
        "IMAGE_ATTRIBUTES": {"CLOUD_COVER": "-1", "SUN_ELEVATION": elevation},
        "RADIOMETRIC_RESCALING": scales,
    }


def as_text(groups: dict[str, dict[str, str]]) -> str:
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for group, pairs in groups.items():
        lines.append(f"  GROUP = {group}")
        for key, value in pairs.items():
            quoted = value if value.replace(".", "").replace("-", "").isdecimal() else f'"{value}"'
            lines.append(f"    {key} = {quoted}")
        lines.append(f"  END_GROUP = {group}")
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END", ""])


def lay(
    write: Write, folder: Path, groups: dict[str, dict[str, str]], product: str, bands: str
) -> Path:
    """A product whose band number i holds 1000 × i, and fill in its first pixel."""
    for i, band in enumerate(bands.split(), start=1):
        data = np.full((2, 3), 1000 * i)
        data[0, 0] = 0
        write(folder / f"{product}_{band}.TIF", data)
    (folder / f"{product}_MTL.txt").write_text(as_text(groups))
    return folder


@pytest.fixture
def level_2(write: Write, tmp_path: Path) -> Path:
    bands = "SR_B1 SR_B2 SR_B3 SR_B4 SR_B5 SR_B6 SR_B7 QA_PIXEL QA_RADSAT"
    return lay(write, tmp_path / "l2", metadata_of_level_2(), L2, bands)


@pytest.fixture
def level_1(write: Write, tmp_path: Path) -> Path:
    bands = "B1 B2 B3 B4 B5 B6_VCID_1 B6_VCID_2 B7 B8 BQA"
    return lay(write, tmp_path / "l1", metadata_of_level_1(), L1, bands)


def test_a_folder_is_a_product_with_bands_by_common_name(level_2: Path) -> None:
    product = open_product(level_2)
    assert product.name == L2
    assert product.sensor is not None
    assert product.sensor.name == "landsat-9-c2-l2"
    assert product.acquired == date(2022, 7, 15)
    assert product.cloud_cover == 12.5
    assert product.band_names == (
        "ultra blue", "blue", "green", "red", "nir", "swir1", "swir2",
    )  # fmt: skip
    assert {(b.scale, b.offset, b.fill, b.unit) for b in product.bands} == {
        (2.75e-05, -0.2, 0, "reflectance")
    }


def test_scenes_hold_readings_in_the_order_asked_for_and_fill_is_invalid(level_2: Path) -> None:
    scene = open_product(level_2).scene(["red", "SR_B2", "nir08"])
    assert scene.band_names == ("red", "blue", "nir")
    pixels = scene.read(scene.grid.window)
    assert pixels.data.dtype == np.uint16
    assert pixels.data[:, 1, 1].tolist() == [4000, 2000, 5000]
    assert pixels.valid.tolist() == [[False, True, True], [True, True, True]]


def test_quality_bands_are_codes_with_nothing_hidden(level_2: Path, write: Write) -> None:
    write(level_2 / f"{L2}_QA_RADSAT.TIF", np.zeros((2, 3)), nodata=0)
    product = open_product(level_2)
    assert product.quality_kind == "qa_pixel"
    quality = product.quality()
    assert quality is not None
    assert quality.band_names == ("qa_pixel", "qa_radsat")
    pixels = quality.read(quality.grid.window)
    assert pixels.valid.all()
    assert pixels.data[:, 1, 1].tolist() == [8000, 0]


def test_metadata_file_and_json_form_open_the_same_product(level_2: Path) -> None:
    whole = open_product(level_2)
    by_text = open_product(level_2 / f"{L2}_MTL.txt")
    (level_2 / f"{L2}_MTL.json").write_text(
        json.dumps({"LANDSAT_METADATA_FILE": metadata_of_level_2()})
    )
    by_json = open_product(level_2 / f"{L2}_MTL.json")
    assert whole.bands == by_text.bands == by_json.bands
    assert by_json.cloud_cover == 12.5


def test_a_band_named_by_the_metadata_and_not_there_is_missed_when_asked_for(level_2: Path) -> None:
    product = open_product(level_2)
    assert "thermal" not in product.band_names
    with pytest.raises(RasterReadError, match=r"_ST_B10\.TIF: is the band “thermal” .* not there"):
        product.scene(["red", "thermal"])
    with pytest.raises(BandError, match=r"has no band “pan”; there are: ultra blue, blue"):
        product.scene(["pan"])
    with pytest.raises(BandError, match="name bands, each once"):
        product.scene(["red", "B4"])


def test_a_quality_band_that_is_not_there_is_an_error_unless_none_is_wanted(level_2: Path) -> None:
    (level_2 / f"{L2}_QA_PIXEL.TIF").unlink()
    product = open_product(level_2)
    with pytest.raises(RasterReadError, match=r"_QA_PIXEL\.TIF: .*which pixels are clear is not k"):
        product.quality()
    without = open_product(level_2, quality="none")
    assert without.quality_kind is None
    assert without.quality() is None


def test_qa_radsat_may_be_missing(level_2: Path) -> None:
    (level_2 / f"{L2}_QA_RADSAT.TIF").unlink()
    quality = open_product(level_2).quality()
    assert quality is not None
    assert quality.band_names == ("qa_pixel",)


def test_suffixes_in_another_case_are_found(level_2: Path) -> None:
    (level_2 / f"{L2}_SR_B4.TIF").rename(level_2 / f"{L2}_SR_B4.tif")
    assert "red" in open_product(level_2).band_names


def test_without_metadata_level_2_is_scaled_as_documented(level_2: Path) -> None:
    (level_2 / f"{L2}_MTL.txt").unlink()
    product = open_product(level_2)
    assert product.name == L2
    assert product.cloud_cover is None
    assert {(b.scale, b.offset) for b in product.bands} == {(0.0000275, -0.2)}


def test_level_1_is_reflectance_under_the_sun_of_its_metadata(level_1: Path) -> None:
    product = open_product(level_1)
    red = product.band("red")  # sin 30° = 1/2
    assert red.scale == pytest.approx(2 * 0.006)
    assert red.offset == pytest.approx(2 * -0.03)
    assert red.unit == "reflectance"
    cold = product.band("thermal2")
    assert (cold.scale, cold.offset, cold.unit) == (0.037, 3.16, "W/(m² sr µm)")
    assert cold.path.endswith("B6_VCID_2.TIF")
    assert product.cloud_cover is None
    assert (product.quality_kind, [b.name for b in product.quality_bands]) == ("bqa-tm", ["bqa"])


def test_level_1_without_metadata_is_left_as_readings(level_1: Path) -> None:
    (level_1 / f"{L1}_MTL.txt").unlink()
    product = open_product(level_1)
    assert product.sensor is not None
    assert product.sensor.name == "landsat-7-c1-l1"
    assert len(product.bands) == 9
    assert {(b.scale, b.offset, b.unit) for b in product.bands} == {(1.0, 0.0, "")}


def test_shortened_names_take_the_collection_from_the_folder_or_the_quality_band(
    write: Write, tmp_path: Path
) -> None:
    short = "LC08_L1TP_014031_20180106"
    for folder, quality in (
        (f"{short}_20180119_01_T1", "BQA"),
        ("some", "BQA"),
        ("other", "QA_PIXEL"),
    ):
        for band in ("B4", quality):
            write(tmp_path / folder / f"{short}_{band}.TIF", [[1]])
    names = [tmp_path / f for f in (f"{short}_20180119_01_T1", "some", "other")]
    products = [open_product(name) for name in names]
    assert [p.sensor.name if p.sensor else None for p in products] == [
        "landsat-8-c1-l1", "landsat-8-c1-l1", "landsat-8-c2-l1",
    ]  # fmt: skip
    assert products[0].name == f"{short}_20180119_01_T1"


def test_pixels_of_another_size_are_a_scene_of_their_own(level_1: Path, write: Write) -> None:
    write(level_1 / f"{L1}_B8.TIF", np.full((4, 6), 9), pixel=15)
    product = open_product(level_1)
    scenes = product.scenes(["red", "pan", "nir"])
    assert [s.band_names for s in scenes] == [("red", "nir"), ("pan",)]
    assert [s.grid.width for s in scenes] == [3, 6]
    with pytest.raises(GridError, match=r"different grids \(red, nir: 3 × 2 px.*; pan: 6 × 4 px"):
        product.scene(["red", "pan", "nir"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("IMAGE_ATTRIBUTES", "SUN_ELEVATION", "-3.1"), r"sun stands at -3\.1°.*leave this scene"),
        (("IMAGE_ATTRIBUTES", "SUN_ELEVATION", "high"), r"says “high” for SUN_ELEVATION"),
        (("RADIOMETRIC_RESCALING", "REFLECTANCE_ADD_BAND_3", "nan"), r"says “nan” for REFL"),
        (("RADIOMETRIC_RESCALING", "REFLECTANCE_MULT_BAND_3", None), r"does not say REFL.*BAND_3"),
        (("METADATA_FILE_INFO", "LANDSAT_PRODUCT_ID", "LM01"), r"“LM01” is no identifier"),
        (
            ("METADATA_FILE_INFO", "LANDSAT_PRODUCT_ID", L1.replace("LE07", "LM03")),
            r"Landsat 3 Col",
        ),
        (("PRODUCT_METADATA", None, None), r"names no files, so it is not \(whole\) Landsat meta"),
    ],
)
def test_metadata_that_make_no_sense_are_refused_in_one_line(
    level_1: Path, change: tuple[str, str | None, Any], message: str
) -> None:
    groups = metadata_of_level_1()
    group, key, value = change
    if key is None:
        del groups[group]
    elif value is None:
        del groups[group][key]
    else:
        groups[group][key] = value
    (level_1 / f"{L1}_MTL.txt").write_text(as_text(groups))
    with pytest.raises(RasterReadError, match=message) as raised:
        open_product(level_1)
    assert f"{L1}_MTL.txt" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{", b"[1]", b"{}", b'{"A": 1}'])
@pytest.mark.parametrize("suffix", ["json", "txt"])
def test_a_damaged_metadata_file_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"{L2}_MTL.{suffix}"
    path.write_bytes(content)
    with pytest.raises(RasterReadError, match=r"_MTL\.(json|txt): "):
        open_product(path)


def test_files_named_outside_the_folder_are_not_read(level_2: Path, write: Write) -> None:
    write(level_2.parent / f"{L2}_SR_B4.TIF", [[1]])
    groups = metadata_of_level_2()
    groups["PRODUCT_CONTENTS"]["FILE_NAME_3"] = f"../{L2}_SR_B4.TIF"
    (level_2 / f"{L2}_MTL.txt").write_text(as_text(groups))
    product = open_product(level_2)
    assert "red" not in product.band_names
    with pytest.raises(RasterReadError, match="is not there"):
        product.scene(["red"])


def test_a_folder_of_several_products_is_refused(level_2: Path, write: Write) -> None:
    other = L2.replace("20220715", "20220731")
    (level_2 / f"{other}_MTL.txt").write_text(as_text(metadata_of_level_2()))
    with pytest.raises(RasterReadError, match="holds 2 Landsat products; name their metadata"):
        open_product(level_2)
    for file in level_2.glob("*_MTL.txt"):
        file.unlink()
    write(level_2 / f"{other}_SR_B4.TIF", [[1]])
    with pytest.raises(
        RasterReadError, match=r"holds files of 2 Landsat products .*a folder to each"
    ):
        open_product(level_2)


def test_a_product_without_bands_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{L2}_MTL.txt"
    path.write_text(as_text(metadata_of_level_2()))
    with pytest.raises(RasterReadError, match=f"no band of {L2} is there; download"):
        open_product(path)


def as_xml(groups: dict[str, dict[str, str]]) -> str:
    inner = "".join(
        f"  <{group}>\n"
        + "".join(f"    <{key}>{value}</{key}>\n" for key, value in pairs.items())
        + f"  </{group}>\n"
        for group, pairs in groups.items()
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- made -->\n'
    return f"{head}<LANDSAT_METADATA_FILE>\n{inner}</LANDSAT_METADATA_FILE>\n"


def test_xml_alone_opens_the_same_product(level_2: Path) -> None:
    by_text = open_product(level_2 / f"{L2}_MTL.txt")
    (level_2 / f"{L2}_MTL.txt").unlink()
    (level_2 / f"{L2}_MTL.xml").write_text(as_xml(metadata_of_level_2()))
    by_xml = open_product(level_2 / f"{L2}_MTL.xml")
    assert by_xml.bands == by_text.bands == open_product(level_2).bands
    assert by_xml.cloud_cover == by_text.cloud_cover == 12.5
    assert by_xml.missing == by_text.missing


@pytest.mark.parametrize(
    "text",
    [
        "<LANDSAT_METADATA_FILE/>",
        "<LANDSAT_METADATA_FILE><A>",
        "",
        '<!DOCTYPE a [<!ENTITY b "c">]><a><g><FILE_NAME_BAND_1>&b;</FILE_NAME_BAND_1></g></a>',
    ],
)
def test_xml_that_is_no_metadata_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / f"{L2}_MTL.xml"
    path.write_text(text)
    with pytest.raises(RasterReadError, match="names no files"):
        open_product(path)


def test_options_of_rasters_are_refused(level_2: Path) -> None:
    with pytest.raises(OptionError, match="says its sensor and bands itself"):
        open_product(level_2, sensor="landsat-9-c2-l2")
    with pytest.raises(OptionError, match="says its quality bands itself; leave “fmask=1” out"):
        open_product(level_2, quality="fmask=1")


def test_text_is_read_group_by_group(level_1: Path) -> None:
    assert read_metadata(level_1 / f"{L1}_MTL.txt") == metadata_of_level_1()


def test_identifiers_of_old_and_new_kinds() -> None:
    planetary = Identity.of("LC08_L2SP_047027_20201204_02_T1")
    assert planetary is not None
    assert (planetary.satellite, planetary.level, planetary.collection) == (8, 2, 2)
    short = Identity.of("LT05_L1TP_014031_19990106_B4")
    assert short is not None
    assert (short.name, short.collection) == ("LT05_L1TP_014031_19990106", None)
    assert Identity.of("LT05_L1TP_014031_19991306") is None
    assert Identity.of("LE70220492002106EDC00_stack") is None


def test_other_files_are_no_product(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "scene.tif", [[1]])
    assert not is_one(tmp_path)
    assert not is_one(tmp_path / "scene.tif")
    assert math.isclose(open_product(tmp_path / "scene.tif").bands[0].scale, 1.0)
