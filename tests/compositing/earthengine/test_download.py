"""Composites over HTTP against an oracle, and everything that goes wrong on the way."""

from __future__ import annotations

import itertools
import math
from datetime import date

import earthengine_server
import numpy as np
import pytest
import rasterio
from earthengine_interpreter import Made
from earthengine_server import Fault
from earthengine_world import CLEAR, CLOUD, LC08, LC09, landsat_image

from geoseg.compositing.earthengine import plan
from geoseg.compositing.earthengine.assembly import Assembly
from geoseg.compositing.earthengine.client import Asker, Patience
from geoseg.compositing.earthengine.collections import collection
from geoseg.compositing.earthengine.download import download
from geoseg.compositing.earthengine.settings import EarthEngineSettings, Labels, Period, Place
from geoseg.compositing.masks import ClearRule, clear
from geoseg.compositing.reduce import Reduction
from geoseg.errors import BandError, EarthEngineError, OptionError, OutputError

BOX = "499980,5498490,502110,5500110"
SUMMER = Period(start=date(2018, 4, 1), end=date(2018, 10, 1))


def asked(url, **more):
    names = more.pop("collections", (LC08,))
    given = {"bands": ("blue", "red"), "side": 32, "period": SUMMER, "url": url, **more}
    return EarthEngineSettings(collections=tuple(map(collection, names)), **given)


def place(settings, region=BOX, crs="EPSG:32633", scale=30.0, like=None):
    return Place.choose(settings.chosen[0], region=region, like=like, crs=crs, scale=scale)


def run(settings, output, asker, where=None, **more):
    return download(settings, where or place(settings), output, asker=asker, **more)


def oracle(images, grid, names, rule, method):
    """Composite, pixel by pixel, in plain Python: (bands, rows, cols) and counts."""
    scale, offset = 0.0000275, -0.2
    values = np.full((len(names), grid.height, grid.width), np.nan)
    counts = np.zeros((grid.height, grid.width), int)
    masks = []
    for image in images:
        codes = {
            "qa_pixel": np.where(image.masked["QA_PIXEL"], 1, image.bands["QA_PIXEL"]),
            "qa_radsat": np.where(image.masked["QA_RADSAT"], 512, image.bands["QA_RADSAT"]),
        }
        masks.append(clear("qa_pixel", codes, rule))
    for row in range(grid.height):
        for col in range(grid.width):
            x, y = grid.transform @ (col + 0.5, row + 0.5)
            found = []
            for image, mask in zip(images, masks, strict=True):
                c = math.floor((x - image.corner[0]) / image.pixel)
                r = math.floor((image.corner[1] - y) / image.pixel)
                height, width = image.shape
                if not (0 <= r < height and 0 <= c < width and mask[r, c]):
                    continue
                if any(image.masked[name][r, c] for name in names):
                    continue
                found.append([image.bands[name][r, c] * scale + offset for name in names])
            counts[row, col] = len(found)
            if found:
                values[:, row, col] = method(np.array(found))
    return values.astype(np.float32), counts


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def check(path, images, settings, where, names, method=lambda v: np.median(v, axis=0)):
    values, counts = oracle(images, where.grid, names, settings.rule, method)
    if where.area is not None:
        inside = where.area.mask(where.area.window)
        values[:, ~inside], counts[~inside] = np.nan, 0
    pixels = read(path)
    assert counts.any()
    np.testing.assert_array_equal(pixels[-1], counts)
    np.testing.assert_array_equal(np.isnan(pixels[:-1]), np.isnan(values))
    np.testing.assert_allclose(pixels[:-1], values, rtol=3e-7)


