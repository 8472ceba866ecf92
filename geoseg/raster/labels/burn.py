"""Polygons painted on a grid of pixels, each with a code. Knows neither files nor classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import GridError, OptionError
from geoseg.raster.cover.region import Edges, polygonal, polygons_of, valid
from geoseg.raster.grid import Grid
from geoseg.raster.labels import _burnkernels as kernels
from geoseg.raster.window import Window

Overlap = Literal["last", "first", "smallest", "largest", "ignore"]
"""Which of several polygons has a pixel: the last or the first of the file, the smallest or the
largest; or none, where their codes differ."""

BACKGROUND = -1
"""Where there is no polygon."""
IGNORED = -2
"""Where polygons of different codes overlap, or a border is near; and the code of polygons of which
nobody knows what they are."""
MARKED = -3
"""Code of polygons whose pixels are `IGNORED`, whatever else has them: somebody said so."""

_LENGTH = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(px|m|)\s*")


@dataclass(frozen=True, kw_only=True)
class Reach:
    """A distance from the borders of polygons."""

    distance: float
    """In pixels, or in units of the grid's coordinate system."""
    pixel: tuple[float, float]
    """Width and height of a pixel in the same."""

    @classmethod
    def parse(cls, text: str, grid: Grid) -> Reach:
        """Read "2px", "1.5m" or a number in units of the grid's coordinate system.

        Raises
        ------
        OptionError
            It is none of these.
        GridError
            The grid has no metres, or its pixels are no rectangles.
        """
        found = _LENGTH.fullmatch(text.lower())
        if found is None or not 0 < float(found[1]) < 1e9:
            raise OptionError(f"'{text}' is no width of a border; write 2px or 1.5m")
        value = float(found[1])
        if found[2] == "px":
            return cls(distance=value, pixel=(1.0, 1.0))
        if grid.crs is None or (grid.crs.is_geographic and found[2] == "m"):
            has = "no coordinate system" if grid.crs is None else "coordinates in degrees"
            raise GridError(f"the scene has {has}, so {text} is no width there: give it in px")
        t = grid.transform
        if abs(t.a * t.b + t.d * t.e) > 1e-6 * abs(t.determinant):
            raise GridError(f"the scene's pixels are no rectangles: give {text} in px")
        if found[2] == "m":
            value /= grid.crs.linear_units_factor[1]
        return cls(distance=value, pixel=grid.resolution)


