"""Looking up pixels through another grid: exact, and whatever windows it is done by."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from geoseg.raster.grid import Grid
from geoseg.raster.resampling import gather
from geoseg.raster.resampling.lookup import Lookup
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

MakeRaster = Callable[..., Path]
FEW = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def grid(epsg: int, transform: Affine, height: int, width: int) -> Grid:
    return Grid(crs=CRS.from_epsg(epsg), transform=transform, height=height, width=width)


UTM = grid(32612, Affine(30, 0, 301_905, 0, -30, 4_154_085), 700, 600)
SOURCES = {
    "other datum and pixel": grid(
        6367, Affine(31.53, 0, 301_903.3, 0, -31.52, 4_154_086.5), 660, 560
    ),
    "degrees": grid(4326, Affine(3e-4, 0, -113.25, 0, -3e-4, 37.52), 700, 750),
    "rotated Albers": grid(5070, Affine(35, 6, -1_510_000, 5, -35, 1_730_000), 700, 700),
    "south-up": grid(32612, Affine(17, 0, 301_000, 0, 17, 4_133_000), 1300, 1100),
    "rotated, same system": grid(32612, Affine(20, 11, 300_000, -10, 22, 4_137_000), 800, 800),
}


def apply(t: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


def oracle(source: Grid, target: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transform the centre of every pixel, and round down."""
    c, r = np.meshgrid(np.arange(target.width) + 0.5, np.arange(target.height) + 0.5)
    x, y = apply(target.transform, c.ravel(), r.ravel())
    if source.crs != target.crs:
        x, y = map(np.array, transform_points(target.crs, source.crs, x, y))
    col, row = apply(~source.transform, x, y)
    row, col = (np.floor(v + 1e-6).reshape(c.shape) for v in (row, col))
    inside = (row >= 0) & (col >= 0) & (row < source.height) & (col < source.width)
    return row, col, inside


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_centre_is_looked_up_as_if_transformed_by_itself(source: Grid) -> None:
    lookup = Lookup(source, UTM)
    assert lookup.overlaps()
    row, col, inside = oracle(source, UTM)
    assert inside.mean() > 0.2
    seen = np.zeros((UTM.height, UTM.width), int)
    for part in lookup.parts(UTM.window):
        r, c, i = lookup.pixels(part)
        at = part.slices()
        seen[at] += 1
        assert np.array_equal(i, inside[at])
        assert np.array_equal(r[i], row[at][i])
        assert np.array_equal(c[i], col[at][i])
        assert not r[~i].any()
        assert not c[~i].any()
    assert (seen == 1).all()


@FEW
@given(data=st.data(), source=st.sampled_from(sorted(SOURCES)))
def test_lookup_does_not_depend_on_the_window(data: st.DataObject, source: str) -> None:
    lookup = Lookup(SOURCES[source], UTM)
    row, col = data.draw(st.integers(0, 699)), data.draw(st.integers(0, 599))
    window = Window(
        row, col, data.draw(st.integers(1, 700 - row)), data.draw(st.integers(1, 600 - col))
    )
    for part in lookup.parts(window):
        tile = next(t for t in lookup.parts(UTM.window) if t.contains(part))
        at = part.slices(row_origin=tile.row, col_origin=tile.col)
        for one, other in zip(lookup.pixels(part), lookup.pixels(tile), strict=True):
            assert np.array_equal(one, other[at])


def test_grids_that_meet_in_a_corner_or_a_thin_cross_overlap() -> None:
    t = Affine(1, 0, 0, 0, -1, 0)

    def at(row: int, col: int, height: int, width: int) -> Grid:
        shifted = Affine(1, 0, col + 0.3, 0, -1, -row - 0.3)
        return grid(32612, shifted, height, width)

    base = grid(32612, t, 100, 10_000)
    assert Lookup(at(99, 9_999, 50, 50), base).overlaps()
    assert Lookup(at(-5_000, 4_321, 10_000, 3), base).overlaps()
    assert Lookup(at(40, 4_321, 2, 2), base).overlaps()
    assert Lookup(base, at(40, 4_321, 2, 2)).overlaps()
    assert not Lookup(at(100, 0, 50, 50), base).overlaps()
    assert not Lookup(at(0, -51, 50, 50), base).overlaps()


def test_places_beyond_a_projection_are_outside() -> None:
    # The polar grid reaches beyond the Mercator one's 85°, and to where no latitude is.
    polar = grid(3031, Affine(40_000, 0, -6e6, 0, -40_000, 6e6), 300, 300)
    mercator = grid(3857, Affine(40_000, 0, -2e7, 0, -40_000, -4e6), 400, 1000)
    lookup = Lookup(mercator, polar)
    assert lookup.overlaps()
    row, col, inside = oracle(mercator, polar)
    found = np.zeros_like(inside)
    for part in lookup.parts(polar.window):
        r, c, i = lookup.pixels(part)
        found[part.slices()] = i
        assert np.array_equal(r[i], row[part.slices()][i])
        assert np.array_equal(c[i], col[part.slices()][i])
    assert np.array_equal(found, inside)
    assert 0 < inside.sum() < inside.size
    assert not Lookup(UTM, grid(3031, polar.transform, 300, 300)).overlaps()


def test_scale_is_source_pixels_a_target_pixel() -> None:
    down, across = Lookup(SOURCES["south-up"], UTM).scale()
    assert (down, across) == pytest.approx((30 / 17, 30 / 17))


