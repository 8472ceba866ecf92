"""One grid for scenes that lie on several, worked out by hand."""

from __future__ import annotations

import math

import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.crs import CRS

from geoseg.errors import GridError, OptionError
from geoseg.raster.grid import Grid
from geoseg.raster.resampling.regrid import common_grid, overlap, parse_crs

UTM = CRS.from_epsg(32633)


def grid(x=0.0, y=0.0, height=10, width=20, pixel=30.0, crs=UTM, transform=None):
    place = transform or Affine(pixel, 0, 500_000 + x, 0, -pixel, 5_000_000 + y)
    return Grid(crs=crs, transform=place, height=height, width=width)


def test_the_first_grid_is_taken_as_it_is():
    rotated = grid(transform=Affine(3, 1, 5e5, 1, -3, 5e6))
    south_up = grid(transform=Affine(3, 0, 5e5, 0, 3, 5e6))
    for first in (grid(x=0.1), rotated, south_up):
        assert common_grid([first, grid(x=900)]) == first
        assert common_grid([first], extent="union") == first


def test_a_union_continues_the_first_grids_pixels():
    found = common_grid([grid(), grid(x=-60, y=90), grid(x=45, y=-1)], extent="union")
    # West by two pixels, east by one and a half: two; north by three; south by 1 m: one.
    assert found == grid(x=-60, y=90, height=10 + 3 + 1, width=20 + 2 + 2)


def test_a_union_of_rotated_grids_keeps_the_rotation():
    t = Affine(3, 4, 5e5, 4, -3, 5e6)
    ahead = Affine(3, 4, 5e5 + 3 * 5 + 4 * 2, 4, -3, 5e6 + 4 * 5 - 3 * 2)
    found = common_grid([grid(transform=t), grid(transform=ahead)], extent="union")
    assert found == grid(transform=t, height=12, width=25)


def test_a_resolution_keeps_the_north_west_corner():
    found = common_grid([grid(x=7)], resolution=45.0)
    # 600 m by 300 m: 13.3 and 6.7 pixels of 45 m.
    assert found == grid(x=7, pixel=45.0, height=7, width=14)


def test_a_rotated_first_grid_becomes_north_up_with_a_resolution():
    found = common_grid([grid(transform=Affine(3, 4, 0, 4, -3, 0))], resolution=10.0)
    # Corners (0, 0), (60, 80), (100, 50), (40, −30).
    assert found.transform == Affine(10, 0, 0, 0, -10, 80)
    assert (found.height, found.width) == (11, 10)


def test_another_system_has_borders_at_multiples_of_the_resolution():
    found = common_grid([grid()], crs="EPSG:3857", resolution=50.0)
    t = found.transform
    assert (t.a, t.b, t.d, t.e) == (50, 0, 0, -50)
    assert t.c % 50 == 0
    assert t.f % 50 == 0
    # Web Mercator stretches by about 1 / cos 45.15°.
    stretched = 1 / math.cos(math.radians(45.15))
    assert found.width == pytest.approx(600 * stretched / 50, abs=1.5)
    assert found.height == pytest.approx(300 * stretched / 50, abs=1.5)


def test_without_a_resolution_a_pixel_covers_as_much_ground_as_before():
    found = common_grid([grid()], crs="EPSG:32632")
    x, y = found.resolution
    # Six degrees off its own meridian UTM stretches by some 0.3 %.
    assert x == y == pytest.approx(30, rel=5e-3)
    assert found.transform.c / x == pytest.approx(round(found.transform.c / x), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-3e4, 3e4), st.floats(-3e4, 3e4), st.sampled_from([10, 30, 47.5])),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([None, "EPSG:32633", "EPSG:3035"]),
    st.sampled_from([None, 20.0, 133.0]),
)
def test_a_union_covers_all_and_no_row_or_column_in_vain(places, crs, resolution):
    grids = [grid(x=x, y=y, pixel=pixel) for x, y, pixel in places]
    found = common_grid(grids, crs=crs, resolution=resolution, extent="union")
    xs: list[float] = []
    ys: list[float] = []
    for one in grids:
        # Points along the border, by PROJ; a border bends between systems.
        along = [(t, s) for t in (i / 64 for i in range(65)) for s in (0, 1)]
        points = [one.transform @ (c * one.width, r * one.height) for c, r in along]
        points += [one.transform @ (c * one.width, r * one.height) for r, c in along]
        moved = Transformer.from_crs(UTM.to_wkt(), found.crs.to_wkt(), always_xy=True).transform
        x, y = moved(*zip(*points, strict=True))
        xs += x
        ys += y
    xmin, ymin, xmax, ymax = found.bounds()
    gaps = min(xs) - xmin, min(ys) - ymin, xmax - max(xs), ymax - max(ys)
    for gap, side in zip(gaps, found.resolution * 2, strict=True):
        assert -0.01 * side <= gap <= 1.01 * side


