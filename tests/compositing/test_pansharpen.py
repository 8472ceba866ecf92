"""Pansharpening against slow accounts of it, and by Wald's protocol against plain upsampling."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.compositing import pansharpen as module
from geoseg.compositing.gsa import Fusion, Moments
from geoseg.compositing.pair import open_pair
from geoseg.compositing.pansharpen import PansharpenSettings, pansharpen
from geoseg.errors import BandError, GridError, OptionError
from geoseg.raster.scene import Scene

NAMES = ("blue", "green", "red", "nir")


def landscape(size=256, bands=4, seed=0):
    """Fields of soil under plants, each as bright, as dense and as uneven as it is.

    (bands, size, size): what lies in a pixel is mixed linearly, plot by plot and pixel by pixel.
    """
    rng = np.random.default_rng(seed)
    seeds = rng.random((70, 2)) * size
    rows, cols = np.mgrid[:size, :size]
    distance = (rows[..., None] - seeds[:, 0]) ** 2 + (cols[..., None] - seeds[:, 1]) ** 2
    field = distance.argmin(axis=2)
    rough = rng.standard_normal((size, size)) + np.sin(rows * 0.8) * (field % 2)
    cover = np.clip(rng.random(70)[field] + 0.15 * rough, 0, 1)
    bright = rng.uniform(0.7, 1.3, 70)[field]
    soil = np.array([900, 1200, 1600, 2000, 2500, 2800, 2600])[:bands, None, None]
    plant = np.array([300, 600, 400, 3500, 1500, 900, 700])[:bands, None, None]
    return bright * (cover * plant + (1 - cover) * soil)


def degraded(data, factor=4):
    bands, height, width = data.shape
    parts = data.reshape(bands, height // factor, factor, width // factor, factor)
    return parts.mean(axis=(2, 4))


def ergas(made, truth, factor=4):
    error = ((made - truth) ** 2).mean(axis=(1, 2))
    return 100 / factor * np.sqrt((error / truth.mean(axis=(1, 2)) ** 2).mean())


def sam(made, truth):
    """Mean angle between the spectra, in degrees."""
    lengths = np.linalg.norm(made, axis=0) * np.linalg.norm(truth, axis=0)
    cosine = (made * truth).sum(axis=0) / lengths
    return np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()


def q_index(made, truth, block=32):
    """Mean of Wang and Bovik's universal quality index over blocks and bands."""
    found = []
    for one, other in zip(made, truth, strict=True):
        for row in range(0, one.shape[0] - block + 1, block):
            for col in range(0, one.shape[1] - block + 1, block):
                a = one[row : row + block, col : col + block].ravel()
                b = other[row : row + block, col : col + block].ravel()
                covariance = np.cov(a, b)
                spread = covariance[0, 0] + covariance[1, 1]
                means = a.mean() ** 2 + b.mean() ** 2
                if spread > 0:
                    found.append(4 * covariance[0, 1] * a.mean() * b.mean() / (spread * means))
    return float(np.mean(found))


def quality(write, tmp_path, truth, weights, **more):
    """Sharpen a degraded scene; return the three scores of it, and of plain cubic."""
    rng = np.random.default_rng(1)
    pan = np.tensordot(weights, truth, 1) + 5 * rng.standard_normal(truth.shape[1:])
    ms = write("ms.tif", degraded(truth).round(), pixel=40, names=NAMES, **more)
    fine = write("pan.tif", pan.round(), pixel=10, **more)
    pansharpen(open_pair(str(ms), str(fine)), tmp_path / "out.tif")
    plain = Scene.open(ms).on_grid(Scene.open(fine).grid, resampling="cubic")
    made = read(tmp_path / "out.tif").astype(float)
    upsampled = plain.read(plain.grid.window).data.astype(float)
    return [(ergas(x, truth), sam(x, truth), q_index(x, truth)) for x in (made, upsampled)]


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


# The numbers


