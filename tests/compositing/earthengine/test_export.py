"""Batch tasks: what is sent, how it is waited for, and what the files are."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
import rasterio
from earthengine_interpreter import Interpreter, Made, PixelGrid
from earthengine_server import Fault, structured
from earthengine_world import LC08

from geoseg.compositing.earthengine.collections import collection
from geoseg.compositing.earthengine.download import download
from geoseg.compositing.earthengine.export import NODATA, Destination, export
from geoseg.compositing.earthengine.settings import EarthEngineSettings, Labels, Period, Place
from geoseg.errors import EarthEngineError, OptionError
from geoseg.raster.scene import Scene

DONE = [{"state": "PENDING"}, {"state": "RUNNING"}, {"state": "RUNNING"}, {"state": "SUCCEEDED"}]


def asked(url, **more):
    return EarthEngineSettings(
        collections=(collection(LC08),),
        bands=("ultra blue", "red"),
        period=Period(start=date(2018, 4, 1), end=date(2018, 10, 1)),
        url=url,
        **more,
    )


def place(settings):
    return Place.choose(
        settings.chosen[0],
        region="499980,5498490,502110,5500110",
        like=None,
        crs="EPSG:32633",
        scale=None,
    )


def run(settings, asker, **more):
    given = {"kind": "drive", "description": "summer", "folder": "maps"} | more
    told, slept = [], []
    result = export(
        settings,
        place(settings),
        Destination(**given),
        asker=asker,
        told=told.append,
        sleep=slept.append,
    )
    return result, told, slept


def test_a_task_is_waited_for_and_its_states_are_told(world, url, asker):
    world.states = DONE
    result, told, slept = run(asked(url), asker)
    assert told == ["summer: ready", "summer: running", "summer: completed"]
    assert slept == [5.0, 7.5, 11.25]
    assert (result.state, result.where) == ("COMPLETED", "Google Drive, folder maps")
    assert result.tasks == {"summer": "TASK1"}
    (sent,) = world.exports
    assert sent["description"] == "summer"
    options = sent["fileExportOptions"]
    assert options["fileFormat"] == "GEO_TIFF"
    assert options["driveDestination"] == {"folder": "maps", "filenamePrefix": "summer"}
    assert options["geoTiffOptions"]["noData"] == {"floatValue": NODATA}
    assert int(sent["maxPixels"]["value"]) > 71 * 54


def test_a_bucket_gets_a_path(world, url, asker):
    world.states = DONE
    result, _, _ = run(asked(url), asker, kind="gcs", bucket="mine", folder="a/b/")
    (sent,) = world.exports
    destination = sent["fileExportOptions"]["cloudStorageDestination"]
    assert (destination["bucket"], destination["filenamePrefix"]) == ("mine", "a/b/summer")
    assert result.where == "gs://mine/a/b"


def test_files_of_an_export_read_as_one_scene_with_the_composites_pixels(
    world, url, asker, tmp_path
):
    world.states = DONE
    settings = asked(url)
    run(settings, asker)
    where = place(settings)
    t = tuple(where.grid.transform)[:6]
    # What the server would write: the expression on the grid it names, in files of 40 columns.
    grid = PixelGrid("EPSG:32633", t, where.grid.height, where.grid.width)
    image = structured(Interpreter(world.collections, grid).run(world.exports[0]["expression"]))
    assert image.dtype.names == ("ultra_blue", "red", "clear")
    paths = []
    for col in (0, 40):
        part = image[:, col : col + 40]
        paths.append(str(tmp_path / f"summer-0000000000-{col:010}.tif"))
        with rasterio.open(
            paths[-1],
            "w",
            driver="GTiff",
            height=part.shape[0],
            width=part.shape[1],
            count=3,
            dtype="float32",
            crs="EPSG:32633",
            transform=where.grid.transform @ rasterio.Affine.translation(col, 0),
            nodata=NODATA,
        ) as dataset:
            for band, name in enumerate(image.dtype.names, start=1):
                dataset.write(np.ascontiguousarray(part[name]), band)
                dataset.set_band_description(band, name)
    download(settings, where, tmp_path / "fetched.tif", asker=asker)
    with Scene.open(paths) as scene, Scene.open(tmp_path / "fetched.tif") as fetched:
        assert scene.grid.same_pixels(fetched.grid)
        pixels = scene.read(scene.grid.window)
        expected = fetched.read(fetched.grid.window)
        np.testing.assert_array_equal(pixels.valid, expected.valid)
        np.testing.assert_array_equal(
            np.where(pixels.valid, pixels.data, 0), np.where(expected.valid, expected.data, 0)
        )


def test_labels_are_a_task_of_their_own(world, url, asker):
    world.states = [{"state": "SUCCEEDED"}]
    world.collections["A/MAP"] = [Made("x", 0, {"only": np.ones((9, 9), np.uint8)})]
    world.images.add("A/MAP")
    result, _, _ = run(asked(url, labels=Labels(collection="A/MAP")), asker)
    assert result.tasks == {"summer": "TASK1", "summer-labels": "TASK2"}
    assert world.exports[1]["fileExportOptions"]["geoTiffOptions"]["noData"] == {
        "floatValue": 65535
    }


def test_a_task_that_fails_ends_with_the_servers_words(world, url, asker):
    world.states = [{"state": "RUNNING"}, {"state": "FAILED", "message": "Out of quota."}]
    with pytest.raises(EarthEngineError, match=r"export summer ended as failed: Out of quota$"):
        run(asked(url), asker)


def test_questions_for_the_state_are_repeated(world, url, asker):
    world.states = DONE
    failed = []

    def fault(path, _):
        if "/operations/" in path and len(failed) < 2:
            failed.append(path)
            return Fault(503)
        return None

    world.fault = fault
    result, _, _ = run(asked(url), asker)
    assert result.state == "COMPLETED"


def test_nobody_waits_who_does_not_want_to(world, url, asker):
    settings = asked(url)
    destination = Destination(kind="drive", description="summer")
    result = export(settings, place(settings), destination, wait=False, asker=asker)
    assert (result.state, result.where) == ("STARTED", "Google Drive")
    assert json.dumps(world.exports).count("reproject") == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "gcs", "description": "a"}, "needs the name of a bucket"),
        ({"kind": "drive", "description": "a", "bucket": "b"}, "goes with --export gcs"),
        ({"kind": "drive", "description": "a/b"}, "letters, digits"),
        ({"kind": "drive", "description": ""}, "letters, digits"),
    ],
)
def test_a_destination_that_cannot_be_is_refused(given, words):
    with pytest.raises(OptionError, match=words):
        Destination(**given)