def test_a_composite_is_that_of_the_clear_readings_of_the_period(world, url, asker, tmp_path):
    settings = asked(url)
    where = place(settings)
    result = run(settings, tmp_path / "a.tif", asker, where)
    check(tmp_path / "a.tif", world.collections[LC08][:4], settings, where, ["SR_B2", "SR_B4"])
    assert result.composite.dates == tuple(i.index for i in world.collections[LC08][:4])
    assert result.images == {LC08: 4}
    assert result.composite.counts.sum() == where.grid.height * where.grid.width
    assert result.composite.unmasked == ()
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.descriptions == ("blue", "red", "clear")
        assert dataset.units == ("reflectance", "reflectance", None)
        assert dataset.crs == "EPSG:32633"
        assert dataset.transform == where.grid.transform
        assert math.isnan(dataset.nodata)
        assert dataset.tags()["GEOSEG_COMMAND"].startswith(
            f"geoseg composite --earth-engine {LC08} --start 2018-04-01 --end 2018-10-01"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize(
    ("more", "scale", "method"),
    [
        ({"reduction": Reduction(method="mean")}, 60.0, lambda v: v.mean(axis=0)),
        (
            {"reduction": Reduction(method="percentile", percentile=25)},
            45.0,
            lambda v: np.percentile(v, 25, axis=0),
        ),
        ({"rule": ClearRule.from_text("none", confidence="medium")}, 30.0, None),
    ],
)
def test_methods_and_rules_are_those_of_local_composites(
    world, url, asker, tmp_path, more, scale, method
):
    settings = asked(url, **more)
    where = place(settings, scale=scale)
    run(settings, tmp_path / "a.tif", asker, where)
    images = world.collections[LC08][:4]
    method = method or (lambda v: np.median(v, axis=0))
    check(tmp_path / "a.tif", images, settings, where, ["SR_B2", "SR_B4"], method)


def test_clouds_grow_by_pixels_of_the_composite_and_dropped_pixels_do_not(
    world, url, asker, tmp_path
):
    image = landsat_image(1, "2018-05-03", shape=(30, 40), corner=(500_010.0, 5_500_020.0))
    image.masked = {name: np.zeros((30, 40), bool) for name in image.bands}
    image.masked["QA_PIXEL"] = image.masked["QA_RADSAT"] = np.zeros((30, 40), bool)
    image.bands["QA_PIXEL"][:] = CLEAR
    image.bands["QA_RADSAT"][:] = 0
    image.bands["QA_PIXEL"][10, 12] = CLOUD
    image.bands["QA_RADSAT"][25, 30] = 512  # dropped
    image.bands["QA_PIXEL"][20, 5] = 1  # fill
    world.collections[LC08] = [image]
    settings = asked(url, rule=ClearRule(dilate=2))
    run(
        settings,
        tmp_path / "a.tif",
        asker,
        place(settings, region="500010,5499120,501210,5500020"),
    )
    expected = np.ones((30, 40))
    expected[8:13, 10:15] = 0
    expected[25, 30] = expected[20, 5] = 0
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[-1], expected)


def test_a_rotated_grid_of_a_raster_is_asked_for(world, url, asker, tmp_path):
    settings = asked(url)
    like = tmp_path / "like.tif"
    with rasterio.open(
        like,
        "w",
        driver="GTiff",
        height=40,
        width=50,
        count=1,
        dtype="uint8",
        crs="EPSG:32633",
        transform=rasterio.Affine(29, 7, 500_101, 5, -31, 5_499_803),
    ) as dataset:
        dataset.write(np.zeros((1, 40, 50), "u1"))
    where = place(settings, region=None, crs=None, scale=None, like=str(like))
    run(settings, tmp_path / "a.tif", asker, where)
    check(tmp_path / "a.tif", world.collections[LC08][:4], settings, where, ["SR_B2", "SR_B4"])


