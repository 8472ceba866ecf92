"""``geoseg composite`` as it is typed: outputs, and one line for every bad input."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.cli import _run

FOLDER = "LC08_L2SP_190026_2018{:02d}01_20200831_02_T1"
CLEAR, CLOUD, SNOW = 21824, 22280, 30048


def write(path, pixels, *, corner=(500010, 5500010), names=(), nodata=None, pixel=30):
    path.parent.mkdir(exist_ok=True)
    pixels = np.asarray(pixels, np.uint16)
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype="uint16",
        crs="EPSG:32633",
        transform=Affine(pixel, 0, corner[0], 0, -pixel, corner[1]),
        nodata=nodata,
    ) as dataset:
        dataset.write(pixels)
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)


def write_product(folder, month, red, quality, **more):
    folder = folder / FOLDER.format(month)
    for name, pixels in (("SR_B4", red), ("SR_B5", np.multiply(red, 2)), ("QA_PIXEL", quality)):
        write(folder / f"{folder.name}_{name}.TIF", pixels, **more)
    return str(folder)


@pytest.fixture
def year(tmp_path):
    """Three months of a scene of two rows; the last lies one pixel further east."""
    cloudy = [[CLEAR, CLOUD, 1], [SNOW, CLEAR, CLEAR]]
    write_product(tmp_path, 1, [[10000, 20000, 0], [12000, 14000, 9000]], cloudy)
    write_product(tmp_path, 2, [[11000, 13000, 8000], [12500, 0, 9002]], [[CLEAR] * 3] * 2)
    east = (500040, 5500010)
    write_product(tmp_path, 3, [[15000] * 3, [16000] * 3], [[CLEAR] * 3] * 2, corner=east)
    return str(tmp_path / "LC08_*")


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command; give status, output, errors."""

    def call(*words, out="out.tif"):
        capsys.readouterr()
        output = ["-o", str(tmp_path / out)] if out else []
        status = _run(["composite", *map(str, words), *output])
        return status, *capsys.readouterr()

    return call


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def reflectance(readings):
    return np.where(np.isnan(readings), np.nan, np.multiply(readings, 0.0000275) - 0.2).astype(
        np.float32
    )


NAN = float("nan")


def test_a_year_becomes_reflectance_with_a_band_of_clear_dates(year, run, tmp_path):
    status, out, err = run(year)
    assert status == 0, err
    red, nir, clear = read(tmp_path / "out.tif")
    # Of the third month the first scene's grid has but two columns.
    readings = np.array([[10500, 14000, 11500], [12500, 15000, 9002]])
    np.testing.assert_array_equal(clear, [[2, 2, 2], [1, 2, 3]])
    np.testing.assert_array_equal(red, reflectance(readings))
    np.testing.assert_array_equal(nir, reflectance(np.multiply(readings, 2)))
    assert out.splitlines()[0] == str(tmp_path / "out.tif")
    assert "3 dates; of a pixel 2.0 clear on average" in out
    assert "75 % of the rectangle around all; --extent union covers all" in err
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.descriptions == ("red", "nir", "clear")
        assert dataset.tags()["GEOSEG_COMMAND"].startswith("geoseg composite LC08_L2SP")


def test_json_tells_how_many_pixels_have_how_many_clear_dates(year, run):
    status, out, _ = run(year, "--extent", "union", "--json", "--keep", "none")
    told = json.loads(out)
    assert status == 0
    # The new column is the third month's alone; snow and cloud stay masked.
    assert told["pixels_by_clear_dates"] == [0, 3, 4, 1]
    assert told["pixels"] == 8
    assert told["bands"] == ["red", "nir"]
    assert len(told["dates"]) == 3


def test_snow_is_kept_by_wish_and_counts_by_themselves(year, run, tmp_path):
    status, _, err = run(
        year, "--keep", "snow,water", "--counts", tmp_path / "n.tif", "--bands", "nir"
    )
    assert status == 0, err
    found = read(tmp_path / "out.tif")
    assert found.shape == (1, 2, 3)
    assert found[0, 1, 0] == np.float32(2 * 12250 * 0.0000275 - 0.2)
    np.testing.assert_array_equal(read(tmp_path / "n.tif"), [[[2, 2, 2], [2, 2, 3]]])


