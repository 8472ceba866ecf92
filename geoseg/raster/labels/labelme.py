"""Annotations of LabelMe: a JSON file a picture, with shapes in pixels.

Coordinates are (column, row) from the picture's first corner; a pixel's centre is half a pixel from
its corner. The picture is the one that LabelMe showed, so turned as its EXIF orientation says.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from geoseg.errors import GridError, LabelError, RasterReadError
from geoseg.raster.cover.region import polygonal, valid
from geoseg.raster.grid import Grid
from geoseg.raster.opening.handles import environment, open_dataset

BACKGROUND_LABELS = frozenset({"_background_", "__background__"})
"""Labels of shapes that are holes in those before them."""
IGNORE_LABELS = frozenset({"__ignore__", "_ignore_"})
"""Labels of shapes whose pixels count for nothing."""

_MAX_BYTES = 512 << 20  # a picture may be inside, in base64
_DEVIATION = 0.01
"""By how many pixels the polygon of a circle may leave it."""
_WITHOUT_AREA = frozenset({"line", "linestrip", "point", "points"})


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """What one file says."""

    path: Path
    """The file."""
    height: int | None
    """Rows of the picture; None where the file does not say."""
    width: int | None
    """Columns of the picture."""
    picture: str
    """Name of the picture; empty where the file does not say."""
    labels: tuple[str, ...]
    """Label of each shape, in the order in which they were drawn."""
    shapes: NDArray[Any]
    """(shapes,) valid polygons and multipolygons in pixels."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Shapes without area, by their kind."""

    def check(self, grid: Grid, picture: str) -> None:
        """Refuse annotations of another picture.

        Raises
        ------
        GridError
            The picture has another size.
        """
        if self.height is None or self.width is None:
            return
        if (self.height, self.width) != (grid.height, grid.width):
            turned = (self.width, self.height) == (grid.height, grid.width)
            why = (
                "was annotated turned by 90°; annotate it as its EXIF orientation shows it"
                if turned
                else "is another picture, or was resized"
            )
            raise GridError(
                f"{self.path}: annotates {self.width} × {self.height} px and {picture} has"
                f" {grid.width} × {grid.height}: it {why}"
            )


def is_labelme(path: str | Path) -> bool:
    """Tell whether a file is an annotation of LabelMe, not GeoJSON or anything else."""
    if Path(path).suffix.lower() != ".json" or not Path(path).is_file():
        return False
    try:
        content = _load(Path(path))
    except LabelError:
        return _seems_labelme(Path(path))  # so that its own error is told
    return isinstance(content, dict) and "shapes" in content


def _seems_labelme(path: Path) -> bool:
    """Tell whether a file that cannot be read has the words of an annotation."""
    try:
        with path.open("rb") as stream:
            head = stream.read(1 << 16)
    except OSError:
        return False
    return b'"shapes"' in head or b'"shape_type"' in head


def annotations_in(folder: str | Path) -> list[Path]:
    """Return the JSON files of a folder, by name; none where there are none."""
    path = Path(folder)
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.suffix.lower() == ".json" and p.is_file())


