"""Annotations of LabelMe: every kind of shape, and every way to be wrong."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from PIL import Image

from geoseg.errors import GridError, LabelError
from geoseg.raster.grid import Grid
from geoseg.raster.labels.drawn import left_out
from geoseg.raster.labels.labelme import Annotation, is_labelme, read_labelme


def annotate(
    path: Path, *shapes: dict[str, Any], height: int | None = 6, width: int | None = 8
) -> Path:
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "..\\images\\a.jpg",
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    path.write_text(json.dumps(content))
    return path


def shape(
    kind: str, *points: tuple[float, float], label: str = "crop", **more: Any
) -> dict[str, Any]:
    return {"label": label, "points": [list(p) for p in points], "shape_type": kind, **more}


def read(tmp_path: Path, *shapes: dict[str, Any]) -> Annotation:
    return read_labelme(annotate(tmp_path / "a.json", *shapes))


def test_polygons_rectangles_and_circles_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        shape("polygon", (0, 0), (4, 0), (0, 4), label=" weed "),
        shape("rectangle", (5, 4), (1, 2)),
        shape("circle", (4, 3), (4, 13)),
    )
    assert found.labels == ("weed", "crop", "crop")
    assert found.shapes[0].area == 8
    assert found.shapes[1].bounds == (1, 2, 5, 4)
    assert found.shapes[2].area == pytest.approx(100 * np.pi, rel=2e-3)
    assert (found.height, found.width, found.picture) == (6, 8, "a.jpg")


def test_a_shape_without_kind_is_a_polygon(tmp_path: Path) -> None:
    old = shape("polygon", (0, 0), (4, 0), (0, 4))
    del old["shape_type"]
    assert read(tmp_path, old).shapes[0].area == 8


def test_masks_are_the_pixels_they_hold(tmp_path: Path) -> None:
    pixels = np.array([[1, 0, 1], [1, 1, 1]], np.uint8) * 255
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    found = read(tmp_path, shape("mask", (2, 1), (4, 2), mask=text)).shapes[0]
    assert found.area == 5
    assert found.bounds == (2, 1, 5, 3)
    assert not found.intersects(shapely.Point(3.5, 1.5))


def test_shapes_without_area_are_counted_and_left_out(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        shape("line", (0, 0), (1, 1)),
        shape("point", (0, 0)),
        shape("point", (2, 0)),
        shape("polygon", (0, 0), (1, 1)),
        shape("polygon"),
        shape("polygon", (0, 0), (1, 1), (2, 2)),
        shape("circle", (1, 1), (1, 1)),
    )
    assert len(found.shapes) == 0
    assert found.left_out == {
        "line": 1, "point": 2, "polygon without area": 3, "circle without area": 1
    }  # fmt: skip
    assert left_out([found]) == [
        "shapes without area are left out: 1 circle without area, 1 line, 2 points,"
        " 3 polygons without area"
    ]


def test_a_crossing_outline_is_repaired(tmp_path: Path) -> None:
    found = read(tmp_path, shape("polygon", (0, 0), (4, 4), (4, 0), (0, 4)))
    assert found.shapes[0].is_valid
    assert found.shapes[0].area == 8


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (shape("polygon", (0, 0), (float("nan"), 0), (0, 4)), "shape 2: a point is not a number"),
        (shape("polygon", (0, 0), (float("inf"), 0), (0, 4)), "shape 2: a point is not a number"),
        ({"label": "a", "points": [[1], [2, 3]]}, "shape 2: its points are no pairs"),
        ({"label": "a", "points": "x"}, "shape 2: its points are no pairs"),
        ({"points": []}, "shape 2: has no label"),
        (shape("star", (0, 0)), "shape 2: a shape of the kind 'star' is not known"),
        (shape("mask", (0, 0), mask="AAAA"), "shape 2: its mask is no PNG"),
        (shape("mask", (0, 0), mask="é"), "shape 2: its mask is no PNG"),
        (shape("mask", (0, 0)), "shape 2: a mask without its pixels"),
        (shape("circle", (0, 0)), "shape 2: a circle is"),
    ],
)
def test_shapes_that_make_no_sense_are_named(
    tmp_path: Path, wrong: dict[str, Any], why: str
) -> None:
    with pytest.raises(LabelError, match=why):
        read(tmp_path, shape("polygon", (0, 0), (4, 0), (0, 4)), wrong)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"shapes": 3}', '{"type": "FeatureCollection"}'])
def test_what_is_no_annotation_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(LabelError, match=r"a\.json: is no"):
        read_labelme(path)
    with pytest.raises(LabelError, match="cannot be read"):
        read_labelme(tmp_path / "b.json")


def test_annotations_that_are_broken_are_told_as_such(tmp_path: Path) -> None:
    path = annotate(tmp_path / "a.json", shape("polygon", (0, 0), (4, 0), (0, 4)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert is_labelme(path)
    with pytest.raises(LabelError, match="is no JSON"):
        read_labelme(path)
    path.write_bytes(whole.replace(b"crop", "é".encode("latin-1")))
    assert is_labelme(path)
    with pytest.raises(LabelError, match="is not UTF-8 text"):
        read_labelme(path)
    path.write_bytes(b'{"type": "FeatureCollection", "features": [')
    assert not is_labelme(path)


def test_geojson_is_told_from_annotations(tmp_path: Path) -> None:
    other = tmp_path / "b.json"
    other.write_text('{"type": "FeatureCollection", "features": []}')
    assert is_labelme(annotate(tmp_path / "a.json"))
    assert not is_labelme(other)
    assert not is_labelme(tmp_path / "c.json")


def grid(height: int, width: int) -> Grid:
    return Grid(crs=None, transform=Affine.identity(), height=height, width=width)


def test_annotations_of_another_picture_are_refused(tmp_path: Path) -> None:
    found = read(tmp_path)
    found.check(grid(6, 8), "a.jpg")
    with pytest.raises(GridError, match="has 9 × 6: it is another picture"):
        found.check(grid(6, 9), "a.jpg")
    with pytest.raises(GridError, match="turned by 90°"):
        found.check(grid(8, 6), "a.jpg")
    silent = read_labelme(annotate(tmp_path / "b.json", height=None, width=None))
    silent.check(grid(60, 80), "a.jpg")
