"""``geoseg composite`` of catalogs, folders and what is named twice; between pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.cli import _run

FOLDER = "LC08_L2SP_190026_2018{:02d}01_20200831_02_T1"


def write(path, pixels, *, corner=(500010, 5500010), pixel=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(pixels, np.uint16)
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=pixels.shape[0], width=pixels.shape[1],
        dtype="uint16", crs="EPSG:32633",
        transform=Affine(pixel, 0, corner[0], 0, -pixel, corner[1]),
    ) as dataset:  # fmt: skip
        dataset.write(pixels, 1)


def write_product(folder, month, red, **more):
    folder = folder / FOLDER.format(month)
    write(folder / f"{folder.name}_SR_B4.TIF", red, **more)
    write(folder / f"{folder.name}_QA_PIXEL.TIF", np.full(np.shape(red), 21824), **more)
    return folder


def write_item(folder):
    assets = {band: {"href": f"./{folder.name}_{band}.TIF"} for band in ("SR_B4", "QA_PIXEL")}
    item = {
        "type": "Feature", "stac_version": "1.0.0", "id": folder.name, "links": [],
        "properties": {"datetime": "2018-01-01T00:00:00Z"}, "assets": assets,
    }  # fmt: skip
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    return path


def write_catalog(path, items):
    links = [{"rel": "item", "href": str(item.relative_to(path.parent))} for item in items]
    whole = {
        "type": "Catalog", "stac_version": "1.0.0", "id": "c", "description": "", "links": links,
    }  # fmt: skip
    path.write_text(json.dumps(whole))
    return path


@pytest.fixture
def run(tmp_path, capfd):
    """Run the command; give status, output, errors, what GDAL itself writes included."""

    def call(*words):
        capfd.readouterr()
        status = _run(["composite", *map(str, words), "-o", str(tmp_path / "out.tif")])
        return status, *capfd.readouterr()

    return call


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_a_catalog_is_composited_and_what_it_lacks_is_told(run, tmp_path):
    folders = [write_product(tmp_path, month, [[10000 * month]]) for month in (1, 2, 3)]
    items = [write_item(folder) for folder in folders]
    for path in folders[2].glob("*.TIF"):
        path.unlink()
    path = write_catalog(tmp_path / "catalog.json", items)
    status, out, err = run(path, "--json")
    assert status == 0, err
    assert json.loads(out)["dates"] == [FOLDER.format(1), FOLDER.format(2)]
    assert (
        f"left out of catalog.json, for holding nothing that can be used: {FOLDER.format(3)}" in err
    )
    assert read(tmp_path / "out.tif").ravel().tolist() == [np.float32(15000 * 2.75e-5 - 0.2), 2]
    status, _, err = run(path, items[0], folders[1], "--overwrite")
    assert status == 0
    assert f"given already in another form or path: {items[0]}, {folders[1]}" in err
    assert read(tmp_path / "out.tif")[-1].tolist() == [[2]]


def test_a_folder_of_products_and_days(run, tmp_path):
    for month in (1, 2, 3):
        write_product(tmp_path / "2018", month, [[10000 * month]])
    status, out, err = run(tmp_path / "2018", "--start", "2018-02-01", "--json")
    assert status == 0, err
    assert json.loads(out)["dates"] == [FOLDER.format(2), FOLDER.format(3)]
    assert "2018 stands for the products in it: 3" in err
    assert f"left out, for not being from 2018-02-01: {FOLDER.format(1)}" in err


def test_readings_between_pixels(run, tmp_path):
    first = write_product(tmp_path, 1, [[10000, 12000]])
    like = tmp_path / "like.tif"
    write(like, [[1, 1, 1, 1]], pixel=15)
    readings = {
        "nearest": [10000, 10000, 12000, 12000],
        "bilinear": [10000, 10500, 11500, 12000],
    }
    for kind, wanted in readings.items():
        status, _, err = run(first, "--like", like, "--resampling", kind, "--overwrite")
        assert status == 0, err
        np.testing.assert_allclose(
            read(tmp_path / "out.tif")[0, 0], np.multiply(wanted, 2.75e-5) - 0.2, atol=1e-6
        )
        with rasterio.open(tmp_path / "out.tif") as dataset:
            assert f"--resampling {kind}" in dataset.tags()["GEOSEG_COMMAND"]


def test_every_bad_input_is_one_line(run, tmp_path):
    product = write_product(tmp_path, 1, [[9000]])
    item = write_item(product)
    empty = write_catalog(tmp_path / "empty.json", [])
    gone = write_catalog(tmp_path / "gone.json", [tmp_path / "no" / "item.json"])
    (tmp_path / "mixed" / "a").mkdir(parents=True)
    write_product(tmp_path / "mixed", 2, [[9000]])
    for words, status, says in (
        ([product, "--crs", "EPSG:99999"], 2, "“EPSG:99999” is not known; give a code such as"),
        ([product, "--resampling", "lanczos"], 2, "--resampling"),
        ([empty], 1, "leads to no item"),
        ([gone], 1, "item.json, to which"),
        ([tmp_path / "mixed"], 1, "not all are products (a); name those to use"),
        ([item, "--start", "2019-01-01"], 1, "no scene is from 2019-01-01"),
        ([item, "--start", "2019-01-01", "--end", "2018-01-01"], 2, "there is no day"),
    ):
        got, out, err = run(*words)
        assert got == status, (words, err)
        assert says in err
        assert len([line for line in err.splitlines() if "rror" in line]) == 1, err
        assert out == ""
        assert not (tmp_path / "out.tif").exists()
    status, _, err = run(product, "--crs", "EPSG:99999")
    assert err.count("\n") == 1