@settings(max_examples=40, deadline=None)
@given(
    bands=st.integers(1, 4),
    rows=st.integers(3, 50),
    seed=st.integers(0, 999),
    cut=st.integers(1, 49),
)
def test_moments_are_those_of_all_pixels_however_they_come(bands, rows, seed, cut):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 4000, (bands, rows, 7))
    pan = rng.random((rows, 7)) * 3000
    valid = rng.random((rows, 7)) < 0.7
    valid[0, :2] = True
    whole, parts = Moments(bands), Moments(bands)
    whole.add(data, pan, valid)
    for start in range(0, rows, cut):
        at = slice(start, start + cut)
        parts.add(data[:, at], pan[at], valid[at])
    assert parts.pixels == whole.pixels == valid.sum()
    np.testing.assert_array_equal(parts.means, whole.means)
    np.testing.assert_array_equal(parts.covariances, whole.covariances)
    values = np.concatenate([data, pan[None]])[:, valid].astype(float)
    np.testing.assert_allclose(whole.means, values.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(whole.covariances, np.cov(values, bias=True), rtol=1e-9, atol=1e-6)


def test_fusion_is_the_papers_regression_and_gains():
    rng = np.random.default_rng(3)
    bands = rng.random((3, 40, 40)) * 1000
    bands[1] += bands[0]
    pan = 50 + 0.5 * bands[0] + 0.3 * bands[2] + rng.standard_normal((40, 40))
    moments = Moments(3)
    moments.add(bands, pan, np.ones((40, 40), bool))
    fusion = Fusion.of(moments)
    flat = np.concatenate([np.ones((1, 1600)), bands.reshape(3, -1)])
    wanted, *_ = np.linalg.lstsq(flat.T, pan.ravel(), rcond=None)
    np.testing.assert_allclose((fusion.constant, *fusion.weights), wanted, rtol=1e-6)
    intensity = wanted @ flat
    for band, gain in zip(bands, fusion.gains, strict=True):
        covariance = np.cov(band.ravel(), intensity)
        assert gain == pytest.approx(covariance[0, 1] / covariance[1, 1])
    assert fusion.explained == pytest.approx(np.corrcoef(intensity, pan.ravel())[0, 1] ** 2)
    # The detail is what of the panchromatic band the intensity has not.
    detail = pan + 7 - intensity.reshape(40, 40)
    made = fusion.sharpen(bands, pan + 7)
    np.testing.assert_allclose(made[2], bands[2] + fusion.gains[2] * detail, rtol=1e-6)


def test_bands_that_repeat_or_say_nothing_do_no_harm():
    rng = np.random.default_rng(3)
    one = rng.random((20, 20)) * 100
    bands = np.stack([one, one, np.full((20, 20), 7.0)])
    moments = Moments(3)
    moments.add(bands, 2 * one + 1, np.ones((20, 20), bool))
    fusion = Fusion.of(moments)
    assert fusion.weights == pytest.approx((1, 1, 0))
    assert fusion.gains == pytest.approx((0.5, 0.5, 0))
    assert fusion.constant == pytest.approx(1)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(GridError, match="share 0 pixels"):
        Fusion.of(Moments(2))
    moments = Moments(1)
    moments.add(np.arange(9.0).reshape(1, 3, 3), np.full((3, 3), 4.0), np.ones((3, 3), bool))
    with pytest.raises(GridError, match="explain nothing"):
        Fusion.of(moments)


# The files


def test_a_scene_is_sharpened_as_worked_out_by_numpy(write, tmp_path):
    truth = landscape(32, 2, seed=4)
    ms = write("ms.tif", degraded(truth).round(), pixel=40, names=("red", "nir"))
    pan = write("pan.tif", (truth.mean(axis=0) + 100).round(), pixel=10)
    result = pansharpen(
        open_pair(str(ms), str(pan)), tmp_path / "o.tif",
        settings=PansharpenSettings(resampling="bilinear", dtype="float64"),
    )  # fmt: skip
    low, high = read(ms).astype(float), read(pan)[0].astype(float)
    flat = np.concatenate([np.ones((1, 64)), low.reshape(2, -1)])
    weights, *_ = np.linalg.lstsq(flat.T, degraded(high[None]).ravel(), rcond=None)
    covariances = np.cov(low.reshape(2, -1), weights @ flat)
    gains = covariances[:2, 2] / covariances[2, 2]
    at = (np.arange(32) + 0.5) / 4 - 0.5
    along = np.array([[np.interp(at, np.arange(8), row) for row in band] for band in low])
    up = np.array([[np.interp(at, np.arange(8), col) for col in band.T] for band in along])
    up = np.swapaxes(up, 1, 2)
    detail = high - weights[0] - np.tensordot(weights[1:], up, 1)
    np.testing.assert_allclose(
        read(tmp_path / "o.tif"), up + gains[:, None, None] * detail, rtol=1e-5
    )
    assert result.compared == 64
    assert result.pixels == 1024
    with rasterio.open(tmp_path / "o.tif") as made, rasterio.open(pan) as given:
        assert made.descriptions == ("red", "nir")
        assert made.transform == given.transform
        assert made.dtypes == ("float64", "float64")
        assert np.isnan(made.nodata)
        assert made.tags()["GEOSEG_COMMAND"].startswith(
            "geoseg pansharpen ms.tif pan.tif --method gsa"
        )
        assert set(json.loads(made.tags()["GEOSEG_INPUTS"])) == {"ms", "pan.tif"}


@pytest.mark.parametrize("resampling", ["cubic", "bilinear"])
def test_threads_and_strips_make_no_difference(write, tmp_path, monkeypatch, resampling):
    truth = landscape(120, 3)
    # The two begin at places that have nothing to do with each other.
    ms = write("ms.tif", degraded(truth).round(), pixel=40, nodata=0)
    pan = write(
        "pan.tif", truth.mean(axis=0).round(), pixel=9, corner=(600_013.0, 4_999_971.0),
        tiled=True, blockxsize=16, blockysize=16,
    )  # fmt: skip
    chosen = PansharpenSettings(resampling=resampling)
    made = []
    for workers, most in ((1, 1 << 22), (3, 1 << 22), (2, 2000)):
        monkeypatch.setattr(module, "_MOST_PIXELS", most)
        pansharpen(
            open_pair(str(ms), str(pan)), tmp_path / "o.tif",
            settings=chosen, workers=workers, overwrite=True,
        )  # fmt: skip
        made.append((tmp_path / "o.tif").read_bytes())
    assert made[0] == made[1] == made[2]


def test_invalid_readings_stay_invalid_and_enter_nowhere(write, tmp_path):
    truth = landscape(64, 2).round()
    ms, pan = degraded(truth).round(), truth.mean(axis=0).round()
    clean = open_pair(
        str(write("a.tif", ms, pixel=40, nodata=0)), str(write("b.tif", pan, pixel=10, nodata=0))
    )
    pansharpen(clean, tmp_path / "clean.tif")
    holed, spotted = ms.copy(), pan.copy()
    holed[1, 3, 4] = 0
    holed[0, 3, 4] = 65535
    spotted[50, 60] = 0
    pair = open_pair(
        str(write("c.tif", holed, pixel=40, nodata=0)),
        str(write("d.tif", spotted, pixel=10, nodata=0)),
    )
    result = pansharpen(pair, tmp_path / "o.tif")
    made = read(tmp_path / "o.tif").astype(int)
    there = np.ones((64, 64), bool)
    there[12:16, 16:20] = there[50, 60] = False
    assert ((made != 0).all(axis=0) == there).all()
    assert (made[:, ~there] == 0).all()
    assert result.pixels == there.sum()
    assert result.compared == 256 - 2
    # 65535 beside it pulls at nothing: the rest stays what it is without the hole, nearly.
    assert np.abs(made - read(tmp_path / "clean.tif"))[:, there].max() < 150


def test_what_the_type_cannot_hold_is_clipped_and_counted(write, tmp_path):
    ms = write("ms.tif", [[[1, 254], [254, 1]]], dtype="uint8", pixel=20)
    pan = write("pan.tif", np.kron([[1, 254], [254, 1]], [[3, 1], [0.2, 0.2]]), pixel=10)
    result = pansharpen(open_pair(str(ms), str(pan)), tmp_path / "o.tif")
    whole = pansharpen(
        open_pair(str(ms), str(pan)), tmp_path / "f.tif",
        settings=PansharpenSettings(dtype="float64"),
    )  # fmt: skip
    made, exact = read(tmp_path / "o.tif"), np.rint(read(tmp_path / "f.tif"))
    # Nothing was declared, so 0 is nodata and no reading may be it.
    np.testing.assert_array_equal(made, np.clip(exact, 1, 255))
    assert result.clipped == ((exact < 1) | (exact > 255)).sum() > 0
    assert whole.clipped == 0


def test_beijing_2_has_its_names_and_its_fill(write, tmp_path):
    truth = landscape(64)
    ms, pan = degraded(truth).round(), truth.mean(axis=0).round()
    ms[:, 0, 0] = pan[40, 40] = 0
    first = write("ms.tif", ms, pixel=3.2)
    second = write("pan.tif", pan, pixel=0.8)
    result = pansharpen(
        open_pair(str(first), str(second), sensor_name="beijing-2"), tmp_path / "o.tif"
    )
    assert result.bands == NAMES
    assert result.compared == 256 - 2
    assert result.pixels == 64 * 64 - 16 - 1
    with rasterio.open(tmp_path / "o.tif") as dataset:
        assert dataset.nodata == 0
        assert dataset.read(1)[40, 40] == 0


def test_a_landsat_product_brings_its_own_pan(write, tmp_path):
    truth = landscape(32, 7, seed=2)
    name = "LC08_L1TP_190026_20180101_20180119_02_T1"
    for number, band in zip((1, 2, 3, 4, 5, 6, 7), degraded(truth, 2), strict=True):
        write(f"{name}/{name}_B{number}.TIF", band.round(), pixel=30)
    pan = truth[1:4].mean(axis=0).round()
    write(f"{name}/{name}_B8.TIF", pan, pixel=15)
    folder = str(tmp_path / name)
    pair = open_pair(folder, None)
    assert pair.bands.band_names == ("ultra blue", "blue", "green", "red", "nir")
    result = pansharpen(open_pair(folder, None, bands=("red", "B2")), tmp_path / "o.tif")
    assert result.bands == ("red", "blue")
    assert result.grid.resolution == (15, 15)
    with pytest.raises(BandError, match="leave it out"):
        open_pair(folder, None, bands=("pan", "red"))
    with pytest.raises(OptionError, match="give that"):
        open_pair(folder, None, pan_band="1")


def test_pairs_that_do_not_go_together_are_refused(write):
    ms = str(write("ms.tif", np.ones((2, 4, 4)), pixel=40))
    pan = str(write("pan.tif", np.ones((16, 16)), pixel=10))
    two = str(write("two.tif", np.ones((2, 16, 16)), pixel=10, names=("pan", "other")))
    far = str(write("far.tif", np.ones((16, 16)), pixel=10, corner=(700_000.0, 5_000_000.0)))
    other = str(write("other.tif", np.ones((16, 16)), pixel=10, crs="EPSG:32632"))
    for first, second, error, says in (
        (ms, two, BandError, "has 2 bands .pan, other.; say which"),
        (pan, ms, BandError, "has 2 bands"),
        (pan, pan, GridError, "no smaller than those"),
        (ms, far, GridError, "does not overlap"),
        (ms, other, GridError, "coordinate systems differ .EPSG:32633; EPSG:32632."),
        (ms, None, BandError, "has no panchromatic band; give the panchromatic raster"),
    ):
        with pytest.raises(error, match=says):
            open_pair(first, second)
    assert open_pair(ms, two, pan_band="1").pan.band_names == ("pan",)
    assert open_pair(ms, two, pan_band="other").pan.band_names == ("other",)
    with pytest.raises(BandError, match="three"):
        open_pair(ms, two, pan_band="three")


@pytest.mark.parametrize("resampling", ["cubic", "bilinear"])
def test_detail_is_that_of_the_same_place(write, tmp_path, resampling):
    # Two planes that are linear in x and y: were one half a pixel off, there would be detail.
    def planes(pixel, x, y, size):
        right = x + (np.arange(size) + 0.5) * pixel
        down = y + (np.arange(size)[:, None] + 0.5) * pixel
        return 3000 + 2.0 * right - down, 2000 + right + 4.0 * down

    ms = write("ms.tif", np.array(planes(40, 0, 0, 16)), pixel=40, dtype="float64")
    red, nir = planes(9, 13.0, 29.0, 64)
    pan = write(
        "pan.tif", (red + nir) / 2, pixel=9, corner=(600_013.0, 4_999_971.0), dtype="float64"
    )
    result = pansharpen(
        open_pair(str(ms), str(pan)), tmp_path / "o.tif",
        settings=PansharpenSettings(resampling=resampling),
    )  # fmt: skip
    # A panchromatic pixel that is cut counts as what it is throughout, so means are not quite the
    # plane's; half a pixel would make differences of 10 to 100.
    assert result.fusion.weights == pytest.approx((0.5, 0.5), abs=1e-3)
    inside = (slice(12, 52), slice(12, 52))
    made = read(tmp_path / "o.tif")
    np.testing.assert_allclose(made[0][inside], red[inside], atol=1)
    np.testing.assert_allclose(made[1][inside], nir[inside], atol=1)


def test_south_up_and_north_up_meet(write, tmp_path):
    truth = landscape(64, 2)
    ms = write("ms.tif", degraded(truth).round(), pixel=40)
    pan = truth.mean(axis=0).round()
    north = pansharpen(open_pair(str(ms), str(write("n.tif", pan, pixel=10))), tmp_path / "1.tif")
    path = tmp_path / "s.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=64, width=64, dtype="uint16",
        crs="EPSG:32633", transform=Affine(10, 0, 600_000, 0, 10, 5_000_000 - 640),
    ) as dataset:  # fmt: skip
        dataset.write(pan[::-1].astype("uint16"), 1)
    south = pansharpen(open_pair(str(ms), str(path)), tmp_path / "2.tif")
    assert south.fusion.gains == pytest.approx(north.fusion.gains)
    difference = read(tmp_path / "2.tif")[:, ::-1].astype(int) - read(tmp_path / "1.tif")
    assert np.abs(difference).max() <= 1


# Wald's protocol


def test_a_made_scene_is_nearer_to_the_truth_than_by_upsampling(write, tmp_path):
    scores = quality(write, tmp_path, landscape(), np.array([0.2, 0.35, 0.35, 0.1]))
    (made, made_angle, made_q), (plain, plain_angle, plain_q) = scores
    print("ERGAS, SAM, Q of the made scene:", scores)
    assert made < 0.8 * plain
    assert made_angle < plain_angle
    assert made_q > plain_q + 0.05


@pytest.mark.realdata
def test_a_real_scene_is_nearer_to_the_truth_than_by_upsampling(write, tmp_path, real_data):
    with rasterio.open(real_data / "zion" / "landsat8_b2345.tif") as dataset:
        truth = dataset.read(window=((400, 912), (400, 912))).astype(float)
    assert (truth < 65535).all()
    scores = quality(write, tmp_path, truth, np.array([0.1, 0.45, 0.4, 0.05]))
    (made, made_angle, made_q), (plain, plain_angle, plain_q) = scores
    print("ERGAS, SAM, Q of the real scene:", scores)
    assert made < 0.7 * plain
    assert made_angle < plain_angle
    assert made_q > plain_q + 0.05