@pytest.mark.parametrize(
    ("crs", "field", "begins"),
    [
        ("EPSG:3035", "crsCode", "EPSG:3035"),
        # The same under no name: the ellipsoid's axes differ in the last digit.
        (
            "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +a=6378137 +b=6356752.3",
            "crsWkt",
            "PROJCS[",
        ),
    ],
)
def test_other_systems_and_grids_of_rasters_are_asked_for(
    world, url, asker, tmp_path, crs, field, begins
):
    settings = asked(url)
    like = tmp_path / "like.tif"
    with rasterio.open(
        like,
        "w",
        driver="GTiff",
        height=21,
        width=34,
        count=1,
        dtype="uint8",
        crs=crs,
        transform=rasterio.Affine(60, 3, 4_681_800, 2, -55, 2_961_000),  # rotated a little
    ) as dataset:
        dataset.write(np.zeros((1, 21, 34), "u1"))
    where = place(settings, region=None, crs=None, scale=None, like=str(like))
    run(settings, tmp_path / "a.tif", asker, where)
    with rasterio.open(tmp_path / "a.tif") as made, rasterio.open(like) as wanted:
        assert (made.crs, made.transform, made.shape) == (
            wanted.crs,
            wanted.transform,
            wanted.shape,
        )
        assert (made.read(3) > 0).any()
    assert all(grid[field].startswith(begins) for grid in world.pixels)


def test_outside_of_polygons_is_nodata_and_windows_there_are_not_fetched(
    world, url, asker, tmp_path
):
    region = tmp_path / "region.geojson"
    ring = [[15.003, 49.640], [15.012, 49.640], [15.003, 49.650], [15.003, 49.640]]
    region.write_text(f'{{"type": "Polygon", "coordinates": [{ring}]}}')
    settings = asked(url, side=16)
    where = place(settings, region=str(region), crs=None, scale=None)
    assert where.grid.crs.to_epsg() == 32633
    run(settings, tmp_path / "a.tif", asker, where)
    values, counts = oracle(
        world.collections[LC08][:4],
        where.grid,
        ["SR_B2", "SR_B4"],
        settings.rule,
        lambda v: np.median(v, axis=0),
    )
    inside = where.area.mask(where.area.window)
    pixels = read(tmp_path / "a.tif")
    assert inside.any()
    assert not inside.all()
    np.testing.assert_array_equal(pixels[2], np.where(inside, counts, 0))
    np.testing.assert_array_equal(np.isnan(pixels[0]), np.isnan(values[0]) | ~inside)
    rows, cols = -(-where.grid.height // 16), -(-where.grid.width // 16)
    assert len(world.pixels) < rows * cols


def test_two_collections_are_one(world, url, asker, tmp_path):
    more = [landsat_image(7, "2018-07-01"), landsat_image(8, "2017-07-01")]
    world.collections[LC09] = more
    settings = asked(url, collections=(LC08, LC09))
    where = place(settings)
    result = run(settings, tmp_path / "a.tif", asker, where)
    images = [*world.collections[LC08][:4], more[0]]
    check(tmp_path / "a.tif", images, settings, where, ["SR_B2", "SR_B4"])
    assert result.images == {LC08: 4, LC09: 1}


def test_sentinel_is_masked_by_its_classification(world, url, asker, tmp_path):
    rng = np.random.default_rng(0)
    name = "COPERNICUS/S2_SR_HARMONIZED"
    bands = {
        "B4": rng.integers(1, 9000, (50, 50)).astype(np.uint16),
        "SCL": rng.integers(0, 12, (50, 50)).astype(np.uint8),
    }
    start = world.collections[LC08][0].start
    world.collections[name] = [Made("a", start, bands, pixel=20.0)]
    settings = asked(url, collections=(name,), bands=("red",))
    where = place(settings, region="500000,5499000,501000,5500000", scale=20.0)
    run(settings, tmp_path / "a.tif", asker, where)
    pixels = read(tmp_path / "a.tif")
    keeps = np.isin(bands["SCL"], [4, 5, 6])
    np.testing.assert_array_equal(pixels[1], keeps)
    np.testing.assert_allclose(pixels[0][keeps], bands["B4"][keeps] / 10_000, rtol=1e-6)


def test_an_unknown_collection_is_taken_as_it_is(world, url, asker, tmp_path):
    start = world.collections[LC08][0].start
    data = np.arange(2500, dtype=np.int16).reshape(50, 50)
    hidden = data % 7 == 0
    world.collections["SOME/THING"] = [
        Made("a", start, {"x": data}, (500_010.0, 5_500_020.0), masked={"x": hidden})
    ]
    settings = asked(url, collections=("SOME/THING",), bands=("x",))
    where = place(settings, region="500010,5498520,501510,5500020")
    result = run(settings, tmp_path / "a.tif", asker, where)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], np.where(hidden, np.nan, data))
    assert result.composite.unmasked == ("SOME/THING",)
    with pytest.raises(BandError, match="SOME/THING: has no band “y”; there are: x"):
        run(asked(url, collections=("SOME/THING",), bands=("y",)), tmp_path / "b.tif", asker, where)


