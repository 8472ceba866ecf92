"""What is known of collections."""

from __future__ import annotations

import pytest

from geoseg.compositing.earthengine.collections import collection, common_bands
from geoseg.errors import BandError, OptionError

S2 = "COPERNICUS/S2_SR_HARMONIZED"


@pytest.mark.parametrize(
    ("name", "band", "id_", "scale", "offset", "unit"),
    [
        ("LANDSAT/LC08/C02/T1_L2", "blue", "SR_B2", 0.0000275, -0.2, "reflectance"),
        ("LANDSAT/LC09/C02/T2_L2", "thermal", "ST_B10", 0.00341802, 149.0, "K"),
        ("LANDSAT/LT05/C02/T1_L2", "nir", "SR_B4", 0.0000275, -0.2, "reflectance"),
        ("LANDSAT/LT04/C02/T1_L2", "thermal", "ST_B6", 0.00341802, 149.0, "K"),
        ("LANDSAT/LE07/C02/T1_TOA", "thermal", "B6_VCID_1", 1.0, 0.0, "K"),
        ("LANDSAT/LC08/C02/T1_TOA", "swir2", "B7", 1.0, 0.0, "reflectance"),
        (S2, "B02", "B2", 0.0001, 0.0, "reflectance"),
        (S2, "narrow nir", "B8A", 0.0001, 0.0, "reflectance"),
        (S2, "swir1", "B11", 0.0001, 0.0, "reflectance"),
    ],
)
def test_a_band_has_earth_engines_name_and_scale(name, band, id_, scale, offset, unit):
    found = collection(name).band(band)
    assert (found.id, found.scale, found.offset, found.unit) == (id_, scale, offset, unit)


def test_an_unknown_collection_has_bands_by_their_own_names_and_no_mask():
    one = collection("MODIS/061/MOD09A1")
    band = one.band("sur_refl_b01")
    assert (band.name, band.id, band.is_scaled) == ("sur_refl_b01", "sur_refl_b01", False)
    assert one.quality_kind is None


@pytest.mark.parametrize("name", ["LANDSAT/LC05/C02/T1_L2", "LANDSAT/LC08/C01/T1_SR"])
def test_what_looks_like_landsat_and_is_not_known_is_unknown(name):
    assert not collection(name).is_known


@pytest.mark.parametrize("name", ["", "landsat", "LANDSAT/LC08 C02", "a//b", "https://x/y"])
def test_what_is_no_id_is_refused(name):
    with pytest.raises(OptionError, match="no collection of Earth Engine"):
        collection(name)


def test_sentinel_with_mixed_offsets_is_refused_with_what_to_use():
    with pytest.raises(OptionError, match=S2):
        collection("COPERNICUS/S2_SR")


def test_without_names_the_shared_bands_are_taken_in_the_first_ones_order():
    both = [collection("LANDSAT/LC08/C02/T1_L2"), collection("LANDSAT/LT05/C02/T1_L2")]
    names = [[band.name for band in bands] for bands in common_bands(both, None)]
    assert names[0] == names[1]
    assert names[0] == ["blue", "green", "red", "nir", "swir1", "swir2", "thermal"]


def test_levels_are_not_mixed():
    both = [collection("LANDSAT/LC08/C02/T1_L2"), collection("LANDSAT/LC08/C02/T1_TOA")]
    with pytest.raises(OptionError, match="top of atmosphere"):
        common_bands(both, ["red"])


@pytest.mark.parametrize("names", [["red", "B4"], []])
def test_bands_are_named_once(names):
    with pytest.raises(BandError, match="each once"):
        common_bands([collection("LANDSAT/LC08/C02/T1_L2")], names)


def test_a_band_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(BandError, match="no band “violet”; there are: ultra blue, blue"):
        common_bands([collection("LANDSAT/LC08/C02/T1_L2")], ["violet"])
