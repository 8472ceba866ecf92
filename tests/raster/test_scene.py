"""Scenes: bands, validity, views and failures, on rasters small enough to check by hand."""

from __future__ import annotations

import pickle
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from geoseg.errors import BandError, GridError, OptionError, RasterReadError
from geoseg.raster.grid import Grid
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

MakeRaster = Callable[..., Path]
RNG = np.random.default_rng(5)
ROTATED = Affine(8.0, 6.0, 500_000.0, 6.0, -8.0, 5_600_000.0)
SOUTH_UP = Affine(10.0, 0.0, 500_000.0, 0.0, 10.0, 5_600_000.0)
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def numbers(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return RNG.integers(1, 200, shape).astype(dtype)


def whole(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    pixels = scene.read(scene.grid.window)
    return pixels.data, pixels.valid


# Bands


def test_reads_pixels_and_names_of_one_file(make_raster: MakeRaster) -> None:
    data = numbers(3, 5, 7)
    path = make_raster("a.tif", data, names=["red", "green", "nir"], nodata=0)
    scene = Scene.open(path)
    assert (scene.name, scene.band_names, scene.dtype) == ("a", ("red", "green", "nir"), "uint16")
    assert scene.bands_are_named
    assert scene.paths == (str(path),)
    pixels = scene.read(Window(1, 2, 3, 4))
    assert np.array_equal(pixels.data, data[:, 1:4, 2:6])
    assert pixels.valid.all()


def test_reads_into_a_given_view(make_raster: MakeRaster) -> None:
    data = numbers(2, 5, 7)
    scene = Scene.open(make_raster("a.tif", data))
    out = np.zeros((2, 9, 9), "uint16")
    pixels = scene.read(scene.grid.window, out=out[:, 2:7, 1:8])
    assert np.shares_memory(pixels.data, out)
    assert np.array_equal(out[:, 2:7, 1:8], data)
    assert out[:, :2].sum() == out[:, :, 0].sum() == 0


@pytest.mark.parametrize("out", [np.zeros((2, 5, 7)), np.zeros((1, 5, 7), "uint16")])
def test_out_of_another_shape_or_type_is_refused(make_raster: MakeRaster, out: np.ndarray) -> None:
    scene = Scene.open(make_raster("a.tif", numbers(2, 5, 7)))
    with pytest.raises(ValueError, match="wanted uint16"):
        scene.read(scene.grid.window, out=out)


@pytest.mark.parametrize("window", [Window(0, 0, 6, 7), Window(-1, 0, 2, 2), Window(0, 0, 0, 3)])
def test_window_outside_is_refused(make_raster: MakeRaster, window: Window) -> None:
    with pytest.raises(GridError, match="does not lie in 7 × 5 px"):
        Scene.open(make_raster("a.tif", numbers(5, 7))).read(window)


def test_bands_are_selected_by_name_word_and_order(make_raster: MakeRaster) -> None:
    data = numbers(3, 4, 4)
    names = ["ultra blue B1", "blue", "nir B5"]
    scene = Scene.open(make_raster("a.tif", data, names=names))
    assert np.array_equal(whole(scene.select(["b5", "BLUE"]))[0], data[[2, 1]])
    assert scene.select(["ultra"]).band_names == ("ultra blue B1",)


def test_band_that_is_missing_or_ambiguous_is_named_with_what_there_is(
    make_raster: MakeRaster,
) -> None:
    scene = Scene.open(make_raster("a.tif", numbers(3, 4, 4), names=["nir 1", "nir 2", "red"]))
    with pytest.raises(
        BandError, match=r"/a\.tif: has no band “swir”; there are: nir 1, nir 2, red"
    ):
        scene.select(["swir"])
    with pytest.raises(BandError, match="“nir 1” or “nir 2”"):
        scene.select(["nir"])
    with pytest.raises(BandError, match="no band “3”"):
        scene.select(["3"])
    with pytest.raises(BandError, match="no band “”"):
        scene.select([""])


def test_the_first_word_of_a_name_counts_before_the_others(make_raster: MakeRaster) -> None:
    data = numbers(4, 4, 4)
    names = ["ultra blue B1", "blue B2", "green_B3", "deep-sea green"]
    scene = Scene.open(make_raster("a.tif", data, names=names))
    assert scene.select(["Blue"]).band_names == ("blue B2",)
    assert scene.select(["green", "ultra", "b2"]).band_names == (
        "green_B3",
        "ultra blue B1",
        "blue B2",
    )
    scene = scene.renamed(["blue B1", "blue B2", "ultra blue", "nir"])
    with pytest.raises(BandError, match=r"“blue” may mean “blue B1” or “blue B2”; give the full"):
        scene.select(["blue"])


def test_a_scene_of_several_files_is_named_by_its_first(make_raster: MakeRaster) -> None:
    paths = [make_raster(f"a_{band}.tif", numbers(1, 4, 4)) for band in ("red", "nir", "swir")]
    with pytest.raises(BandError, match=r"/a_red\.tif and 2 more files: has no band “blue”"):
        Scene.open(paths).select(["blue"])


def test_bands_called_as_a_products_files_are_say_what_gives_them_common_names(
    make_raster: MakeRaster,
) -> None:
    product = "LC08_L2SP_190026_20210715_20230407_02_T1"
    paths = [make_raster(f"{product}_SR_B{n}.TIF", numbers(1, 4, 4)) for n in (2, 3)]
    scene = Scene.open(paths)
    with pytest.raises(BandError, match=r"SR_B2, SR_B3 \(as the .*; geoseg composite makes"):
        scene.select(["blue"])
    with pytest.raises(BandError, match=r"there are: red, green$"):
        scene.renamed(["red", "green"]).select(["blue"])


def test_bands_without_names_are_selected_by_number(make_raster: MakeRaster) -> None:
    data = numbers(3, 4, 4)
    scene = Scene.open(make_raster("a.tif", data, photometric="minisblack"))
    assert (scene.band_names, scene.bands_are_named) == (("band_1", "band_2", "band_3"), False)
    assert np.array_equal(whole(scene.select(["3", "band_1"]))[0], data[[2, 0]])
    with pytest.raises(BandError, match="no band “4”"):
        scene.select(["4"])


def test_colours_name_bands_and_alpha_is_a_mask(make_raster: MakeRaster) -> None:
    data = numbers(4, 3, 3, dtype="uint8")
    data[3] = [[255, 0, 255], [1, 255, 255], [255, 255, 0]]
    scene = Scene.open(make_raster("a.tif", data, photometric="RGB", alpha="YES"))
    assert scene.band_names == ("red", "green", "blue")
    pixels, valid = whole(scene)
    assert np.array_equal(pixels, data[:3])
    assert np.array_equal(valid, data[3] != 0)
    with pytest.raises(BandError, match="band 4 is an alpha mask; to use it, name all bands"):
        scene.select(["nir"])


def test_alpha_with_a_name_of_its_own_is_a_band(make_raster: MakeRaster) -> None:
    data = numbers(4, 3, 3, dtype="uint8")
    path = make_raster("a.tif", data, names=["r", "g", "b", "nir"], photometric="RGB", alpha="YES")
    data[3, 0, 0] = 0
    assert Scene.open(path).band_names == ("r", "g", "b", "nir")


def test_alpha_is_a_band_if_names_are_given_for_all(make_raster: MakeRaster) -> None:
    data = numbers(4, 3, 3, dtype="uint8")
    data[3, 0, 0] = 0
    path = make_raster("a.tif", data, photometric="RGB", alpha="YES")
    scene = Scene.open(path, band_names=["r", "g", "b", "n"])
    pixels, valid = whole(scene)
    assert np.array_equal(pixels, data)
    assert valid.all()
    assert Scene.open(path, band_names=["r", "g", "b"]).band_names == ("r", "g", "b")


def test_given_names_must_match_in_number_and_differ(make_raster: MakeRaster) -> None:
    path = make_raster("a.tif", numbers(3, 4, 4), names=["a", "b", "c"])
    assert Scene.open(path, band_names=["x", "y", "z"]).band_names == ("x", "y", "z")
    with pytest.raises(BandError, match="2 band names for 3 bands"):
        Scene.open(path, band_names=["x", "y"])
    with pytest.raises(BandError, match="comes twice"):
        Scene.open(path, band_names=["x", "y", "X"])


def test_renamed_keeps_pixels(make_raster: MakeRaster) -> None:
    data = numbers(2, 4, 4)
    scene = Scene.open(make_raster("a.tif", data)).renamed(["red", "nir"])
    assert scene.bands_are_named
    assert np.array_equal(whole(scene.select(["nir"]))[0][0], data[1])
    with pytest.raises(BandError, match="1 band names for 2 bands"):
        scene.renamed(["red"])
    with pytest.raises(BandError, match="comes twice"):
        scene.renamed(["red", "Red"])


def test_scale_and_offset_are_told_and_not_applied(make_raster: MakeRaster) -> None:
    data = numbers(1, 4, 4)
    path = make_raster("a.tif", data)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.0000275,), (-0.2,)
    scene = Scene.open(path)
    assert (scene.bands[0].scale, scene.bands[0].offset) == (0.0000275, -0.2)
    assert np.array_equal(whole(scene)[0], data)


# Validity


def test_each_band_has_its_own_nodata(make_raster: MakeRaster) -> None:
    a, b = np.array([[[1, 2], [3, 4]]], "uint8"), np.array([[[1, 2], [3, 4]]], "int16")
    make_raster("x/s_red.tif", a, nodata=1)
    make_raster("x/s_nir.tif", b, nodata=4)
    scene = Scene.open(make_raster("x/s_swir.tif", b).parent)
    assert [band.nodata for band in scene.select(["red", "nir", "swir"]).bands] == [1, 4, None]
    assert scene.dtype == "int16"
    data, valid = whole(scene)
    assert data[:, 0, 0].tolist() == [1, 1, 1]
    assert valid.tolist() == [[False, True], [True, False]]
    assert whole(scene.select(["nir"]))[1].tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize("nodata", [None, np.nan, -9999.0])
def test_nan_and_infinity_are_invalid_whatever_nodata_is(
    make_raster: MakeRaster, nodata: float | None
) -> None:
    data = np.array([[[1, np.nan, -9999], [np.inf, -np.inf, 0]]], "float32")
    _, valid = whole(Scene.open(make_raster("a.tif", data, nodata=nodata)))
    assert valid.tolist() == [[True, False, nodata != -9999], [False, False, True]]


def test_nodata_can_be_given_in_place_of_the_files_own(make_raster: MakeRaster) -> None:
    first = make_raster("a.tif", np.array([[1, 2, 3]], "uint16"), nodata=1)
    second = make_raster("b.tif", np.array([[7, 8, 9]], "int32"))
    scene = Scene.open([first, second], band_names=["a", "b"])
    given = scene.with_nodata([None, 9])
    assert whole(scene)[1].tolist() == [[False, True, True]]
    assert whole(given)[1].tolist() == [[True, True, False]]
    assert [band.nodata for band in given.bands] == [None, 9]
    assert whole(given.select(["b"]))[1].tolist() == [[True, True, False]]
    assert whole(given.select(["a"]))[1].all()
    assert whole(scene)[1].tolist() == [[False, True, True]]


def test_nodata_is_compared_as_the_file_rounds_it(make_raster: MakeRaster) -> None:
    lowest = float(np.finfo("float32").min)
    data = np.array([[[0.1, lowest, 0.2]]], "float32")
    assert whole(Scene.open(make_raster("a.tif", data, nodata=0.1)))[1].tolist() == [
        [False, True, True]
    ]
    assert whole(Scene.open(make_raster("b.tif", data, nodata=lowest)))[1].tolist() == [
        [True, False, True]
    ]


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint8", -9999), ("uint8", 0.5), ("uint8", 1e30), ("float32", 1e300)]
)
def test_nodata_that_the_type_cannot_hold_marks_nothing(
    make_raster: MakeRaster, tmp_path: Path, dtype: str, nodata: float
) -> None:
    make_raster("a.tif", numbers(1, 2, 2, dtype=dtype))
    kind = {"uint8": "Byte", "float32": "Float32"}[dtype]
    vrt = tmp_path / "a.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="2" rasterYSize="2"><GeoTransform>0,1,0,0,0,-1</GeoTransform>'
        f'<VRTRasterBand dataType="{kind}" band="1"><NoDataValue>{nodata}</NoDataValue>'
        '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    assert whole(Scene.open(vrt))[1].all()