def test_whole_numbers_are_stored_with_the_products_scale(world, url, asker, tmp_path):
    world.collections[LC08] = world.collections[LC08][:1]
    settings = asked(url, dtype="uint16")
    where = place(settings)
    run(settings, tmp_path / "a.tif", asker, where, counts=tmp_path / "n.tif")
    (image,) = world.collections[LC08]
    _, counts = oracle([image], where.grid, ["SR_B2", "SR_B4"], settings.rule, lambda v: v[0])
    np.testing.assert_array_equal(read(tmp_path / "n.tif")[0], counts)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.scales == pytest.approx((0.0000275, 0.0000275))
        assert dataset.offsets == (-0.2, -0.2)
        assert dataset.nodata == 0
        blue = dataset.read(1)
    # Grid and image share their lattice, shifted by whole pixels but for 10 m and 20 m.
    x, y = where.grid.transform @ (40.5, 20.5)
    row, col = int((image.corner[1] - y) // 30), int((x - image.corner[0]) // 30)
    expected = image.bands["SR_B2"][row, col] if counts[20, 40] else 0
    assert blue[20, 40] == expected


# -- what goes wrong -------------------------------------------------------------------------------


def whole(world, url, tmp_path, **more):
    """Bytes of a composite that nothing disturbed."""
    settings = asked(url, **more)
    run(settings, tmp_path / "whole.tif", Asker(Patience(first=0.01)))
    world.pixels.clear()
    return (tmp_path / "whole.tif").read_bytes()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(503),
        Fault(429, "Too many requests.", headers={"Retry-After": "0"}),
        Fault(drop=True),
        Fault(200, body=b"garbage"),
        Fault(200, body=b"\x93NUMPY no array"),
    ],
)
def test_every_third_window_may_fail(world, url, tmp_path, fault):
    expected = whole(world, url, tmp_path)
    numbers = itertools.count()
    world.fault = lambda path, _: fault if "Pixels" in path and next(numbers) % 3 == 2 else None
    patient = Asker(Patience(tries=12, first=0.01, most=0.05))
    run(asked(url), tmp_path / "a.tif", patient)
    assert (tmp_path / "a.tif").read_bytes() == expected


def test_windows_that_are_too_much_are_fetched_in_parts(world, url, asker, tmp_path):
    expected = whole(world, url, tmp_path)
    world.memory_pixels = 300
    run(asked(url, side=64), tmp_path / "a.tif", asker)
    assert (tmp_path / "a.tif").read_bytes() == expected
    sizes = {g["dimensions"]["height"] * g["dimensions"]["width"] for g in world.pixels}
    assert max(sizes) <= 300


def test_what_is_wrong_at_any_size_is_told_at_once(world, url, asker, tmp_path):
    asked_for = []

    def wrong(path, _):
        if "Pixels" not in path:
            return None
        asked_for.append(path)
        return Fault(400, "Wrong expression.")

    world.fault = wrong
    with pytest.raises(EarthEngineError, match=r"16 × 16 px\): Wrong expression \(status 400\)"):
        run(asked(url, side=64, workers=1), tmp_path / "a.tif", asker)
    assert len(asked_for) == 2


def test_one_small_window_is_tried_however_many_are_too_much(world, url, asker, tmp_path):
    world.memory_pixels = 300
    run(asked(url, workers=4), tmp_path / "a.tif", asker)
    covered = sum(g["dimensions"]["height"] * g["dimensions"]["width"] for g in world.pixels)
    assert covered == 71 * 54 + 16 * 16


