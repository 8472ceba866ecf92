"""Many dates to one scene, against numpy and PROJ."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.transform import Affine
from scipy import ndimage

from geoseg.compositing import composite as composite_module
from geoseg.compositing import making
from geoseg.compositing.composite import composite
from geoseg.compositing.masks import ClearRule
from geoseg.compositing.opening import open_products
from geoseg.compositing.reduce import Reduction
from geoseg.compositing.settings import CompositeSettings
from geoseg.compositing.target import target_grid
from geoseg.errors import BandError, GridError, OptionError, OutputError
from geoseg.raster.grid import Grid
from geoseg.raster.vector import read_region

NAMES = ("red", "nir", "fmask")


def made_dates(write, number=5, size=(40, 50), seed=0, **more):
    """Rasters of red, nir and Fmask with readings from 1 on, fill 0 and patches of cloud."""
    rng = np.random.default_rng(seed)
    paths = []
    for date in range(number):
        bands = rng.integers(1, 9999, (2, *size))
        bands[:, rng.random(size) < 0.05] = 0
        mask = np.kron(rng.choice([0, 1, 2, 3, 4, 255], (8, 10)), np.ones((5, 5), int))
        data = np.concatenate([bands, mask[None]])
        where = {"corner": more["corners"][date]} if "corners" in more else {}
        paths.append(write(f"date{date}.tif", data, names=NAMES, nodata=0, **where))
    return paths


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def nan_median(stack):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmedian(stack, axis=0)


def masked(data, *, keep=(0, 1), dilate=0):
    """(bands, rows, cols) of NaN where not clear, by Fmask in the last band."""
    codes = data[-1]
    bad = ~np.isin(codes, keep) & (codes != 255)
    if dilate:
        bad = ndimage.binary_dilation(bad, np.ones((2 * dilate + 1,) * 2))
    valid = ~bad & (codes != 255) & (data[:-1] != 0).all(axis=0)
    return np.where(valid, data[:-1].astype(float), np.nan)


def make(paths, out, *, grid=None, names=None, rule=None, quality="fmask=fmask", **more):
    products = open_products([str(p) for p in paths], quality=quality).products
    kept = {k: more.pop(k) for k in ("reduction", "dtype") if k in more}
    settings = CompositeSettings(bands=names, rule=rule or ClearRule(), **kept)
    grid = grid or target_grid(products, names or ("red", "nir"), extent="union").grid
    return composite(products, out, grid, settings=settings, **more)


def check(path, stack):
    """Compare a composite with what its dates should give, (dates, bands, rows, cols)."""
    found = read(path)
    np.testing.assert_array_equal(found[:-1], nan_median(stack).astype(np.float32))
    np.testing.assert_array_equal(found[-1], np.isfinite(stack[:, 0]).sum(axis=0))


def test_composite_is_the_median_of_clear_readings_with_their_number_last(write, tmp_path):
    paths = made_dates(write)
    result = make(paths, tmp_path / "out.tif")
    stack = np.array([masked(read(path)) for path in paths])
    check(tmp_path / "out.tif", stack)
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.descriptions == ("red", "nir", "clear")
        assert set(dataset.dtypes) == {"float32"}
        assert math.isnan(dataset.nodata)
        tags = dataset.tags()
    assert len(json.loads(tags["GEOSEG_INPUTS"])) == len(paths)
    counts = np.isfinite(stack[:, 0]).sum(axis=0)
    np.testing.assert_array_equal(result.counts, np.bincount(counts.ravel(), minlength=6))
    assert result.bands == ("red", "nir")
    assert result.outside == result.unmasked == ()


@pytest.mark.parametrize("name", ["mean", "percentile", "medoid"])
def test_other_reductions_see_the_same_readings(write, tmp_path, name):
    paths = made_dates(write)
    share = 25.0 if name == "percentile" else None
    make(paths, tmp_path / "out.tif", reduction=Reduction(method=name, percentile=share))
    stack = np.array([masked(read(path)) for path in paths])
    found = read(tmp_path / "out.tif")[:-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if name == "mean":
            np.testing.assert_allclose(found, np.nanmean(stack, axis=0), rtol=1e-6)
        elif name == "percentile":
            np.testing.assert_allclose(found, np.nanpercentile(stack, 25, axis=0), rtol=1e-6)
        else:
            same = (stack == found).all(axis=1).any(axis=0)
            np.testing.assert_array_equal(same, np.isfinite(stack[:, 0]).any(axis=0))


@pytest.mark.parametrize("crs", [None, "EPSG:32634"])
@pytest.mark.parametrize("dilate", [0, 3])
def test_windows_and_threads_change_no_byte(write, tmp_path, monkeypatch, dilate, crs):
    paths = made_dates(write, corners=[(6e5 + 30 * d, 5e6 - 60 * d) for d in range(5)])
    products = open_products([str(p) for p in paths], quality="fmask=fmask").products
    grid = target_grid(products, ("red", "nir"), crs=crs).grid
    rule = ClearRule(dilate=dilate)
    result = make(paths, tmp_path / "one.tif", grid=grid, rule=rule, workers=1)
    assert result.counts[1:].sum() > 100
    monkeypatch.setattr(making, "_MOST_PIXELS", 1)
    monkeypatch.setattr(making, "_STACK_BYTES", 1)
    for workers in (1, 3):
        make(paths, tmp_path / f"{workers}.tif", grid=grid, rule=rule, workers=workers)
        assert (tmp_path / f"{workers}.tif").read_bytes() == (tmp_path / "one.tif").read_bytes()


def test_scenes_of_one_name_are_all_told_in_the_metadata(write, tmp_path):
    paths = [write(f"{n}/scene.tif", [[n + 1]], names=["red"], nodata=0) for n in range(3)]
    make(paths, tmp_path / "out.tif", names=("red",), quality="none")
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert len(json.loads(dataset.tags()["GEOSEG_INPUTS"])) == 3
        assert dataset.read(1).item() == 2


def test_what_is_masked_grows_over_borders_of_windows_and_of_the_grid(write, tmp_path, monkeypatch):
    paths = made_dates(write)
    monkeypatch.setattr(making, "_MOST_PIXELS", 1)
    whole = target_grid(
        open_products([str(paths[0])], quality="fmask=fmask").products, ("red",)
    ).grid
    part = whole.crop(read_region("600210,4999190,601200,4999790", whole).window)
    assert (part.height, part.width) == (20, 33)
    make(paths, tmp_path / "out.tif", grid=part, rule=ClearRule(dilate=2))
    stack = np.array([masked(read(path), dilate=2) for path in paths])
    check(tmp_path / "out.tif", stack[:, :, 7:27, 7:40])


def test_keeping_snow_keeps_snow(write, tmp_path):
    paths = made_dates(write)
    make(paths, tmp_path / "out.tif", rule=ClearRule.from_text("snow"))
    check(tmp_path / "out.tif", np.array([masked(read(p), keep=(0, 3)) for p in paths]))


def test_dates_of_other_extents_meet_on_one_lattice(write, tmp_path):
    corners = [(6e5, 5e6), (6e5 - 90, 5e6 + 60), (6e5 + 300, 5e6 - 30)]
    paths = made_dates(write, 3, corners=corners)
    make(paths, tmp_path / "out.tif")
    full = np.full((3, 2, 43, 63), np.nan)
    for date, (row, col) in enumerate([(2, 3), (0, 0), (3, 13)]):
        full[date, :, row : row + 40, col : col + 50] = masked(read(paths[date]))
    check(tmp_path / "out.tif", full)
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.transform == Affine(30, 0, 6e5 - 90, 0, -30, 5e6 + 60)


def placed(path, grid):
    """A date on a grid: of each pixel's centre, by PROJ, the pixel that it lies in."""
    data = masked(read(path))
    rows, cols = np.mgrid[: grid.height, : grid.width] + 0.5
    t = grid.transform  # north up, as those of the dates
    x, y = t.a * cols + t.c, t.e * rows + t.f
    with rasterio.open(path) as dataset:
        systems = grid.crs.to_wkt(), dataset.crs.to_wkt()
        transform = Transformer.from_crs(*systems, always_xy=True).transform
        x, y = transform(x, y)
        cols, rows = (x - dataset.transform.c) / 30, (dataset.transform.f - y) / 30
    inside = (rows >= 0) & (cols >= 0) & (rows < data.shape[1]) & (cols < data.shape[2])
    out = np.full((len(data), grid.height, grid.width), np.nan)
    out[:, inside] = data[:, rows[inside].astype(int), cols[inside].astype(int)]
    return out


