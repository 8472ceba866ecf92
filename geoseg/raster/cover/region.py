"""An area on a grid: which pixels lie within polygons. Knows no files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.enums import TransformDirection
from pyproj.exceptions import ProjError

from geoseg.errors import VectorError
from geoseg.raster.cog.head import crs_definition
from geoseg.raster.grid import Grid, crs_text
from geoseg.raster.window import Window


class Region:
    """An area on a grid, as polygons; tells which pixels lie in it.

    A pixel is inside where its centre is; of two polygons that share an edge through a centre, one
    has it. What is inside does not depend on the window asked for. Several threads may ask at once.

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
        self.grid = grid
        # Pixel coordinates (column, row) serve rotated and south-up grids alike.
        t = ~grid.transform
        matrix, offset = np.array([[t.a, t.d], [t.b, t.e]]), np.array([t.c, t.f])
        given = np.asarray(polygons, dtype=object)
        pixels = valid(shapely.transform(given, lambda xy: xy @ matrix + offset))
        on_grid = shapely.box(0, 0, grid.width, grid.height)
        parts = polygons_of(shapely.intersection(pixels, on_grid))
        if not len(parts):
            raise VectorError(f"{source} does not overlap the scene ({grid.describe()})")
        digest = hashlib.blake2b(digest_size=16)
        for wkb in shapely.to_wkb(parts):
            digest.update(wkb)
        self._fingerprint = digest.hexdigest()
        self._edges = Edges.of(parts)
        first_col, first_row, last_col, last_row = shapely.total_bounds(parts)
        row, col = int(np.floor(first_row)), int(np.floor(first_col))
        self._window = Window(row, col, int(np.ceil(last_row)) - row, int(np.ceil(last_col)) - col)

    @property
    def window(self) -> Window:
        """The smallest window of the grid around the region."""
        return self._window

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """(rows, cols) bool, True inside; False outside the grid too. Memory is the window's."""
        return np.not_equal(self._edges.winding(window), 0)

    def fingerprint(self) -> str:
        """Hash (hex) of the polygons as they lie on the grid."""
        return self._fingerprint


@dataclass(frozen=True)
class Edges:
    """Edges of polygons in pixel coordinates, each from its upper to its lower end; none level.

    A scan line through the centres of a row crosses an edge or does not, and left and right of the
    crossing the number of polygons around differs by one: that is all that is needed.
    """

    x: NDArray[np.float64]
    """Columns of the upper ends."""
    slope: NDArray[np.float64]
    """Columns by row."""
    y: NDArray[np.float64]
    """Rows of the upper ends."""
    start: NDArray[np.int64]
    """First row of pixels whose centres are level with the upper end, or below."""
    stop: NDArray[np.int64]
    """First row of pixels whose centres are level with the lower end, or below."""
    turn: NDArray[np.int32]
    """By how much the winding number changes from the left to the right, 1 or −1."""
    polygon: NDArray[np.int64]
    """Whose edge it is, by its place among the polygons; never falling."""

    @classmethod
    def of(cls, polygons: NDArray[Any]) -> Edges:
        """Edges of valid polygons."""
        rings, polygon = shapely.get_rings(polygons, return_index=True)
        outer = np.diff(polygon, prepend=-1) != 0  # each polygon's outer ring comes first
        forward = shapely.is_ccw(rings) == outer
        xy, ring = shapely.get_coordinates(rings, return_index=True)
        here, there = xy[:-1], xy[1:]
        kept = (ring[:-1] == ring[1:]) & (here[:, 1] != there[:, 1])
        here, there, ring = here[kept], there[kept], ring[:-1][kept]
        down = here[:, 1] < there[:, 1]
        upper = np.where(down[:, None], here, there)
        lower = np.where(down[:, None], there, here)
        return cls(
            x=upper[:, 0],
            slope=(lower[:, 0] - upper[:, 0]) / (lower[:, 1] - upper[:, 1]),
            y=upper[:, 1],
            start=np.ceil(upper[:, 1] - 0.5).astype(np.int64),
            stop=np.ceil(lower[:, 1] - 0.5).astype(np.int64),
            turn=np.where(down == forward[ring], 1, -1).astype(np.int32),
            polygon=polygon[ring],
        )

    def part(self, first: int, stop: int) -> Edges:
        """Edges from one place to another."""
        return Edges(*(getattr(self, f.name)[first:stop] for f in fields(self)))

    def winding(self, window: Window) -> NDArray[np.int32]:
        """(rows, cols): in how many polygons each pixel's centre lies, but for the sign."""
        start = np.maximum(self.start, window.row)
        counts = np.minimum(self.stop, window.row_stop) - start
        crossed = np.flatnonzero(counts > 0)
        counts = counts[crossed]
        edge = np.repeat(crossed, counts)
        within = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
        row = start[edge] + within
        x = self.x[edge] + (row + 0.5 - self.y[edge]) * self.slope[edge]
        col = np.clip(np.ceil(x - 0.5).astype(np.int64) - window.col, 0, window.width)
        turns = np.zeros((window.height, window.width + 1), dtype=np.int32)
        np.add.at(turns, (row - window.row, col), self.turn[edge])
        return np.cumsum(turns, axis=1, out=turns)[:, :-1]