def test_internal_mask_is_heeded_beside_nodata(make_raster: MakeRaster) -> None:
    data = np.array([[[1, 2], [3, 4]], [[1, 2], [3, 4]]], "uint8")
    mask = np.array([[True, True], [False, True]])
    path = make_raster("a.tif", data, mask=mask, photometric="minisblack")
    assert np.array_equal(whole(Scene.open(path))[1], mask)
    assert np.array_equal(whole(Scene.open(path).select(["2"]))[1], mask)


def test_complex_numbers_are_refused(make_raster: MakeRaster) -> None:
    path = make_raster("a.tif", np.ones((1, 2, 2), "complex64"))
    with pytest.raises(RasterReadError, match=r"a.tif: band 1 holds complex numbers"):
        Scene.open(path)


def test_ground_control_points_without_a_grid_are_refused(make_raster: MakeRaster) -> None:
    points = [
        rasterio.control.GroundControlPoint(row=r, col=c, x=10 + c, y=50 - r)
        for r, c in ((0, 0), (0, 4), (4, 0))
    ]
    path = make_raster("a.tif", numbers(4, 4), crs="EPSG:4326", transform=None, gcps=points)
    with pytest.raises(GridError, match="ground control points"):
        Scene.open(path)


# Mosaics and VRT


def tile_transform(row: int, col: int) -> Affine:
    return Affine(10, 0, 500_000 + 10 * col, 0, -10, 5_600_000 - 10 * row)


