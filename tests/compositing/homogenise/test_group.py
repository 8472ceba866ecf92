"""A group brought to one colour: what each method reaches, and that nothing becomes worse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geoseg.compositing.homogenise.fit import fit_image
from geoseg.compositing.homogenise.group import fit_group
from geoseg.compositing.homogenise.haze import prepare
from geoseg.compositing.homogenise.measure import measure
from geoseg.compositing.homogenise.seams import overall
from geoseg.compositing.homogenise.settings import HomogeniseSettings
from geoseg.compositing.homogenise.standard import Dodge, Standard
from geoseg.errors import BandError, ColourError, GridError, OptionError
from geoseg.raster.scene import Scene

METHODS = ("moments", "histogram", "overlap")
CORNER = (600_000.0, 5_000_000.0)


def ground(rows, cols, bands=3, seed=5):
    """Smooth country with some texture, float64."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols] / 40
    layers = []
    for band in range(bands):
        a, b, c = rng.uniform(0.5, 2, 3)
        smooth = np.sin(a * x + band) + np.cos(b * y) + 0.5 * np.sin(c * (x + y))
        layers.append(5000 + 700 * band + 600 * smooth + 150 * rng.normal(size=x.shape))
    return np.array(layers)


PIECES = [(0, 0), (0, 70), (60, 0), (60, 70)]
SIZE = (80, 90)


