"""``geoseg homogenise`` as it is typed: files, and one line for every bad input."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.cli import _run
from geoseg.compositing.homogenise.standard import SHARES, read_standard
from geoseg.errors import ColourError
from geoseg.raster.scene import Scene

METHODS = ("moments", "histogram", "overlap")
NAMES = ("blue", "green", "red")


def write(path, pixels, *, col=0, row=0, dtype="uint16", names=NAMES, nodata=0, crs="EPSG:32633"):
    pixels = np.asarray(pixels)
    path.parent.mkdir(exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=dtype,
        crs=crs,
        transform=Affine(10, 0, 500_000 + 10 * col, 0, -10, 5_000_000 - 10 * row),
        nodata=nodata,
    ) as dataset:
        dataset.write(pixels.astype(dtype))
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)
    return path


def ground(rows=60, cols=120):
    y, x = np.mgrid[:rows, :cols] / 15
    noise = np.random.default_rng(3).normal(size=(3, rows, cols))
    smooth = [np.sin(x + k) + np.cos((k + 1) * y) for k in range(3)]
    return 4000 + 500 * np.array(smooth) + 100 * noise


@pytest.fixture
def pair(tmp_path):
    """Two images of one country that overlap by 40 columns; the second is brighter."""
    whole = ground()
    west = whole[:, :, :80].copy()
    west[:, :10, :10] = 0
    write(tmp_path / "in" / "west.tif", west)
    write(tmp_path / "in" / "east.tif", 1.3 * whole[:, :, 40:] + 700, col=40)
    return [tmp_path / "in" / "west.tif", tmp_path / "in" / "east.tif"]


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command; give status, output, errors."""

    def call(*words, out="out", command="homogenise"):
        capsys.readouterr()
        status = _run([command, *map(str, words), "-o", str(tmp_path / out)])
        return status, *capsys.readouterr()

    return call


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_two_images_become_one(pair, run, tmp_path):
    status, out, err = run(*pair)
    assert (status, err) == (0, "")
    folder = tmp_path / "out"
    assert sorted(path.name for path in folder.iterdir()) == [
        "colour.json", "east.qml", "east.tif", "report.html", "seams.csv", "seams.png",
        "west.qml", "west.tif",
    ]  # fmt: skip
    west, east = read(folder / "west.tif").astype(float), read(folder / "east.tif").astype(float)
    assert np.abs(west[:, 12:, 40:] - east[:, 12:, :40]).max() <= 1
    assert (west[:, :10, :10] == 0).all()
    assert (west[:, 10:] > 0).all()
    assert "by overlaps" in out
    assert "where they meet they differ by" in out
    with rasterio.open(folder / "east.tif") as made, rasterio.open(pair[1]) as given:
        assert (made.dtypes, made.nodata) == (given.dtypes, 0)
        assert (made.transform, made.crs, made.shape) == (given.transform, given.crs, given.shape)
        assert made.descriptions == NAMES
        tags = made.tags()
    assert tags["GEOSEG_COLOUR"] == read_standard(folder / "colour.json").digest
    assert tags["GEOSEG_COMMAND"].startswith("geoseg homogenise west east")
    assert list(json.loads(tags["GEOSEG_INPUTS"])) == ["east"]