def test_tiles_fill_what_earlier_ones_leave(make_raster: MakeRaster) -> None:
    # Columns 0–2 and 2–4 of five: they share column 2.
    one = make_raster("a.tif", np.array([[1, 2, 3], [4, 5, 0]], "uint8"), nodata=0)
    two = make_raster(
        "b.tif", np.array([[7, 8, 9], [6, 0, 9]], "uint8"), nodata=0, transform=tile_transform(1, 2)
    )
    scene = Scene.open([one, two])
    assert (scene.grid.height, scene.grid.width) == (3, 5)
    data, valid = whole(scene)
    assert data[0].tolist() == [[1, 2, 3, 0, 0], [4, 5, 7, 8, 9], [0, 0, 6, 0, 9]]
    assert np.array_equal(valid, data[0] != 0)


@FEW
@given(data=st.data())
def test_mosaic_is_tiles_painted_last_to_first(
    make_raster: MakeRaster, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, 4))
    places = [(data.draw(st.integers(0, 12)), data.draw(st.integers(0, 12))) for _ in range(count)]
    if len(set(places)) < count:  # the same grid twice is bands or dates, and not tiles
        return
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    canvas = np.zeros((30, 30), "int16")
    paths = []
    for number, (row, col) in reversed(list(enumerate(places))):
        pixels = rng.integers(0, 5, (9, 10)).astype("int16")
        view = canvas[row : row + 9, col : col + 10]
        view[pixels != 0] = pixels[pixels != 0]
        block = {"tiled": True, "blockxsize": 16, "blockysize": 16} if number % 2 else {}
        transform = tile_transform(row, col)
        paths.append(make_raster(f"t{number}.tif", pixels, nodata=0, transform=transform, **block))
    scene = Scene.open(paths[::-1])
    top, left = min(r for r, _ in places), min(c for _, c in places)
    want = canvas[top : top + scene.grid.height, left : left + scene.grid.width]
    pixels, valid = whole(scene)
    assert scene.grid.corners()[0] == (500_000 + 10 * left, 5_600_000 - 10 * top)
    assert np.array_equal(pixels[0] * valid, want)
    assert np.array_equal(valid, want != 0)
    row, col = (
        data.draw(st.integers(0, want.shape[0] - 1)),
        data.draw(st.integers(0, want.shape[1] - 1)),
    )
    part = scene.read(Window(row, col, want.shape[0] - row, want.shape[1] - col))
    assert np.array_equal(part.data[0] * part.valid, want[row:, col:])
    scene.close()