def reproject(shapes: NDArray[Any], crs: str, grid: Grid, *, source: str) -> NDArray[Any]:
    """Bring valid geometries to the coordinate system of a grid, one for each.

    Parameters
    ----------
    shapes
        Geometries. What lies far from the grid is cut off first: it may have no place there. One
        that lies there altogether becomes empty.
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
        if shapely.is_empty(near).all():
            return near
        # Straight in one system is curved in another: vertices every 1/200 of the extent keep what
        # is lost far below a pixel for regions of a scene's size.
        xmin, ymin, xmax, ymax = shapely.total_bounds(near)
        longest = max(xmax - xmin, ymax - ymin) / 200
        bent = shapely.segmentize(near, longest) if longest > 0 else near

        west, _, east, _ = grid.bounds()

        def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            x, y = transformer.transform(xy[:, 0], xy[:, 1])
            if there.is_geographic and not here.is_geographic:
                # PROJ begins anew at the 180th meridian, and polygons would go around the world.
                middle = (west + east) / 2
                x = np.where(np.abs(x - middle) <= 180, x, (x - middle + 180) % 360 - 180 + middle)
            return np.column_stack([x, y])

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


def all_around(shapes: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Move parts of geometries by whole turns to where a grid in degrees has them.

    Longitudes go from −180 to 180 in one file, from 0 to 360 in another, and on beyond 180 where a
    grid lies across that meridian. What a grid has at both of its ends is there twice. On all other
    grids geometries stay as they are.
    """
    west, south, east, north = grid.bounds()
    if grid.crs is None or not grid.crs.is_geographic or (west >= -180 and east <= 180):
        return shapes
    frame = shapely.box(west, south, east, north)
    parts, owner = shapely.get_parts(shapes, return_index=True)
    found = []
    for turn in (0.0, -360.0, 360.0):
        moved = shapely.set_coordinates(
            parts.copy(), shapely.get_coordinates(parts) + np.array([turn, 0.0])
        )
        found.append((moved, shapely.intersects(moved, frame)))
    shapes = shapes.copy()
    for place in np.unique(owner[found[1][1] | found[2][1]]).tolist():
        own = owner == place
        kept = np.concatenate([moved[own & on_grid] for moved, on_grid in found])
        shapes[place] = shapely.union_all(kept)
    return shapes


def _near(shapes: NDArray[Any], transformer: pyproj.Transformer, grid: Grid) -> NDArray[Any]:
    """Cut geometries to a generous box around the grid; leave them where there is no such box."""
    xmin, ymin, xmax, ymax = transformer.transform_bounds(
        *grid.bounds(), densify_pts=21, direction=TransformDirection.INVERSE
    )
    if not (np.isfinite([xmin, ymin, xmax, ymax]).all() and xmin < xmax and ymin < ymax):
        return shapes  # around a pole, or across the 180th meridian
    more = 0.1 * max(xmax - xmin, ymax - ymin)
    box = shapely.box(xmin - more, ymin - more, xmax + more, ymax + more)
    near: NDArray[Any] = np.asarray(shapely.intersection(shapes, box), dtype=object)
    return near


def valid(shapes: NDArray[Any]) -> NDArray[Any]:
    """Repair self-crossing rings and the like, by what they enclose.

    What lies in a ring is inside, however often the ring goes around it and however many parts have
    it, unless it lies in a hole. (By its lines alone, GEOS' other way, ground that two parts share
    would become a hole, and what of a hole lies outside would become ground.)
    """
    shapes = np.asarray(shapes, dtype=object)
    broken = ~shapely.is_valid(shapes)
    if broken.any():
        shapes = shapes.copy()
        shapes[broken] = shapely.make_valid(
            shapes[broken], method="structure", keep_collapsed=False
        )
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


def polygonal(shapes: NDArray[Any]) -> NDArray[Any]:
    """Leave the polygons of each geometry alone, as one; empty where it has none.

    Repairs and intersections leave lines and points beside polygons, and then no operation of
    geometry takes them.
    """
    kinds = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
    others = np.flatnonzero(~np.isin(shapely.get_type_id(shapes), kinds))
    if len(others):
        shapes = shapes.copy()
        for place in others:
            shapes[place] = shapely.MultiPolygon(list(polygons_of(shapes[place])))
    return shapes
