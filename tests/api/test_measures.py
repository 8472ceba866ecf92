"""What maps say, by Python functions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from shapely.geometry import box

import geoseg
from geoseg.assessment.findings_text import words
from geoseg.cli import _run
from geoseg.errors import OptionError
from geoseg.raster.legend.written import parse_legend
from geoseg.testing.scenes import tiny_scene


def test_evaluate_counts_pixels(halves):
    found = geoseg.evaluate(halves / "map.tif", halves / "labels.tif", workers=1)
    assert found.scores.iou.tolist() == pytest.approx([50 / 60, 40 / 50])
    with pytest.raises(OptionError, match="ignore or wrong"):
        geoseg.evaluate(halves / "map.tif", halves / "labels.tif", unpredicted="maybe")


def test_coverage_is_a_share_in_percent(halves):
    found = geoseg.coverage(
        halves / "map.tif", halves / "c.tif", target=["grass"], cell="100m", workers=1
    )
    assert found.total.coverage == pytest.approx(50)
    with pytest.raises(OptionError, match="one of cell, like and zones"):
        geoseg.coverage(halves / "map.tif", halves / "d.tif", target=["grass"])


def test_vectorise_makes_a_polygon_of_each_half(halves):
    found = geoseg.vectorise(halves / "map.tif", halves / "map.gpkg", workers=1)
    assert {c.name: a.pixels for c, a in found.classes.items()} == {"grass": 50, "water": 50}
    only = geoseg.vectorise(halves / "map.tif", halves / "w.gpkg", only=["water"], workers=1)
    assert [c.name for c in only.classes] == ["water"]


def test_evaluate_compares_maps_and_finds_what_the_command_finds(halves, capsys):
    same = halves / "labels.tif"
    found = geoseg.evaluate(
        [halves / "map.tif", same],
        same,
        bootstrap=50,
        block="2px",
        boundary="1px",
        stages="agde",
        target=["grass"],
        cell="50m",
        output=halves / "scores",
        workers=1,
    )
    assert [one.scores.pixel_accuracy for one in found.evaluations] == [pytest.approx(0.9), 1.0]
    assert found.scores.pixel_accuracy == found.evaluations[0].scores.pixel_accuracy
    assert found.confusion.counts.tolist() == [[50, 10], [0, 40]]
    assert (halves / "scores").is_dir()
    words = "--bootstrap 50 --block 2px --boundary 1px --stages agde --target grass --cell 50m"
    maps = [str(halves / "map.tif"), str(same), str(same)]
    assert _run(["evaluate", *maps, *words.split(), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.content))


def test_evaluate_takes_polygons_folders_and_splits(halves, tmp_path):
    geoseg.vectorise(halves / "labels.tif", halves / "plots.gpkg", workers=1)
    drawn = geoseg.evaluate(halves / "map.tif", halves / "plots.gpkg", field="name", workers=1)
    assert drawn.scores.pixel_accuracy == pytest.approx(0.9)
    for folder, green in (("maps", 2), ("masks", 3)):
        (tmp_path / folder).mkdir()
        pixels = np.zeros((4, 4), np.uint8)
        pixels[:, :green] = 1
        tiny_scene(
            tmp_path / folder / "a.tif", pixels, nodata=255, legend=parse_legend("0=soil,1=weed")
        )
    of_photographs = geoseg.evaluate(tmp_path / "maps", tmp_path / "masks", workers=1)
    assert of_photographs.scores.pixel_accuracy == pytest.approx(0.75)
    with pytest.raises(OptionError, match="go with --stages"):
        geoseg.evaluate(halves / "map.tif", halves / "labels.tif", cell="50m")


def test_evaluate_scores_a_model_on_a_split(work, tmp_path):
    folder, _, _ = work
    geoseg.tile(
        folder / "scene.tif", tmp_path / "p", labels=folder / "labels.tif", size=8, workers=1
    )
    model = folder / "model.safetensors"
    found = geoseg.evaluate(model, tmp_path / "p", split="test", device="cpu", workers=1)
    assert found.scores.pixel_accuracy == 1
    assert any("each counted once" in note for note in found.content["notes"])
    assert "px, of the patches" in words(found)
    with pytest.raises(OptionError, match="--boundary goes with maps"):
        geoseg.evaluate(model, tmp_path / "p", split="test", boundary="1px")


def test_a_pixel_of_a_split_counts_once_however_patches_overlap(work, tmp_path):
    folder, _, _ = work
    labelled = []
    for stride in (8, 3):
        geoseg.tile(
            folder / "scene.tif",
            tmp_path / f"p{stride}",
            labels=folder / "labels.tif",
            size=8,
            stride=stride,
            split="0,0,1",
            workers=1,
        )
        found = geoseg.evaluate(
            folder / "model.safetensors",
            tmp_path / f"p{stride}",
            split="test",
            device="cpu",
            workers=1,
        )
        labelled.append(found.content["pixels"]["scored"])
    with rasterio.open(folder / "labels.tif") as file:
        assert labelled == [int((file.read(1) != file.nodata).sum())] * 2


def test_zones_are_a_file_that_geopandas_reads(halves):
    geopandas = pytest.importorskip("geopandas")
    zone = box(500000, 5599900, 500060, 5600000)  # six columns of ten, of which grass has five
    frame = geopandas.GeoDataFrame({"name": ["west"]}, geometry=[zone], crs="EPSG:32633")
    frame.to_file(halves / "zones.gpkg")
    found = geoseg.coverage(
        halves / "map.tif",
        halves / "west.gpkg",
        target=["grass"],
        zones=halves / "zones.gpkg",
        zone_field="name",
        workers=1,
    )
    (west,) = found.zones
    assert west.coverage == pytest.approx(100 * 5 / 6, abs=0.01)
    read = geopandas.read_file(found.outputs[0])
    assert read["coverage"].tolist() == pytest.approx([100 * 5 / 6], abs=0.01)


def test_polygons_of_a_class_are_one_feature_and_zones_are_measured(halves):
    geopandas = pytest.importorskip("geopandas")
    zone = box(500000, 5599900, 500100, 5600000)
    frame = geopandas.GeoDataFrame({"name": ["all"]}, geometry=[zone], crs="EPSG:32633")
    frame.to_file(halves / "zones.gpkg")
    geoseg.vectorise(
        halves / "map.tif",
        halves / "areas.gpkg",
        dissolve=True,
        zones=halves / "zones.gpkg",
        zone_field="name",
        workers=1,
    )
    (row,) = geopandas.read_file(halves / "areas.gpkg", layer="zones").to_dict("records")
    assert row["grass_ha"] == pytest.approx(0.5, rel=0.01)