def test_grids_without_a_system_are_taken_as_lying_in_one():
    found = common_grid([grid(crs=None), grid(crs=None, x=30)], extent="union")
    assert found == grid(crs=None, width=21)
    with pytest.raises(GridError, match="some have a coordinate system and some have none"):
        common_grid([grid(), grid(crs=None)], extent="union")
    with pytest.raises(GridError, match="some have none"):
        common_grid([grid(crs=None)], crs="EPSG:32633")


def test_what_cannot_be_is_told_in_one_line():
    for bad in (0.0, -3.0, math.nan, math.inf):
        with pytest.raises(OptionError, match="give one above 0"):
            common_grid([grid()], resolution=bad)
    with pytest.raises(OptionError, match="“EPSG:99” is not known; give a code such as"):
        common_grid([grid()], crs="EPSG:99")
    pole = grid(crs=CRS.from_epsg(4326), transform=Affine(9, 0, 0, 0, -9, 130), height=1)
    with pytest.raises(GridError, match="does not lie where EPSG:3857 is defined"):
        common_grid([pole], crs="EPSG:3857")


def test_a_bare_number_is_an_epsg_code():
    assert parse_crs("32633") == parse_crs("EPSG:32633") == UTM


def test_overlap_means_shared_ground():
    assert overlap(grid(), grid(x=570))
    assert not overlap(grid(), grid(x=600))
    assert not overlap(grid(), grid(x=1e5))
    geographic = grid(crs=CRS.from_epsg(4326), transform=Affine(1, 0, 10, 0, -1, 50))
    assert overlap(geographic, grid())
    assert overlap(grid(), geographic)
    # Where it cannot be known, whoever brings the one to the other says why not.
    assert overlap(grid(), grid(crs=None))


def test_pixels_larger_than_the_scene_are_refused_in_its_units():
    # 600 m by 300 m, of which 600 m still cover one whole side.
    assert common_grid([grid()], resolution=600.0) == grid(pixel=600.0, height=1, width=1)
    with pytest.raises(OptionError) as told:
        common_grid([grid()], resolution=601.0)
    assert "a pixel of 601 metres is larger than all that is to be covered (600 × 300 m" in str(
        told.value
    )
    assert "units of EPSG:32633" in str(told.value)
    with pytest.raises(OptionError, match=r"of 30 degrees is larger .* in units of EPSG:4326"):
        common_grid([grid()], crs="EPSG:4326", resolution=30.0)
    # Two scenes far apart are more to cover than one.
    far = grid(x=10_000)
    assert common_grid([grid(), far], resolution=601.0, extent="union").width == 18
    with pytest.raises(OptionError, match="of 99 units is larger"):
        common_grid([grid(crs=None, pixel=1.0)], resolution=99.0)


def test_more_pixels_than_a_file_holds_are_refused_with_their_number():
    with pytest.raises(OptionError, match=r"pixels of 1e-09 metres would be 6e\+11 × 3e\+11"):
        common_grid([grid()], resolution=1e-9)
    for bad in (1e-200, 1e-320, 1e200):
        with pytest.raises(OptionError, match="beyond all measure"):
            common_grid([grid()], resolution=bad)