def test_tiles_off_the_lattice_are_refused(make_raster: MakeRaster) -> None:
    one = make_raster("a.tif", numbers(3, 3))
    two = make_raster("b.tif", numbers(3, 3), transform=Affine(10, 0, 500_035, 0, -10, 5_600_000))
    with pytest.raises(GridError, match=r"b.tif: its pixels .* do not fall on those of .*a.tif"):
        Scene.open([one, two])


def test_tiles_with_other_bands_are_refused(make_raster: MakeRaster) -> None:
    one = make_raster("a.tif", numbers(1, 3, 3), names=["red"])
    two = make_raster("b.tif", numbers(1, 3, 3), names=["nir"], transform=tile_transform(0, 3))
    with pytest.raises(BandError, match=r"b.tif: its bands \(nir uint16\) are not those of"):
        Scene.open([one, two])


def test_vrt_of_a_vrt_with_relative_sources_reads(make_raster: MakeRaster, tmp_path: Path) -> None:
    data = numbers(2, 4, 6)
    make_raster("deep/down/a.tif", data)
    band = (
        '<VRTRasterBand dataType="UInt16" band="{0}"><SimpleSource><SourceFilename '
        'relativeToVRT="1">{1}</SourceFilename><SourceBand>{0}</SourceBand></SimpleSource>'
        "</VRTRasterBand>"
    )
    for place, source in (("deep/inner.vrt", "down/a.tif"), ("outer.vrt", "deep/inner.vrt")):
        (tmp_path / place).write_text(
            '<VRTDataset rasterXSize="6" rasterYSize="4"><GeoTransform>0,1,0,0,0,-1</GeoTransform>'
            f"{band.format(1, source)}{band.format(2, source)}</VRTDataset>"
        )
    scene = Scene.open(tmp_path / "outer.vrt")
    assert np.array_equal(whole(scene)[0], data)
    with ThreadPoolExecutor(4) as pool:
        for pixels in pool.map(lambda _: scene.read(scene.grid.window), range(32)):
            assert np.array_equal(pixels.data, data)


