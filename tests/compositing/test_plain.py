"""Any raster as a product, with what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.compositing.products import open_product
from geoseg.errors import BandError, InputError, OptionError, RasterReadError

Write = Callable[..., Path]


def numbered(count: int, *, value: int = 1) -> np.ndarray:
    """(count, 1, 2): band i holds i, then `value`."""
    return np.array([[[i, value]] for i in range(1, count + 1)])


def test_a_raster_is_a_product_of_its_own_bands(write: Write) -> None:
    path = write("scene_20210710_ms.tif", numbered(2), names=("red", "nir"), nodata=7)
    product = open_product(path)
    assert product.sensor is None
    assert product.band_names == ("red", "nir")
    assert product.acquired == date(2021, 7, 10)
    assert [(b.index, b.scale, b.offset, b.fill) for b in product.bands] == [
        (1, 1.0, 0.0, 7.0),
        (2, 1.0, 0.0, 7.0),
    ]
    assert product.quality_kind is None
    assert product.quality() is None
    scene = product.scene(["NIR"])
    assert scene.read(scene.grid.window).data.ravel().tolist() == [2, 1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LE70220492002106EDC00_stack.tif", date(2002, 4, 16)),
        ("LT50140321999366XXX01.tif", None),
        ("LT50140321999000XXX01.tif", None),
        ("LT50140322000366XXX01.tif", date(2000, 12, 31)),
        ("a_2021-07-10.tif", date(2021, 7, 10)),
        ("a_20211310.tif", None),
        ("a_12021071099.tif", None),
    ],
)
def test_the_day_is_read_from_the_name(write: Write, name: str, expected: date | None) -> None:
    assert open_product(write(name, [[1]])).acquired == expected


def test_scale_and_offset_of_the_file_are_taken(write: Write) -> None:
    path = write("scene.tif", numbered(2))
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.5, 1.0), (3.0, 0.0)
    first, second = open_product(path).bands
    assert (first.scale, first.offset) == (0.5, 3.0)
    assert (second.scale, second.offset) == (1.0, 0.0)


def test_a_quality_band_is_named_by_number_or_name(write: Write) -> None:
    path = write("scene.tif", numbered(3), names=("red", "nir", "Clouds"))
    for said in ("fmask=3", "fmask=clouds", " FMASK = Clouds "):
        product = open_product(path, quality=said)
        assert product.quality_kind == "fmask"
        assert product.band_names == ("red", "nir")
        quality = product.quality()
        assert quality is not None
        assert quality.band_names == ("fmask",)
        assert quality.read(quality.grid.window).data.ravel().tolist() == [3, 1]


def test_python_fmask_is_read_of_the_band_fmask(write: Write) -> None:
    product = open_product(write("scene.tif", numbered(2)), quality="python-fmask=2")
    assert product.quality_kind == "python-fmask"
    assert [band.name for band in product.quality_bands] == ["fmask"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("QA_PIXEL", "qa_pixel"), ("Fmask", "fmask"), ("cfmask", "fmask"), ("SCL", "scl")],
)
def test_a_quality_band_is_known_by_its_usual_name(write: Write, name: str, kind: str) -> None:
    product = open_product(write("scene.tif", numbered(2), names=("red", name)))
    assert (product.quality_kind, product.band_names) == (kind, ("red",))
    assert [band.name for band in product.quality_bands] == [kind]
    without = open_product(write("scene.tif", numbered(2), names=("red", name)), quality="none")
    assert without.quality() is None


def test_qa_radsat_comes_with_qa_pixel(write: Write) -> None:
    names = ("QA_RADSAT", "SR_B4", "QA_PIXEL")
    product = open_product(write("a.tif", numbered(3), names=names), sensor="landsat-8-c2-l2")
    quality = product.quality()
    assert quality is not None
    assert quality.band_names == ("qa_pixel", "qa_radsat")
    assert quality.read(quality.grid.window).data[:, 0, 0].tolist() == [3, 1]
    assert product.band_names == ("red",)


def test_nodata_of_the_file_hides_no_codes(write: Write) -> None:
    data = np.array([[[5, 0]], [[0, 4]]])
    product = open_product(write("a.tif", data, names=("red", "fmask"), nodata=0))
    scene, quality = product.scene(["red"]), product.quality()
    assert scene.read(scene.grid.window).valid.tolist() == [[True, False]]
    assert quality is not None
    assert quality.read(quality.grid.window).valid.all()


def test_a_sensor_gives_names_scale_and_fill(write: Write) -> None:
    data = numbered(3)
    data[:, 0, 0] = 0
    path = write("export.tif", data, names=("SR_B4", "SR_B5", "mine"))
    product = open_product(path, sensor="landsat-8-c2-l2")
    assert product.band_names == ("red", "nir", "mine")
    assert [(b.scale, b.offset, b.fill) for b in product.bands] == [
        (0.0000275, -0.2, 0),
        (0.0000275, -0.2, 0),
        (1.0, 0.0, 0),
    ]
    assert product.band("SR_B5").name == "nir"
    scene = product.scene(["nir"])
    assert scene.read(scene.grid.window).valid.tolist() == [[False, True]]


def test_readings_that_are_physical_already_are_not_scaled_again(write: Write) -> None:
    path = write("export.tif", numbered(1), names=("SR_B4",), dtype="float32")
    red = open_product(path, sensor="landsat-8-c2-l2").band("red")
    assert (red.scale, red.offset, red.fill) == (1.0, 0.0, None)


def test_bands_without_names_are_those_of_the_sensor_in_its_order(write: Write) -> None:
    path = write("beijing.tif", numbered(4), photometric="minisblack")
    assert open_product(path).band_names == ("band_1", "band_2", "band_3", "band_4")
    product = open_product(path, sensor="beijing-2")
    assert product.band_names == ("blue", "green", "red", "nir")


def test_the_fourth_band_of_naip_is_no_mask(write: Write) -> None:
    path = write("naip.tif", numbered(4), dtype="uint8", photometric="rgb")
    product = open_product(path, sensor="naip")
    assert product.band_names == ("red", "green", "blue", "nir")
    scene = product.scene(["nir"])
    assert scene.read(scene.grid.window).data.ravel().tolist() == [4, 1]


def test_band_names_of_the_user_may_hold_the_quality_band(write: Write) -> None:
    path = write("stack.tif", numbered(3))
    product = open_product(path, band_names=["red", "nir", "fmask"])
    assert (product.band_names, product.quality_kind) == (("red", "nir"), "fmask")


def test_a_folder_of_bands_is_one_raster(write: Write, tmp_path: Path) -> None:
    for i, band in enumerate(("red", "nir"), start=1):
        write(f"scene/{band}.tif", [[i]])
    product = open_product(tmp_path / "scene")
    assert set(product.band_names) == {"red", "nir"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": "clouds"}, "quality “clouds” is not understood; give “none”, or KIND=BAND"),
        ({"quality": "fmask="}, "is not understood"),
        ({"quality": "mask=1"}, "quality “mask” is not known; there are: qa_pixel"),
        ({"quality": "fmask=4"}, "has no band “4” for quality; there are: red, nir"),
        ({"quality": "fmask=0"}, "has no band “0” for quality"),
        ({"sensor": "modis"}, "no sensor is called “modis”"),
        ({"band_names": ["red"]}, "1 band names for 2 bands"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    write: Write, options: dict[str, object], message: str
) -> None:
    path = write("scene.tif", numbered(2), names=("red", "nir"))
    with pytest.raises((OptionError, InputError), match=message):
        open_product(path, **options)  # type: ignore[arg-type]


def test_bands_that_do_not_fit_the_sensor_are_refused(write: Write) -> None:
    path = write("scene.tif", numbered(3), photometric="minisblack")
    with pytest.raises(BandError, match=r"has 3 bands without names, Beijing-2 .* has 4"):
        open_product(path, sensor="beijing-2")


def test_a_raster_of_quality_alone_is_refused(write: Write) -> None:
    with pytest.raises(BandError, match="has no band but quality bands"):
        open_product(write("scl.tif", [[4]], names=("SCL",)))


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterReadError, match="no such file or folder; check the path"):
        open_product(tmp_path / "nothing.tif")
    (tmp_path / "text.tif").write_text("text")
    with pytest.raises(RasterReadError, match="is not a raster"):
        open_product(tmp_path / "text.tif")
