"""Targets and what brings images to them: moments, histograms, haze, cast, local adjustment."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.compositing.homogenise.colour import Colour, Curve, Line
from geoseg.compositing.homogenise.dodge import dodged
from geoseg.compositing.homogenise.fit import (
    fit_image,
    fit_measured,
    group_target,
    reference_target,
)
from geoseg.compositing.homogenise.histogram import match_histogram
from geoseg.compositing.homogenise.measure import (
    BandMeasure,
    ImageStatistics,
    LocalStatistics,
    measure,
)
from geoseg.compositing.homogenise.moments import match_moments
from geoseg.compositing.homogenise.standard import (
    SHARES,
    BandTarget,
    Dodge,
    ImageLine,
    Method,
    Standard,
)
from geoseg.errors import BandError, ColourError
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

Write = Callable[..., Path]


def band(
    name: str = "red",
    mean: float = 0.0,
    deviation: float = 1.0,
    quantiles: Sequence[float] | None = None,
    dark: float = 0.0,
) -> BandMeasure:
    found = tuple(SHARES) if quantiles is None else tuple(quantiles)
    return BandMeasure(name=name, mean=mean, deviation=deviation, quantiles=found, dark=dark)


def statistics(*bands: BandMeasure, count: int = 100, name: str = "a") -> ImageStatistics:
    return ImageStatistics(name=name, count=count, bands=bands)


def target(mean: float = 0.0, deviation: float = 1.0, quantiles: Any = SHARES) -> BandTarget:
    return BandTarget(name="red", mean=mean, deviation=deviation, quantiles=tuple(quantiles))


def read(scene: Scene, colour: Colour) -> Any:
    pixels = scene.read(scene.grid.window)
    colour.apply(pixels.data, pixels.valid, scene.grid.window)
    return pixels


def standard(group: Sequence[ImageStatistics], method: Method, **more: Any) -> Standard:
    return Standard(method=method, bands=group_target(group), **more)


# -- moments -------------------------------------------------------------------------------------


def test_moments_give_mean_and_deviation_of_the_target() -> None:
    assert match_moments(band(mean=50, deviation=4), target(110, 10)) == Line(gain=2.5, offset=-15)


@pytest.mark.parametrize(("own", "wanted"), [(0.0, 5.0), (5.0, 0.0), (0.0, 0.0)])
def test_without_a_deviation_a_band_is_moved_alone(own: float, wanted: float) -> None:
    found = match_moments(band(mean=50, deviation=own), target(60, wanted))
    assert found == Line(gain=1, offset=10)


def test_what_no_number_holds_is_refused() -> None:
    with pytest.raises(ColourError, match=r"band “red” has a mean of 1e\+10 and cannot be brought"):
        match_moments(band(mean=1e10, deviation=1e-10), target(0, 1e299))


# -- histograms ----------------------------------------------------------------------------------


def test_a_reading_of_many_shares_becomes_the_mean_of_the_targets() -> None:
    # Half of the pixels are 7, the target rises from 0 to 1: 7 becomes the mean of 0 … 0.5.
    middle = SHARES.index(0.5)
    own = [7.0] * (middle + 1) + [8.0 + s for s in SHARES[middle + 1 :]]
    found = match_histogram(band(quantiles=own), target())
    assert isinstance(found, Curve)
    assert (found.readings[0], found.becomes[0]) == (7, pytest.approx(0.25))
    assert found.becomes[1:] == tuple(SHARES[middle + 1 :])


def test_a_band_of_one_reading_is_moved_to_the_mean() -> None:
    found = match_histogram(band(quantiles=[3.0] * len(SHARES)), target())
    assert isinstance(found, Line)
    assert found.gain == 1
    assert found.offset == pytest.approx(0.5 - 3)


@given(st.lists(st.floats(-1e5, 1e5), min_size=len(SHARES), max_size=len(SHARES)).map(sorted))
def test_the_targets_own_quantiles_change_nothing(quantiles: list[float]) -> None:
    assert match_histogram(band(quantiles=quantiles), target(quantiles=quantiles)).is_identity


@given(st.integers(1, 4), st.integers(1, 400), st.integers(0, 99))
def test_curves_of_histograms_never_fall(own: int, other: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    q = np.sort(rng.integers(0, own * 9, len(SHARES)) / own)
    t = np.sort(rng.random(len(SHARES)) * other)
    found = match_histogram(band(quantiles=q.tolist()), target(quantiles=t.tolist()))
    if isinstance(found, Curve):  # which is refused if it does
        assert set(found.readings) == set(q.tolist())


# -- targets -------------------------------------------------------------------------------------


def test_the_target_of_a_group_is_its_middle_weighted_by_pixels() -> None:
    one = statistics(band(mean=10, deviation=2, quantiles=[1.0] * len(SHARES)), count=300)
    two = statistics(band(mean=20, deviation=6, quantiles=[5.0] * len(SHARES)), count=100)
    (found,) = group_target([one, two])
    assert (found.mean, found.deviation, found.quantiles[7]) == (12.5, 3, 2)


def test_images_without_pixels_do_not_enter_the_target() -> None:
    one = statistics(band(mean=10, deviation=2))
    empty = statistics(band(mean=math.nan, deviation=math.nan), count=0)
    assert group_target([empty, one]) == reference_target(one)
    with pytest.raises(ColourError, match="no image has a valid pixel"):
        group_target([empty])
    with pytest.raises(ColourError, match="a: has no valid pixel"):
        reference_target(empty)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=6), st.floats(-1e4, 1e4))
def test_images_that_are_alike_are_their_own_target_to_the_bit(
    counts: list[int], mean: float
) -> None:
    quantiles = np.sort(np.random.default_rng(0).normal(mean, 9, len(SHARES))).tolist()
    one = band(mean=mean, deviation=9.1, quantiles=quantiles)
    (found,) = group_target([statistics(one, count=n) for n in counts])
    assert (found.mean, found.deviation) == (mean, 9.1)
    assert found.quantiles == tuple(quantiles)


# -- images --------------------------------------------------------------------------------------


def picture(seed: int = 0, shape: tuple[int, int] = (160, 200)) -> Any:
    """Smooth readings from 20 to 180 or so, three bands."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((3, shape[0] // 20 + 2, shape[1] // 20 + 2)) * 150
    fine = coarse.repeat(20, axis=1).repeat(20, axis=2)[:, : shape[0], : shape[1]]
    return fine + rng.normal(20, 3, (3, *shape)).clip(5, 60)