def test_the_table_holds_what_numpy_finds(pair, run, tmp_path):
    status, out, _ = run(*pair, "--json")
    assert status == 0
    told = json.loads(out)
    with (tmp_path / "out" / "seams.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["band"] for row in rows] == list(NAMES)
    for when, folder in (("before", "in"), ("after", "out")):
        west, east = (read(tmp_path / folder / f"{n}.tif").astype(float) for n in ("west", "east"))
        difference = (west[:, :, 40:] - east[:, :, :40]).reshape(3, -1)
        pooled = np.sqrt((west[:, :, 40:].var(axis=(1, 2)) + east[:, :, :40].var(axis=(1, 2))) / 2)
        for k, row in enumerate(rows):
            assert (row["first"], row["second"], row["kind"]) == ("west", "east", "overlap")
            assert int(row["pixels"]) == 60 * 40
            assert float(row[f"difference_{when}"]) == pytest.approx(difference[k].mean())
            size = np.abs(difference[k]).mean()
            assert float(row[f"absolute_{when}"]) == pytest.approx(size)
            assert float(row[f"relative_{when}"]) == pytest.approx(size / pooled[k])
        relative = np.mean(np.abs(difference).mean(axis=1) / pooled)
        assert told[f"relative_{when}"] == pytest.approx(relative)
    assert told["seams"][0]["pixels"] == 2400
    assert told["images"][0]["readings"] == 3 * (60 * 80 - 100)
    gains = np.array([image["gains"] for image in told["images"]])
    np.testing.assert_allclose(gains[0] / gains[1], 1.3, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_files_do_not_depend_on_the_number_of_workers(pair, run, tmp_path, method):
    for workers in (1, 3):
        words = ("--method", method, "--dodge", "--dodge-cell", 16, "--workers", workers)
        status, _, err = run(*pair, *words, out=f"out{workers}")
        assert status == 0, err
    for path in sorted((tmp_path / "out1").iterdir()):
        assert path.read_bytes() == (tmp_path / "out3" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("method", METHODS)
def test_a_saved_colour_brings_the_same_image_to_the_same_pixels(pair, run, tmp_path, method):
    assert run(*pair, "--method", method, "--dodge")[0] == 0
    status, out, err = run(pair[1], "--apply", tmp_path / "out" / "colour.json", out="again")
    assert status == 0, err
    np.testing.assert_array_equal(
        read(tmp_path / "again" / "east.tif"), read(tmp_path / "out" / "east.tif")
    )
    assert "1 image" in out


def test_what_has_the_colour_already_is_left_alone(pair, run, tmp_path):
    assert run(*pair)[0] == 0
    made = tmp_path / "out" / "east.tif"
    status, _, err = run(made, "--apply", tmp_path / "out" / "colour.json", out="again")
    assert status == 0
    assert "Note: east has this colour already, and stays as it is." in err
    np.testing.assert_array_equal(read(tmp_path / "again" / "east.tif"), read(made))


def test_a_new_image_comes_to_a_saved_colour(pair, run, tmp_path):
    assert run(*pair, "--method", "histogram")[0] == 0
    new = write(tmp_path / "new.tif", 0.5 * ground(50, 50) + 50, col=900)
    status, _, err = run(new, "--apply", tmp_path / "out" / "colour.json", out="again")
    assert status == 0, err
    target = read_standard(tmp_path / "out" / "colour.json").bands
    for band, wanted in zip(read(tmp_path / "again" / "new.tif"), target, strict=True):
        assert np.quantile(band, 0.5) == pytest.approx(wanted.quantiles[SHARES.index(0.5)], abs=4)


def test_the_american_spelling_is_accepted_and_not_listed(pair, run, tmp_path, capsys):
    assert run(*pair, command="homogenize")[0] == 0
    assert (tmp_path / "out" / "west.tif").is_file()
    _run(["--help"])
    assert "homogenize" not in capsys.readouterr().out


def test_clipping_is_counted_and_told(tmp_path, run):
    data = np.tile(np.linspace(0, 255, 256), (3, 4, 1))
    bright = write(tmp_path / "bright.tif", 128 + data / 2, dtype="uint8", nodata=None)
    narrow = write(tmp_path / "narrow.tif", 100 + data / 8, dtype="uint8", nodata=None, col=900)
    status, out, err = run(bright, narrow, "--method", "moments", "--reference", bright, "--json")
    assert status == 0
    told = json.loads(out)["images"]
    assert told[0]["clipped"] == 0
    made = read(tmp_path / "out" / "narrow.tif")
    mean, std = (128 + data // 1 / 2).astype("uint8").mean(), (128 + data / 2).astype("uint8").std()
    assert made.mean() == pytest.approx(mean, abs=1.5)
    assert made.std() == pytest.approx(std, rel=0.05)
    wide = write(tmp_path / "wide.tif", np.where(data > 250, 255, data / 8), dtype="uint8",
                 nodata=None, col=1800)  # fmt: skip
    status, out, err = run(bright, wide, "--reference", bright, "--json", out="other")
    assert status == 0
    assert json.loads(out)["images"][1]["clipped"] > 0.01 * 3 * 4 * 256
    assert "Note: wide:" in err
    assert "did not fit into the type" in err


def test_bands_are_chosen_and_named(pair, run, tmp_path):
    status, _, err = run(*pair, "--bands", "red,blue")
    assert status == 0, err
    with rasterio.open(tmp_path / "out" / "west.tif") as dataset:
        assert dataset.descriptions == ("red", "blue")
    other = write(tmp_path / "other.tif", ground(), names=("red", "green", "blue"), row=5)
    status, _, err = run(pair[0], other, out="second")
    assert status == 0, err
    with rasterio.open(tmp_path / "second" / "other.tif") as dataset:
        assert dataset.descriptions == NAMES


def test_photographs_are_brought_together_by_moments(tmp_path, run):
    rng = np.random.default_rng(0)
    for k in (1, 2):
        pixels = rng.normal(60 * k, 20, (3, 30, 40)).clip(0, 255)
        write(tmp_path / "in" / f"{k}.tif", pixels, dtype="uint8", nodata=None, crs=None)
    status, _, err = run(tmp_path / "in" / "*.tif")
    assert status == 0, err
    one, two = (read(tmp_path / "out" / f"{k}.tif").astype(float) for k in (1, 2))
    assert one.mean() == pytest.approx(two.mean(), abs=1)
    assert "no two images meet" in err


def test_images_of_one_name_get_different_files(pair, run, tmp_path):
    other = write(tmp_path / "b" / "west.tif", 2 * ground(), row=3)
    assert run(pair[0], other)[0] == 0
    names = sorted(path.name for path in (tmp_path / "out").glob("*.tif"))
    assert names == ["west.tif", "west_2.tif"]


def test_scale_offset_and_floats_are_kept(tmp_path, run):
    for k in (0, 1):
        part = (1 + k) * ground()[:, :, 20 * k : 20 * k + 100]
        path = tmp_path / "in" / f"{k}.tif"
        write(path, part, dtype="float32", nodata=-9, col=20 * k)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (0.5, 0.5, 2.0), (1.0, 0.0, 0.0)
    status, _, err = run(tmp_path / "in" / "*.tif")
    assert status == 0, err
    with rasterio.open(tmp_path / "out" / "1.tif") as dataset:
        assert (dataset.scales, dataset.offsets) == ((0.5, 0.5, 2.0), (1.0, 0.0, 0.0))
        assert (dataset.nodata, dataset.dtypes[0]) == (-9, "float32")
    one, two = (Scene.open(tmp_path / "out" / f"{k}.tif") for k in (0, 1))
    a = one.read(one.grid.window).data[:, :, 20:]
    b = two.read(two.grid.window).data[:, :, :80]
    np.testing.assert_allclose(a, b, rtol=1e-5)


def one_line(err, *words):
    assert err.startswith(("Error: ", "Usage"))
    lines = [line for line in err.splitlines() if line.startswith("Error")]
    assert len(lines) == 1
    assert "Traceback" not in err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["{west}"], 2, ["one image has nothing to agree with"]),
        (["{west}", "{none}"], 1, ["none.tif", "no such file"]),
        (["{west}", "{east}", "--reference", "{none}"], 1, ["none.tif", "no such file"]),
        (["{west}", "{two}"], 1, ["two.tif has the bands", "--bands"]),
        (["{west}", "{real}"], 1, ["real.tif holds float32"]),
        (["{west}", "{east}", "--bands", "nir"], 1, ["has no band “nir”"]),
        (["{west}", "{east}", "--apply", "{none}"], 1, ["none.tif", "cannot be read"]),
        (["{west}", "--apply", "{west}"], 1, ["is no JSON"]),
        (["{west}", "{east}", "--dodge-cell", "64"], 2, ["--dodge"]),
        (["{two}", "{two2}", "--cast", "grey-world"], 1, ["no band of “blue”"]),
        (["{empty}", "{empty2}"], 1, ["valid pixel"]),
        (["{west}", "{east}", "--method", "none"], 2, ["--method"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(pair, run, tmp_path, words, status, said):
    names = ("red", "nir")
    files = {
        "west": pair[0],
        "east": pair[1],
        "none": tmp_path / "none.tif",
        "two": write(tmp_path / "x" / "two.tif", ground()[:2], names=names),
        "two2": write(tmp_path / "x" / "two2.tif", 2 * ground()[:2], names=names),
        "real": write(tmp_path / "x" / "real.tif", ground(), dtype="float32"),
        "empty": write(tmp_path / "x" / "empty.tif", 0 * ground()),
        "empty2": write(tmp_path / "x" / "empty2.tif", 0 * ground(), col=5),
    }
    found, _, err = run(*(word.format(**files) for word in words))
    assert found == status
    one_line(err, *said)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_folders_are_replaced_by_wish_and_only_own_ones(pair, run, tmp_path):
    assert run(*pair)[0] == 0
    status, _, err = run(*pair)
    assert status == 1
    one_line(err, "is there already", "--overwrite")
    assert run(*pair, "--overwrite", "--method", "moments")[0] == 0
    (tmp_path / "mine").mkdir()
    status, _, err = run(*pair, "--overwrite", out="mine")
    one_line(err, "holds no images of one colour")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    status, _, err = run(*pair, "--overwrite")
    assert status == 1
    one_line(err, "holds something else", "notes.txt")
    (tmp_path / "out" / "notes.txt").unlink()
    status, _, err = run(tmp_path / "out" / "*.tif", "--overwrite")
    assert status == 1
    one_line(err, "which is read")
    status, _, err = run(*pair, out="nowhere/out")
    one_line(err, "does not exist; make it first")
    assert (tmp_path / "out" / "west.tif").is_file()


def test_freed_memory_is_reused_while_it_runs_and_given_back_whatever_the_end(
    pair, run, monkeypatch
):
    told = []
    at = "geoseg.compositing.homogenise.run"
    monkeypatch.setattr(f"{at}.keep_large_blocks", lambda: told.append("kept"))

    def fails(*_, **__):
        told.append("used")
        raise ColourError("no colour")

    monkeypatch.setattr(f"{at}.fit_group", fails)
    monkeypatch.setattr(f"{at}.give_back", lambda: told.append("given back"))
    status, _, err = run(*pair)
    assert status == 1
    one_line(err, "no colour")
    assert told == ["kept", "used", "given back"]


def test_apply_excludes_how_a_colour_is_found(pair, run, tmp_path):
    assert run(*pair)[0] == 0
    colour = tmp_path / "out" / "colour.json"
    status, _, err = run(*pair, "--apply", colour, "--method", "moments", out="b")
    assert status == 2
    one_line(err, "leave out --method")
    two = write(tmp_path / "two.tif", ground()[:2], names=("red", "nir"))
    status, _, err = run(two, "--apply", colour, out="b")
    assert status == 1
    one_line(err, "two", "band")


def test_a_truncated_image_leaves_nothing(pair, run, tmp_path):
    content = pair[1].read_bytes()
    pair[1].write_bytes(content[: len(content) // 2])
    status, _, err = run(*pair)
    assert status == 1
    one_line(err, "east.tif", "truncated")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_recipe_runs_it_once(pair, tmp_path, capsys):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'title = "Even"\n[[step]]\nrun = "homogenise"\narguments = ["{data}/*.tif"]\n'
        'output = "{out}/even"\noptions = { method = "overlap", haze = "dark-object" }\n',
        encoding="utf-8",
    )
    words = ["run", str(recipe), "--data", str(tmp_path / "in"), "-o", str(tmp_path / "results")]
    assert _run(words) == 0
    assert (tmp_path / "results" / "even" / "east.tif").is_file()
    assert "1 of 1 steps run" in capsys.readouterr().out
    assert _run(words) == 0
    assert "0 of 1 steps run" in capsys.readouterr().out
