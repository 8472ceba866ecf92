"""What ``geoseg homogenise`` says and writes beside the images: styles, medians, notes."""

from __future__ import annotations

import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.cli import _run

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


def limits(path):
    """Bands and limits of a style: (band, low, high) of red, green and blue, or of grey."""
    (renderer,) = ElementTree.parse(path).iter("rasterrenderer")
    grey = renderer.get("type") == "singlebandgray"
    return [
        (
            int(renderer.get(f"{name}Band")),
            *(float(renderer.findtext(f"{tag}/{end}Value")) for end in ("min", "max")),
        )
        for name, tag in (
            [("gray", "contrastEnhancement")]
            if grey
            else [(c, f"{c}ContrastEnhancement") for c in ("red", "green", "blue")]
        )
    ]


def test_all_images_have_one_stretch_in_qgis(pair, run, tmp_path):
    assert run(*pair)[0] == 0
    west, east = (limits(tmp_path / "out" / f"{name}.qml") for name in ("west", "east"))
    assert west == east
    assert [band for band, _, _ in west] == [3, 2, 1]  # red, green, blue by their names
    for band, low, high in west:
        found = []
        for name in ("west", "east"):
            data = read(tmp_path / "out" / f"{name}.tif")[band - 1]
            found.append(np.percentile(data[data > 0], (2, 98)))
        np.testing.assert_allclose([low, high], np.mean(found, axis=0), rtol=0.01)
    # Made again, the folder is replaced with its styles.
    assert run(*pair, "--bands", "red", "--overwrite")[0] == 0
    ((band, _, _),) = limits(tmp_path / "out" / "west.qml")
    assert band == 1


def test_the_stretch_is_in_scaled_units_and_not_that_of_a_cloud(tmp_path, run):
    for k in range(3):
        data = ground()[:, :, 20 * k : 20 * k + 80].copy()
        if k == 2:
            data[:, 20:40] = 60000
        path = write(tmp_path / "in" / f"{k}.tif", data, col=20 * k)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (0.001,) * 3, (1.0,) * 3
    words = ("--method", "moments", "--reference", tmp_path / "in" / "0.tif")
    assert run(tmp_path / "in" / "[01].tif", *words)[0] == 0
    plain = limits(tmp_path / "out" / "0.qml")
    assert all(3.5 < low < high < 6.5 for _, low, high in plain)  # 2500 … 5500 × 0.001 + 1
    assert run(tmp_path / "in" / "*.tif", *words, out="cloudy")[0] == 0
    cloudy = limits(tmp_path / "cloudy" / "0.qml")
    # The two without a cloud are in the middle; the cloud's own would end far above.
    assert max(high for _, _, high in cloudy) < 6.5


def test_a_recompressed_image_is_known_and_a_strange_one_is_told(pair, run, tmp_path):
    assert run(*pair)[0] == 0
    saved = tmp_path / "out" / "colour.json"
    again = tmp_path / "again" / "east.tif"
    again.parent.mkdir()
    with rasterio.open(pair[1]) as dataset:
        how = dataset.profile | {"compress": "lzw"}
    with rasterio.open(again, "w", **how) as made:
        made.write(read(pair[1]))
        made.descriptions = NAMES
    assert again.read_bytes() != pair[1].read_bytes()
    status, _, err = run(again, "--apply", saved, out="second")
    assert (status, err) == (0, "")
    np.testing.assert_array_equal(
        read(tmp_path / "second" / "east.tif"), read(tmp_path / "out" / "east.tif")
    )
    new = write(tmp_path / "new.tif", ground(50, 50), col=900)
    status, _, err = run(new, "--apply", saved, out="third")
    assert status == 0
    assert err.startswith("Note: new: not one of the images that the colour was made from")
    assert "which takes other ground for another colour" in err


def test_an_image_without_a_place_among_others_is_told(pair, run, tmp_path):
    nowhere = write(tmp_path / "nowhere.tif", ground(), crs=None)
    status, _, err = run(*pair, nowhere)
    assert status == 0
    assert "Note: without a coordinate system" in err
    assert "with other images is not known: nowhere (gdal_edit" in err


def test_clouds_do_not_hide_that_images_agree(tmp_path, run):
    whole = ground()
    write(tmp_path / "in" / "a.tif", whole[:, :, :80])
    east = 1.3 * whole[:, :, 40:] + 700
    east[:, :12, :40] = 60000
    write(tmp_path / "in" / "b.tif", east, col=40)
    status, out, _ = run(tmp_path / "in" / "*.tif", "--json")
    assert status == 0
    told = json.loads(out)
    with (tmp_path / "out" / "seams.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    a, b = (read(tmp_path / "out" / f"{n}.tif").astype(float) for n in "ab")
    wanted = np.median(np.abs(a[:, :, 40:] - b[:, :, :40]).reshape(3, -1), axis=1)
    assert [float(row["median_after"]) for row in rows] == wanted.tolist()
    assert told["seams"][0]["median_after"] == wanted.tolist()
    assert told["median_after"] < 0.1 * told["relative_after"]
    assert "Middle pixel" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    status, out, _ = run(tmp_path / "in" / "*.tif", out="text")
    assert "in the middle (median: clouds hardly count) by" in out