def test_what_is_masked_grows_by_wish(year, run, tmp_path):
    assert run(year, "--dilate", "1")[0] == 0
    # One cloud and one pixel of snow in January take all of its six.
    np.testing.assert_array_equal(read(tmp_path / "out.tif")[-1], [[1, 2, 2], [1, 1, 2]])


def test_whole_numbers_are_stored_as_the_product_stores_them(year, run, tmp_path):
    status, _, err = run(year, "--dtype", "uint16", "--method", "mean", "--bands", "SR_B4")
    assert status == 0, err
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.scales == (0.0000275, 1)
        assert dataset.offsets == (-0.2, 0)
        assert dataset.nodata == 0
        found = dataset.read()
    assert found[0].tolist() == [[10500, 14000, 11500], [12500, 15000, 11334]]
    assert found[1].tolist() == [[2, 2, 2], [1, 2, 3]]


def test_a_percentile_of_plain_rasters_with_fmask_on_the_grid_of_another(run, tmp_path):
    names = ("green", "mask")
    for date, (green, mask) in enumerate([(10, 0), (20, 1), (90, 4), (40, 0)]):
        pixels = np.array([[[green] * 4] * 3, [[mask] * 4] * 3])
        write(tmp_path / f"{date}.tif", pixels, names=names, nodata=255)
    write(tmp_path / "like.tif", [[1, 1]], corner=(500040, 5499980))
    status, out, err = run(
        *(tmp_path / f"{date}.tif" for date in range(4)),
        *("--quality", "fmask=mask", "--method", "percentile", "--percentile", "25"),
        *("--like", tmp_path / "like.tif", "--json"),
    )
    assert status == 0, err
    assert json.loads(out)["pixels_by_clear_dates"] == [0, 0, 0, 2, 0]
    assert read(tmp_path / "out.tif").tolist() == [[[15, 15]], [[3, 3]]]


def test_another_system_and_resolution(year, run, tmp_path):
    status, _, err = run(year, "--crs", "EPSG:32632", "--resolution", "15")
    assert status == 0, err
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.crs.to_epsg() == 32632
        assert dataset.res == (15, 15)
        assert np.isfinite(dataset.read(1)).any()


def test_a_region_in_coordinates_cuts_the_grid(year, run, tmp_path):
    status, _, err = run(year, "--region", "500040,5499950,500100,5499980")
    assert status == 0, err
    assert read(tmp_path / "out.tif")[-1].tolist() == [[2, 3]]


def test_bands_with_pixels_of_two_sizes_meet_on_the_smaller(run, tmp_path):
    name = "LC08_L1TP_190026_20180101_20180119_01_T1"
    folder = tmp_path / name
    red, pan = np.array([[10, 20], [30, 40]]), np.arange(1, 17).reshape(4, 4)
    write(folder / f"{name}_B4.TIF", red)
    write(folder / f"{name}_BQA.TIF", [[2720, 2720], [2800, 1]])  # clear, clear, cloud, fill
    write(folder / f"{name}_B8.TIF", pan, pixel=15)
    status, _, err = run(folder, "--bands", "pan,red")
    assert status == 0, err
    there = np.kron([[1, 1], [0, 0]], np.ones((2, 2))).astype(bool)
    found = read(tmp_path / "out.tif")
    np.testing.assert_array_equal(found[0], np.where(there, pan, np.nan))
    np.testing.assert_array_equal(found[1], np.where(there, np.kron(red, np.ones((2, 2))), np.nan))
    np.testing.assert_array_equal(found[2], there)


def test_scenes_without_mask_or_off_the_grid_are_named(year, run, tmp_path):
    (tmp_path / "far").mkdir()
    far = write_product(tmp_path / "far", 4, [[9000]], [[CLEAR]], corner=(900000, 5500010))
    status, _, err = run(year, far, "--quality", "none")
    assert status == 0
    assert f"left out, for lying off the composite's grid: {FOLDER.format(4)}." in err
    assert f"counts as clear: {FOLDER.format(1)}, {FOLDER.format(2)}, {FOLDER.format(3)}." in err
    assert "the composite covers the first scene, 0.0" in err
    assert run(year, far, "--overwrite", "-q")[2] == ""


