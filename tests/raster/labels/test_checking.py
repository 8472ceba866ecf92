"""What is wrong with images and labels: each kind of problem made once, and found."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geoseg.errors import LabelError, OptionError, OutputError, RasterReadError
from geoseg.raster.grid import Grid
from geoseg.raster.labels.checking import Checked, check, plan_check
from geoseg.raster.labels.sanity import whole_factor
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.plain import plain_grid
from geoseg.raster.scene import Scene
from geoseg.testing.scenes import tiny_scene


def run(images: Any, **options: Any) -> Checked:
    listed = images if isinstance(images, list) else [images]
    return check(plan_check(listed, **options), workers=2)


def found(result: Checked) -> set[tuple[str, str]]:
    """Kind and file of each problem."""
    return {(f.kind, Path(f.image or f.label).name) for f in result.findings}


def detail(result: Checked, kind: str) -> list[str]:
    return [f.detail for f in result.findings if f.kind == kind]


def picture(path: Path, pixels: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.array(pixels, np.uint8)).save(path)
    return path


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, shape).astype(np.uint8)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three photographs that nothing is wrong with, and their labels."""
    for number in range(3):
        picture(tmp_path / "images" / f"{number}.png", noise(number, 8, 8, 3))
        picture(tmp_path / "labels" / f"{number}.png", np.full((8, 8), 1 + number % 2))
    return tmp_path / "images"


def test_nothing_is_found_where_nothing_is_wrong(images: Path, tmp_path: Path) -> None:
    result = run(images, labels=[tmp_path / "labels"])
    assert (result.images, result.labels, result.findings) == (3, 3, ())