# Geometry


@pytest.mark.parametrize("transform", [ROTATED, SOUTH_UP])
def test_rotated_and_south_up_files_read_as_they_are(
    make_raster: MakeRaster, transform: Affine
) -> None:
    data = numbers(1, 6, 5)
    scene = Scene.open(make_raster("a.tif", data, transform=transform))
    assert scene.grid.transform == transform
    assert np.array_equal(whole(scene)[0], data)


def test_view_on_the_same_lattice_is_read_by_offset(make_raster: MakeRaster) -> None:
    data = numbers(1, 6, 8)
    scene = Scene.open(make_raster("a.tif", data, transform=ROTATED))
    view = scene.on_grid(scene.grid.crop(Window(4, -2, 5, 6)))
    assert not view.is_warped
    pixels, valid = whole(view)
    assert np.array_equal(pixels[0, :2, 2:], data[0, 4:, :4])
    assert valid.tolist() == [[False] * 2 + [True] * 4] * 2 + [[False] * 6] * 3
    assert pixels[0][~valid].sum() == 0
    back = view.on_grid(scene.grid)
    assert np.array_equal(whole(back)[0], data)


def test_block_origin_follows_the_offset(make_raster: MakeRaster) -> None:
    path = make_raster("a.tif", numbers(64, 64), tiled=True, blockxsize=32, blockysize=16)
    scene = Scene.open(path)
    assert (scene.block_shape, scene.block_origin) == ((16, 32), (0, 0))
    assert scene.on_grid(scene.grid.crop(Window(5, -3, 20, 20))).block_origin == (11, 3)