def test_a_grid_that_is_too_large_is_refused_before_anything_is_asked(world, url, tmp_path):
    settings = asked(url, side=None)
    where = place(settings, scale=0.001)
    with pytest.raises(OptionError, match=r"2,130,000 × 1,620,000 px .* 3,294,223 requests"):
        run(settings, tmp_path / "a.tif", Asker(), where)
    assert world.requests == 0


def test_the_servers_limit_of_bytes_is_kept(world, url, asker, tmp_path, monkeypatch):
    assert plan.MOST_BYTES == earthengine_server.MOST_BYTES == 48 * 1024 * 1024
    monkeypatch.setattr(plan, "MOST_BYTES", 60_000)
    monkeypatch.setattr(earthengine_server, "MOST_BYTES", 60_000)
    expected = whole(world, url, tmp_path, bands=None, side=16)
    run(asked(url, bands=None, side=32768), tmp_path / "a.tif", asker)
    sizes = [g["dimensions"]["height"] * g["dimensions"]["width"] for g in world.pixels]
    assert max(sizes) == 42 * 42  # 34 bytes each; 43 would be too many
    assert asker.requests == 3 + len(sizes)  # none was refused
    assert (tmp_path / "a.tif").read_bytes() == expected


def test_what_is_refused_at_any_size_ends_with_the_servers_words(world, url, asker, tmp_path):
    world.memory_pixels = 5
    with pytest.raises(EarthEngineError, match=r"User memory limit exceeded \(status 400\)"):
        run(asked(url), tmp_path / "a.tif", asker)
    assert not (tmp_path / "a.tif").exists()
    assert world.requests < 30  # and does not try every window


def test_a_server_that_never_answers_is_given_up(world, url, tmp_path):
    world.fault = lambda path, _: Fault(503) if "Pixels" in path else None
    with pytest.raises(EarthEngineError, match=r"no answer .* in 3 tries, .*currently unavailable"):
        run(asked(url), tmp_path / "a.tif", Asker(Patience(tries=3, first=0.01)))


def test_a_server_that_is_not_there_is_told(tmp_path):
    with pytest.raises(
        EarthEngineError, match=r"a connection to the server http://127\.0\.0\.1:9 "
    ):
        run(asked("http://127.0.0.1:9"), tmp_path / "a.tif", Asker(Patience(tries=2, first=0.01)))


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_not_let_in_is_told_how_to_get_in(world, url, asker, tmp_path, status):
    world.fault = lambda path, _: Fault(status, "Not you.") if ":compute" in path else None
    with pytest.raises(EarthEngineError, match=r"earthengine authenticate.*--project"):
        run(asked(url), tmp_path / "a.tif", asker)


def test_a_collection_that_is_not_there_is_told_in_the_servers_words(url, asker, tmp_path):
    settings = asked(url, collections=("NO/SUCH",), bands=("x",))
    with pytest.raises(EarthEngineError, match=r"the images of NO/SUCH: .*asset 'NO/SUCH' not"):
        run(settings, tmp_path / "a.tif", asker)


@pytest.mark.parametrize(
    ("period", "region"),
    [
        (Period(start=date(2010, 1, 1), end=date(2011, 1, 1)), BOX),
        (SUMMER, "700000,5498500,702130,5500100"),
    ],
)
def test_no_image_is_an_error(url, asker, tmp_path, period, region):
    settings = asked(url, period=period)
    with pytest.raises(EarthEngineError, match="no image of LANDSAT/LC08/C02/T1_L2 from"):
        run(settings, tmp_path / "a.tif", asker, place(settings, region=region))


def test_no_more_requests_run_at_once_than_workers(world, url, asker, tmp_path):
    world.delay = 0.02
    run(asked(url, workers=3, side=16), tmp_path / "a.tif", asker)
    assert 1 < world.most_at_once <= 3


# -- going on --------------------------------------------------------------------------------------


