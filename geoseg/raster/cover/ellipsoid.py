"""Areas of pixels on the ellipsoid, whatever the coordinate system. Knows no files.

A pixel in degrees has its share of the zone between two parallels, in closed form (Snyder 1987,
*Map projections: a working manual*, eq. 3-12). A projected pixel has the area that points of the
ellipsoid span when x and y move: differences at the nodes of a lattice, straight in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from geoseg.errors import GridError
from geoseg.raster.cog.head import crs_definition
from geoseg.raster.grid import Grid

_NODES = 256
"""Nodes a side, at most, between which areas of projected pixels run straight."""
_EVEN = 5e-3
"""Relative spread of areas up to which a projection's pixels count as of one size; a zone of UTM
has 0.3 %."""


@dataclass(frozen=True, eq=False)
class RowAreas:
    """Areas of the pixels of some rows, at nodes along the row; between nodes they run straight."""

    nodes: NDArray[np.float64]
    """(rows, nodes) square metres; node k is the pixel of column ``k << shift``."""
    shift: int
    """Nodes stand every ``1 << shift`` columns."""

    def at(self, cols: NDArray[np.int64]) -> NDArray[np.float64]:
        """(rows, cols) areas of pixels by their columns."""
        place = cols >> self.shift
        along = (cols - (place << self.shift)) / float(1 << self.shift)
        low, high = self.nodes[:, place], self.nodes[:, place + 1]
        found: NDArray[np.float64] = low + (high - low) * along
        return found


class PixelAreas:
    """Area of every pixel of a grid, in square metres on the ellipsoid.

    Parameters
    ----------
    grid
        The grid, which has a coordinate system; one in degrees must not be rotated.

    Attributes
    ----------
    even
        Whether all pixels are of one size, to half a percent: then their number measures as well.

    Raises
    ------
    GridError
        There is no coordinate system, areas are not defined on all of the grid, or the grid is in
        degrees and rotated.
    """

    even: bool

    def __init__(self, grid: Grid) -> None:
        if grid.crs is None:
            raise GridError("the raster has no coordinate system, so its pixels have no area")
        self._grid = grid
        try:
            self._crs = pyproj.CRS.from_user_input(crs_definition(grid.crs))
            geod = self._crs.get_geod()
            self._axis, self._e2 = (6378137.0, 0.0) if geod is None else (geod.a, geod.es)
            if grid.crs.is_geographic:
                self._of_rows()
            else:
                self._of_nodes()
        except ProjError as error:
            raise GridError(
                "areas cannot be measured in the raster's coordinate system: "
                + " ".join(str(error).split())
            ) from error

    def rows(self, first: int, stop: int) -> RowAreas:
        """Areas of the pixels of rows `first` to `stop`."""
        if self._by_row is not None:
            own = self._by_row[first:stop]
            return RowAreas(np.column_stack([own, own]), 62)
        row = np.arange(first, stop)
        place = row >> self._shift
        along = ((row - (place << self._shift)) / float(1 << self._shift))[:, np.newaxis]
        low, high = self._lattice[place], self._lattice[place + 1]
        return RowAreas(low + (high - low) * along, self._shift)

    def _of_rows(self) -> None:
        """Pixels in degrees: the zone between two parallels, and its share by longitude."""
        grid, t = self._grid, self._grid.transform
        if t.b != 0 or t.d != 0:
            raise GridError(
                "the raster is in degrees and rotated: bring it to a grid along the axes"
                " (gdalwarp), or to a projection"
            )
        unit = math.radians(1.0)
        if self._crs.axis_info:
            unit = self._crs.axis_info[0].unit_conversion_factor
        latitude = np.clip((t.f + t.e * np.arange(grid.height + 1)) * unit, -np.pi / 2, np.pi / 2)
        self._by_row: NDArray[np.float64] | None = np.abs(
            np.diff(self._height(latitude)) * t.a * unit
        )
        self.even = False

    def _of_nodes(self) -> None:
        """Projected pixels: areas at the nodes of a lattice."""
        grid = self._grid
        self._by_row = None
        longest = max(grid.height, grid.width)
        self._shift = max(0, math.ceil(math.log2(longest / _NODES)))
        node_rows, node_cols = (
            np.arange(((size - 1) >> self._shift) + 2) << self._shift
            for size in (grid.height, grid.width)
        )
        col, row = np.meshgrid(node_cols + 0.5, node_rows + 0.5)
        geographic = self._crs.geodetic_crs
        if geographic is None or self._crs.is_geocentric:
            self._lattice = np.full(col.shape, grid.pixel_area_m2())
            self.even = True
            return
        move = pyproj.Transformer.from_crs(self._crs, geographic, always_xy=True)
        lattice = self._measured(col, row, move)
        if not np.isfinite(lattice).all():
            # The last nodes stand beyond the grid, where the projection may have ended.
            lattice = self._measured(
                np.minimum(col, grid.width - 0.5), np.minimum(row, grid.height - 0.5), move
            )
        if not np.isfinite(lattice).all() or not (lattice > 0).all():
            raise GridError(
                "the raster's coordinate system is not defined on all of it, so areas cannot be"
                " measured; cut it first (gdalwarp -te)"
            )
        self._lattice = lattice
        self.even = bool(lattice.max() <= lattice.min() * (1 + _EVEN))

    def _measured(
        self, col: NDArray[np.float64], row: NDArray[np.float64], move: pyproj.Transformer
    ) -> NDArray[np.float64]:
        """Areas of pixels around places: how far points of the ellipsoid move with x and y."""
        grid, t = self._grid, self._grid.transform
        x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
        # Half a step of the differences: long against rounding, short against the curvature.
        step = max(grid.resolution) * max(0.5, max(grid.height, grid.width) / 2000)
        west, east, south, north = (
            self._point(*move.transform(x + dx, y + dy, radians=True))
            for dx, dy in ((-step, 0.0), (step, 0.0), (0.0, -step), (0.0, step))
        )
        by_unit = np.linalg.norm(np.cross(east - west, north - south), axis=-1)
        return np.asarray(by_unit / (4 * step * step) * abs(t.determinant))

    def _point(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…, 3) metres from the middle of the Earth."""
        with np.errstate(invalid="ignore"):  # infinite beyond the projection
            normal = self._axis / np.sqrt(1 - self._e2 * np.sin(lat) ** 2)
            flat, up = normal * np.cos(lat), normal * (1 - self._e2) * np.sin(lat)
            return np.stack([flat * np.cos(lon), flat * np.sin(lon), up], axis=-1)

    def _height(self, latitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area (m²) by radian of longitude from the equator to parallels."""
        sine = np.sin(latitude)
        if self._e2 == 0:
            return np.asarray(self._axis**2 * sine)
        e = math.sqrt(self._e2)
        q = sine / (1 - self._e2 * sine * sine) + np.arctanh(e * sine) / e
        return np.asarray(self._axis**2 * (1 - self._e2) / 2 * q)