def test_images_that_cannot_be_read_are_found(images: Path, tmp_path: Path) -> None:
    (images / "none.png").write_bytes(b"nothing")
    whole = (picture(images / "cut.png", noise(5, 64, 64, 3))).read_bytes()
    (images / "cut.png").write_bytes(whole[: len(whole) // 2])
    result = run(images)
    assert found(result) == {("unreadable", "none.png"), ("unreadable", "cut.png")}
    assert result.images == 5


def test_images_that_hold_nothing_are_found(images: Path) -> None:
    picture(images / "black.png", np.zeros((8, 8, 3)))
    picture(images / "grey.png", np.full((8, 8, 3), 7))
    result = run(images)
    assert found(result) == {("black", "black.png"), ("one value", "grey.png")}
    assert detail(result, "one value") == ["7, 7, 7"]
    assert result.counts == {"black": 1, "one value": 1}


def test_bands_and_types_unlike_most_are_found(images: Path, tmp_path: Path) -> None:
    picture(images / "grey.png", noise(9, 8, 8))
    assert found(run(images)) == {("bands", "grey.png")}
    for number, dtype in enumerate((np.uint8, np.uint16, np.uint16)):
        tiny_scene(tmp_path / f"s{number}.tif", noise(number, 2, 4, 4).astype(dtype))
    result = run(str(tmp_path / "s*.tif"))
    assert found(result) == {("type", "s0.tif")}
    assert detail(result, "type") == ["uint8; most are uint16"]


def test_copies_are_found_but_not_among_what_holds_nothing(images: Path) -> None:
    shutil.copy(images / "0.png", images / "9.png")
    for name in ("black", "dark"):
        picture(images / f"{name}.png", np.zeros((8, 8, 3)))
    result = run(images)
    assert found(result) == {("duplicate", "9.png"), ("black", "black.png"), ("black", "dark.png")}
    assert detail(result, "duplicate") == ["0.png"]


def test_labels_without_image_and_images_without_label_are_found(
    images: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels" / "1.png").rename(tmp_path / "labels" / "7.png")
    assert found(run(images, labels=[tmp_path / "labels"])) == {
        ("no label", "1.png"),
        ("no image", "7.png"),
    }


def test_the_label_of_an_image_that_cannot_be_read_has_an_image(
    images: Path, tmp_path: Path
) -> None:
    (images / "1.png").write_bytes(b"nothing")
    assert found(run(images, labels=[tmp_path / "labels"])) == {("unreadable", "1.png")}


def test_an_image_that_cannot_be_read_has_its_place_in_the_order(tmp_path: Path) -> None:
    where = {name: tmp_path / f"{name}.tif" for name in ("a", "b", "c", "1", "2", "3")}
    for name in ("a", "c"):
        tiny_scene(where[name], noise(1, 3, 4, 4))
    where["b"].write_bytes(b"no raster")
    for number, name in enumerate("123"):
        tiny_scene(where[name], np.full((4, 4), number, np.uint8))
    labels = [where[name] for name in "123"]
    result = run([where[name] for name in "abc"], labels=labels, classes="0=x,1=y")
    assert found(result) == {
        ("unreadable", "b.tif"),
        ("duplicate", "c.tif"),
        ("label value", "c.tif"),
        ("unlabelled", "c.tif"),
    }
    assert detail(result, "label value") == ["2 (16 px)"]


def test_labels_of_another_size_are_found_with_the_factor(images: Path, tmp_path: Path) -> None:
    picture(tmp_path / "labels" / "0.png", np.ones((4, 4)))
    picture(tmp_path / "labels" / "1.png", np.ones((16, 16)))
    picture(tmp_path / "labels" / "2.png", np.ones((4, 8)))
    result = run(images, labels=[tmp_path / "labels"])
    assert detail(result, "size") == [
        "8 × 8 px, its label 4 × 4: 2 to 1",
        "8 × 8 px, its label 16 × 16: 1 to 2",
        "8 × 8 px, its label 8 × 4",
    ]


def test_a_factor_that_most_have_is_told_once_and_others_are_found(
    images: Path, tmp_path: Path
) -> None:
    for name in "01":
        picture(tmp_path / "labels" / f"{name}.png", np.ones((4, 4)))
    result = run(images, labels=[tmp_path / "labels"])
    assert found(result) == {("size", "2.png")}
    assert detail(result, "size") == ["8 × 8 px, its label 8 × 8: 1 to 1"]
    assert result.notes[-1].startswith("images are 2 times as large as their labels")
    one = run(images / "0.png", labels=[tmp_path / "labels" / "0.png"])
    assert detail(one, "size") == ["8 × 8 px, its label 4 × 4: 2 to 1"]


def test_labels_that_cannot_be_read_or_have_other_bands_are_found(
    images: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels" / "0.png").write_bytes(b"nothing")
    picture(tmp_path / "labels" / "1.png", np.ones((8, 8, 3)))
    picture(images / "3.png", noise(3, 8, 8, 3))
    picture(tmp_path / "labels" / "3.png", np.ones((8, 8)))
    result = run(images, labels=[tmp_path / "labels"])
    assert found(result) == {("label unreadable", "0.png"), ("label bands", "1.png")}


def test_labels_of_colours_are_no_problem_but_told(images: Path, tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / "colours" / f"{number}_mask.png", noise(number, 8, 8, 3))
    result = run(images, labels=[tmp_path / "colours"], classes="1=a")
    assert result.findings == ()
    assert result.notes[0] == "labels are paired by their names without _mask"
    assert "geoseg recode" in result.notes[1]


def test_values_that_are_no_class_are_found(images: Path, tmp_path: Path) -> None:
    picture(tmp_path / "labels" / "0.png", [[1] * 8] * 7 + [[9, 9, 5] + [1] * 5])
    picture(tmp_path / "labels" / "1.png", np.full((8, 8), 3))
    result = run(images, labels=[tmp_path / "labels"], classes="1=a,2=b")
    assert found(result) == {
        ("label value", "0.png"), ("label value", "1.png"), ("unlabelled", "1.png"),
    }  # fmt: skip
    assert detail(result, "label value") == ["9 (2 px), 5 (1 px)", "3 (64 px)"]


def test_classes_that_labels_name_themselves_are_what_they_may_hold(tmp_path: Path) -> None:
    tiny_scene(tmp_path / "s.tif", noise(0, 4, 4))
    labels = np.array([[1, 2, 3, 255]] * 4, np.uint8)
    tiny_scene(tmp_path / "l.tif", labels, nodata=255, legend=parse_legend("1=a,2=b"))
    result = run(tmp_path / "s.tif", labels=[tmp_path / "l.tif"])
    assert detail(result, "label value") == ["3 (4 px)"]


def test_scenes_are_held_against_labels_where_they_lie(tmp_path: Path) -> None:
    for name, x in (("a", 0.0), ("b", 3000.0), ("c", 60.0)):
        grid = plain_grid(4, 4, origin=(301905.0 + x, 4154085.0))
        tiny_scene(tmp_path / f"{name}.tif", noise(int(x), 4, 4), grid=grid)
    # The map ends two pixels right of a's left side: what c has of it is unlabelled.
    labels = np.ones((4, 4), np.uint8)
    labels[:, 2:] = 0
    tiny_scene(tmp_path / "map.tif", labels, nodata=0, grid=plain_grid(4, 4))
    scenes = [tmp_path / f"{name}.tif" for name in "abc"]
    result = run(scenes, labels=[tmp_path / "map.tif"])
    assert found(result) == {("label elsewhere", "b.tif"), ("unlabelled", "c.tif")}


def test_scenes_without_readings_are_found(tmp_path: Path) -> None:
    tiny_scene(tmp_path / "a.tif", np.full((4, 4), 9, np.uint8), nodata=9)
    assert found(run(tmp_path / "a.tif")) == {("nodata", "a.tif")}


def test_labels_that_cannot_be_told_apart_are_refused(images: Path, tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / "other" / f"x{number}.png", np.ones((8, 8)))
    with pytest.raises(LabelError, match="2 labels, images 3, and none has the name of one"):
        run(images, labels=[tmp_path / "other"])


def test_the_table_has_a_line_for_each_problem(images: Path, tmp_path: Path) -> None:
    picture(images / "black.png", np.zeros((8, 8, 3)))
    picture(images / "dark,er.png", np.zeros((8, 8, 3)))
    out = tmp_path / "p.csv"
    run(images, output=out)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(Path(r["image"]).name, r["problem"]) for r in rows] == [
        ("black.png", "black"),
        ("dark,er.png", "black"),
    ]
    with pytest.raises(OutputError, match="is there already"):
        run(images, output=out)
    with pytest.raises(OptionError, match=r"name the output \*.csv"):
        run(images, output=tmp_path / "p.txt")
    with pytest.raises(OutputError, match="is an input"):
        run([images, out], output=out, overwrite=True)


def test_nothing_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RasterReadError, match="no raster matches"):
        run(str(tmp_path / "*.jpg"))


def test_what_is_found_does_not_depend_on_threads(images: Path, tmp_path: Path) -> None:
    for number in range(4, 9):
        picture(images / f"{number}.png", np.full((8, 8, 3), number // 6))
    plans = [plan_check([images], labels=[tmp_path / "labels"]) for _ in range(2)]
    one, three = (check(plan, workers=n).findings for plan, n in zip(plans, (1, 3), strict=True))
    assert one == three


@pytest.mark.parametrize(
    ("large", "small", "factor"),
    [
        ((400, 400), (200, 200), 2),
        ((6, 9), (2, 3), 3),
        ((6, 8), (2, 3), None),
        ((2, 2), (4, 4), None),
    ],
)
def test_a_factor_is_a_whole_number_along_both_sides(
    tmp_path: Path, large: tuple[int, int], small: tuple[int, int], factor: int | None
) -> None:
    scenes = []
    for name, (height, width) in (("l", large), ("s", small)):
        tiny_scene(tmp_path / f"{name}.tif", np.ones((height, width), np.uint8))
        scenes.append(Scene.open(tmp_path / f"{name}.tif"))
    assert isinstance(scenes[0].grid, Grid)
    assert whole_factor(scenes[0], scenes[1]) == factor
