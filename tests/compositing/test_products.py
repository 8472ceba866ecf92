"""Products as they come: real ones, opened by each of their forms."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from geoseg.compositing.masks import ClearRule, clear
from geoseg.compositing.products import Product, open_product
from geoseg.errors import BandError, RasterReadError

Write = Callable[..., Path]


def read(path: Path | str, band: int = 1) -> NDArray[np.generic]:
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(band))


def clear_of(product: Product, rule: ClearRule) -> NDArray[np.bool_]:
    quality = product.quality()
    assert quality is not None
    assert product.quality_kind is not None
    pixels = quality.read(quality.grid.window)
    codes = dict(zip(quality.band_names, pixels.data, strict=True))
    return clear(product.quality_kind, codes, rule, pixels.valid)


def test_bands_of_several_files_are_read_together_and_survive_pickling(write: Write) -> None:
    name = "LC08_L2SP_005009_20150710_20200908_02_T2"
    for number in (2, 3, 4):
        write(f"p/{name}_SR_B{number}.TIF", [[number, 0]])
    product = open_product(write(f"p/{name}_QA_PIXEL.TIF", [[21824, 1]]).parent)
    scene = pickle.loads(pickle.dumps(product.scene(["red", "green", "blue"])))
    pixels = scene.read(scene.grid.window)
    assert pixels.data[:, 0, 0].tolist() == [4, 3, 2]
    assert pixels.valid.tolist() == [[True, False]]
    assert clear_of(product, ClearRule()).tolist() == [[True, False]]


def test_nodata_that_a_file_declares_goes_before_the_fill_of_the_sensor(write: Write) -> None:
    name = "LC08_L2SP_005009_20150710_20200908_02_T2"
    folder = write(f"p/{name}_SR_B4.TIF", [[5, 0, 9]], nodata=9).parent
    write(f"p/{name}_SR_B5.TIF", [[5, 6, 7]])
    scene = open_product(folder).scene(["red"])
    assert scene.read(scene.grid.window).valid.tolist() == [[True, True, False]]


def test_a_product_without_the_band_asked_for_says_which_it_has(write: Write) -> None:
    product = open_product(write("a.tif", [[[1]], [[2]]], names=("red", "nir")))
    with pytest.raises(BandError, match=r"a\.tif: has no band “blue”; there are: red, nir"):
        product.scene(["blue"])
    with pytest.raises(BandError, match="name bands, each once"):
        product.scene([])


def test_a_word_of_one_bands_name_is_enough(write: Write) -> None:
    names = ("ultra blue B1", "blue B2", "nir B8", "nir B8A")
    product = open_product(write("a.tif", [[[1]], [[2]], [[3]], [[4]]], names=names))
    assert product.scene(["blue"]).band_names == ("blue B2",)
    assert product.band("ultra").name == "ultra blue B1"
    with pytest.raises(BandError, match=r"a\.tif: band “nir” may mean “nir B8” or “nir B8A”"):
        product.band("nir")


def test_a_damaged_band_is_named(write: Write) -> None:
    name = "LC08_L2SP_005009_20150710_20200908_02_T2"
    path = write(f"p/{name}_SR_B4.TIF", [[5]])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(RasterReadError, match=r"SR_B4\.TIF: "):
        open_product(path.parent).scene(["red"])


@pytest.mark.realdata
def test_a_real_collection_2_scene_is_the_same_by_folder_metadata_and_item(
    real_data: Path,
) -> None:
    folder = real_data / "landsat8_c2l2"
    (metadata,) = folder.glob("*_MTL.json")
    (item,) = folder.glob("*_stac.json")
    products = [open_product(path) for path in (folder, metadata, item)]
    names = ("ultra blue", "blue", "green", "red", "nir", "swir1", "swir2")
    stem = "LC08_L2SP_005009_20150710_20200908_02_T2"
    for product in products:
        assert product.name == stem
        assert product.cloud_cover == 54.65
        assert str(product.acquired) == "2015-07-10"
        assert product.band_names == names
        assert product.bands == products[0].bands
        scene = product.scene(names)
        pixels = scene.read(scene.grid.window)
        wanted = np.stack([read(folder / f"{stem}_SR_B{n}.TIF") for n in range(1, 8)])
        assert np.array_equal(pixels.data, wanted)
        assert np.array_equal(pixels.valid, (wanted != 0).all(axis=0))
    quality = read(folder / f"{stem}_QA_PIXEL.TIF")
    saturation = read(folder / f"{stem}_QA_RADSAT.TIF")
    usual = ((quality & 0b11111) == 0) & (saturation == 0)
    assert 0.1 < usual.mean() < 0.3
    for product in products:
        assert np.array_equal(clear_of(product, ClearRule.from_text("snow,water")), usual)


@pytest.mark.realdata
def test_real_collection_1_scenes_are_products_with_their_own_clear_pixels(
    real_data: Path,
) -> None:
    folders = sorted((real_data / "ny18").glob("LC08_*"))
    assert len(folders) == 19
    for folder in folders:
        product = open_product(folder)
        assert product.name == folder.name
        assert product.sensor is not None
        assert product.sensor.name == "landsat-8-c1-l1"
        assert len(product.bands) == 11
        assert product.acquired is not None
        assert product.acquired.strftime("%Y%m%d") == folder.name.split("_")[3]
        (file,) = folder.glob("*_BQA.TIF")
        quality = read(file).astype(int)
        # As words: not fill, not hidden, nothing saturated, no cloud, and neither cloud, shadow,
        # snow nor cirrus of high confidence.
        expected = np.array(
            [
                f"{code:016b}"[-1] == "0"
                and f"{code:016b}"[-2] == "0"
                and f"{code:016b}"[-4:-2] == "00"
                and f"{code:016b}"[-5] == "0"
                and all(f"{code:016b}"[-i - 2 : -i] != "11" for i in (5, 7, 9, 11))
                for code in quality.ravel()
            ]
        ).reshape(quality.shape)
        assert np.array_equal(clear_of(product, ClearRule()), expected)
        (blue,) = folder.glob("*_B2.TIF")
        scene = product.scene(["blue"])
        assert np.array_equal(scene.read(scene.grid.window).valid, read(blue) != 0)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "day", "clouds"),
    [
        ("LE70220491999322EDC01_stack.gtif", "1999-11-18", False),
        ("LE70220492002106EDC00_stack.gtif", "2002-04-16", True),
    ],
)
def test_real_stacks_with_fmask_as_their_last_band(
    real_data: Path, name: str, day: str, clouds: bool
) -> None:
    path = real_data / "p022r049" / name
    product = open_product(path, quality="fmask=8")
    assert str(product.acquired) == day
    assert len(product.bands) == 7
    codes = read(path, 8)
    found = clear_of(product, ClearRule())
    assert np.array_equal(found, (codes == 0) | (codes == 1))
    assert bool((~found).any()) is clouds
