"""Where pixels lie: coordinate system, affine transform and size as one value.

Pixel coordinates are (column, row) with (0, 0) the outer corner of the first pixel, as in GDAL.
Transforms may be rotated or south-up; nothing here assumes north at the top.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import GridError
from geoseg.raster.window import Window

# WGS 84: semi-major axis in metres and first eccentricity squared.
_WGS84_A = 6378137.0
_WGS84_E2 = 0.0066943799901413165

_SURE = 90
"""From this confidence on (percent, GDAL's) a CRS is taken for that of a code."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A raster's place on Earth and its size."""

    crs: CRS | None
    """Coordinate reference system; None where the raster has none (a photograph, say)."""
    transform: Affine
    """From (column, row) to (x, y) in the units of `crs`."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise GridError(f"a grid of {self.height} rows × {self.width} columns has no pixels")
        if not all(map(math.isfinite, self.transform)) or self.transform.determinant == 0:
            raise GridError(f"the transform {tuple(self.transform)[:6]} gives pixels no area")

    @classmethod
    def of(cls, dataset: Any) -> Grid:
        """Grid of an open rasterio data set (or WarpedVRT)."""
        crs = dataset.crs
        return cls(
            crs=crs if crs else None,
            transform=dataset.transform,
            height=dataset.height,
            width=dataset.width,
        )

    @property
    def window(self) -> Window:
        """The whole grid as a window."""
        return Window(0, 0, self.height, self.width)

    @property
    def is_georeferenced(self) -> bool:
        """Whether pixels have a place: a coordinate system, or a transform other than identity."""
        return self.crs is not None or self.transform != Affine.identity()

    @property
    def is_north_up(self) -> bool:
        """Whether rows run west to east and columns north to south, without rotation."""
        t = self.transform
        return bool(t.b == 0 and t.d == 0 and t.a > 0 and t.e < 0)

    @property
    def resolution(self) -> tuple[float, float]:
        """Length of a pixel along a row and along a column, in units of the CRS; both positive."""
        t = self.transform
        return math.hypot(t.a, t.d), math.hypot(t.b, t.e)

    def crop(self, window: Window) -> Grid:
        """Grid of a window (which may reach outside)."""
        t, row, col = self.transform, window.row, window.col
        return Grid(
            crs=self.crs,
            transform=Affine(
                t.a, t.b, t.a * col + t.b * row + t.c, t.d, t.e, t.d * col + t.e * row + t.f
            ),
            height=window.height,
            width=window.width,
        )

    def corners(self, window: Window | None = None) -> list[tuple[float, float]]:
        """Return (x, y) of a window's outer corners: first, along the first row, across, back."""
        w = window or self.window
        pixel = ((w.col, w.row), (w.col_stop, w.row), (w.col_stop, w.row_stop), (w.col, w.row_stop))
        t = self.transform
        return [(t.a * c + t.b * r + t.c, t.d * c + t.e * r + t.f) for c, r in pixel]

    def bounds(self, window: Window | None = None) -> tuple[float, float, float, float]:
        """(xmin, ymin, xmax, ymax) around a window, by default the whole grid."""
        xs, ys = zip(*self.corners(window), strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def offset_in(self, other: Grid, *, tolerance: float = 1e-3) -> tuple[int, int] | None:
        """Row and column in `other` of this grid's first pixel, where the pixels of both coincide.

        Parameters
        ----------
        other
            The grid to find this one in.
        tolerance
            By how many pixels corners may disagree.

        Returns
        -------
        (row, col), which may be negative or beyond `other`; None where coordinate systems, pixel
        sizes or alignment differ.
        """
        if self.crs != other.crs:
            return None
        inverse = ~other.transform
        first, along, across, back = (
            (inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f)
            for x, y in self.corners()
        )
        col, row = round(first[0]), round(first[1])
        expected = (
            (col, row),
            (col + self.width, row),
            (col + self.width, row + self.height),
            (col, row + self.height),
        )
        for found, wanted in zip((first, along, across, back), expected, strict=True):
            if max(abs(found[0] - wanted[0]), abs(found[1] - wanted[1])) > tolerance:
                return None
        return row, col

    def same_pixels(self, other: Grid, *, tolerance: float = 1e-3) -> bool:
        """Tell whether both grids have the same pixels, corners within `tolerance` pixels."""
        return (self.height, self.width) == (other.height, other.width) and self.offset_in(
            other, tolerance=tolerance
        ) == (0, 0)

    def coarsen(self, factor: int) -> Grid:
        """Return the grid of pixels `factor` times as long and wide.

        Its last row and column may reach beyond this grid.
        """
        t = self.transform
        return Grid(
            crs=self.crs,
            transform=Affine(t.a * factor, t.b * factor, t.c, t.d * factor, t.e * factor, t.f),
            height=-(-self.height // factor),
            width=-(-self.width // factor),
        )

    def pixel_area_m2(self) -> float:
        """Area of a pixel in square metres.

        On a projected grid this is the area in the projection's plane; on a geographic one, the
        area on the WGS 84 ellipsoid at the grid's middle latitude.

        Raises
        ------
        GridError
            The grid has no coordinate system, so a pixel has no area on Earth.
        """
        if self.crs is None:
            raise GridError(
                "the raster has no coordinate system, so its pixels have no area on Earth: give"
                " areas in pixels (50px)"
            )
        area = abs(float(self.transform.determinant))
        if not self.crs.is_geographic:
            metres = float(self.crs.linear_units_factor[1])
            return float(area * metres * metres)
        _, south, _, north = self.bounds()
        latitude = math.radians((south + north) / 2)
        w2 = 1 - _WGS84_E2 * math.sin(latitude) ** 2
        meridian = _WGS84_A * (1 - _WGS84_E2) / w2**1.5
        parallel = _WGS84_A * math.cos(latitude) / math.sqrt(w2)
        return float(area * math.radians(1) ** 2 * meridian * parallel)

    def ground(self) -> str:
        """Say in words where it lies: "500000 to 500600, 5599400 to 5600000 (EPSG:32633)"."""
        xmin, ymin, xmax, ymax = (f"{value:.7g}" for value in self.bounds())
        return f"{xmin} to {xmax}, {ymin} to {ymax}" + (
            "" if self.crs is None else f" ({crs_text(self.crs)})"
        )

    def describe(self) -> str:
        """One line for people: size, pixel, coordinate system."""
        x, y = self.resolution
        crs = "no coordinate system" if self.crs is None else crs_text(self.crs)
        return f"{self.width} × {self.height} px of {x:g} × {y:g}, {crs}"


def crs_code(crs: CRS) -> str | None:
    """Return authority and code ("EPSG:32612") if the CRS surely is that one.

    GDAL also offers codes of systems that merely resemble it; those are no answer.
    """
    found = crs.to_authority(confidence_threshold=_SURE)
    return None if found is None else ":".join(found)


def crs_name(crs: CRS) -> str | None:
    """Name that a CRS gives itself."""
    found = re.match(r'\w+\["([^"]*)"', crs.to_wkt())
    return found[1] if found and found[1] else None


def crs_text(crs: CRS) -> str:
    """Return what to call a CRS in a sentence: its code, else its name."""
    return crs_code(crs) or crs_name(crs) or "an unnamed coordinate system"
