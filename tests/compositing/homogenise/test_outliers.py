"""Outliers: what is usual in an image, and the rest cut to it before anything is measured."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.cli import _run
from geoseg.compositing.homogenise.bring import bring
from geoseg.compositing.homogenise.colour import Colour
from geoseg.compositing.homogenise.outliers import cut, usual
from geoseg.compositing.homogenise.standard import Standard, read_standard
from geoseg.errors import ColourError, OptionError
from geoseg.raster.scene import Scene


def write(path, data, *, left=0.0, nodata=None):
    data = np.asarray(data)
    profile = {"driver": "GTiff", "count": len(data), "dtype": data.dtype.name, "nodata": nodata}
    shape = {"height": data.shape[1], "width": data.shape[2], "crs": "EPSG:32612"}
    transform = rasterio.transform.from_origin(left, 1000, 1, 1)
    with rasterio.open(path, "w", **profile, **shape, transform=transform) as target:
        target.write(data)
    return path


def read(scene):
    return scene.read(scene.grid.window).data


def test_limits_are_the_readings_at_the_quantiles(tmp_path):
    data = np.arange(1, 101, dtype=np.uint16).reshape(1, 10, 10)
    with Scene.open(write(tmp_path / "a.tif", data)) as scene:
        # NumPy: the quantile 0.02 of 1 … 100 is 2.98, that of 0.98 is 98.02.
        assert usual(scene, 0.02) == ((3.0, 98.0),)
        assert read(cut(scene, usual(scene, 0.02))).ravel().tolist() == [
            *(3, 3, 3),
            *range(4, 98),
            *(98, 98, 98),
        ]


def test_invalid_pixels_have_no_part_and_stay(tmp_path):
    data = np.full((1, 4, 4), 50, np.uint16)
    data[0, 0] = 65535
    data[0, 1] = (10, 90, 50, 50)
    with Scene.open(write(tmp_path / "a.tif", data, nodata=65535)) as scene:
        limits = usual(scene, 0.25)
        assert limits == ((50.0, 50.0),)
        assert (read(cut(scene, limits))[0, 0] == 65535).all()
        assert (read(cut(scene, limits))[0, 1:] == 50).all()
    with Scene.open(
        write(tmp_path / "b.tif", np.full((1, 4, 4), 65535, np.uint16), nodata=65535)
    ) as scene:
        assert usual(scene, 0.1) is None
        assert cut(scene, None) is scene


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    share=st.sampled_from([0.001, 0.01, 0.1, 0.25]),
    workers=st.integers(1, 3),
)
def test_limits_agree_with_numpy(tmp_path_factory, seed, share, workers):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 2000, (2, 40, 30)).astype(np.uint16)
    path = write(tmp_path_factory.mktemp("x") / "a.tif", data)
    with Scene.open(path) as scene:
        found = usual(scene, share, workers=workers)
    for band, (low, high) in zip(data, found, strict=True):
        a, b = np.quantile(band, [share, 1 - share])
        assert low == np.ceil(a - 1e-6)
        assert high == np.floor(b + 1e-6)


def test_limits_follow_the_bands_that_are_chosen(tmp_path):
    data = np.stack([np.arange(100).reshape(10, 10), 1000 + np.arange(100).reshape(10, 10)])
    with Scene.open(
        write(tmp_path / "a.tif", data.astype(np.uint16)), band_names=["x", "y"]
    ) as scene:
        view = cut(scene, usual(scene, 0.1)).select(["y"])
        assert (int(read(view).min()), int(read(view).max())) == (1010, 1089)


@pytest.mark.parametrize("share", [0, -0.1, 0.3, float("nan")])
def test_a_share_without_sense_is_refused_in_one_line(share, tmp_path, capsys):
    path = write(tmp_path / "a.tif", np.ones((1, 4, 4), np.uint8))
    with Scene.open(path) as scene, pytest.raises(OptionError, match="--outliers"):
        usual(scene, share)
    words = [str(path), str(path), "--outliers", str(share), "-o", str(tmp_path / "out")]
    assert _run(["homogenise", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# -- the whole way --------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path):
    """Two images of one ground, the second brighter and with a few blinding pixels."""
    rng = np.random.default_rng(1)
    ground = rng.normal(500, 60, (1, 60, 100))
    one, two = ground[:, :, :60], ground[:, :, 40:] + 100
    two[0, rng.random(two.shape[1:]) < 0.004] = 60_000
    kind = np.uint16
    return (
        write(tmp_path / "one.tif", np.rint(one).astype(kind)),
        write(tmp_path / "two.tif", np.rint(two).astype(kind), left=40),
    )


def seam(folder):
    with rasterio.open(folder / "one.tif") as one, rasterio.open(folder / "two.tif") as two:
        left, right = one.read(1)[:, 40:].astype(float), two.read(1)[:, :20].astype(float)
    return float(np.median(np.abs(left - right)))


def test_outliers_spoil_mean_and_deviation_and_cut_they_do_not(pair, tmp_path):
    words = ["homogenise", *map(str, pair), "--method", "moments", "-q"]
    assert _run([*words, "-o", str(tmp_path / "with")]) == 0
    assert _run([*words, "--outliers", "0.01", "-o", str(tmp_path / "without")]) == 0
    assert seam(tmp_path / "without") < 12
    assert seam(tmp_path / "with") > 3 * seam(tmp_path / "without")


def test_models_and_later_runs_cut_the_same(pair, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["homogenise", *map(str, pair), "--outliers", "0.01", "--json"]
    assert _run([*words, "-o", str(out)]) == 0
    capsys.readouterr()
    standard = read_standard(out / "colour.json")
    assert standard.outliers == 0.01
    assert "outliers" in standard.text
    assert Standard.from_json(json.loads(json.dumps(standard.to_json()))) == standard
    for path in pair:
        with Scene.open(path) as scene, Scene.open(out / path.name) as written:
            brought = bring(scene, standard)
            assert brought.how == "known"
            assert (read(brought.scene) == read(written)).all()
            assert read(written).max() < 1000
    again = ["homogenise", *map(str, pair), "--apply", str(out / "colour.json"), "-q"]
    assert _run([*again, "-o", str(tmp_path / "again")]) == 0
    for path in pair:
        with Scene.open(out / path.name) as one, Scene.open(tmp_path / "again" / path.name) as two:
            assert (read(one) == read(two)).all()


def test_without_outliers_a_colour_is_what_it_was(pair, tmp_path):
    out = tmp_path / "out"
    assert _run(["homogenise", *map(str, pair), "-q", "-o", str(out)]) == 0
    saved = json.loads((out / "colour.json").read_text(encoding="utf-8"))
    assert "outliers" not in saved
    saved["outliers"] = 0.7
    with pytest.raises(ColourError, match="outliers"):
        Standard.from_json(saved)
    with Scene.open(pair[0]) as scene:
        assert Colour.identity(scene).is_identity
        assert not Colour.identity(scene).within(((0.0, 1.0),)).is_identity