def to_pixels(shapes: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Bring geometries from a grid's coordinate system to (column, row), (0, 0) its first corner.

    One for each, valid, with nothing but polygons.
    """
    t = ~grid.transform
    matrix, offset = np.array([[t.a, t.d], [t.b, t.e]]), np.array([t.c, t.f])
    moved = shapely.transform(np.asarray(shapes, dtype=object), lambda xy: xy @ matrix + offset)
    return polygonal(valid(moved))


class Painter:
    """Paints polygons row by row; memory is that of the polygons and of the rows asked for.

    A pixel lies in a polygon where its centre does; of two polygons that share a side through a
    centre, one has it. The result does not depend on the rows asked for.

    Parameters
    ----------
    shapes
        (features,) valid polygons and multipolygons in pixels, see `to_pixels`; some may be empty.
    codes
        (features,) whole numbers from 0, `IGNORED` or `MARKED`.
    height, width
        Of the grid.
    overlap
        Which polygon has what several have.
    all_touched
        Whether a pixel lies in every polygon that has any part of it, not its centre alone.
    reach
        Pixels whose centres are no farther than this from a polygon's border, on either side of
        it, are ignored. None for none.
    """

    def __init__(
        self,
        shapes: NDArray[Any],
        codes: NDArray[np.int16],
        *,
        height: int,
        width: int,
        overlap: Overlap = "last",
        all_touched: bool = False,
        reach: Reach | None = None,
    ) -> None:
        self._height, self._width = height, width
        self._overlap, self._all_touched, self._reach = overlap, all_touched, reach
        areas = shapely.area(shapes)
        order = np.flatnonzero(areas > 0)
        if overlap == "first":
            order = order[::-1]
        elif overlap in ("smallest", "largest"):
            # Painted later is above; of equal ones the last of the file.
            size = areas[order] if overlap == "largest" else -areas[order]
            order = order[np.argsort(size, kind="stable")]
        order = order[np.argsort(codes[order] == MARKED, kind="stable")]
        shapes = shapes[order]
        self._codes = np.where(codes[order] == MARKED, IGNORED, codes[order]).astype(np.int16)
        parts, feature = shapely.get_parts(shapes, return_index=True)
        self._edges = Edges.of(polygons_of(parts))
        of_edge = feature[self._edges.polygon]
        numbers = np.arange(len(shapes) + 1)
        self._starts = np.searchsorted(of_edge, numbers)
        bounds = shapely.bounds(shapes).reshape(-1, 4)
        most = np.array([width, height, width, height])
        self._low = np.clip(np.floor(bounds[:, :2]), 0, most[:2]).astype(np.int64)
        self._high = np.clip(np.ceil(bounds[:, 2:]), 0, most[2:]).astype(np.int64)
        self._sides, self._side_starts = np.zeros((0, 4)), np.zeros(len(shapes) + 1, np.int64)
        if all_touched or reach is not None:
            self._sides, self._side_starts = _sides(shapes)
        self._margin = np.zeros(2)
        if reach is not None:
            self._margin = reach.distance / np.array(reach.pixel)
        self._bounds = bounds

    @property
    def any_on_grid(self) -> bool:
        """Whether any polygon reaches the grid."""
        return bool((self._low < self._high).all(axis=1).any())

    def rows(self, first: int, stop: int) -> NDArray[np.int16]:
        """(stop − first, width) int16: codes, `BACKGROUND` or `IGNORED`."""
        canvas = np.full((stop - first, self._width), BACKGROUND, np.int16)
        here = np.flatnonzero(
            (self._low[:, 1] < stop)
            & (self._high[:, 1] > first)
            & (self._low[:, 0] < self._high[:, 0])
        )
        for feature in here.tolist():
            self._paint(feature, first, stop, canvas)
        if self._reach is not None:
            self._ignore_near(self._reach, first, stop, canvas)
        return canvas

    def strips(self, height: int) -> Iterator[tuple[int, NDArray[np.int16]]]:
        """Yield first rows and rows, from top to bottom, so many at a time."""
        for first in range(0, self._height, height):
            yield first, self.rows(first, min(self._height, first + height))

    def _paint(self, feature: int, first: int, stop: int, canvas: NDArray[np.int16]) -> None:
        (left, top), (right, bottom) = self._low[feature].tolist(), self._high[feature].tolist()
        top, bottom = max(top, first), min(bottom, stop)
        window = Window(top, left, bottom - top, right - left)
        edges = self._edges.part(*self._starts[feature : feature + 2].tolist())
        mask = edges.winding(window) != 0
        if self._all_touched:
            begin, end = self._side_starts[feature : feature + 2].tolist()
            kernels.mark_passed(self._sides[begin:end], top, left, mask)
        part = canvas[window.slices(row_origin=first)]
        code = self._codes[feature]
        if self._overlap == "ignore":
            part[mask & (part != BACKGROUND) & (part != code)] = IGNORED
            part[mask & (part == BACKGROUND)] = code
        else:
            part[mask] = code

    def _ignore_near(self, reach: Reach, first: int, stop: int, canvas: NDArray[np.int16]) -> None:
        if not len(self._bounds):
            return
        down = self._margin[1]
        here = np.flatnonzero(
            (self._bounds[:, 1] - down < stop) & (self._bounds[:, 3] + down > first)
        )
        near = np.zeros(canvas.shape, bool)
        for feature in here.tolist():
            begin, end = self._side_starts[feature : feature + 2].tolist()
            kernels.mark_near(self._sides[begin:end], reach.distance, *reach.pixel, first, 0, near)
        canvas[near] = IGNORED


def _sides(shapes: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All sides (x0, y0, x1, y1), shape by shape, and where each shape's begin, (shapes + 1,)."""
    parts, shape_of_part = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    kept = ring[:-1] == ring[1:]
    sides = np.ascontiguousarray(np.hstack([xy[:-1][kept], xy[1:][kept]]))
    shape = shape_of_part[part[ring[:-1][kept]]] if len(ring) else np.zeros(0, np.int64)
    return sides, np.searchsorted(shape, np.arange(len(shapes) + 1))