def test_every_bad_input_is_one_line(year, run, tmp_path):
    first = tmp_path / FOLDER.format(1)
    write(tmp_path / "there.tif", [[1]])
    for words, status, says in (
        (["nothing"], 1, "nothing: no such file or folder"),
        ([str(tmp_path / "LE07_*")], 1, "no file or folder matches; check the pattern"),
        ([year, "--bands", "blue"], 1, "blue"),
        ([year, "--percentile", "20"], 2, "goes with the method “percentile”"),
        ([year, "--method", "percentile"], 2, "goes with the method “percentile”"),
        ([year, "--keep", "fog"], 2, "cannot keep “fog”"),
        ([year, "--crs", "EPSG:1"], 2, "“EPSG:1” is not known"),
        ([year, "--resolution", "-3"], 2, "give one above 0"),
        ([year, "--like", first, "--crs", "EPSG:32633"], 2, "leave out --crs"),
        ([year, "--like", tmp_path / "gone.tif"], 1, "gone.tif: no such file"),
        ([year, "--counts", tmp_path / "out.tif"], 2, "same path"),
        (
            [year, "--counts", tmp_path / "there.tif"],
            1,
            "there already; replace it with --overwrite",
        ),
        ([year, "--region", "0,0,1,1"], 1, "does not overlap"),
    ):
        got, out, err = run(*words)
        assert got == status, (words, err)
        assert says in err
        assert len([line for line in err.splitlines() if line.startswith("Error")]) == 1
        assert "Traceback" not in err
        assert out == ""
        assert not (tmp_path / "out.tif").exists()
    status, _, err = run(year, out="there.tif")
    assert status == 1
    assert "replace it with --overwrite" in err
    assert read(tmp_path / "there.tif").tolist() == [[[1]]]


def test_the_examples_of_the_help_work_as_typed(tmp_path, monkeypatch, capsys):
    names = [*("SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7"), "QA_PIXEL"]
    for product in (FOLDER.format(5), FOLDER.format(6).replace("LC08", "LC09")):
        for name in names:
            pixels = [[CLEAR if name == "QA_PIXEL" else 9000] * 6] * 5
            write(tmp_path / product / f"{product}_{name}.TIF", pixels)
    for month in ("may", "june", "july"):
        bands = np.full((8, 5, 6), 7)
        bands[7] = 0
        write(tmp_path / f"{month}.tif", bands, names=[f"b{n}" for n in range(8)], nodata=255)
    monkeypatch.chdir(tmp_path)
    assert _run(["composite", "--help"]) == 0
    told = capsys.readouterr().out.split("Examples:")[1].split("With --earth-engine")[0]
    examples = [line for line in told.splitlines() if "geoseg" in line]
    assert len(examples) == 5
    for example in examples:
        assert _run(shlex.split(example)[1:]) == 0, capsys.readouterr().err
    assert read("2018.tif").shape == (7, 5, 6)
    assert (read("year.tif")[-1] == 2).all()
    assert (read("clear.tif") == 3).all()


def test_bare_numbers_and_reflectance_are_not_mixed(year, run, tmp_path):
    level1 = tmp_path / "LC08_L1TP_190026_20180401_20200831_02_T1"
    for name, value in (("B4", 9000), ("B5", 9100), ("QA_PIXEL", CLEAR)):
        write(level1 / f"{level1.name}_{name}.TIF", np.full((2, 3), value))
    status, _, errors = run(year, level1, "--bands", "red,nir")
    assert status == 1
    assert "red is bare numbers in LC08_L1TP_190026_20180401_20200831_02_T1 and reflect" in errors
    assert "MTL" in errors
    assert errors.count("\n") == 1


def test_bands_that_a_scene_lacks_are_named(year, run, tmp_path):
    (tmp_path / FOLDER.format(2) / f"{FOLDER.format(2)}_SR_B5.TIF").unlink()
    status, _, errors = run(year)
    assert status == 0
    assert "left out, for not all scenes have it: nir" in errors


