"""What differs where images meet, worked out by hand and by numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geoseg.compositing.homogenise.pairs import find_pairs
from geoseg.compositing.homogenise.seams import overall, overall_median, read_pairs
from geoseg.raster.scene import Scene

CORNER = (600_000.0, 5_000_000.0)


def at(row, col):
    return {"corner": (CORNER[0] + 30 * col, CORNER[1] - 30 * row)}


def survey(scenes, **more):
    return read_pairs(scenes, find_pairs([scene.grid for scene in scenes]), **more)


def test_a_seam_is_what_it_is_by_hand(write):
    one = write("a.tif", [[1, 2, 10, 20], [3, 4, 30, 0]], nodata=0)
    other = write("b.tif", [[12, 18, 7], [31, 40, 7]], nodata=0, **at(0, 2))
    scenes = [Scene.open(one), Scene.open(other)]
    (seam,), samples = survey(scenes)
    # 10 and 12, 20 and 18, 30 and 31; where the first has nothing, nothing is compared.
    assert seam.pixels == 3
    assert seam.difference == pytest.approx((-1 / 3,))
    assert seam.absolute == pytest.approx((5 / 3,))
    pooled = (np.var([10, 20, 30]) + np.var([12, 18, 31])) / 2
    assert seam.deviation == pytest.approx((math.sqrt(pooled),))
    assert overall([seam]) == pytest.approx(5 / 3 / math.sqrt(pooled))
    assert samples == []


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("rows", [False, True])
def test_images_side_by_side_are_compared_along_their_border(write, turned, rows):
    one, other = np.array([[1, 5], [2, 7]]), np.array([[9, 0], [6, 0]])
    place = at(0, 2)
    if not rows:
        one, other, place = one.T, other.T, at(2, 0)
    paths = [write("a.tif", one), write("b.tif", other, **place)]
    scenes = [Scene.open(path) for path in paths][:: -1 if turned else 1]
    ((seam,), _) = survey(scenes)
    assert seam.pair.kind == "border"
    sign = -1 if turned else 1
    assert (seam.pixels, seam.difference, seam.absolute) == (2, (sign * -1.5,), (2.5,))


def test_an_overlap_without_common_readings_measures_nothing(write):
    one = write("a.tif", [[1, 0], [1, 0]], nodata=0)
    other = write("b.tif", [[0, 3], [0, 3]], nodata=0)
    (seam,), samples = survey([Scene.open(one), Scene.open(other)], sample=True)
    assert seam.pixels == 0
    assert samples == []
    assert math.isnan(overall([seam]))


def test_flat_images_differ_by_the_deviation_of_rounding_or_not_at_all(write):
    scenes = [Scene.open(write(f"{v}.tif", [[v, v], [v, v]])) for v in (5, 6)]
    (seam,), _ = survey(scenes)
    assert seam.relative == pytest.approx((math.sqrt(12),))
    (same,), _ = survey([scenes[0], scenes[0]])
    assert same.relative == (0,)
    floats = [Scene.open(write(f"f{v}.tif", [[v, v]], dtype="float32")) for v in (5, 6)]
    (seam,), _ = survey(floats)
    assert seam.relative == (math.inf,)


def test_samples_are_means_over_cells_of_what_both_have(write):
    rng = np.random.default_rng(1)
    data = rng.integers(100, 5000, (2, 2, 300, 200)).astype(np.uint16)
    data[0, :, :80] = 0
    data[1, 0, 200, 100] = 65535  # may have been clipped
    paths = [write(f"{k}.tif", data[k], nodata=0) for k in (0, 1)]
    (seam,), (samples,) = survey([Scene.open(p) for p in paths], sample=True)
    assert seam.pixels == 220 * 200
    assert samples.weight.sum() == 220 * 200 - 1
    assert 4 <= samples.weight.min() <= samples.weight.max() <= 16
    side = 4
    cells = data.astype(float).reshape(2, 2, 75, side, 50, side).mean(axis=(3, 5))
    full = samples.weight == side * side
    wanted = cells[:, :, 20:].reshape(2, 2, -1)
    hit = ~((np.arange(55)[:, None] == 30) & (np.arange(50) == 25)).ravel()
    np.testing.assert_allclose(samples.a[full], wanted[0][:, hit].T, rtol=1e-12)
    np.testing.assert_allclose(samples.b[full], wanted[1][:, hit].T, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
def test_the_measure_does_not_depend_on_threads_blocks_or_type(write, dtype):
    rng = np.random.default_rng(2)
    data = rng.integers(1, 120, (2, 3, 700, 500)).astype(dtype)
    small = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    one, other = write("a.tif", data[0], dtype=dtype), write("b.tif", data[1], dtype=dtype, **small)
    scenes = [Scene.open(one), Scene.open(other)]
    seams, samples = survey(scenes, sample=True, workers=1)
    again, more = survey(scenes, sample=True, workers=3)
    assert again == seams
    np.testing.assert_array_equal(more[0].a, samples[0].a)
    a, b = data.astype(float)
    expected = np.abs(a - b).mean(axis=(1, 2))
    np.testing.assert_allclose(seams[0].absolute, expected, rtol=1e-12)
    pooled = np.sqrt((a.var(axis=(1, 2)) + b.var(axis=(1, 2))) / 2)
    np.testing.assert_allclose(seams[0].deviation, pooled, rtol=1e-10)


def test_images_on_other_grids_are_compared_by_the_pixels_in_which_centres_lie(write):
    fine = np.arange(64).reshape(8, 8)
    coarse = write("coarse.tif", [[50, 60], [70, 80]], pixel=120.0)
    (seam,), _ = survey([Scene.open(write("fine.tif", fine)), Scene.open(coarse)])
    # Centres of the coarse pixels lie on borders, and the pixel after a border takes them.
    assert (seam.pair.first, seam.pair.second) == (1, 0)
    b = fine[[[2, 2], [6, 6]], [[2, 6], [2, 6]]]
    assert seam.difference == (np.mean(np.array([[50, 60], [70, 80]]) - b),)


def test_a_cloud_of_one_image_alone_does_not_count_in_the_median(write):
    one = np.full((10, 10), 100)
    other = one + 1
    other[:4] = 60000  # 40 of 100 pixels
    other[4, 0] = 103
    scenes = [Scene.open(write("a.tif", one)), Scene.open(write("b.tif", other))]
    (seam,), _ = survey(scenes)
    assert seam.absolute[0] > 20000
    assert seam.median == (1,)
    assert seam.relative_median == pytest.approx((1 / seam.deviation[0],))
    assert overall_median([seam]) == pytest.approx(seam.relative_median[0])
    assert math.isnan(overall_median([]))


@pytest.mark.parametrize(("dtype", "low"), [("uint8", 0), ("int16", -32768), ("float32", -500)])
def test_the_median_is_that_of_numpy(write, dtype, low):
    rng = np.random.default_rng(4)
    high = 255 if dtype == "uint8" else 32767
    a, b = rng.integers(low, high, (2, 600, 500))
    paths = [write(f"{k}.tif", data, dtype=dtype) for k, data in enumerate((a, b))]
    (seam,), _ = survey([Scene.open(path) for path in paths], workers=3)
    wanted = np.median(np.abs(a - b))
    assert seam.median[0] == pytest.approx(wanted, rel=3e-4 if dtype == "float32" else 0)


def test_floats_that_agree_differ_by_nothing_in_the_middle(write):
    data = np.linspace(0, 1, 100).reshape(10, 10)
    other = data.copy()
    other[:4] += 1
    scenes = [
        Scene.open(write(f"{k}.tif", d, dtype="float32")) for k, d in enumerate((data, other))
    ]
    assert survey(scenes)[0][0].median == (0,)
