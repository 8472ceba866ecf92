"""``geoseg rasterise``: real files in, class rasters out."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image

from geoseg.cli import main
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.plain import PlainWriter, plain_grid
from geoseg.raster.scene import Scene

X0, Y0 = 301905.0, 4154085.0


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def codes(path: Path) -> NDArray[Any]:
    with Scene.open(path) as scene:
        return scene.read(scene.grid.window).data[0]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path, grid = tmp_path / "scene.tif", plain_grid(4, 6)
    with PlainWriter(path, grid, band_names=["red"], dtype="uint8", nodata=None) as writer:
        writer.write(grid.window, np.ones((1, 4, 6), np.uint8))
    return path


def box(col: float, row: float, col_stop: float, row_stop: float) -> Any:
    """Rectangle in pixels of the scene."""
    return shapely.box(X0 + 30 * col, Y0 - 30 * row_stop, X0 + 30 * col_stop, Y0 - 30 * row)


@pytest.fixture
def plots(tmp_path: Path) -> Path:
    path = tmp_path / "plots.gpkg"
    frame = geopandas.GeoDataFrame(
        {"crop": ["weed", "crop", None], "code": [20.0, 10.0, np.nan]},
        geometry=[box(0, 0, 3, 4), box(2, 0, 5, 2), box(5, 3, 6, 4)],
        crs=32612,
    )
    frame.to_file(path)
    return path


def test_polygons_become_classes_numbered_by_name(
    scene: Path, plots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.tif"
    assert call("rasterise", plots, "--like", scene, "--field", "crop", "-o", out) == 0
    said = capsys.readouterr()
    assert "classes by name: 1 crop, 2 weed" in said.err
    assert "1 polygon has a value that is no class ((empty) 1)" in said.err
    n = 255
    assert codes(out).tolist() == [
        [2, 2, 1, 1, 1, n],
        [2, 2, 1, 1, 1, n],
        [2, 2, 2, n, n, n],
        [2, 2, 2, n, n, n],
    ]
    assert raster_legend(out) == parse_legend("1=crop,2=weed")
    assert out.with_suffix(".qml").exists()
    with rasterio.open(out) as made, rasterio.open(scene) as like:
        assert made.transform == like.transform
        assert made.crs == like.crs
        assert made.nodata == 255
        assert "geoseg rasterise plots.gpkg --like scene.tif" in made.tags()["GEOSEG_COMMAND"]
    assert "crop" in said.out
    assert "unlabelled" in said.out


def test_classes_background_overlap_and_numbers_can_be_given(
    scene: Path, plots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.tif"
    words = ["--classes", "0=other,10=crop,20=weed", "--background", "other", "--overlap", "first"]
    assert (
        call("rasterise", plots, "--like", scene, "--field", "code", *words, "-o", out, "--json")
        == 0
    )
    found = told(capsys)
    assert codes(out).tolist() == [
        [20, 20, 20, 10, 10, 0],
        [20, 20, 20, 10, 10, 0],
        [20, 20, 20, 0, 0, 0],
        [20, 20, 20, 0, 0, 255],  # nobody knows what the polygon without a code is
    ]
    assert [(c["name"], c["polygons"], c["pixels"]) for c in found["classes"]] == [
        ("other", 0, 7), ("crop", 1, 4), ("weed", 1, 12)
    ]  # fmt: skip
    assert found["unlabelled"] == 1
    assert found["no_class"] == {"": 1}


def test_values_that_are_no_class_are_listed(
    scene: Path, plots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.tif"
    words = ["--field", "crop", "--classes", "1=crop", "-o", out]
    assert call("rasterise", plots, "--like", scene, *words) == 0
    assert "2 polygons have a value that is no class (weed 1, (empty) 1)" in capsys.readouterr().err
    assert set(np.unique(codes(out))) == {1, 255}


def test_polygons_of_one_class_need_no_field(scene: Path, plots: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    words = ["--classes", "3=field", "--ignore-border", "15m", "-o", out]
    assert call("rasterise", plots, "--like", scene, *words) == 0
    assert codes(out)[2].tolist() == [255, 3, 255, 255, 255, 255]
    assert (codes(out)[3] == 255).all()


def test_one_class_beside_the_background_needs_no_field(
    scene: Path, plots: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.tif"
    words = ["--classes", "0=other,1=cane", "--background", "other", "-o", out]
    assert call("rasterise", plots, "--like", scene, *words) == 0
    assert codes(out).tolist() == [[1] * 5 + [0]] * 2 + [[1] * 3 + [0] * 3] + [[1] * 3 + [0, 0, 1]]


def test_examples_of_the_help_work_as_typed(
    scene: Path, plots: Path, annotated: tuple[Path, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    annotated[0].rename(tmp_path / "annotations")
    monkeypatch.chdir(tmp_path)
    assert call("rasterise", "--help") == 0
    text = capsys.readouterr().out.replace("\\\n", " ")
    examples = [line.strip() for line in text.splitlines() if line.startswith("    geoseg ")]
    assert len(examples) == 3
    for example in examples:
        assert call(*shlex.split(example)[1:], "--overwrite") == 0, example


def test_polygons_elsewhere_on_the_globe_are_brought_to_the_grid(
    scene: Path, plots: Path, tmp_path: Path
) -> None:
    geopandas.read_file(plots).to_crs(4326).to_file(tmp_path / "wgs.geojson")
    for name, source in (("a.tif", plots), ("b.tif", tmp_path / "wgs.geojson")):
        words = ["--like", scene, "--field", "crop", "-o", tmp_path / name]
        assert call("rasterize", source, *words) == 0
    assert np.array_equal(codes(tmp_path / "a.tif"), codes(tmp_path / "b.tif"))


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        ([], 2, "say with --field which field names the class (it has crop, code)"),
        (["--field", ""], 1, "has no field ''; it has crop, code"),
        (["--field", "kind"], 1, "has no field 'kind'; it has crop, code"),
        (["--field", "crop", "--background", "soil", "--classes", "1=crop"], 1, "no such class"),
        (["--field", "crop", "--ignore-border", "2ha"], 2, "no width of a border"),
    ],
)
def test_wrong_usage_is_one_line(
    scene: Path, plots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    words: list[str], status: int, why: str,
) -> None:  # fmt: skip
    out = tmp_path / "out.tif"
    assert call("rasterise", plots, "--like", scene, *words, "-o", out) == status
    said = capsys.readouterr().err.strip().splitlines()
    assert why in said[-1]
    assert not out.exists()
    assert not list(tmp_path.glob(".*"))


def test_polygons_that_miss_the_scene_are_refused(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = tmp_path / "far.gpkg"
    geopandas.GeoDataFrame({"k": ["a"]}, geometry=[box(90, 0, 91, 1)], crs=32612).to_file(far)
    assert call("rasterise", far, "--like", scene, "--field", "k", "-o", tmp_path / "o.tif") == 1
    assert "no polygon lies on it" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
@pytest.mark.parametrize("words", [["--field", "class"], ["--field", "name"], []])
@pytest.mark.parametrize("more", [[], ["--dissolve"]])
def test_polygons_of_a_map_give_back_the_map_and_its_legend(
    scene: Path, plots: Path, tmp_path: Path, suffix: str, words: list[str], more: list[str]
) -> None:
    first, vector, again = tmp_path / "a.tif", tmp_path / f"v.{suffix}", tmp_path / "b.tif"
    classes = "7=crop:#123456,20=weed:#654321,30=absent:#00ffee"
    given = ["--field", "crop", "--classes", classes]
    assert call("rasterise", plots, "--like", scene, *given, "-o", first) == 0
    assert call("vectorise", first, "-o", vector, *more) == 0
    assert call("rasterise", vector, "--like", scene, *words, "-o", again) == 0
    assert np.array_equal(codes(first), codes(again))
    assert raster_legend(again) == parse_legend(classes)


def test_edited_polygons_of_a_map_are_told_where_id_and_name_differ(
    scene: Path, plots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, vector, again = tmp_path / "a.tif", tmp_path / "v.gpkg", tmp_path / "b.tif"
    assert call("rasterise", plots, "--like", scene, "--field", "crop", "-o", first) == 0
    assert call("vectorise", first, "-o", vector) == 0
    table = geopandas.read_file(vector)
    table.loc[table["name"] == "weed", "class"] = 1
    table = pandas.concat([table, table.iloc[[0]]])  # crop stays what most of its polygons say
    table.to_file(vector)
    capsys.readouterr()
    words = ["--like", scene, "--field", "name", "-o", again]
    assert call("rasterise", vector, *words) == 0
    assert "have the class of one class and the name of another; the field name decides" in (
        capsys.readouterr().err
    )


def test_polygons_of_no_class_are_refused_with_what_they_are(
    scene: Path, plots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--field", "crop", "--classes", "1=corn,0=other", "--background", "other"]
    assert call("rasterise", plots, "--like", scene, *words, "-o", tmp_path / "o.tif") == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("Error: no polygon is of a class: their values are weed 1, crop 1, ")
    assert "the classes corn, other; check --field and --classes" in said[-1]
    assert not (tmp_path / "o.tif").exists()


# -- LabelMe --------------------------------------------------------------------------------------


def annotate(path: Path, height: int, width: int, *shapes: tuple[str, list[list[float]]]) -> None:
    content = {
        "shapes": [
            {"label": label, "points": points, "shape_type": "rectangle"}
            for label, points in shapes
        ],
        "imagePath": "x.png",
        "imageHeight": height,
        "imageWidth": width,
    }
    path.write_text(json.dumps(content))


@pytest.fixture
def annotated(tmp_path: Path) -> tuple[Path, Path]:
    pictures, drawn = tmp_path / "images", tmp_path / "drawn"
    pictures.mkdir()
    drawn.mkdir()
    for name, width in (("b", 5), ("a", 4), ("c", 3)):
        Image.fromarray(np.zeros((3, width, 3), np.uint8)).save(pictures / f"{name}.png")
    annotate(
        drawn / "a.json", 3, 4,
        ("crop", [[0, 0], [3, 3]]),
        ("_background_", [[1, 1], [2, 2]]),
        ("__ignore__", [[2, 2], [3, 3]]),
    )  # fmt: skip
    annotate(drawn / "b.json", 3, 5, ("weed", [[4, 0], [5, 3]]), ("moss", [[0, 0], [1, 1]]))
    annotate(drawn / "lost.json", 3, 5)
    return drawn, pictures


def test_a_folder_of_annotations_becomes_a_folder_of_masks(
    annotated: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, pictures = annotated
    out = tmp_path / "masks"
    words = ["--classes", "0=soil,1=crop,2=weed", "--background", "soil", "-o", out]
    assert call("rasterise", drawn, "--like", pictures, *words) == 0
    said = capsys.readouterr().err
    assert codes(out / "a.tif").tolist() == [[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 255, 0]]
    assert codes(out / "b.tif").tolist() == [[255, 0, 0, 0, 2], [0, 0, 0, 0, 2], [0, 0, 0, 0, 2]]
    assert sorted(path.name for path in out.glob("*.tif")) == ["a.tif", "b.tif"]
    assert "1 annotations without a picture of their name are left out: lost.json" in said
    assert "1 pictures without an annotation get no raster: c.png" in said
    # What __ignore__ means is known; moss is not.
    assert "1 polygon has a value that is no class (moss 1);" in said
    assert raster_legend(out / "b.tif") == parse_legend("0=soil,1=crop,2=weed")
    assert call("rasterise", drawn, "--like", pictures, *words) == 1
    assert "there already" in capsys.readouterr().err
    assert call("rasterise", drawn, "--like", pictures, *words, "--overwrite") == 0


def test_classes_of_a_folder_are_those_of_all_its_annotations(
    annotated: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, pictures = annotated
    out = tmp_path / "masks"
    assert call("rasterise", drawn, "--like", pictures, "--background", "soil", "-o", out) == 0
    assert "classes by name: 0 soil, 1 crop, 2 moss, 3 weed" in capsys.readouterr().err
    assert codes(out / "a.tif")[0].tolist() == [1, 1, 1, 0]


def test_an_annotation_of_another_picture_stops_everything(
    annotated: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, pictures = annotated
    annotate(drawn / "b.json", 30, 50)
    assert call("rasterise", drawn, "--like", pictures, "-o", tmp_path / "masks") == 1
    assert "b.json: annotates 50 × 30 px and b.png has 5 × 3" in capsys.readouterr().err
    assert not (tmp_path / "masks").exists()


def test_one_annotation_is_laid_on_its_picture(
    annotated: tuple[Path, Path], tmp_path: Path
) -> None:
    drawn, pictures = annotated
    out = tmp_path / "a.tif"
    assert call("rasterise", drawn / "a.json", "--like", pictures / "a.png", "-o", out) == 0
    assert codes(out)[0].tolist() == [1, 1, 1, 255]


def test_what_is_ignored_stays_so_whatever_the_overlap(
    annotated: tuple[Path, Path], tmp_path: Path
) -> None:
    drawn, pictures = annotated
    for overlap in ("last", "first", "smallest", "largest", "ignore"):
        out = tmp_path / f"{overlap}.tif"
        words = ["--like", pictures / "a.png", "--overlap", overlap, "-o", out]
        assert call("rasterise", drawn / "a.json", *words) == 0
        assert codes(out)[2].tolist() == [1, 1, 255, 255]


def test_a_picture_of_another_name_is_told(
    annotated: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, pictures = annotated
    words = ["--like", pictures / "a.png", "-o", tmp_path / "a.tif"]
    assert call("rasterise", drawn / "a.json", *words) == 0
    assert "a.json names x.png and not a.png" in capsys.readouterr().err
    content = json.loads((drawn / "a.json").read_text())
    (drawn / "a.json").write_text(json.dumps(content | {"imagePath": "..\\jpg\\A.jpg"}))
    assert call("rasterise", drawn / "a.json", *words, "--overwrite") == 0
    assert "names another picture" not in capsys.readouterr().err


def test_shapes_that_all_miss_their_picture_are_refused(
    annotated: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, pictures = annotated
    annotate(drawn / "a.json", 3, 4, ("crop", [[9, 9], [12, 12]]))
    words = ["--like", pictures / "a.png", "-o", tmp_path / "a.tif"]
    assert call("rasterise", drawn / "a.json", *words) == 1
    assert "a.png: no polygon lies on it" in capsys.readouterr().err


def test_annotations_of_no_class_are_refused_and_empty_ones_are_not(
    annotated: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, pictures = annotated
    words = ["--classes", "0=soil,5=beet", "--background", "soil"]
    assert call("rasterise", drawn, "--like", pictures, *words, "-o", tmp_path / "m") == 1
    assert "no polygon is of a class: their values are crop 1, weed 1, moss 1" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "m").exists()
    annotate(drawn / "a.json", 3, 4)
    out = tmp_path / "a.tif"
    like = ["--like", pictures / "a.png", "-o", out]
    assert call("rasterise", drawn / "a.json", *like, *words) == 0
    assert (codes(out) == 0).all()


@pytest.mark.realdata
def test_annotations_give_back_the_masks_that_they_were_drawn_from(
    real_data: Path, tmp_path: Path
) -> None:
    """But for what the drawing lost: holes, small parts, and a pixel of the outlines."""
    data = real_data / "peanut"
    words = ["--classes", "0=soil,1=crop,2=weed", "--background", "soil", "-o", tmp_path / "m"]
    assert call("rasterise", data / "annotations", "--like", data / "images", *words) == 0
    pairs = np.zeros((3, 3), np.int64)
    for truth in sorted((data / "masks").glob("*.png")):
        both = codes(truth).ravel(), codes(tmp_path / "m" / f"{truth.stem}.tif").ravel()
        np.add.at(pairs, both, 1)
    union = pairs.sum(0) + pairs.sum(1) - np.diag(pairs)
    assert (np.diag(pairs) / union > [0.99, 0.96, 0.92]).all()


@pytest.fixture
def zoned(scene: Path, plots: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A map, and its polygons in a file that has a layer of zones too."""
    made, vector = tmp_path / "map.tif", tmp_path / "zoned.gpkg"
    given = ["--field", "crop", "--classes", "7=crop:#123456,20=weed:#654321"]
    assert call("rasterise", plots, "--like", scene, *given, "-o", made) == 0
    assert call("vectorise", made, "--zones", plots, "-o", vector) == 0
    return made, vector