@pytest.mark.parametrize("most", [1 << 22, 3])
def test_fine_rasters_are_read_in_parts_to_the_same_effect(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(gather, "MOST_AT_ONCE", most)
    data = np.arange(1, 401, dtype="uint16").reshape(20, 20)
    data[7, 7] = 0
    scene = Scene.open(make_raster("a.tif", data, nodata=0))
    t = Affine(70, 10, 499_990, 10, -70, 5_600_010)
    coarse = Grid(crs=scene.grid.crs, transform=t, height=4, width=4)
    pixels = scene.on_grid(coarse).read(coarse.window)
    row, col, inside = oracle(scene.grid, coarse)
    want = np.where(inside, data[row.astype(int) * inside, col.astype(int) * inside], 0)
    assert 4 < inside.sum() < 16
    assert np.array_equal(pixels.data[0], want)
    assert np.array_equal(pixels.valid, want != 0)


@FEW
@given(data=st.data())
def test_warped_scene_read_by_windows_equals_read_whole(
    make_raster: MakeRaster, data: st.DataObject
) -> None:
    rng = np.random.default_rng(0)
    source = SOURCES["rotated Albers"]
    path = make_raster(
        "a.tif",
        rng.integers(0, 9, (2, 300, 300)).astype("uint8"),
        crs="EPSG:5070",
        transform=source.transform,
        nodata=0,
        photometric="minisblack",
    )
    target = UTM.crop(Window(100, 100, 400, 400))
    view = Scene.open(path).on_grid(target)
    everything = view.read(target.window)
    assert everything.valid.any()
    row, col = data.draw(st.integers(0, 399)), data.draw(st.integers(0, 399))
    window = Window(
        row, col, data.draw(st.integers(1, 400 - row)), data.draw(st.integers(1, 400 - col))
    )
    part = view.read(window)
    assert np.array_equal(part.data, everything.data[(slice(None), *window.slices())])
    assert np.array_equal(part.valid, everything.valid[window.slices()])


def test_eight_threads_read_a_warped_scene_as_one_does(make_raster: MakeRaster) -> None:
    source = SOURCES["other datum and pixel"]
    data = np.random.default_rng(0).integers(0, 9, (1, 660, 560)).astype("uint8")
    path = make_raster("a.tif", data, crs="EPSG:6367", transform=source.transform, nodata=0)
    view = pickle.loads(pickle.dumps(Scene.open(path).on_grid(UTM)))
    everything = view.read(UTM.window)
    row, col, inside = oracle(source, UTM)
    r, c = np.where(inside, row, 0).astype(int), np.where(inside, col, 0).astype(int)
    assert np.array_equal(everything.data[0], np.where(inside, data[0][r, c], 0))
    windows = [Window(row, col, 70, 60) for row in range(0, 700, 70) for col in range(0, 600, 60)]
    with ThreadPoolExecutor(8) as pool:
        for window, pixels in zip(windows, pool.map(view.read, windows), strict=True):
            assert np.array_equal(pixels.data[0], everything.data[0][window.slices()])


@pytest.mark.realdata
def test_real_labels_on_the_scenes_grid_are_exact_by_any_window(real_data: Path) -> None:
    scene = Scene.open(real_data / "zion" / "landsat8_b2345.tif")
    labels = Scene.open(real_data / "zion" / "nlcd2011.tif")
    view = labels.on_grid(scene.grid)
    assert view.is_warped
    everything = view.read(scene.grid.window)
    row, col, inside = oracle(labels.grid, scene.grid)
    source = labels.read(labels.grid.window)
    r, c = np.where(inside, row, 0).astype(int), np.where(inside, col, 0).astype(int)
    assert np.array_equal(everything.data[0], np.where(inside, source.data[0][r, c], 0))
    assert np.array_equal(everything.valid, inside & source.valid[r, c])
    rng = np.random.default_rng(1)
    for _ in range(15):
        top, left = int(rng.integers(0, 1400)), int(rng.integers(0, 1100))
        window = Window(
            top, left, int(rng.integers(1, 1429 - top)), int(rng.integers(1, 1129 - left))
        )
        part = view.read(window)
        assert np.array_equal(part.data[0], everything.data[0][window.slices()])
        assert np.array_equal(part.valid, everything.valid[window.slices()])


@pytest.mark.realdata
def test_real_labels_half_a_pixel_off_are_decided_alike_everywhere(real_data: Path) -> None:
    # The scene's origin is 2.5 pixels from the labels': each centre lies next to a border.
    labels = Scene.open(real_data / "storml" / "storml_evt.tif")
    scene = Scene.open(real_data / "storml" / "sr_b4_20200829.tif")
    view = labels.on_grid(scene.grid)
    rows, cols, inside = oracle(labels.grid, scene.grid)
    assert len(set((rows - np.arange(112)[:, None])[inside])) == 1
    assert len(set((cols - np.arange(149)[None, :])[inside])) == 1
    pixels = view.read(scene.grid.window)
    assert pixels.valid.mean() > 0.8


def test_tiles_looked_up_a_moment_ago_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    target = grid(4326, Affine(0.001, 0, -113.2, 0, -0.001, 37.5), 40, 50)
    moved = grid(32612, UTM.transform @ Affine.translation(3, -2), 700, 600)
    other = grid(32611, UTM.transform, 700, 600)
    sources = [UTM, moved, other]
    computed: list[Window] = []
    real = Lookup._interpolated

    def counted(self: Lookup, tile: Window, error: float) -> tuple[np.ndarray, np.ndarray]:
        computed.append(tile)
        return real(self, tile, error)

    monkeypatch.setattr(Lookup, "_interpolated", counted)
    first = [Lookup(source=s, target=target).pixels(target.window) for s in sources]
    assert not np.array_equal(first[0][0], first[1][0])
    number = len(computed)
    again = [Lookup(source=s, target=target).pixels(target.window) for s in sources]
    assert len(computed) == number
    for one, two in zip(first, again, strict=True):
        for before, after in zip(one, two, strict=True):
            np.testing.assert_array_equal(before, after)