def read_labelme(path: str | Path) -> Annotation:
    """Read an annotation.

    Polygons, rectangles, circles and masks become polygons; points and lines have no area and are
    left out and counted.

    Raises
    ------
    LabelError
        It cannot be read, is no annotation, or a shape makes no sense; with its number.
    """
    file = Path(path)
    content = _load(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise LabelError(f"{file}: is no annotation of LabelMe (a JSON object with shapes)")
    labels: list[str] = []
    shapes: list[Any] = []
    left_out: Counter[str] = Counter()
    for number, item in enumerate(content["shapes"], start=1):
        where = f"{file}, shape {number}"
        if not isinstance(item, dict) or not isinstance(item.get("label"), str):
            raise LabelError(f"{where}: has no label")
        kind = str(item.get("shape_type") or "polygon")
        if kind in _WITHOUT_AREA:
            left_out[kind] += 1
            continue
        shape = _shape(kind, item, where)
        if shape is None or shape.is_empty:
            left_out[f"{kind} without area"] += 1
            continue
        labels.append(item["label"].strip())
        shapes.append(shape)
    found = np.empty(len(shapes), dtype=object)
    found[:] = shapes
    return Annotation(
        path=file,
        height=_side(content.get("imageHeight"), file),
        width=_side(content.get("imageWidth"), file),
        picture=str(content.get("imagePath") or "").replace("\\", "/").rpartition("/")[2],
        labels=tuple(labels),
        shapes=found,
        left_out=dict(left_out),
    )


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise LabelError(f"{path}: is too large for an annotation")
        return json.loads(data)
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path}: is not UTF-8 text; save the annotation again as UTF-8") from None
    except (ValueError, RecursionError):
        raise LabelError(f"{path}: is no JSON (truncated?); save the annotation again") from None


def _side(value: Any, path: Path) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise LabelError(f"{path}: {value!r} is no height or width of a picture")
    return value


def _shape(kind: str, item: Mapping[str, Any], where: str) -> Any:
    """Polygon or multipolygon of a shape; None or an empty one where it has no area."""
    xy = _points(item.get("points"), where)
    if kind == "polygon":
        shape = None if len(xy) < 3 else shapely.Polygon(xy)
    elif kind == "rectangle":
        shape = None if len(xy) < 2 else shapely.box(*xy.min(axis=0), *xy.max(axis=0))
    elif kind == "circle":
        if len(xy) != 2:
            raise LabelError(f"{where}: a circle is its centre and a point on it")
        shape = _circle(xy)
    elif kind == "mask":
        shape = _mask(item.get("mask"), xy, where)
    else:
        raise LabelError(f"{where}: a shape of the kind {kind[:40]!r} is not known")
    if shape is None:
        return None
    one = np.empty(1, dtype=object)
    one[0] = shape
    return polygonal(valid(one))[0]


def _points(given: Any, where: str) -> NDArray[np.float64]:
    try:
        xy = np.asarray(given if given else np.zeros((0, 2)), dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        xy = np.zeros(0)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise LabelError(f"{where}: its points are no pairs of numbers")
    if not (np.abs(xy) < 1e7).all():
        raise LabelError(f"{where}: a point is not a number, or far outside of any picture")
    return xy


def _circle(xy: NDArray[np.float64]) -> Any:
    radius = float(np.hypot(*(xy[1] - xy[0])))
    if radius == 0:
        return None
    # Corners outside by as much as the sides are inside.
    count = max(16, math.ceil(math.pi / math.acos(max(0.0, 1 - _DEVIATION / radius))))
    turn = 2 * math.pi * np.arange(count) / count
    outer = radius * 2 / (1 + math.cos(math.pi / count))
    return shapely.Polygon(xy[0] + outer * np.column_stack([np.cos(turn), np.sin(turn)]))


def _mask(text: Any, xy: NDArray[np.float64], where: str) -> Any:
    """Polygon of the pixels of a mask, a PNG in base64 whose first pixel is at the first point."""
    if not isinstance(text, str) or not len(xy):
        raise LabelError(f"{where}: a mask without its pixels")
    try:
        data = base64.b64decode(text, validate=True)
        with environment(""), MemoryFile(data) as memory, open_dataset(memory.name) as dataset:
            pixels = dataset.read(1) != 0
    except (binascii.Error, ValueError, RasterioError, RasterReadError):
        raise LabelError(f"{where}: its mask is no PNG in base64") from None
    col, row = np.rint(xy.min(axis=0)).astype(int).tolist()
    steps = np.diff(pixels.astype(np.int8), axis=1, prepend=0, append=0)
    rows, first = np.nonzero(steps == 1)
    stop = np.nonzero(steps == -1)[1]
    runs = shapely.box(first + col, rows + row, stop + col, rows + row + 1)
    return shapely.union_all(runs) if len(runs) else None