def test_of_the_layers_of_a_map_with_zones_the_classes_are_meant(
    zoned: tuple[Path, Path], scene: Path, tmp_path: Path
) -> None:
    made, vector = zoned
    assert call("rasterise", vector, "--like", scene, "-o", tmp_path / "b.tif") == 0
    assert np.array_equal(codes(made), codes(tmp_path / "b.tif"))


def test_layers_of_other_programs_have_to_be_named(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "two.gpkg"
    columns = {"class": [1], "name": ["a"], "color": ["#ff0000"]}
    frame = geopandas.GeoDataFrame(columns, geometry=[box(0, 0, 2, 2)], crs=32612)
    frame.to_file(path, layer="one")
    frame[["geometry"]].to_file(path, layer="other")
    assert call("rasterise", path, "--like", scene, "-o", tmp_path / "b.tif") == 1
    assert "has several layers of polygons; name one" in capsys.readouterr().err


def test_polygons_that_name_their_classes_are_held_against_a_map_by_their_names(
    zoned: tuple[Path, Path], scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, vector = zoned
    assert call("evaluate", made, vector, "--json", "-q") == 0
    assert told(capsys)["scores"]["pixel_accuracy"] == 1
    # Other ids for the same names; one of the classes is known alone.
    again = tmp_path / "b.tif"
    words = ["--like", scene, "--classes", "1=weed,2=crop", "-o", again]
    assert call("rasterise", vector, *words) == 0
    expected = np.select([codes(made) == 7, codes(made) == 20], [2, 1], 255)
    assert np.array_equal(codes(again), expected)
    words = ["--like", scene, "--classes", "1=weed", "-o", again, "--overwrite"]
    assert call("rasterise", vector, *words) == 0
    assert np.array_equal(codes(again), np.where(codes(made) == 20, 1, 255))
    # Ids mean nothing where there are names: 7 is crop, whatever others call 7.
    words = ["--like", scene, "--classes", "7=soil,20=ice", "-o", again, "--overwrite"]
    assert call("rasterise", vector, *words) == 1
    assert "no polygon is of a class: their values are" in capsys.readouterr().err


def test_polygons_of_a_map_without_names_are_of_other_classes_by_their_ids(
    scene: Path, tmp_path: Path
) -> None:
    bare, grid = tmp_path / "bare.tif", plain_grid(4, 6)
    pixels = np.repeat([[[3, 3, 3, 5, 5, 5]]], 4, axis=1).astype(np.uint8)
    with PlainWriter(bare, grid, band_names=["class"], dtype="uint8", nodata=None) as writer:
        writer.write(grid.window, pixels)
    vector, out = tmp_path / "v.gpkg", tmp_path / "b.tif"
    assert call("vectorise", bare, "-o", vector) == 0
    words = ["--like", scene, "--classes", "3=field,5=road"]
    assert call("rasterise", vector, *words, "-o", out) == 0
    assert np.array_equal(codes(out), pixels[0])
