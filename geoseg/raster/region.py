"""An area on a grid: which pixels lie within polygons. Knows no files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyproj
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj.enums import TransformDirection
from pyproj.exceptions import ProjError

from geoseg.errors import VectorError
from geoseg.raster.cog import crs_definition
from geoseg.raster.grid import Grid, crs_text
from geoseg.raster.window import Window

_MAX_VERTICES = 256


class Region:
    """An area on a grid, as polygons; tells which pixels lie in it.

    A pixel is inside where its centre is. Reading from several threads at once is safe.

    Parameters
    ----------
    polygons
        Valid polygons in the grid's coordinate system.
    grid
        The grid whose pixels are meant.
    source
        What errors call it.

    Raises
    ------
    VectorError
        No part of any polygon lies on the grid.
    """

    def __init__(self, polygons: Sequence[Any] | NDArray[Any], grid: Grid, *, source: str) -> None:
        parts = np.asarray(polygons, dtype=object)
        digest = hashlib.blake2b(digest_size=16)
        for wkb in shapely.to_wkb(parts):
            digest.update(wkb)
        self._fingerprint = digest.hexdigest()
        self.grid = grid
        # Pixel coordinates (column, row) serve rotated and south-up grids alike, and are the same
        # numbers but for a whole offset whatever the window.
        t = ~grid.transform
        matrix, offset = np.array([[t.a, t.d], [t.b, t.e]]), np.array([t.c, t.f])
        pixels = shapely.transform(parts, lambda xy: xy @ matrix + offset)
        on_grid = shapely.box(0, 0, grid.width, grid.height)
        self._pieces = _subdivide(polygons_of(shapely.intersection(valid(pixels), on_grid)))
        if not len(self._pieces):
            raise VectorError(f"{source} does not overlap the scene ({grid.describe()})")
        self._tree = shapely.STRtree(self._pieces)
        xmin, ymin, xmax, ymax = shapely.total_bounds(self._pieces)
        col, row = int(np.floor(xmin)), int(np.floor(ymin))
        self._window = Window(row, col, int(np.ceil(ymax)) - row, int(np.ceil(xmax)) - col)

    @property
    def window(self) -> Window:
        """The smallest window of the grid around the region."""
        return self._window

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """(rows, cols) bool, True inside; False outside the grid too. Memory is the window's."""
        box = shapely.box(window.col, window.row, window.col_stop, window.row_stop)
        hits = self._tree.query(box)
        burnt = np.zeros((window.height, window.width), dtype=np.uint8)
        if len(hits):
            rasterio.features.rasterize(
                list(self._pieces[np.sort(hits)]),
                out=burnt,
                transform=Affine(1, 0, window.col, 0, 1, window.row),
                default_value=1,
            )
        return burnt.view(np.bool_)

    def fingerprint(self) -> str:
        """Hash (hex) of the polygons on the grid's coordinate system."""
        return self._fingerprint


def reproject(shapes: NDArray[Any], crs: str, grid: Grid, *, source: str) -> NDArray[Any]:
    """Bring valid geometries to the coordinate system of a grid.

    Parameters
    ----------
    shapes
        Geometries. What lies far from the grid is cut off first: it may have no place there.
    crs
        Their coordinate system, in any form that PROJ reads.
    grid
        The grid, which has a coordinate system.
    source
        What errors call the geometries.

    Raises
    ------
    VectorError
        A coordinate system cannot be used, or is not defined where the geometries lie.
    """
    if grid.crs is None:
        raise ValueError("a grid without coordinate system has none to go to")
    try:
        here = pyproj.CRS.from_user_input(crs)
        there = pyproj.CRS.from_user_input(crs_definition(grid.crs))
        if here == there:
            return shapes
        transformer = pyproj.Transformer.from_crs(here, there, always_xy=True)
        near = _near(shapes, transformer, grid)
        # Straight in one system is curved in another: vertices every 1/200 of the extent keep what
        # is lost far below a pixel for regions of a scene's size.
        xmin, ymin, xmax, ymax = shapely.total_bounds(near)
        longest = max(xmax - xmin, ymax - ymin) / 200
        bent = shapely.segmentize(near, longest) if longest > 0 else near

        def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))

        moved: NDArray[Any] = shapely.transform(bent, move)
    except ProjError as error:
        words = " ".join(str(error).split())
        raise VectorError(f"{source}: its coordinate system cannot be used: {words}") from error
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise VectorError(
            f"{source} reaches beyond where the scene's coordinate system ({crs_text(grid.crs)}) "
            "is defined; clip it to the scene first"
        )
    return moved


def _near(
    shapes: NDArray[Any], transformer: pyproj.Transformer, grid: Grid
) -> NDArray[Any]:
    """Cut geometries to a generous box around the grid; leave them where there is no such box."""
    xmin, ymin, xmax, ymax = transformer.transform_bounds(
        *grid.bounds(), densify_pts=21, direction=TransformDirection.INVERSE
    )
    if not (np.isfinite([xmin, ymin, xmax, ymax]).all() and xmin < xmax and ymin < ymax):
        return shapes  # around a pole, or across the 180th meridian
    more = 0.1 * max(xmax - xmin, ymax - ymin)
    box = shapely.box(xmin - more, ymin - more, xmax + more, ymax + more)
    near: NDArray[Any] = np.asarray(shapely.intersection(shapes, box), dtype=object)
    return near[~shapely.is_empty(near)]


def valid(shapes: NDArray[Any]) -> NDArray[Any]:
    """Repair self-crossing rings and the like."""
    shapes = np.asarray(shapes, dtype=object)
    broken = ~shapely.isvalid(shapes)
    if broken.any():
        shapes = shapes.copy()
        shapes[broken] = shapely.makevalid(shapes[broken])
    return shapes


def polygons_of(shapes: Any) -> NDArray[Any]:
    """Take the single polygons out of any geometries; points and lines fall away."""
    flat = np.atleast_1d(np.asarray(shapes, dtype=object))
    for _ in range(3):  # collections may hold multipolygons
        flat = shapely.get_parts(flat)
    polygons: NDArray[Any] = flat[
        (shapely.get_type_id(flat) == shapely.GeometryType.POLYGON) & (shapely.area(flat) > 0)
    ]
    return polygons


def _subdivide(polygons: NDArray[Any]) -> NDArray[Any]:
    """Cut polygons of very many vertices, so that a window pays for its own part alone.

    Cuts run along pixel edges, where no pixel centre lies; which pixels are inside stays the same.
    """
    done: list[Any] = []
    todo = list(polygons)
    while todo:
        polygon = todo.pop()
        xmin, ymin, xmax, ymax = polygon.bounds
        wide = xmax - xmin >= ymax - ymin
        low, high = (xmin, xmax) if wide else (ymin, ymax)
        cut = round((low + high) / 2)
        if shapely.get_num_coordinates(polygon) <= _MAX_VERTICES or not low < cut < high:
            done.append(polygon)
            continue
        halves = (
            [shapely.box(xmin, ymin, cut, ymax), shapely.box(cut, ymin, xmax, ymax)]
            if wide
            else [shapely.box(xmin, ymin, xmax, cut), shapely.box(xmin, cut, xmax, ymax)]
        )
        todo.extend(polygons_of(shapely.intersection(polygon, np.array(halves, dtype=object))))
    return np.array(done, dtype=object)