def test_dates_in_other_systems_are_brought_to_the_chosen_one(write, tmp_path):
    paths = made_dates(write, 3, corners=[(6e5, 5e6), (6e5 + 211.3, 5e6 - 97.1), (6e5, 5e6)])
    products = open_products([str(p) for p in paths], quality="fmask=fmask").products
    chosen = {"crs": "EPSG:3857", "resolution": 37.0, "extent": "union"}
    grid = target_grid(products, ("red", "nir"), **chosen).grid
    assert grid.transform.a == 37
    assert grid.transform.c % 37 == 0
    make(paths, tmp_path / "out.tif", grid=grid)
    check(tmp_path / "out.tif", np.array([placed(path, grid) for path in paths]))


def test_counts_go_to_a_raster_of_their_own(write, tmp_path):
    paths = made_dates(write)
    make(paths, tmp_path / "out.tif")
    result = make(paths, tmp_path / "alone.tif", counts=tmp_path / "counts.tif")
    assert result.outputs == (tmp_path / "alone.tif", tmp_path / "counts.tif")
    both = read(tmp_path / "out.tif")
    np.testing.assert_array_equal(read(tmp_path / "alone.tif"), both[:-1])
    counts = read(tmp_path / "counts.tif")
    assert counts.dtype == np.uint16
    np.testing.assert_array_equal(counts[0], both[-1])