def interrupted(world, url, tmp_path, **more):
    """Leave a run after some windows."""
    world.fault = lambda path, _: (
        Fault(403, "Enough.") if "Pixels" in path and len(world.pixels) >= 3 else None
    )
    with pytest.raises(EarthEngineError, match="Enough"):
        run(asked(url, workers=1, **more), tmp_path / "a.tif", Asker(Patience(first=0.01)))
    world.fault = lambda *_: None
    done = list(world.pixels)
    world.pixels.clear()
    return done


def test_a_run_goes_on_and_gives_the_same_bytes(world, url, asker, tmp_path):
    expected = whole(world, url, tmp_path)
    done = interrupted(world, url, tmp_path)
    assert len(done) == 3
    assert not (tmp_path / "a.tif").exists()
    seen = []
    run(asked(url), tmp_path / "a.tif", asker, resume=True, progress=seen.append)
    assert (tmp_path / "a.tif").read_bytes() == expected
    assert not [grid for grid in world.pixels if grid in done]
    assert sum(seen) == 71 * 54
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "whole.tif"]


def test_parts_of_a_window_are_not_fetched_again_either(world, url, asker, tmp_path):
    expected = whole(world, url, tmp_path)
    world.memory_pixels = 300
    done = interrupted(world, url, tmp_path)
    run(asked(url), tmp_path / "a.tif", asker, resume=True)
    assert (tmp_path / "a.tif").read_bytes() == expected
    assert not [grid for grid in world.pixels if grid in done]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"reduction": Reduction(method="mean")}, "--method: median then, mean now"),
        ({"bands": ("red", "blue")}, "--bands: blue,red then, red,blue now"),
        ({"side": 16}, "--request-size: 32 then, 16 now"),
        ({"rule": ClearRule(dilate=1)}, "--dilate: 0 then, 1 now"),
    ],
)
def test_going_on_with_other_settings_is_refused(world, url, asker, tmp_path, more, words):
    interrupted(world, url, tmp_path)
    with pytest.raises(OutputError, match=words):
        run(asked(url, **more), tmp_path / "a.tif", asker, resume=True)


def test_going_on_when_there_are_other_images_is_refused(world, url, asker, tmp_path):
    interrupted(world, url, tmp_path)
    world.collections[LC08].insert(0, landsat_image(9, "2018-04-09"))
    with pytest.raises(OutputError, match="images: "):
        run(asked(url), tmp_path / "a.tif", asker, resume=True)


