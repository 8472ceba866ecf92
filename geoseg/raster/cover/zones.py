"""Polygons on a grid, zone by zone: the share of every pixel that lies within, exactly.

A pixel counts by the share of its area within the polygon, from 0 to 1, and not by its centre.
Zones may overlap; each has all that lies in it. Knows no files.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geoseg.raster.cover import _coverkernels as kernels
from geoseg.raster.cover.ellipsoid import RowAreas
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window

_FINE = 2.0**30
"""Corners are rounded to this part of a pixel, so that sides along borders of pixels are there."""
_ROOM = 1 << 18
"""Pixels of a zone that are covered at a time."""


class Zones:
    """Zones on a grid.

    Parameters
    ----------
    shapes
        (zones,) valid polygons and multipolygons, some perhaps empty, in the grid's coordinate
        system.
    grid
        The grid whose pixels are meant.

    Attributes
    ----------
    inside
        (zones,) whether no part of the zone lies off the grid.
    pixels
        (zones,) size of the whole zone, in pixels.
    """

    inside: NDArray[np.bool_]
    pixels: NDArray[np.float64]

    def __init__(self, shapes: NDArray[Any], grid: Grid) -> None:
        t = ~grid.transform
        matrix, offset = np.array([[t.a, t.d], [t.b, t.e]]), np.array([t.c, t.f])

        def to_pixels(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(np.rint((xy @ matrix + offset) * _FINE) / _FINE)

        # Not made valid: signed areas of what rounding has folded are right, those of its repair
        # need not be.
        given = shapely.transform(np.asarray(shapes, dtype=object), to_pixels)
        self.pixels = np.asarray(shapely.area(given))
        size = np.array([grid.width, grid.height])
        bounds = np.nan_to_num(shapely.bounds(given)).reshape(-1, 4)
        self.inside = np.asarray((bounds[:, :2] >= 0).all(1) & (bounds[:, 2:] <= size).all(1))
        self._edges, self._starts = _edges(given, grid.width)
        self._lowest = _so_far(self._edges, self._starts)
        low = np.clip(np.floor(bounds[:, :2]), 0, size).astype(int)
        high = np.clip(np.ceil(bounds[:, 2:]), 0, size).astype(int)
        self._windows = [
            Window(int(row), int(col), int(row_stop - row), int(col_stop - col))
            for (col, row), (col_stop, row_stop) in zip(low, high, strict=True)
        ]
        self._rows = np.array(
            [(w.row, w.row_stop) if w.area else (0, 0) for w in self._windows], np.int64
        ).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._windows)

    def touching(self, first: int, stop: int) -> list[int]:
        """List the zones that may touch rows `first` to `stop`."""
        rows = self._rows
        return [int(z) for z in np.flatnonzero((rows[:, 0] < stop) & (rows[:, 1] > first))]

    @property
    def window(self) -> Window | None:
        """The smallest window around all zones; None where all lie off the grid."""
        touched = [window for window in self._windows if window.area]
        if not touched:
            return None
        row, col = min(w.row for w in touched), min(w.col for w in touched)
        row_stop, col_stop = max(w.row_stop for w in touched), max(w.col_stop for w in touched)
        return Window(row, col, row_stop - row, col_stop - col)

    def add_classes(
        self,
        zone: int,
        codes: NDArray[np.uint8],
        slots: NDArray[np.uint8],
        window: Window,
        areas: RowAreas,
        into: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        """Add what a zone has of the classes in some rows.

        Parameters
        ----------
        zone
            Which.
        codes
            (rows, cols) uint8, those of `window`, which holds all columns of the zone.
        slots
            (256,) place in the sums by code.
        window
            Where the codes lie on the grid.
        areas
            Areas of the pixels of these rows.
        into
            (slots,) sums of pixels, and of square metres; added to.
        """
        for first, stop, row, rows, left, right, room in self._parts(zone, window):
            kernels.share_polygons(
                self._edges, first, stop, row, rows, left, right, codes, slots, window.row,
                window.col, areas.nodes, areas.shift, *into, room,
            )  # fmt: skip

    def add_values(
        self,
        zone: int,
        values: NDArray[np.float32],
        there: NDArray[np.bool_],
        window: Window,
        areas: RowAreas,
        into: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        """Add what a zone has of bands of shares (bands, rows, cols); as `add_classes`.

        The sums have a place for each band, one for pixels with a reading, one for those without.
        """
        for first, stop, row, rows, left, right, room in self._parts(zone, window):
            kernels.share_polygon_values(
                self._edges, first, stop, row, rows, left, right, values, there, window.row,
                window.col, areas.nodes, areas.shift, *into, room,
            )  # fmt: skip

    def _parts(
        self, zone: int, window: Window
    ) -> list[tuple[int, int, int, int, int, int, NDArray[np.float64]]]:
        """Cut the rows that a zone shares with a window to what fits the room, with their edges."""
        own = self._windows[zone]
        top, end = max(own.row, window.row), min(own.row_stop, window.row_stop)
        if top >= end or not own.area:
            return []
        step = max(1, min(end - top, _ROOM // (own.width + 2)))
        room = np.empty((step, own.width + 2))
        start, stop = int(self._starts[zone]), int(self._starts[zone + 1])
        begins, lowest = self._edges[start:stop, 1], self._lowest[start:stop]
        found = []
        for row in range(top, end, step):
            rows = min(step, end - row)
            # Edges come in the order of their upper ends; all before `first` have ended.
            first = start + int(np.searchsorted(lowest, row, side="right"))
            last = start + int(np.searchsorted(begins, row + rows, side="left"))
            found.append((first, last, row, rows, own.col, own.col_stop, room))
        return found


def _edges(shapes: NDArray[Any], width: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Edges (x0, y0, x1, y1, direction) from their upper to their lower ends, none level.

    They come zone by zone, those of a zone in the order of their upper ends; the second array is
    where each zone's begin, (zones + 1,). What lies beside the columns 0 to `width` is moved to
    their borders: from there it covers the same.
    """
    parts, zone_of_part = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    outer = np.diff(part, prepend=-1) != 0  # each polygon's outer ring comes first
    forward = shapely.is_ccw(rings) == outer
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    here, there = xy[:-1], xy[1:]
    kept = (ring[:-1] == ring[1:]) & (here[:, 1] != there[:, 1])
    here, there, ring = here[kept], there[kept], ring[:-1][kept]
    down = here[:, 1] < there[:, 1]
    upper, lower = np.where(down[:, None], here, there), np.where(down[:, None], there, here)
    # With rows counted downwards, an outer ring that GEOS calls counter-clockwise runs down at
    # the right, so that up is where its inside begins.
    sign = np.where(down == forward[ring], -1.0, 1.0)
    zone = zone_of_part[part[ring]] if len(ring) else np.zeros(0, np.int64)
    edges = np.column_stack([upper, lower, sign])
    for border in (0.0, float(width)):
        edges, zone = _split(edges, zone, border)
    edges[:, [0, 2]] = np.clip(edges[:, [0, 2]], 0, width)
    order = np.lexsort((edges[:, 1], zone))
    edges = np.ascontiguousarray(edges[order])
    starts = np.searchsorted(zone[order], np.arange(len(shapes) + 1))
    return edges, starts