def test_whole_numbers_are_rounded_and_readers_are_told_nodata(write, tmp_path):
    paths = made_dates(write, 2)
    result = make(paths, tmp_path / "out.tif", dtype="int16")
    expected = nan_median(np.array([masked(read(path)) for path in paths]))
    found = read(tmp_path / "out.tif")
    np.testing.assert_array_equal(
        found[:-1], np.where(np.isnan(expected), -32768, np.rint(expected))
    )
    assert result.clipped == 0
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.nodata == -32768
        assert set(dataset.dtypes) == {"int16"}


def test_whole_numbers_carry_scale_and_offset_and_count_what_does_not_fit(write, tmp_path):
    path = write("high.tif", [[7273, 40000, 1, 0]], names=["SR_B4"], nodata=0)
    products = open_products([str(path)], sensor="landsat-8-c2-l2", quality="none").products
    grid = target_grid(products, ("red",)).grid
    out = tmp_path / "out.tif"
    settings = CompositeSettings(dtype="int16")
    result = composite(products, out, grid, settings=settings)
    assert read(out)[0].tolist() == [[7273, 32767, 1, -32768]]
    assert read(out)[1].tolist() == [[1, 1, 1, 0]]
    assert result.clipped == 1
    with rasterio.open(out) as dataset:
        assert dataset.scales == (0.0000275, 1)
        assert dataset.offsets == (-0.2, 0)
        assert dataset.units == ("reflectance", None)


def test_a_region_cuts_the_composite_and_leaves_the_rest_alone(write, tmp_path):
    paths = made_dates(write)
    make(paths, tmp_path / "all.tif")
    products = open_products([str(p) for p in paths], quality="fmask=fmask").products
    grid = target_grid(products, ("red", "nir")).grid
    triangle = tmp_path / "triangle.geojson"
    ring = [[600150, 4999850], [601150, 4999850], [600150, 4999050], [600150, 4999850]]
    triangle.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "crs": {"type": "name", "properties": {"name": "EPSG:32633"}},
                "features": [
                    {
                        "type": "Feature",
                        "properties": {},
                        "geometry": {"type": "Polygon", "coordinates": [ring]},
                    }
                ],
            }
        )
    )
    area = read_region(triangle, grid)
    result = make(paths, tmp_path / "part.tif", grid=grid, area=area)
    inside = area.mask(area.window)
    assert 0 < inside.sum() < inside.size
    whole = read(tmp_path / "all.tif")[:, *area.window.slices()]
    found = read(tmp_path / "part.tif")
    np.testing.assert_array_equal(found[:, inside], whole[:, inside])
    assert np.isnan(found[:-1, ~inside]).all()
    assert (found[-1, ~inside] == 0).all()
    assert result.counts.sum() == inside.sum()


