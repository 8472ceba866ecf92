"""``geoseg evaluate`` with labels that are no rasters: polygons, folders of masks, data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from geoseg.cli import main
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Scene
from geoseg.testing.bundles import pointwise_bundle

X0, Y0 = 300000.0, 4000000.0
LEGEND = parse_legend("1=corn,2=beet")


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def write(path: Path, pixels: Any, *, legend: Legend | None = LEGEND, bands: int = 0) -> Path:
    data = np.array(pixels, np.uint8)
    with rasterio.open(
        path.with_suffix(".like.tif"),
        "w",
        driver="GTiff",
        width=data.shape[-1],
        height=data.shape[-2],
        count=1,
        dtype="uint8",
        crs="EPSG:32612",
        transform=Affine(10, 0, X0, 0, -10, Y0),
    ):
        pass
    grid: Grid = Scene.open(path.with_suffix(".like.tif")).grid
    path.with_suffix(".like.tif").unlink()
    with RasterWriter(
        path,
        grid,
        band_names=[f"b{i}" for i in range(bands)] or ["class"],
        dtype="uint8",
        nodata=255,
        legend=None if bands else legend,
    ) as writer:
        writer.write_rows(0, data)
    return path


def plots(path: Path, fields: dict[str, list[Any]]) -> Path:
    # The left two columns, and the lower right two pixels of a raster of 2 × 4.
    boxes = [
        shapely.box(X0, Y0 - 20, X0 + 20, Y0),
        shapely.box(X0 + 20, Y0 - 20, X0 + 40, Y0 - 10),
    ]
    geopandas.GeoDataFrame(fields, geometry=boxes, crs="EPSG:32612").to_crs("EPSG:4326").to_file(
        path
    )
    return path


@pytest.fixture
def prediction(tmp_path: Path) -> Path:
    return write(tmp_path / "map.tif", [[1, 2, 2, 2], [1, 1, 2, 1]])


def test_polygons_are_labels_and_outside_of_them_nothing_is_scored(
    prediction: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = plots(tmp_path / "plots.gpkg", {"crop": ["corn", "beet"]})
    assert call("evaluate", prediction, labels, "--field", "crop", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["confusion"]["counts"] == [[3, 1], [1, 1]]
    assert told["pixels"]["unlabelled"] == 2
    assert told["labels"] == "plots.gpkg"


def test_values_of_polygons_are_ids_of_the_classes_given(
    prediction: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = plots(tmp_path / "plots.gpkg", {"code": [2, 7]})
    classes = ("--classes", "1=corn,2=beet")
    assert call("evaluate", prediction, labels, "--field", "code", *classes, "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["confusion"]["counts"] == [[0, 0], [3, 1]]
    assert "1 polygon has a value that is no class (7 1)" in told.err


def test_polygons_without_a_field_are_one_line(
    prediction: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = plots(tmp_path / "plots.gpkg", {"crop": ["corn", "beet"]})
    assert call("evaluate", prediction, labels) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--field" in line
    assert "crop" in line


def test_names_of_polygons_are_not_scored_against_ids_that_nobody_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unnamed = write(tmp_path / "map.tif", [[1, 2, 2, 2], [1, 1, 2, 1]], legend=None)
    labels = plots(tmp_path / "plots.gpkg", {"crop": ["corn", "beet"]})
    assert call("evaluate", unnamed, labels, "--field", "crop", "-q") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "map.tif names no classes" in line
    assert "--classes, as 1=beet,2=corn" in line
    # By the alphabet 1 would be beet.
    classes = ("--classes", "1=corn,2=beet")
    assert call("evaluate", unnamed, labels, "--field", "crop", *classes, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["confusion"]["counts"] == [[3, 1], [1, 1]]


def test_numbers_of_polygons_are_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unnamed = write(tmp_path / "map.tif", [[1, 2, 2, 2], [1, 1, 2, 1]], legend=None)
    labels = plots(tmp_path / "plots.gpkg", {"code": [1, 2]})
    assert call("evaluate", unnamed, labels, "--field", "code", "--json") == 0
    assert json.loads(capsys.readouterr().out)["confusion"]["counts"] == [[3, 1], [1, 1]]


def test_field_of_a_raster_is_refused(prediction: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("evaluate", prediction, prediction, "--field", "crop") == 2
    assert "holds no polygons" in capsys.readouterr().err


def test_folders_of_photographs_are_paired_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, wrong in (("maps", 1), ("masks", 0)):
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            pixels = np.zeros((4, 5), np.uint8)
            pixels[0, 0] = wrong
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    both = (tmp_path / "maps", tmp_path / "masks")
    stages = ("--stages", "agde", "--target", "weed")
    assert call("evaluate", *both, "--classes", "0=soil,1=weed", *stages, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scores"]["pixel_accuracy"] == 38 / 40
    assert [one["coverage"] for one in told["photographs"]] == [5, 5]
    assert call("evaluate", *both, "--classes", "0=soil,1=weed", "--region", "0,0,1,1") == 2


@pytest.fixture
def scenes(tmp_path: Path) -> tuple[Path, Path]:
    for folder in ("maps", "labels"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "maps/a.tif", [[1, 2, 2, 2], [1, 1, 2, 1]])
    write(tmp_path / "labels/a.tif", [[1, 1, 2, 2], [1, 1, 2, 2]])
    write(tmp_path / "maps/b.tif", [[1, 1]])
    write(tmp_path / "labels/b.tif", [[1, 2]])
    return tmp_path / "maps", tmp_path / "labels"


def test_folders_of_maps_are_scored_together(
    scenes: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, labels = scenes
    files = ("-o", tmp_path / "out", "--errors", tmp_path / "errors")
    assert call("evaluate", maps, labels, *files, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["confusion"]["counts"] == [[4, 1], [2, 3]]
    assert [one["name"] for one in told["maps"]] == ["a", "b"]
    assert told == json.loads((tmp_path / "out/scores.json").read_text(encoding="utf-8"))
    assert (tmp_path / "errors/a.tif").is_file()
    assert call("evaluate", f"{maps}/*.tif", f"{labels}/*.tif", "--json") == 0
    assert json.loads(capsys.readouterr().out)["confusion"]["counts"] == [[4, 1], [2, 3]]
    assert call("evaluate", maps, labels, *files, "--overwrite", "-q") == 0


def test_folder_where_one_map_is_wanted_is_told_what_it_is(
    scenes: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    maps, labels = scenes
    write(labels / "c.tif", [[1, 2]])
    assert call("evaluate", maps / "b.tif", labels) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "labels is 3 rasters (a.tif, b.tif, c.tif), where one raster of classes is" in line


def test_polygons_are_labels_of_every_map_that_they_lie_on(
    scenes: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = scenes[0]
    write(maps / "c.tif", [[1, 1, 1, 2], [1, 1, 1, 2]])
    with rasterio.open(maps / "a.tif") as file:
        profile = file.profile | {"transform": Affine(10, 0, X0 + 5000, 0, -10, Y0)}
    with rasterio.open(maps / "off.tif", "w", **profile) as file:
        file.write(np.ones((1, 2, 4), np.uint8))
    labels = plots(tmp_path / "plots.gpkg", {"crop": ["corn", "beet"]})
    assert call("evaluate", maps, labels, "--field", "crop", "--json") == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["labels"] == "plots.gpkg"
    # Of a as when it is alone, of b two right, of c five right and one not.
    assert found["confusion"]["counts"] == [[3 + 2 + 4, 1], [1 + 1, 1 + 1]]
    assert [one["name"] for one in found["maps"]] == ["a", "b", "c"]
    assert "1 map of" in told.err
    assert "without a mask is left out: off.tif" in told.err


@pytest.fixture
def dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, Path]:
    random = np.random.default_rng(0)
    labels = random.integers(1, 3, (64, 64), np.uint8)
    image = np.stack([labels * 50, random.integers(0, 255, (64, 64), np.uint8)])
    write(tmp_path / "scene.tif", image, bands=2)
    write(tmp_path / "labels.tif", labels)
    tile = ("tile", tmp_path / "scene.tif", "--labels", tmp_path / "labels.tif")
    sizes = ("--size", "16", "--stride", "16", "--split", "0.5,0.25,0.25")
    assert call(*tile, *sizes, "-o", tmp_path / "set") == 0
    capsys.readouterr()
    # Corn reads 50, beet 100 in the first band. Beet it is where 2 · first > 90 + second.
    weights, path = [[-1, 0], [1, -1]], tmp_path / "m.safetensors"
    pointwise_bundle(weights, [90, 0], bands=("b0", "b1"), legend=LEGEND, path=path)
    return tmp_path / "m.safetensors", tmp_path / "set"


def test_split_of_a_data_set_is_scored_as_a_map_is(
    dataset: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--split", "test", "--device", "cpu", "--json", "-o", tmp_path / "out")
    assert call("evaluate", *dataset, *options) == 0
    told = json.loads(capsys.readouterr().out)
    counts = np.array(told["confusion"]["counts"])
    assert counts.sum() == told["pixels"]["scored"] == 4 * 16 * 16
    # Corn where the second band is 10 or more, as nearly always; beet below 110, two of five.
    assert told["classes"][0]["recall"] > 0.9
    assert 0.3 < told["classes"][1]["recall"] < 0.55
    assert told["scores"]["pixel_accuracy"] == np.trace(counts) / counts.sum()
    assert told["labels"] == "set (test)"
    assert (tmp_path / "out/report.html").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--boundary", "2px"), "--boundary goes with maps"),
        (("--unpredicted", "wrong"), "--unpredicted goes with maps"),
        (("--errors", "e.tif"), "go with maps"),
    ],
)
def test_what_a_split_has_not_is_refused(
    dataset: tuple[Path, Path],
    options: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("evaluate", *dataset, "--split", "test", *options) == 2
    assert message in capsys.readouterr().err


def test_split_that_is_none_is_one_line(
    dataset: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", *dataset, "--split", "exam", "--device", "cpu") == 1
    assert "no split 'exam'" in capsys.readouterr().err