def test_an_empty_composite_is_told_with_what_hides_it(tmp_path, run):
    one = write_product(tmp_path, 1, [[9000] * 3] * 2, [[SNOW, SNOW, CLOUD], [SNOW, 1, 1]])
    status, out, errors = run(one, "--json")
    assert status == 0
    assert "no pixel is clear on any date: by the quality bands the readings are" in errors
    assert "are 75 % snow, 25 % cloud; --keep snow,water uses snow" in errors
    assert json.loads(out)["hidden_by"] == {"snow": 0.75, "cloud": 0.25}
    status, _, errors = run(one, "--keep", "snow", out="kept.tif")
    assert status == 0
    assert "no pixel is clear" not in errors
    fill = write_product(tmp_path, 2, [[0] * 3] * 2, [[1] * 3] * 2)
    status, out, errors = run(fill, "--json", out="fill.tif")
    assert "no pixel is clear on any date: check --keep and --quality" in errors
    assert json.loads(out)["hidden_by"] == {}
    cloudy = write_product(tmp_path, 3, [[9000] * 3] * 2, [[CLOUD] * 3] * 2)
    assert "are 100 % cloud; give other dates" in run(cloudy, out="cloudy.tif")[2]


def test_metadata_hold_names_and_options_as_typed(tmp_path, run):
    for name in ("may.tif", "june.tif"):
        write(tmp_path / "in" / name, np.full((6, 2, 3), 9000))
    grid = tmp_path / "in" / "may.tif"
    words = ["--sensor", "landsat-8-c2-l2", "--band-names", "blue,green,red,nir,swir1,swir2"]
    status, _, errors = run(
        tmp_path / "in" / "may.tif", tmp_path / "in" / "june.tif", *words, "--like", grid,
        "--quality", "none", "--counts", tmp_path / "n.tif",
    )  # fmt: skip
    assert status == 0, errors
    with rasterio.open(tmp_path / "out.tif") as dataset:
        tags = dataset.tags()
    typed = shlex.split(tags["GEOSEG_COMMAND"])
    assert typed[:4] == ["geoseg", "composite", "may.tif", "june.tif"]
    options = dict(zip(typed[4::2], typed[5::2], strict=True))
    wanted = {
        "--sensor": "landsat-8-c2-l2", "--quality": "none", "--like": "may.tif",
        "--band-names": "blue,green,red,nir,swir1,swir2", "--counts": "n.tif",
    }  # fmt: skip
    assert wanted.items() <= options.items()
    assert "None" not in tags["GEOSEG_COMMAND"]
    assert str(tmp_path) not in json.dumps(tags)
    assert json.loads(tags["GEOSEG_OPTIONS"])["sensor"] == "landsat-8-c2-l2"


def test_a_grid_that_makes_no_sense_is_refused_in_a_line(year, run, tmp_path):
    for words, said in (
        (["--resolution", "1e9"], "a pixel of 1e+09 metres is larger than all"),
        (["--crs", "EPSG:4326", "--resolution", "30"], "in units of EPSG:4326"),
        (["--resolution", "1e-9"], "9e+10 × 6e+10, and there may be"),
    ):
        status, _, errors = run(year, *words)
        assert status in {1, 2}
        assert said in errors
        assert errors.count("\n") == 1
        assert not (tmp_path / "out.tif").exists()


def test_a_scene_or_grid_without_a_place_is_told_without_options_that_are_not_there(
    year, run, tmp_path
):
    write(tmp_path / "nowhere.tif", np.full((2, 2, 3), 9000), names=("red", "nir"))
    with rasterio.open(tmp_path / "nowhere.tif", "r+") as dataset:
        dataset.crs = rasterio.crs.CRS()
    for words in ((year, "--like", tmp_path / "nowhere.tif"), (year, tmp_path / "nowhere.tif")):
        status, _, errors = run(*words, "--bands", "red,nir")
        assert status == 1
        assert "nowhere.tif: " in errors
        assert "gdal_edit -a_srs" in errors
        assert "--assume-aligned" not in errors