@pytest.fixture
def pieces(write):
    """Write four overlapping pieces of a country, each with its own gain and offset."""

    def make(*, dtype="float64", gains=1.0, clouds=0.0, bands=3, seed=0):
        rng = np.random.default_rng(seed)
        whole, scenes, clear = ground(140, 160, bands), [], []
        for number, (row, col) in enumerate(PIECES):
            cut = whole[:, row : row + SIZE[0], col : col + SIZE[1]].copy()
            cloudy = np.zeros(SIZE, bool)
            if clouds and number % 2:
                cells = rng.random((SIZE[0] // 10, SIZE[1] // 10)) < clouds
                cloudy = np.kron(cells, np.ones((10, 10), bool))
                cut[:, cloudy] = 15000 + rng.normal(0, 900, (bands, int(cloudy.sum())))
            if gains:
                g = np.exp(rng.normal(0, 0.2 * gains, (bands, 1, 1)))
                cut = g * cut + rng.normal(0, 500 * gains, (bands, 1, 1))
            if dtype != "float64":
                cut = np.rint(cut)
            names = ("blue", "green", "red", "nir")[:bands]
            corner = (CORNER[0] + 30 * col, CORNER[1] - 30 * row)
            name = f"p{number}_{seed}_{dtype}_{clouds}_{gains}.tif"
            path = write(name, cut, dtype=dtype, names=names, corner=corner)
            scenes.append(Scene.open(path))
            clear.append(~cloudy)
        return scenes, clear

    return make


def fit(scenes, method=None, *, reference=None, **more):
    settings = HomogeniseSettings(method=method, **more)
    return fit_group(scenes, settings=settings, reference=reference, workers=2)


def read(scene, colour=None):
    view = scene if colour is None else scene.recoloured(colour)
    return view.read(scene.grid.window).data.astype(np.float64)


def seams_of_clear(scenes, colours, clear):
    """Largest mean difference of two pieces over clear ground, by numpy alone."""
    worst = 0.0
    made = [read(s, c) for s, c in zip(scenes, colours, strict=True)]
    canvas = np.full((len(scenes), made[0].shape[0], 140, 160), np.nan)
    for number, (row, col) in enumerate(PIECES):
        part = np.where(clear[number], made[number], np.nan)
        canvas[number, :, row : row + SIZE[0], col : col + SIZE[1]] = part
    for i in range(len(scenes)):
        for j in range(i):
            difference = np.abs(canvas[i] - canvas[j])
            if np.isfinite(difference).any():
                worst = max(worst, np.nanmean(difference))
    return worst


def test_exact_gains_and_offsets_are_undone_to_the_last_digits(pieces):
    scenes, clear = pieces()
    fitted = fit(scenes)
    assert fitted.standard.method == "overlap"
    assert not fitted.kept
    assert seams_of_clear(scenes, [None] * 4, clear) > 300
    assert seams_of_clear(scenes, fitted.colours, clear) < 1e-6
    assert overall(fitted.seams_before) > 0.5
    assert overall(fitted.seams_after) < 1e-9


@pytest.mark.parametrize("clouds", [0.0, 0.2])
def test_whole_numbers_agree_ten_times_better_outside_clouds(pieces, clouds):
    scenes, clear = pieces(dtype="uint16", clouds=clouds)
    fitted = fit(scenes, "overlap")
    before = seams_of_clear(scenes, [None] * 4, clear)
    after = seams_of_clear(scenes, fitted.colours, clear)
    assert after < before / 100


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("anchored", [False, True])
def test_a_colour_whose_images_keep_their_haze_keeps_it_too(pieces, method, anchored):
    scenes, _ = pieces(dtype="uint16", gains=0.0)
    reference = scenes[0] if anchored else None
    plain = fit(scenes, method, reference=reference)
    hazy = fit(scenes, method, reference=reference, haze="dark-object", cast="grey-world")
    assert plain.kept
    assert hazy.kept
    assert hazy.standard == plain.standard
    # What would have been wanted was another colour.
    wanted = prepare([measure(s) for s in scenes], haze="dark-object", cast="grey-world")
    assert any(not line.is_identity for lines in wanted for line in lines)


def test_the_middle_of_the_group_stays_where_it_is(pieces):
    scenes, _ = pieces()
    fitted = fit(scenes, "overlap")
    raw, made = [], []
    for scene, colour in zip(scenes, fitted.colours, strict=True):
        for into, data in ((raw, read(scene)), (made, read(scene, colour))):
            into.append([data.mean(axis=(1, 2)), data.std(axis=(1, 2))])
    np.testing.assert_allclose(np.mean(made, axis=0), np.mean(raw, axis=0), rtol=1e-9)
    target = [(band.mean, band.deviation) for band in fitted.standard.bands]
    np.testing.assert_allclose(np.mean(raw, axis=0).T, target, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_images_that_agree_already_stay_to_the_bit(pieces, method, dtype):
    scenes, _ = pieces(dtype=dtype, gains=0.0)
    fitted = fit(scenes, method, haze="dark-object", dodge=Dodge(cell=16, brightness=1, contrast=1))
    assert fitted.kept
    assert "stay as they are" in fitted.notes[-1]
    assert all(colour.is_identity for colour in fitted.colours)
    assert fitted.standard.dodge is None
    for scene in scenes:
        # Who uses the saved colour leaves them as they are as well.
        again = fit_image(Standard.from_json(fitted.standard.to_json()), scene)
        np.testing.assert_array_equal(read(scene, again), read(scene))


@pytest.mark.parametrize("method", METHODS)
def test_no_method_makes_seams_larger(pieces, method):
    for seed in range(3):
        scenes, _ = pieces(dtype="uint16", seed=seed)
        fitted = fit(scenes, method)
        assert overall(fitted.seams_after) <= overall(fitted.seams_before)


@pytest.mark.parametrize("method", METHODS)
def test_the_saved_colour_brings_an_image_of_the_group_where_it_went(pieces, method):
    scenes, _ = pieces(dtype="uint16")
    fitted = fit(scenes, method)
    for scene, colour in zip(scenes, fitted.colours, strict=True):
        again = fit_image(Standard.from_json(fitted.standard.to_json()), scene, workers=1)
        np.testing.assert_array_equal(read(scene, again), read(scene, colour))


@pytest.mark.parametrize("method", METHODS)
def test_a_reference_of_the_group_stays_and_the_others_come_to_it(pieces, method):
    scenes, _ = pieces(dtype="uint16")
    fitted = fit(scenes, method, reference=Scene.open(scenes[2].paths[0]))
    assert fitted.standard.reference == scenes[2].name
    assert len(fitted.names) == 4
    np.testing.assert_array_equal(read(scenes[2], fitted.colours[2]), read(scenes[2]))
    if method == "overlap":
        assert overall(fitted.seams_after) < overall(fitted.seams_before) / 100


def test_a_reference_outside_the_group_is_met_where_it_overlaps(pieces):
    scenes, _ = pieces(dtype="uint16")
    fitted = fit(scenes[:3], "overlap", reference=scenes[3])
    assert fitted.names == tuple(scene.name for scene in scenes)
    assert len(fitted.colours) == 3
    with_reference = [s for s in fitted.seams_after if s.pair.second == 3]
    assert with_reference
    assert overall(with_reference) < 0.01


def test_an_image_apart_comes_by_its_moments_and_is_named(pieces, write):
    scenes, _ = pieces(dtype="uint16")
    data = 2 * ground(50, 50, seed=9)
    far = write("far.tif", data, names=("blue", "green", "red"), corner=(700_000.0, 5_000_000.0))
    fitted = fit([*scenes, Scene.open(far)], "overlap")
    assert any(note.startswith("no overlap") and note.endswith("far") for note in fitted.notes)
    made = read(Scene.open(far), fitted.colours[4])
    for band, target in zip(made, fitted.standard.bands, strict=True):
        assert band.mean() == pytest.approx(target.mean, abs=0.1)
        assert band.std() == pytest.approx(target.deviation, abs=0.5)


def test_an_image_without_a_valid_pixel_stays_and_is_named(pieces, write):
    scenes, _ = pieces(dtype="uint16")
    empty = write(
        "empty.tif", np.zeros((3, 20, 20)), names=("blue", "green", "red"), nodata=0, corner=CORNER
    )
    for method in METHODS:
        fitted = fit([*scenes, Scene.open(empty)], method)
        assert "without a valid pixel, and left as they are: empty" in fitted.notes
        assert fitted.colours[4].is_identity
    with pytest.raises(ColourError, match="valid pixel"):
        fit([Scene.open(empty)] * 2, "moments")


def test_images_that_only_lie_side_by_side_are_measured_along_their_border(write):
    whole = ground(60, 80, bands=1)
    paths = [
        write("west.tif", whole[:, :, :40], dtype="float32"),
        write("east.tif", 1.5 * whole[:, :, 40:] + 900, dtype="float32",
              corner=(CORNER[0] + 1200, CORNER[1])),
    ]  # fmt: skip
    fitted = fit([Scene.open(path) for path in paths])
    assert fitted.standard.method == "moments"
    assert [seam.pair.kind for seam in fitted.seams_before] == ["border"]
    assert overall(fitted.seams_after) < overall(fitted.seams_before) / 3


def test_dodging_that_makes_seams_larger_is_told_and_left_out_where_nothing_is_better(pieces):
    dodge = Dodge(cell=8, brightness=1, contrast=1)
    scenes, _ = pieces(dtype="uint16")
    fitted = fit(scenes, "overlap", dodge=dodge)
    assert fitted.standard.dodge == dodge
    assert "dodging evens out each image by itself" in fitted.notes[-1]
    scenes, _ = pieces(dtype="uint16", gains=0.05)
    fitted = fit(scenes, "overlap", dodge=dodge)
    assert "images are not dodged" in fitted.notes[-1]
    assert fitted.standard.dodge is None
    assert not fitted.kept
    assert overall(fitted.seams_after) < overall(fitted.seams_before) / 5


def test_photographs_without_a_place_have_no_seams(write):
    paths = [write(f"{k}.tif", k * ground(20, 20), dtype="float32", crs=None) for k in (1, 2)]
    scenes = [Scene.open(path) for path in paths]
    fitted = fit(scenes)
    assert fitted.seams_before == ()
    assert math.isnan(overall(fitted.seams_after))
    assert "no two images meet" in fitted.notes[-1]
    one, other = (read(s, c) for s, c in zip(scenes, fitted.colours, strict=True))
    np.testing.assert_allclose(one, other, rtol=1e-5)
    with pytest.raises(GridError, match="has no coordinate system, so what it shares"):
        fit(scenes, "overlap")


def test_haze_and_cast_change_the_colour_of_the_group_and_not_how_images_agree(pieces):
    scenes, _ = pieces()
    plain = fit(scenes, "overlap")
    made = fit(scenes, "overlap", haze="dark-object", cast="grey-world")
    assert not made.kept
    assert overall(made.seams_after) < 1e-9
    means = [band.mean for band in made.standard.bands]
    assert np.ptp(means) < 0.1 * np.ptp([band.mean for band in plain.standard.bands])
    assert made.standard.haze == "dark-object"
    assert made.standard.cast == "grey-world"


def test_the_result_does_not_depend_on_the_number_of_workers(pieces):
    scenes, _ = pieces(dtype="uint16", clouds=0.2)
    settings = HomogeniseSettings(dodge=Dodge(cell=20, brightness=0.5, contrast=0.5))
    one = fit_group(scenes, settings=settings, workers=1)
    four = fit_group(scenes, settings=settings, workers=4)
    assert one.standard.digest == four.standard.digest
    assert one.seams_after == four.seams_after


def test_what_has_no_common_colour_is_refused(pieces, write):
    scenes, _ = pieces(dtype="uint16")
    two = write("two.tif", np.ones((2, 9, 9)), names=("blue", "green"))
    with pytest.raises(BandError, match="choose with --bands"):
        fit([scenes[0], Scene.open(two)])
    real = write("real.tif", np.ones((3, 9, 9)), dtype="float32", names=("blue", "green", "red"))
    with pytest.raises(BandError, match=r"real\.tif holds float32"):
        fit([scenes[0], Scene.open(real)])
    with pytest.raises(OptionError, match="one image has nothing to agree with"):
        fit(scenes[:1])
    apart = [write(f"n{k}.tif", [[k, 9], [0, 7]], corner=(9e5 * k, 5e6)) for k in (1, 2)]
    with pytest.raises(GridError, match="no two images overlap"):
        fit([Scene.open(path) for path in apart], "overlap")
    halves = [write(f"h{k}.tif", h, nodata=0) for k, h in enumerate(([[5, 0]], [[0, 7]]))]
    with pytest.raises(GridError, match="nowhere have two of them enough readings"):
        fit([Scene.open(path) for path in halves], "overlap")
