"""Made scenes: that they are what was asked for, and like the real one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Point, Polygon

from geoseg.errors import BandError, OptionError, OutputError
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.plain import plain_grid
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window
from geoseg.testing import scenes
from geoseg.testing.noise import UNIT, make_line
from geoseg.testing.pixels import Maker, footprint
from geoseg.testing.scenes import made_scene, tiny_scene
from geoseg.testing.spectra import BANDS, LEGEND, NODATA, SPECTRA, reflectance

HEIGHT, WIDTH = 900, 700
WHOLE = Window(0, 0, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def maker():
    return Maker(
        height=HEIGHT, width=WIDTH, seed=3, nodata_share=0.2, bad_pixels=1e-4, label_noise=0.05
    )


@pytest.fixture(scope="module")
def whole(maker):
    return maker.make(WHOLE)


@pytest.fixture(scope="module")
def clean():
    """Readings and labels of every pixel, with nothing wrong."""
    return Maker(height=HEIGHT, width=WIDTH, seed=3).make(WHOLE)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_window_made_alone_is_the_same_as_in_the_whole(maker, whole, data):
    row = data.draw(st.integers(0, HEIGHT - 1))
    col = data.draw(st.integers(0, WIDTH - 1))
    height = data.draw(st.integers(1, min(200, HEIGHT - row)))
    width = data.draw(st.integers(1, min(200, WIDTH - col)))
    pixels, labels = maker.make(Window(row, col, height, width))
    at = np.s_[row : row + height, col : col + width]
    assert np.array_equal(pixels, whole[0][:, *at])
    assert np.array_equal(labels, whole[1][at])


def test_a_window_far_out_is_made_of_the_same_classes():
    far = Maker(height=1 << 20, width=1 << 20).make(Window(1_000_000, 900_000, 100, 100))
    assert set(np.unique(far[1])) <= set(LEGEND.ids)
    assert far[0].max() < NODATA


def test_another_seed_is_another_country(clean):
    other = Maker(height=HEIGHT, width=WIDTH, seed=4).make(WHOLE)
    assert (other[1] != clean[1]).mean() > 0.3


@pytest.mark.parametrize(("height", "width", "share"), [(23, 17, 0.3), (16, 40, 0.1), (9, 9, 0.5)])
def test_footprint_is_the_polygon_between_points_of_the_borders(height, width, share):
    p = (1 - math.sqrt(1 - 2 * share)) / 2
    corners = [
        (p * width, 0),
        (width, p * height),
        ((1 - p) * width, height),
        (0, (1 - p) * height),
    ]
    polygon = Polygon(corners)
    assert polygon.area / (height * width) == pytest.approx(1 - share)
    expected = [
        [polygon.contains(Point(col + 0.5, row + 0.5)) for col in range(width)]
        for row in range(height)
    ]
    cols = np.arange(width)
    edges = footprint(height, width, share)
    assert np.array_equal((cols >= edges[:, :1]) & (cols < edges[:, 1:]), expected)


def test_footprint_without_nodata_is_everything():
    assert footprint(2, 5, 0.0).tolist() == [[0, 5], [0, 5]]


def test_nodata_is_the_collar_and_a_few_pixels(maker, whole, clean):
    pixels, labels = whole
    collar = labels == 0
    assert collar.mean() == pytest.approx(0.2, abs=2e-3)
    invalid = pixels == NODATA
    assert invalid[:, collar].all()
    inside = invalid[:, ~collar]
    assert 20 < inside.any(axis=0).sum() < 90  # 50 on average
    assert 0 < inside.all(axis=0).sum() < inside.any(axis=0).sum()
    assert np.array_equal(pixels[~invalid], clean[0][~invalid])


def test_label_noise_replaces_the_share_asked_for(whole, clean):
    labelled = whole[1] != 0
    changed = (whole[1] != clean[1])[labelled].mean()
    assert changed == pytest.approx(0.05 * 7 / 8, rel=0.05)  # one in eight is drawn again


def test_classes_look_as_measured(clean):
    pixels, labels = clean
    for number, spectrum in SPECTRA.items():
        if (here := labels == number).sum() < 20_000:  # light and greenness do not average out
            continue
        found = pixels[:, here].astype(float)
        assert np.all(np.abs(found.mean(axis=1) - spectrum.mean) < 0.5 * np.array(spectrum.std))
        spread = found.std(axis=1) / spectrum.std
        assert np.all((spread > 0.6) & (spread < 1.2))
        # Within a region as small as this one light and greenness may go together a little.
        assert np.corrcoef(found[2:])[0, 1] == pytest.approx(spectrum.red_nir, abs=0.35)


def test_loadings_give_the_deviations_and_the_correlation_of_red_and_nir():
    for spectrum in SPECTRA.values():
        loadings = spectrum.loadings()
        covariance = loadings.T @ loadings
        assert np.sqrt(covariance[2, 2]) == pytest.approx(spectrum.std[2])
        assert np.sqrt(covariance[3, 3]) == pytest.approx(spectrum.std[3])
        assert covariance[2, 3] / math.sqrt(covariance[2, 2] * covariance[3, 3]) == pytest.approx(
            spectrum.red_nir
        )


def test_regions_are_as_rough_as_real_ones():
    """Chance that two pixels have one class, by distance, beside that of the real map."""
    chances = []
    for seed in (0, 1):
        labels = Maker(height=1400, width=1000, seed=seed).make(Window(0, 0, 1400, 1000))[1]
        chances.append([(labels[:, d:] == labels[:, :-d]).mean() for d in (1, 4, 16, 64)])
    assert np.mean(chances, axis=0) == pytest.approx([0.84, 0.71, 0.62, 0.55], abs=0.09)


def test_every_class_is_there_and_the_frequent_ones_are_frequent():
    labels = Maker(height=1400, width=1000).make(Window(0, 0, 1400, 1000))[1]
    share = np.bincount(labels.ravel(), minlength=9)[1:] / labels.size
    assert share.min() > 0.002
    assert share[3] > 0.3  # forest
    assert share[4] > 0.3  # shrub
    assert share[2] > 0.05  # barren


def test_float_scene_is_reflectance_with_nan(whole):
    options = {"nodata_share": 0.2, "bad_pixels": 1e-4}
    made = Maker(height=HEIGHT, width=WIDTH, seed=3, is_float=True, **options).make(WHOLE)[0]
    assert made.dtype == np.float32
    assert np.array_equal(np.isnan(made), whole[0] == NODATA)
    valid = whole[0] != NODATA
    assert np.allclose(made[valid], whole[0][valid] * 2e-5 - 0.1, atol=1e-6)
    assert reflectance(np.array([55000], np.uint16))[0] == pytest.approx(1)


def test_bands_come_in_the_order_asked_for(clean):
    made = Maker(height=HEIGHT, width=WIDTH, seed=3, bands=["nir", "green"]).make(WHOLE)[0]
    assert np.array_equal(made, clean[0][[3, 1]])


@pytest.mark.parametrize("bands", [["red", "swir1"], []])
def test_bands_that_cannot_be_made_are_refused(tmp_path, bands):
    with pytest.raises(BandError, match="made scenes have the bands blue, green, red, nir"):
        made_scene(tmp_path / "scene.tif", bands=bands)


@pytest.mark.parametrize(
    "option", [{"nodata_share": 0.6}, {"bad_pixels": 0.1}, {"label_noise": -1}]
)
def test_shares_beyond_their_bounds_are_refused(tmp_path, option):
    with pytest.raises(OptionError, match=next(iter(option))):
        made_scene(tmp_path / "scene.tif", **option)
    assert list(tmp_path.iterdir()) == []


def test_files_hold_the_pixels_whatever_the_number_of_workers(tmp_path, maker, whole, monkeypatch):
    monkeypatch.setattr(scenes, "_PART", (128, 256))
    options = {"nodata_share": 0.2, "bad_pixels": 1e-4, "label_noise": 0.05, "block": (128, 128)}
    counted = []
    for workers in (1, 4):
        made = made_scene(
            tmp_path / f"scene{workers}.tif",
            height=HEIGHT,
            width=WIDTH,
            seed=3,
            labels=tmp_path / f"labels{workers}.tif",
            workers=workers,
            progress=counted.append,
            **options,
        )
        with rasterio.open(made.path) as file:
            assert np.array_equal(file.read(), whole[0])
            assert file.nodata == NODATA
            assert file.block_shapes[0] == (128, 128)
        with rasterio.open(made.labels) as file:
            assert np.array_equal(file.read(1), whole[1])
            assert file.nodata == 0
    assert sum(counted) == 2 * HEIGHT * WIDTH
    for name in ("scene", "labels"):
        first, second = (tmp_path / f"{name}{n}.tif" for n in (1, 4))
        assert first.read_bytes() == second.read_bytes()


def test_scene_and_labels_say_what_they_are(tmp_path):
    made = made_scene(
        tmp_path / "scene.tif", height=64, width=96, labels=tmp_path / "labels.tif", block=(32, 32)
    )
    with Scene.open(made.path) as scene:
        assert scene.band_names == BANDS
        assert scene.grid == made.grid
        assert "GEOSEG_VERSION" in scene.tags
        assert "Made up" in scene.tags["TIFFTAG_IMAGEDESCRIPTION"]
    assert raster_legend(made.labels) == LEGEND == made.legend


@pytest.mark.parametrize(
    "kind",
    [
        {"compression": None, "interleave": "pixel"},
        {"compression": "zstd", "block": (16, None)},
        {"compression": "lzw", "dtype": "float32"},
    ],
)
def test_any_kind_of_file_holds_the_same_pixels(tmp_path, kind):
    made = made_scene(tmp_path / "scene.tif", height=70, width=50, **kind)
    is_float = kind.get("dtype") == "float32"
    maker = Maker(height=70, width=50, nodata_share=0.15, bad_pixels=1e-5, is_float=is_float)
    with rasterio.open(made.path) as file:
        expected = maker.make(Window(0, 0, 70, 50))[0]
        assert np.array_equal(file.read(), expected, equal_nan=True)
        assert np.isnan(file.nodata) == is_float


@pytest.mark.parametrize(
    ("place", "transform"),
    [
        ({}, (30, 0, 301905, 0, -30, 4154085)),
        ({"south_up": True, "resolution": 10.0}, (10, 0, 301905, 0, 10, 4154085)),
        ({"rotation": 90.0}, (0, 30, 301905, 30, 0, 4154085)),
        ({"rotation": 30.0, "crs": None}, (25.980762, 15, 301905, 15, -25.980762, 4154085)),
    ],
)
def test_scene_lies_where_it_was_put(tmp_path, place, transform):
    made = made_scene(tmp_path / "scene.tif", height=20, width=30, **place)
    with Scene.open(made.path) as scene:
        assert tuple(scene.grid.transform)[:6] == pytest.approx(transform, abs=1e-6)
        assert scene.grid == made.grid
        assert (scene.grid.crs is None) == ("crs" in place)


def test_a_scene_that_is_there_is_left_alone_unless_told(tmp_path):
    path = tmp_path / "scene.tif"
    made_scene(path, height=20, width=20)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        made_scene(path, height=20, width=20, seed=1)
    assert path.read_bytes() == before
    made_scene(path, height=20, width=20, seed=1, overwrite=True)
    assert path.read_bytes() != before


def test_an_interrupted_scene_leaves_nothing(tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_scene(
            tmp_path / "s.tif", height=40, width=40, labels=tmp_path / "l.tif", progress=interrupt
        )
    assert list(tmp_path.iterdir()) == []


def test_no_more_windows_are_in_memory_than_workers_and_one(monkeypatch):
    made, taken, most = [], [], []

    def make(window):
        made.append(window)
        return np.empty(0), np.empty(0, np.uint8)

    windows = [Window(row, 0, 1, 1) for row in range(20)]
    for window, *_ in scenes._in_order(make, iter(windows), 3):
        taken.append(window)
        most.append(len(made) - len(taken) + 1)
    assert taken == windows
    assert max(most) <= 4


def test_tiny_scene_is_the_array(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = tiny_scene(tmp_path / "t.tif", array, nodata=7, bands=["a", "b"], crs=None, resolution=1)
    with Scene.open(path) as scene:
        pixels = scene.read(scene.grid.window)
        assert np.array_equal(pixels.data, array)
        assert scene.band_names == ("a", "b")
        assert pixels.valid.sum() == 11


def test_tiny_scene_without_names_leaves_its_bands_unnamed(tmp_path):
    grid = plain_grid(2, 2, crs="EPSG:4326", origin=(10, 50), resolution=0.1)
    path = tiny_scene(tmp_path / "t.tif", np.zeros((2, 2), np.uint8), grid=grid)
    with Scene.open(path) as scene:
        assert not scene.bands_are_named
        assert scene.grid == grid


def test_tiny_scene_of_classes_has_their_legend(tmp_path):
    legend = parse_legend("1=water,2=forest")
    path = tiny_scene(tmp_path / "t.tif", np.ones((4, 4), np.uint8), nodata=255, legend=legend)
    assert raster_legend(path) == legend


def test_lines_of_noise_are_far_from_each_other():
    line = make_line(np.random.default_rng(0), exponent=4, longest=100)
    first, second = line.read(0, 0, 1000), line.read(1, 0, 1000)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.5
    assert np.array_equal(line.read(2, 100, 50), line.read(2, 0, 200)[100:150])
    assert line.values.std() == pytest.approx(1, abs=1e-3)
    assert UNIT > 1000  # rounding to integers does not show


@pytest.mark.realdata
def test_spectra_are_those_of_the_real_scene(real_data):
    """Measured again, as `geoseg.testing.spectra` says."""
    with rasterio.open(real_data / "zion" / "landsat8_b2345.tif") as file:
        pixels = file.read().astype(float)
    with rasterio.open(real_data / "zion" / "nlcd_simplified_on_landsat_grid.tif") as file:
        labels = file.read(1)
    alike = np.ones((labels.shape[0] - 2, labels.shape[1] - 2), bool)
    for row in range(3):
        for col in range(3):
            shifted = labels[row : row + alike.shape[0], col : col + alike.shape[1]]
            alike &= shifted == labels[1:-1, 1:-1]
    for number, spectrum in SPECTRA.items():
        found = pixels[:, 1:-1, 1:-1][:, alike & (labels[1:-1, 1:-1] == number)]
        for _ in range(3):
            away = found - found.mean(axis=1, keepdims=True)
            distance = (away * np.linalg.solve(np.cov(found), away)).sum(axis=0)
            found = found[:, distance < np.quantile(distance, 0.99)]
        assert found.mean(axis=1) == pytest.approx(spectrum.mean, abs=1)
        assert found.std(axis=1) == pytest.approx(spectrum.std, abs=1)
        correlation = np.corrcoef(found)
        assert correlation[2, 3] == pytest.approx(spectrum.red_nir, abs=2e-3)
        slopes = correlation[:2, 2:] @ np.linalg.inv(correlation[2:, 2:])
        assert slopes == pytest.approx(np.array([spectrum.blue_on, spectrum.green_on]), abs=2e-3)