def test_finer_pixels_are_found_by_the_centre(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", np.array([[1, 2], [3, 4]], "uint8")))
    fine = Grid(
        crs=scene.grid.crs, transform=Affine(5, 0, 499_995, 0, -5, 5_600_000), height=4, width=6
    )
    view = scene.on_grid(fine)
    assert view.is_warped
    pixels, valid = whole(view)
    assert pixels[0].tolist() == [[0, 1, 1, 2, 2, 0]] * 2 + [[0, 3, 3, 4, 4, 0]] * 2
    assert np.array_equal(valid, pixels[0] != 0)


def test_centres_on_a_border_take_the_pixel_right_and_below(make_raster: MakeRaster) -> None:
    # Half a pixel off: every centre lies on a border, at coordinates that doubles cannot hold.
    grid = Affine(0.1, 0, 1234.1, 0, -0.1, 4321.7)
    data = np.arange(1, 26, dtype="uint8").reshape(5, 5)
    scene = Scene.open(make_raster("a.tif", data, transform=grid))
    shifted = Affine(0.1, 0, 1234.15, 0, -0.1, 4321.65)
    view = scene.on_grid(Grid(crs=scene.grid.crs, transform=shifted, height=4, width=4))
    assert np.array_equal(whole(view)[0][0], data[1:, 1:])


def test_turned_grid_is_read_pixel_by_pixel(make_raster: MakeRaster) -> None:
    data = numbers(1, 3, 4)
    scene = Scene.open(make_raster("a.tif", data))
    # Rows of the target run down the source's columns.
    turned = Affine(0, 10, 500_000, -10, 0, 5_600_000)
    view = scene.on_grid(Grid(crs=scene.grid.crs, transform=turned, height=4, width=3))
    assert np.array_equal(whole(view)[0][0], data[0].T)


def test_views_that_do_not_overlap_are_refused(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", numbers(3, 3)))
    with pytest.raises(GridError, match=r"a.tif: does not overlap"):
        scene.on_grid(scene.grid.crop(Window(0, 3, 3, 3)))
    t = scene.grid.transform
    half = Affine(10, 0, t.c + 1_000_005, 0, -10, t.f)
    with pytest.raises(GridError, match="does not overlap"):
        scene.on_grid(Grid(crs=scene.grid.crs, transform=half, height=3, width=3))
    other = Grid(crs=CRS.from_epsg(32733), transform=t, height=3, width=3)
    with pytest.raises(GridError, match="does not overlap"):
        scene.on_grid(other)


def test_view_needs_a_coordinate_system_on_both_sides_or_none(make_raster: MakeRaster) -> None:
    with_crs = Scene.open(make_raster("a.tif", numbers(3, 3)))
    without = Scene.open(make_raster("b.tif", numbers(3, 3), crs=None))
    with pytest.raises(GridError, match=r"b.tif: it has no coordinate system"):
        without.on_grid(with_crs.grid)
    with pytest.raises(GridError, match=r"a.tif: the grid to bring it to has no coordinate"):
        with_crs.on_grid(without.grid)
    assert whole(without.on_grid(without.grid.crop(Window(1, 1, 2, 2))))[1].all()


def test_photographs_of_differing_size_are_not_laid_on_each_other(make_raster: MakeRaster) -> None:
    photo = Scene.open(make_raster("a.tif", numbers(8, 8), crs=None, transform=None))
    mask = Scene.open(make_raster("b.tif", numbers(4, 4), crs=None, transform=None))
    with pytest.raises(GridError, match="neither has a place on Earth"):
        mask.on_grid(photo.grid)
    assert mask.on_grid(mask.grid).grid == mask.grid


def test_assumed_grid_places_pixels_as_they_are(make_raster: MakeRaster) -> None:
    data = numbers(1, 3, 4)
    labels = Scene.open(
        make_raster("a.png", data.astype("uint8"), driver="PNG", crs=None, transform=None)
    )
    scene = Scene.open(make_raster("b.tif", data))
    placed = labels.assume_grid(scene.grid)
    assert placed.grid == scene.grid
    assert np.array_equal(
        whole(placed.on_grid(scene.grid.crop(Window(1, 1, 2, 2))))[0], data[:, 1:, 1:3]
    )
    with pytest.raises(GridError, match="cannot be taken as aligned"):
        labels.assume_grid(scene.grid.crop(Window(0, 0, 2, 2)))
    with pytest.raises(GridError, match="already"):
        scene.on_grid(scene.grid.crop(Window(0, 0, 2, 2))).assume_grid(scene.grid)


def test_unknown_resampling_is_refused(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", numbers(3, 3)))
    with pytest.raises(OptionError, match="“lanczos” is not known"):
        scene.on_grid(scene.grid, resampling="lanczos")


# Photographs, threads, pickles


def test_photograph_without_place_raises_no_warning_in_any_thread(
    make_raster: MakeRaster,
) -> None:
    data = numbers(3, 40, 30, dtype="uint8")
    path = make_raster("a.png", data, driver="PNG", crs=None, transform=None)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        for scene in pool.map(lambda _: Scene.open(path), range(16)):
            assert np.array_equal(whole(scene)[0], data)
    assert scene.grid.crs is None
    assert not scene.grid.is_georeferenced
    assert [f for f in warnings.filters if f not in before] in ([], [warnings.filters[0]])
    with pytest.warns(NotGeoreferencedWarning):  # others are still told
        rasterio.open(path).close()


def test_eight_threads_read_what_one_reads(make_raster: MakeRaster) -> None:
    data = numbers(4, 200, 220)
    path = make_raster(
        "a.tif", data, tiled=True, blockxsize=32, blockysize=32, compress="deflate", nodata=7
    )
    scene = Scene.open(path)
    barrier = threading.Barrier(8)

    def work(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        barrier.wait()
        for _ in range(40):
            row, col = int(rng.integers(0, 190)), int(rng.integers(0, 210))
            window = Window(
                row, col, int(rng.integers(1, 201 - row)), int(rng.integers(1, 221 - col))
            )
            pixels = scene.read(window)
            want = data[(slice(None), *window.slices())]
            if not np.array_equal(pixels.data, want):
                return False
            if not np.array_equal(pixels.valid, (want != 7).all(axis=0)):
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
        assert scene._pieces.handles.count() == 8
        scene.close()
        assert scene._pieces.handles.count() == 0
        assert pool.submit(lambda: scene.read(Window(0, 0, 1, 1))).result().data.shape == (4, 1, 1)


def test_scene_opens_again_after_close_and_after_pickling(make_raster: MakeRaster) -> None:
    data = numbers(2, 5, 5)
    scene = Scene.open(make_raster("a.tif", data, names=["red", "nir"]))
    with scene:
        view = scene.select(["nir"]).on_grid(scene.grid.crop(Window(1, 1, 3, 3)))
        whole(view)
    other = pickle.loads(pickle.dumps(view))
    assert other.band_names == ("nir",)
    for each in (view, other):
        assert np.array_equal(whole(each)[0][0], data[1, 1:4, 1:4])


# Failures


def test_missing_and_unreadable_inputs_are_named_with_what_to_do(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("no raster at all")
    (tmp_path / "folder").mkdir()
    whole_file = make_raster("whole.tif", numbers(3, 60, 60)).read_bytes()
    (tmp_path / "head.tif").write_bytes(whole_file[:100])
    (tmp_path / "bad.vrt").write_text("<VRTDataset>")
    for name, words in {
        "none.tif": "no such file; check the path",
        "empty.tif": "is empty; re-download",
        "text.tif": "is not a raster that GDAL can read",
        "folder": "holds no rasters",
        "head.tif": r"cannot be opened \(truncated or damaged\?\); re-download or recreate it",
        "bad.vrt": "is a VRT that cannot be opened",
        "*.jp2": "no raster matches this pattern",
    }.items():
        with pytest.raises(RasterReadError, match=words) as caught:
            Scene.open(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(RasterReadError, match="no file given"):
        Scene.open([])
    with pytest.raises(RasterReadError, match="check the address"):
        Scene.open("/vsizip/none.zip/a.tif")


@pytest.mark.parametrize("profile", [{}, {"compress": "deflate"}, {"driver": "PNG"}])
def test_truncated_file_fails_where_it_ends_and_says_so(
    make_raster: MakeRaster, profile: dict[str, str]
) -> None:
    path = make_raster("a.raster", numbers(1, 600, 100, dtype="uint8"), **profile)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    scene = Scene.open(path)
    assert scene.read(Window(0, 0, 10, 100)).valid.all()
    with pytest.raises(RasterReadError, match=r"a.raster: cannot be read at rows 590–599 \(trunc"):
        scene.read(Window(590, 0, 10, 100))
    with pytest.raises(RasterReadError, match="rows 0–599"):
        whole(scene)


def test_folder_of_several_scenes_is_refused_in_words(make_raster: MakeRaster) -> None:
    make_raster("x/may.tif", numbers(2, 3, 3), names=["red", "nir"])
    folder = make_raster("x/june.tif", numbers(2, 3, 3), names=["red", "nir"]).parent
    with pytest.raises(BandError, match=r"may.tif: lies on the grid of .*june.tif .*one by one"):
        Scene.open(folder)