@pytest.mark.parametrize("method", ["moments", "histogram", "overlap"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_an_image_is_brought_to_itself_to_the_bit(write: Write, method: Method, dtype: str) -> None:
    scene = Scene.open(write("a.tif", picture().astype(dtype), dtype=dtype, nodata=7))
    found = fit_image(standard([measure(scene)], method), scene)
    assert found.is_identity
    before = scene.read(scene.grid.window).data
    assert read(scene, found).data.tobytes() == before.tobytes()


def test_moments_bring_another_image_to_the_mean_and_deviation(write: Write) -> None:
    data = picture()
    data[:, :20, :30] = 0
    one = Scene.open(write("a.tif", data, dtype="float32", nodata=0))
    two = Scene.open(write("b.tif", np.where(data, data * 1.7 + 31, 0), dtype="float32", nodata=0))
    wanted = one.read(one.grid.window).data
    found = read(two, fit_image(standard([measure(one)], "moments"), two))
    assert found.data[:, found.valid] == pytest.approx(wanted[:, found.valid], abs=1e-3)
    assert (found.data[:, ~found.valid] == 0).all()


@pytest.mark.parametrize("gamma", [0.6, 1.5])
def test_a_copy_with_another_gamma_comes_back_to_within_some_digital_numbers(
    write: Write, gamma: float
) -> None:
    data = (picture() * 50).astype(np.uint16)
    bent = np.rint(10_000 * (data / 10_000) ** gamma).astype(np.uint16)
    one = Scene.open(write("a.tif", data))
    two = Scene.open(write("b.tif", bent))
    found = read(two, fit_image(standard([measure(one)], "histogram"), two))
    off = np.abs(found.data.astype(float) - data)
    assert off.mean() < 2  # of some 9,000
    assert np.quantile(off, 0.99) < 8


def test_a_copy_of_8_bits_with_another_gamma_comes_back_by_its_histogram(write: Write) -> None:
    data = picture().astype(np.uint8)
    bent = np.rint(255 * (data / 255) ** 0.8).astype(np.uint8)
    one, two = Scene.open(write("a.tif", data)), Scene.open(write("b.tif", bent))
    found = read(two, fit_image(standard([measure(one)], "histogram"), two))
    off = np.abs(found.data.astype(int) - data)
    assert off.mean() < 0.5
    assert off.max() <= 2


def test_a_known_image_gets_its_line_whatever_the_method(write: Write) -> None:
    scene = Scene.open(write("a.tif", picture(), names=("red", "green", "nir")))
    line = ImageLine(
        name="a",
        fingerprint=scene.fingerprint(),
        gains=(1.0, 2.0, 3.0),
        offsets=(0.0, -1.0, 5.0),
    )
    bands = group_target([measure(scene)])
    for method in ("moments", "histogram", "overlap"):
        told = Standard(method=method, bands=bands, images=(line,))
        found = fit_image(told, scene)
        assert found.bands == (Line(), Line(gain=2, offset=-1), Line(gain=3, offset=5))
        # By its bands' names, in whatever order the scene has them.
        some = fit_image(told, scene.select(["nir", "red"]))
        assert some.bands == (Line(gain=3, offset=5), Line())


def test_a_known_image_is_not_read_unless_it_is_dodged(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene.open(write("a.tif", picture()))
    image = measure(scene, cell=32)
    line = ImageLine(
        name="a", fingerprint=scene.fingerprint(), gains=(1.0,) * 3, offsets=(0.0,) * 3
    )
    told = standard([image], "moments", images=(line,))
    dodge = Dodge(cell=32, brightness=0.5, contrast=0.9)
    local = fit_image(standard([image], "moments", images=(line,), dodge=dodge), scene).local
    assert local is not None
    assert local.means.shape == (3, 5, 7)
    monkeypatch.setattr("geoseg.compositing.homogenise.fit.measure", None)
    assert fit_image(told, scene).is_identity


def test_a_band_that_the_standard_does_not_have_is_named(write: Write) -> None:
    scene = Scene.open(write("a.tif", picture(), names=("red", "green", "nir")))
    told = standard([measure(scene)], "moments")
    with pytest.raises(BandError, match="swir"):
        fit_image(told, scene.renamed(["red", "green", "swir"]))


@pytest.mark.parametrize("method", ["moments", "histogram"])
def test_an_image_without_valid_pixels_is_left_as_it_is(write: Write, method: Method) -> None:
    one = Scene.open(write("a.tif", picture()))
    empty = Scene.open(write("b.tif", np.zeros((3, 9, 9)), nodata=0))
    dodge = Dodge(cell=8, brightness=0.5, contrast=0.5)
    assert fit_image(standard([measure(one)], method, dodge=dodge), empty).is_identity


@pytest.mark.parametrize("method", ["moments", "histogram"])
def test_what_was_measured_before_fits_as_what_is_measured_now(
    write: Write, method: Method
) -> None:
    one, two = (Scene.open(write(f"{n}.tif", picture(n), nodata=0)) for n in (1, 2))
    told = standard([measure(one)], method, dodge=Dodge(cell=40, brightness=0.8, contrast=0.8))
    now = read(two, fit_image(told, two, workers=1))
    before = read(two, fit_measured(told, two, measure(two, cell=40)))
    assert np.array_equal(now.data, before.data)


@pytest.mark.parametrize("method", ["moments", "histogram"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_recoloured_scene_reads_the_same_by_windows_and_whole(
    write: Write, method: Method, dtype: str
) -> None:
    data = picture(3)
    data[:, 30:60, 50:90] = 0
    one = Scene.open(write("a.tif", picture(4), dtype=dtype, nodata=0))
    two = Scene.open(write("b.tif", data, dtype=dtype, nodata=0))
    told = standard([measure(one)], method, dodge=Dodge(cell=24, brightness=0.6, contrast=0.8))
    view = two.recoloured(fit_image(told, two))
    whole = view.read(view.grid.window)
    again = pickle.loads(pickle.dumps(view))
    for window in (Window(0, 0, 1, 200), Window(37, 41, 60, 77), Window(159, 199, 1, 1)):
        part = again.read(window)
        at = window.slices()
        assert np.array_equal(part.data, whole.data[(slice(None), *at)])
        assert np.array_equal(part.valid, whole.valid[at])
    assert (whole.data[:, ~whole.valid] == 0).all()
    assert (whole.data[:, whole.valid] != 0).all()


# -- local adjustment ----------------------------------------------------------------------------


def test_an_image_that_is_alike_everywhere_is_not_changed_by_full_adjustment(write: Write) -> None:
    tile = np.random.default_rng(2).normal(100, 20, (1, 16, 16)).astype(np.float32)
    scene = Scene.open(write("a.tif", np.tile(tile, (1, 6, 5)), dtype="float32"))
    image = measure(scene, cell=16)
    dodge = Dodge(cell=16, brightness=1.0, contrast=1.0)
    colour = Colour(bands=(Line(),), nodata=None, local=dodged(image, [Line()], dodge))
    before = scene.read(scene.grid.window).data
    assert read(scene, colour).data == pytest.approx(before, abs=1e-4)


def test_a_shadow_over_half_of_an_image_goes(write: Write) -> None:
    rng = np.random.default_rng(2)
    data = rng.normal(100, 10, (1, 256, 256))
    data[:, :, 128:] = data[:, :, 128:] * 0.5 + 10
    scene = Scene.open(write("a.tif", data, dtype="float32"))
    told = standard([measure(scene)], "moments", dodge=Dodge(cell=32, brightness=1.0, contrast=1.0))
    found = read(scene, fit_image(told, scene)).data[0]
    left, right = found[:, :96], found[:, 160:]
    assert abs(left.mean() - right.mean()) < 0.5  # 40 before
    assert left.std() == pytest.approx(right.std(), rel=0.05)  # twice before
    assert found.mean() == pytest.approx(data.mean(), abs=1)


@settings(deadline=None)
@given(st.floats(0.2, 5), st.floats(-50, 50), st.integers(0, 9))
def test_local_statistics_go_through_a_line_exactly_and_through_a_curve_alike(
    gain: float, offset: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    local = LocalStatistics(
        cell=8, means=rng.uniform(50, 150, (1, 3, 4)), deviations=rng.uniform(0, 20, (1, 3, 4))
    )
    image = ImageStatistics(name="a", count=9, bands=(band(mean=100, deviation=15),), local=local)
    dodge = Dodge(cell=8, brightness=0.5, contrast=0.5)
    line = Line(gain=gain, offset=offset)
    one = dodged(image, [line], dodge)
    curve = Curve(readings=(-1e3, 1e3), becomes=(gain * -1e3 + offset, gain * 1e3 + offset))
    two = dodged(image, [curve], dodge)
    assert one is not None
    assert two is not None
    assert one.means == pytest.approx(gain * local.means + offset)
    assert one.deviations == pytest.approx(gain * local.deviations)
    assert two.means == pytest.approx(one.means, abs=1e-6)
    assert two.deviations == pytest.approx(one.deviations, abs=1e-6)
    assert two.mean == pytest.approx(one.mean)
    assert two.deviation == pytest.approx(one.deviation)


def test_cells_of_another_size_are_a_mistake_of_the_caller() -> None:
    local = LocalStatistics(cell=16, means=np.ones((1, 1, 1)), deviations=np.ones((1, 1, 1)))
    image = ImageStatistics(name="a", count=9, bands=(band(),), local=local)
    with pytest.raises(ValueError, match="cells of 16 px, wanted 8"):
        dodged(image, [Line()], Dodge(cell=8, brightness=0.5, contrast=0.5))