def test_what_a_run_left_is_not_replaced_unasked(world, url, asker, tmp_path):
    interrupted(world, url, tmp_path)
    with pytest.raises(OutputError, match="go on with --resume, or begin anew with --overwrite"):
        run(asked(url), tmp_path / "a.tif", asker)
    run(asked(url, bands=("red",)), tmp_path / "a.tif", asker, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_there_must_be_something_to_go_on_from(url, asker, tmp_path):
    with pytest.raises(OutputError, match="nothing to --resume"):
        run(asked(url), tmp_path / "a.tif", asker, resume=True)


def flip(paths):
    content = bytearray(paths[0].read_bytes())
    content[len(content) // 2] ^= 1
    paths[0].write_bytes(content)


def cut(paths):
    paths[0].write_bytes(paths[0].read_bytes()[:50])


def swap(paths):
    first, second = paths[0].read_bytes(), paths[1].read_bytes()
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)


@pytest.mark.parametrize(("harm", "damaged"), [(flip, 1), (cut, 1), (swap, 2)])
def test_damaged_windows_are_fetched_again(world, url, asker, tmp_path, harm, damaged):
    expected = whole(world, url, tmp_path)
    done = interrupted(world, url, tmp_path)
    harm(sorted((tmp_path / ".a.tif.part").glob("*.npy")))
    seen = []
    run(asked(url), tmp_path / "a.tif", asker, resume=True, progress=seen.append)
    assert (tmp_path / "a.tif").read_bytes() == expected
    assert len([grid for grid in world.pixels if grid in done]) == damaged
    assert sum(seen) == 71 * 54


def test_a_damaged_part_of_a_window_alone_is_fetched_again(world, url, asker, tmp_path):
    expected = whole(world, url, tmp_path)
    world.memory_pixels = 300
    done = interrupted(world, url, tmp_path)
    flip(sorted((tmp_path / ".a.tif.part").glob("*.npy")))
    run(asked(url), tmp_path / "a.tif", asker, resume=True)
    assert (tmp_path / "a.tif").read_bytes() == expected
    assert len([grid for grid in world.pixels if grid in done]) == 1


def test_a_window_that_is_damaged_meanwhile_is_named(world, url, asker, tmp_path, monkeypatch):
    expected = whole(world, url, tmp_path)
    rows = Assembly.rows

    def harmed(self, layer):
        flip(sorted((tmp_path / ".a.tif.part").glob("*.npy")))
        return rows(self, layer)

    monkeypatch.setattr(Assembly, "rows", harmed)
    with pytest.raises(OutputError, match=r"\.npy is damaged; run again with --resume"):
        run(asked(url), tmp_path / "a.tif", asker)
    assert not (tmp_path / "a.tif").exists()
    monkeypatch.undo()
    world.pixels.clear()
    run(asked(url), tmp_path / "a.tif", asker, resume=True)
    assert (tmp_path / "a.tif").read_bytes() == expected
    assert len(world.pixels) == 1


# -- labels ----------------------------------------------------------------------------------------

CDL = "USDA/NASS/CDL"


def crops(values, *, year="2018", hidden=None, corner=(499_980.0, 5_500_110.0), **properties):
    data = np.asarray(values, np.uint8)
    start, end = (
        int(np.datetime64(f"{y}-01-01", "ms").astype(np.int64)) for y in (year, int(year) + 1)
    )
    masked = {} if hidden is None else {"cropland": hidden}
    return Made(
        year,
        start,
        {"cropland": data, "confidence": data},
        corner,
        masked=masked,
        properties=properties,
        end=end,
    )


NAMES = {
    "cropland_class_values": [0, 1, 5, 65, 131],
    "cropland_class_names": ["Background", "Corn", "Soybeans", "Barren", "Barren"],
    "cropland_class_palette": ["000000", "ffd300", "267000", "ccbfa3", "ccbfa3"],
}


def with_labels(url, **more):
    return asked(url, labels=Labels(collection=CDL, **more))


def test_labels_become_a_class_raster_of_the_classes_that_are_there(world, url, asker, tmp_path):
    rng = np.random.default_rng(1)
    values = rng.choice([1, 65, 131, 200], (60, 80))
    hidden = rng.random((60, 80)) < 0.1
    old = crops(np.full((60, 80), 5), year="2017", **NAMES)
    world.collections[CDL] = [crops(values, hidden=hidden, **NAMES), old]
    result = run(with_labels(url), tmp_path / "a.tif", asker, labels_output=tmp_path / "labels.tif")
    expected = np.where(hidden, 255, values)[:54, :71]
    with rasterio.open(tmp_path / "labels.tif") as labels, rasterio.open(tmp_path / "a.tif") as a:
        np.testing.assert_array_equal(labels.read(1), expected)
        assert (labels.dtypes, labels.nodata) == (("uint8",), 255)
        assert (labels.transform, labels.shape) == (a.transform, a.shape)
        assert labels.colormap(1)[1] == (255, 211, 0, 255)
    assert set(result.classes) == {"Corn", "Barren", "Barren (131)", "class 200"}
    assert result.classes["Corn"] == (expected == 1).sum()
    assert "Barren (131)" in (tmp_path / "labels.qml").read_text()
    assert "Soybeans" not in (tmp_path / "labels.qml").read_text()


def test_the_latest_label_or_the_commonest_is_taken(world, url, asker, tmp_path):
    start = [np.full((60, 80), n) for n in (1, 1, 5)]
    hidden = np.zeros((60, 80), bool)
    hidden[:, :10] = True
    days = ("2018-03-01", "2018-05-01", "2018-06-01")
    images = [crops(values, **NAMES) for values in start]
    for image, day in zip(images, days, strict=True):
        image.start = int(np.datetime64(day, "ms").astype(np.int64))
    images[2].masked["cropland"] = hidden
    world.collections[CDL] = images[::-1]
    output = tmp_path / "labels.tif"
    run(with_labels(url), tmp_path / "a.tif", asker, labels_output=output)
    np.testing.assert_array_equal(read(output)[0], np.where(hidden, 1, 5)[:54, :71])
    run(
        with_labels(url, choice="mode"),
        tmp_path / "a.tif",
        asker,
        labels_output=output,
        overwrite=True,
    )
    np.testing.assert_array_equal(read(output)[0], np.full((54, 71), 1))


def test_labels_that_eight_bits_do_not_hold_have_sixteen(world, url, asker, tmp_path):
    values = np.arange(4800).reshape(60, 80).astype(np.uint16)
    world.collections["LAND/COVER"] = [Made("x", 0, {"only": values}, (499_980.0, 5_500_110.0))]
    world.images.add("LAND/COVER")
    settings = asked(url, labels=Labels(collection="LAND/COVER"))
    run(settings, tmp_path / "a.tif", asker, labels_output=tmp_path / "labels.tif")
    with rasterio.open(tmp_path / "labels.tif") as labels:
        assert (labels.dtypes, labels.nodata) == (("uint16",), 65535)
        np.testing.assert_array_equal(labels.read(1), values[:54, :71])


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        ({"band": "wheat"}, BandError, "no band “wheat”; there are: cropland, confidence"),
        ({"collection": "NO/MAP"}, EarthEngineError, "NO/MAP.*404"),
        ({"collection": "EMPTY/MAP"}, EarthEngineError, "EMPTY/MAP has no image between"),
        ({"collection": "FLOAT/MAP"}, BandError, "holds measurements"),
        ({"collection": "TWO/MAP"}, BandError, "several bands"),
    ],
)
def test_labels_that_cannot_be_used_are_told(world, url, asker, tmp_path, labels, error, words):
    one = np.ones((60, 80))
    world.collections[CDL] = [crops(one, **NAMES)]
    world.collections["EMPTY/MAP"] = []
    world.collections["FLOAT/MAP"] = [Made("a", 1, {"x": one})]
    world.collections["TWO/MAP"] = [crops(one)]
    world.images |= {"FLOAT/MAP", "TWO/MAP"}
    settings = asked(url, labels=Labels(**({"collection": CDL} | labels)))
    with pytest.raises(error, match=words):
        run(settings, tmp_path / "a.tif", asker, labels_output=tmp_path / "labels.tif")
    assert list(tmp_path.iterdir()) == []


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"reduction": Reduction(method="medoid")}, "medoid is not made on Earth Engine"),
        ({"workers": 41}, "from 1 to 40"),
        ({"workers": 0}, "from 1 to 40"),
        ({"side": 8}, "too small"),
        ({"collections": (LC08, LC08)}, "named twice"),
        ({"collections": ()}, "no collection"),
    ],
)
def test_settings_that_cannot_be_are_refused(more, words):
    with pytest.raises(OptionError, match=words):
        asked(None, **more)


def test_a_period_needs_a_day():
    with pytest.raises(OptionError, match="no day lies between"):
        Period(start=date(2018, 4, 1), end=date(2018, 4, 1))
    with pytest.raises(OptionError, match="needs --start and --end"):
        Period.of(None, date(2018, 4, 1))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"region": None, "crs": None, "scale": None}, "--region, --like, or both"),
        ({"like": "x.tif"}, "leave out --crs, --scale"),
        ({"crs": "EPSG:4326", "scale": None, "region": "15,49,16,50"}, "say how large"),
        ({"crs": None}, "say which"),
    ],
)
def test_a_place_that_cannot_be_known_is_refused(given, words):
    with pytest.raises(OptionError, match=words):
        place(asked(None), **given)


def test_clouds_are_in_the_made_world(world):
    # The tests above are worth nothing without.
    assert all((image.bands["QA_PIXEL"] == CLOUD).sum() == 500 for image in world.collections[LC08])
