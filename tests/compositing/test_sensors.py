"""Sensors as data: numbers as documented, names that mean one band each."""

from __future__ import annotations

import pytest

from geoseg.compositing.masks import KINDS, band_of
from geoseg.compositing.sensors import SENSORS, SensorBand, landsat, sensor, sentinel2
from geoseg.errors import BandError, OptionError

COMMON = ("blue", "green", "red", "nir", "swir1", "swir2")


@pytest.mark.parametrize("satellite", [4, 5, 7, 8, 9])
def test_landsat_level_2_is_scaled_as_documented(satellite: int) -> None:
    found = landsat(satellite, collection=2, level=2)
    assert found is not None
    for name in COMMON:
        band = found.band(name)
        assert (band.scale, band.offset, band.unit) == (0.0000275, -0.2, "reflectance")
    warm = found.band("thermal")
    assert (warm.scale, warm.offset, warm.unit) == (0.00341802, 149.0, "K")
    assert found.fill == 0
    assert found.quality_kind == "qa_pixel"


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("landsat-5-c2-l2", "SR_B1 SR_B2 SR_B3 SR_B4 SR_B5 SR_B7"),
        ("landsat-7-c2-l2", "SR_B1 SR_B2 SR_B3 SR_B4 SR_B5 SR_B7"),
        ("landsat-8-c2-l2", "SR_B2 SR_B3 SR_B4 SR_B5 SR_B6 SR_B7"),
        ("landsat-9-c2-l2", "SR_B2 SR_B3 SR_B4 SR_B5 SR_B6 SR_B7"),
        ("landsat-8-c1-l1", "B2 B3 B4 B5 B6 B7"),
        ("sentinel-2-l2a", "B02 B03 B04 B08 B11 B12"),
    ],
)
def test_a_common_name_means_another_number_on_another_sensor(name: str, files: str) -> None:
    assert [sensor(name).band(common).file for common in COMMON] == files.split()


def test_every_band_of_a_common_name_sees_about_the_same_light() -> None:
    for name in COMMON:
        ranges = [s.band(name).wavelengths for s in SENSORS.values() if s.find(name) is not None]
        assert len(ranges) >= 14
        assert max(low for low, _ in ranges) < min(high for _, high in ranges), name


def test_bands_lie_in_the_order_of_their_wavelengths_on_landsat_8() -> None:
    bands = sensor("landsat-8-c2-l2").bands
    assert [band.name for band in bands] == [
        "ultra blue", "blue", "green", "red", "nir", "swir1", "swir2", "thermal",
    ]  # fmt: skip
    edges = [edge for band in bands for edge in band.wavelengths]
    assert edges == sorted(edges)


def test_level_1_has_the_bands_that_level_2_lacks() -> None:
    assert set(sensor("landsat-8-c2-l1").band_names) - set(
        sensor("landsat-8-c2-l2").band_names
    ) == {"pan", "cirrus", "thermal2"}
    assert [sensor("landsat-7-c1-l1").band(n).file for n in ("thermal", "thermal2")] == [
        "B6_VCID_1",
        "B6_VCID_2",
    ]


def test_names_are_found_in_any_case_and_by_alias() -> None:
    found = sensor("Landsat-8-C2-L2")
    for name in ("nir", "NIR", "sr_b5", "B5", "nir08"):
        assert found.band(name).name == "nir"
    assert sensor("sentinel-2-l2a").band("nir08").name == "narrow nir"


def test_an_unknown_band_is_refused_with_what_there_is() -> None:
    with pytest.raises(BandError, match=r"Landsat 5 .* no band “ultra blue”; there are: blue, gr"):
        sensor("landsat-5-c2-l2").band("ultra blue")


def test_an_unknown_sensor_is_refused_with_a_guess() -> None:
    with pytest.raises(OptionError, match=r"“landsat-8-c2-l3”.*did you mean “landsat-"):
        sensor("landsat-8-c2-l3")
    assert landsat(3, collection=2, level=2) is None
    assert landsat(9, collection=1, level=1) is None


@pytest.mark.parametrize(
    ("baseline", "applied", "offset"),
    [
        ("04.00", False, -0.1),
        ("05.09", False, -0.1),
        ("N0510", False, -0.1),
        ("03.01", False, 0.0),
        ("0212", False, 0.0),
        ("04.00", True, 0.0),
        (None, True, 0.0),
    ],
)
def test_sentinel_2_has_an_offset_from_baseline_4_on(
    baseline: str | None, applied: bool, offset: float
) -> None:
    found = sentinel2(baseline, offset_applied=applied)
    assert {band.offset for band in found.bands} == {offset}
    assert {band.scale for band in found.bands} == {0.0001}


def test_what_is_no_baseline_is_refused() -> None:
    with pytest.raises(ValueError, match="“4” is no processing baseline"):
        sentinel2("4")


def test_every_kind_of_quality_can_be_read() -> None:
    for found in SENSORS.values():
        if found.quality_kind is not None:
            assert found.quality_kind in KINDS
            assert band_of(found.quality_kind) == found.quality_files[0][0]


def test_bit_1_of_collection_1_is_told_apart_by_satellite() -> None:
    kinds = {n: sensor(f"landsat-{n}-c1-l1").quality_kind for n in (4, 5, 7, 8)}
    assert kinds == {4: "bqa-tm", 5: "bqa-tm", 7: "bqa-tm", 8: "bqa"}


def test_wavelengths_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="wavelengths"):
        SensorBand(name="red", file="B1", wavelengths=(0.7, 0.6), resolution=1)