def _split(
    edges: NDArray[np.float64], zone: NDArray[np.int64], border: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cut edges in two where they cross a column."""
    x0, x1 = edges[:, 0], edges[:, 2]
    across = (np.minimum(x0, x1) < border) & (np.maximum(x0, x1) > border)
    if not across.any():
        return edges, zone
    cut = edges[across]
    y = cut[:, 1] + (border - cut[:, 0]) / (cut[:, 2] - cut[:, 0]) * (cut[:, 3] - cut[:, 1])
    y = np.clip(y, cut[:, 1], cut[:, 3])
    upper, lower = cut.copy(), cut
    upper[:, 2], upper[:, 3] = border, y
    lower[:, 0], lower[:, 1] = border, y
    found = np.concatenate([edges[~across], upper, lower])
    places = np.concatenate([zone[~across], zone[across], zone[across]])
    level = found[:, 1] == found[:, 3]
    return found[~level], places[~level]


def whole_areas(
    zones: Zones, shapes: NDArray[Any], crs: str, measured: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Square metres of whole zones, what lies off the raster too.

    That is measured on the zone as it was given: brought to the raster's system, it was cut to what
    is near, or is gone.

    Parameters
    ----------
    zones
        The zones on the raster.
    shapes, crs
        (zones,) polygons and multipolygons as they were given, and their coordinate system.
    measured
        (zones,) what their pixels add up to.
    """
    found = measured.copy()
    out = ~zones.inside | (zones.pixels == 0)
    found[out] = np.maximum(found[out], ground_areas(shapes[out], crs))
    return found


def plane_areas(shapes: NDArray[Any]) -> NDArray[np.float64]:
    """(n,) areas of polygons in the units of their coordinates, squared."""
    return np.asarray(shapely.area(shapes), np.float64)


def ground_areas(shapes: NDArray[Any], crs: str) -> NDArray[np.float64]:
    """Square metres on the ellipsoid of polygons, their sides geodesics between many points.

    Parameters
    ----------
    shapes
        (n,) polygons and multipolygons.
    crs
        Their coordinate system, in a form that PROJ reads.
    """
    system = pyproj.CRS.from_user_input(crs)
    geographic, geod = system.geodetic_crs, system.get_geod()
    if geographic is None or geod is None:
        return np.asarray(shapely.area(shapes))
    move = pyproj.Transformer.from_crs(system, geographic, always_xy=True)
    found = np.zeros(len(shapes))
    for place, shape in enumerate(shapes):
        if shape.is_empty:
            continue
        xmin, ymin, xmax, ymax = shape.bounds
        dense = shapely.segmentize(shape, max(xmax - xmin, ymax - ymin) / 200)
        there = shapely.transform(
            dense, lambda xy: np.column_stack(move.transform(xy[:, 0], xy[:, 1]))
        )
        found[place] = abs(geod.geometry_area_perimeter(shapely.orient_polygons(there))[0])
    return found


def _so_far(edges: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Lowest end of each edge and those before it in its zone."""
    found = edges[:, 3].copy()
    for first, stop in pairwise(starts.tolist()):
        found[first:stop] = np.maximum.accumulate(found[first:stop])
    return found