def test_dates_off_the_grid_are_left_out_and_named(write, tmp_path):
    paths = made_dates(write, 2, corners=[(6e5, 5e6), (7e5, 5e6)])
    grid = target_grid(
        open_products([str(paths[0])], quality="fmask=fmask").products, ("red",)
    ).grid
    result = make(paths, tmp_path / "out.tif", grid=grid)
    assert len(result.dates) == len(result.outside) == 1
    check(tmp_path / "out.tif", masked(read(paths[0]))[None])
    with pytest.raises(GridError, match="none of the 1 scenes lies on the grid"):
        make(paths[1:], tmp_path / "none.tif", grid=grid)
    assert not (tmp_path / "none.tif").exists()


def test_nan_and_infinity_are_no_readings(write, tmp_path):
    one = write("one.tif", [[1.5, np.nan, 3.0, np.inf]], dtype="float32", names=["red"])
    two = write("two.tif", [[2.5, 7.0, np.nan, np.nan]], dtype="float32", names=["red"])
    result = make([one, two], tmp_path / "out.tif", names=("red",), quality="none")
    assert read(tmp_path / "out.tif").tolist()[1] == [[2, 1, 1, 0]]
    np.testing.assert_array_equal(read(tmp_path / "out.tif")[0], [[2, 7, 3, np.nan]])
    assert len(result.unmasked) == 2


def test_an_interrupted_run_leaves_nothing(write, tmp_path):
    paths = made_dates(write)
    before = set(tmp_path.iterdir())

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(paths, tmp_path / "out.tif", counts=tmp_path / "counts.tif", progress=stop)
    assert set(tmp_path.iterdir()) == before


def test_bad_input_is_told_in_one_line(write, tmp_path):
    paths = made_dates(write, 2)
    strange = write("strange.tif", np.ones((1, 4, 4)), names=["clear"], nodata=0)
    other = write("other.tif", np.ones((1, 40, 50)), names=["blue"], nodata=0)
    local = write("local.tif", np.ones((3, 9, 9)), names=NAMES, crs=None)
    out = tmp_path / "out.tif"
    for error, says, call in (
        (OutputError, "input of this very run", lambda: make(paths, paths[0], overwrite=True)),
        (OptionError, "same path", lambda: make(paths, out, counts=out)),
        (BandError, "no band “blue”", lambda: make(paths, out, names=("blue",))),
        (
            BandError,
            "is called “clear”",
            lambda: make([strange], out, names=("clear",), quality="none"),
        ),
        (
            BandError,
            "shares no band with",
            lambda: make([strange, other], out, grid=GRID, quality="none"),
        ),
        (GridError, "no coordinate system", lambda: make([*paths, local], out, grid=GRID)),
        (OptionError, "there is no scene", lambda: make([], out, grid=GRID)),
    ):
        with pytest.raises(error, match=says) as raised:
            call()
        assert "\n" not in str(raised.value)
        assert not out.exists()


GRID = Grid(
    crs=rasterio.CRS.from_epsg(32633),
    transform=Affine(30, 0, 6e5, 0, -30, 5e6),
    height=40,
    width=50,
)


def test_no_more_files_are_open_than_the_system_allows(write, tmp_path, monkeypatch):
    opened = []
    real = composite_module.Handles

    def counted(most):
        opened.append(real(most))
        return opened[-1]

    monkeypatch.setattr(composite_module, "Handles", counted)
    monkeypatch.setattr(composite_module, "_OPEN_FILES", 8)
    most = []
    paths = made_dates(write, 12)
    make(paths, tmp_path / "out.tif", workers=1, progress=lambda _: most.append(opened[0].count()))
    assert max(most) == 8
    assert opened[0].count() == 0
    check(tmp_path / "out.tif", np.array([masked(read(path)) for path in paths]))
