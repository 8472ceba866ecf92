"""``geoseg composite --earth-engine`` as it is typed, against a server on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

sys.path.insert(0, str(Path(__file__).parents[1] / "compositing" / "earthengine"))

from earthengine_command import BOX, PLACE, WHEN, command_of, three_dates, typed
from earthengine_interpreter import Made
from earthengine_server import Fault, clean_client, serve
from earthengine_world import LC08


@pytest.fixture
def world():
    return three_dates()


@pytest.fixture
def url(world):
    with clean_client(), serve(world) as address:
        yield address


@pytest.fixture
def run(url, tmp_path, capsys, monkeypatch):
    return command_of(url, tmp_path, capsys, monkeypatch)


def test_a_composite_and_its_labels_are_written_and_told(run, world, tmp_path):
    values = np.full((500, 90), 1, np.uint8)
    properties = {"crop_class_values": [1], "crop_class_names": ["Corn"]}
    start = world.collections[LC08][0].start
    world.collections["A/MAP"] = [
        Made("x", start, {"crop": values}, (499_980.0, 5_510_010.0), properties=properties)
    ]
    status, out, err = run(
        f"--earth-engine {LC08} {WHEN} {PLACE} --bands blue,nir --labels-collection A/MAP"
        " --labels-output labels.tif -o a.tif --json"
    )
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["outputs"] == ["a.tif", "labels.tif"]
    assert told["bands"] == ["blue", "nir"]
    assert told["images"] == {LC08: 3}
    assert told["label_pixels"] == {"Corn": told["pixels"]}
    assert sum(told["pixels_by_clear_dates"]) == told["pixels"]
    with rasterio.open("a.tif") as dataset:
        assert dataset.descriptions == ("blue", "nir", "clear")
        assert dataset.res == (30, 30)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.tif",
        "labels.qml",
        "labels.tif",
        "labels.tif.aux.xml",
    ]


def test_people_are_told_where_it_lies_and_how_many_images_went_in(run, tmp_path):
    ring = [[15.003, 49.70], [15.02, 49.70], [15.003, 49.71], [15.003, 49.70]]
    (tmp_path / "r.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    status, out, err = run(f"--earth-engine {LC08} {WHEN} --region r.geojson --bands red -o a.tif")
    assert status == 0
    assert "UTM zone of the region" in err
    assert "EPSG:32633" in err
    assert f"{LC08}: 3 images" in out
    assert out.startswith("a.tif\n")


def test_a_killed_run_goes_on_where_it_was_and_gives_the_same_bytes(run, url, world, tmp_path):
    world.delay = 0.02
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --bands blue,red --request-size 32 --workers 2"
    assert run(f"{line} -o whole.tif")[0] == 0
    total = len(world.pixels)
    world.pixels.clear()
    process = subprocess.Popen(
        typed(f"{line} -o a.tif", url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    limit = time.monotonic() + 60
    while len(world.pixels) < total // 2 and time.monotonic() < limit:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "a.tif").exists()
    while world.is_busy:  # with what was asked before the end
        time.sleep(0.01)
    kept = len(list((tmp_path / ".a.tif.part").glob("composite-*.npy")))
    assert total // 2 - 2 <= kept < total
    world.pixels.clear()
    status, _, err = run(f"{line} -o a.tif")
    assert status == 1
    assert "go on with --resume" in err
    status, _, err = run(f"{line} -o a.tif --resume")
    assert status == 0, err
    assert len(world.pixels) == total - kept
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "whole.tif"]


def test_a_refusal_is_one_line_of_a_process_too(url, world, tmp_path):
    world.fault = lambda path, _: Fault(403, "Not you.") if ":compute" in path else None
    done = subprocess.run(
        typed(f"--earth-engine {LC08} {WHEN} {PLACE} --bands red -o a.tif", url),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Earth Engine does not let you in (Not you")
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_what_was_fetched_before_a_failure_is_kept_and_told(run, world):
    world.fault = lambda path, _: (
        Fault(403, "No more.") if "Pixels" in path and len(world.pixels) > 4 else None
    )
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --bands red --request-size 32 -o a.tif"
    status, out, err = run(f"{line} --workers 1")
    note, error = err.splitlines()
    assert (status, out) == (1, "")
    assert ".a.tif.part keeps what was fetched; --resume goes on" in note
    assert error.startswith("Error: Earth Engine does not let you in (No more")
    world.fault = lambda *_: None
    assert run(f"{line} --resume")[0] == 0


def test_an_export_says_what_to_download(run, world):
    world.states = [{"state": "SUCCEEDED"}]
    line = f"--earth-engine {LC08} {WHEN} {PLACE} --bands red --export drive --description y18"
    status, out, err = run(line)
    assert status == 0
    assert out.startswith("y18: done, task TASK1, in Google Drive\n")
    assert "geoseg info 'y18*.tif'" in out
    assert "y18: completed" in err
    assert "whole rectangle" in err
    status, out, _ = run(f"{line} --no-wait --json")
    assert json.loads(out)["state"] == "STARTED"


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        (f"{{}} {WHEN} {PLACE} -o a.tif x.tif", 2, "do not go together"),
        (f"{{}} {WHEN} {PLACE} --bands violet -o a.tif", 1, "no band “violet”"),
        (f"{{}} {WHEN} {PLACE}", 2, "where to write"),
        (f"{{}} {PLACE} -o a.tif", 2, "needs --start and --end"),
        (f"{{}} --start 2018 --end 2019-01-01 {PLACE} -o a.tif", 2, "is no date"),
        (f"{{}} --start 2019-01-01 --end 2018-01-01 {PLACE} -o a.tif", 2, "no day lies"),
        (f"{{}} {WHEN} -o a.tif", 2, "--region, --like, or both"),
        (f"{{}} {WHEN} --region {BOX} -o a.tif", 2, "(--crs)"),
        (f"{{}} {WHEN} --region no.gpkg -o a.tif", 1, "no.gpkg: no such file"),
        (f"{{}} {WHEN} {PLACE} --scale 0 -o a.tif", 2, "no area"),
        (f"{{}} {WHEN} {PLACE} --scale 30 --resolution 30 -o a.tif", 2, "say the same"),
        (f"{{}} {WHEN} {PLACE} --like a.tif -o b.tif", 2, "leave out --crs"),
        (f"{{}} {WHEN} {PLACE} --sensor naip -o a.tif", 2, "--sensor goes with scenes"),
        (f"{{}} {WHEN} {PLACE} --quality none -o a.tif", 2, "--quality goes with scenes"),
        (f"{{}} {WHEN} {PLACE} --resampling cubic -o a.tif", 2, "--resampling goes with scenes"),
        (f"{{}} {WHEN} {PLACE} --method medoid -o a.tif", 2, "medoid is not made"),
        (f"{{}} {WHEN} {PLACE} --workers 64 -o a.tif", 2, "from 1 to 40"),
        (f"{{}} {WHEN} {PLACE} --labels-band x -o a.tif", 2, "goes with --labels-collection"),
        (f"{{}} {WHEN} {PLACE} --labels-collection A/B -o a.tif", 2, "needs --labels-output"),
        (f"{{}} {WHEN} {PLACE} --bucket x -o a.tif", 2, "goes with --export"),
        (f"{{}} {WHEN} {PLACE} --export gcs", 2, "needs the name of a bucket"),
        (f"{{}} {WHEN} {PLACE} --export drive -o a.tif", 2, "leave out -o"),
        (f"{{}} {WHEN} {PLACE} --export drive --resume", 2, "--resume is for what is fetched"),
        (f"{{}} {WHEN} {PLACE} --resume -o a.tif", 1, "nothing to --resume"),
        (f"{{}} {WHEN} {PLACE} -o a.png", 2, "name the output *.tif"),
        (f"--earth-engine LANDSAT {WHEN} {PLACE} -o a.tif", 2, "no collection of Earth Engine"),
        (f"--earth-engine A/B {WHEN} {PLACE} --bands x --scale 9 -o a.tif", 1, "'A/B' not found"),
        (f"--earth-engine A/B {WHEN} {PLACE} --bands x -o a.tif", 2, "--scale"),
        (f"--earth-engine A/B {WHEN} {PLACE} -o a.tif", 1, "name its bands (--bands)"),
        (f"{{}} {WHEN} {PLACE} -o a.tif --cluster local", 2, "--cluster goes with scenes"),
        ("--project mine x.tif -o a.tif", 2, "--project goes with --earth-engine"),
        ("-o a.tif", 2, "or name a collection: --earth-engine"),
        ("x.tif", 2, "Missing option '-o'"),
    ],
)
def test_every_bad_input_is_one_line(run, tmp_path, line, status, words):
    found, out, err = run(line.format(f"--earth-engine {LC08}"))
    assert (found, out) == (status, "")
    assert words in err
    assert len([row for row in err.splitlines() if row.startswith("Error")]) == 1
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_the_client_is_not_imported_for_local_scenes(tmp_path):
    code = (
        "import sys; from geoseg.cli import _run; "
        f"_run(['composite', 'no.tif', '-o', {str(tmp_path / 'a.tif')!r}]); "
        "sys.exit('ee' in sys.modules or 'googleapiclient' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0


def test_the_example_of_the_help_works_as_typed(run, tmp_path):
    ring = [[15.003, 49.70], [15.02, 49.70], [15.003, 49.71], [15.003, 49.70]]
    place = {"type": "Polygon", "coordinates": [ring]}
    (tmp_path / "county.geojson").write_text(json.dumps(place))
    told = run("--help")[1].split("With --earth-engine")[1].split("Options:")[0]
    example = told[told.index("geoseg composite") :].replace("\\\n", " ")
    assert run(example.removeprefix("geoseg composite"))[0] == 0
    with rasterio.open(tmp_path / "county.tif") as dataset:
        assert dataset.descriptions == ("blue", "green", "red", "nir", "clear")
