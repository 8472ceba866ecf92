"""Choosing one grid for scenes that lie on several.

Knows grids and map projections; reads no pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.env import Env
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as transform_points

from geoseg.errors import GridError, OptionError
from geoseg.raster.grid import Grid, crs_text
from geoseg.raster.resampling.lookup import Lookup

Extent = Literal["first", "union"]

_SNAP = 1e-3
"""A border this near to one of the lattice, in pixels, lies on it."""
_SIDE = np.linspace(0, 1, 33)
_LEAST = 1e-100
"""Smaller sides give areas that are no numbers; so do larger ones than its inverse."""
_MOST_PIXELS = 1 << 40
"""Of a grid; as bytes a terabyte a band."""


def common_grid(
    grids: Sequence[Grid],
    *,
    crs: str | None = None,
    resolution: float | None = None,
    extent: Extent = "first",
) -> Grid:
    """Return one grid for all, by that of the first.

    Without `crs` and `resolution` its pixels are the first grid's. With `resolution` alone they are
    square, rows run east and columns south, and the first grid's north-west corner stays. In
    another coordinate system they are square too, their borders lie at multiples of their size, and
    without `resolution` a pixel is as large on the ground as one in the middle of the first grid.

    Parameters
    ----------
    grids
        One at least.
    crs
        Coordinate system by code ("EPSG:32633") or as WKT; by default the first grid's.
    resolution
        Side of a pixel in units of the coordinate system.
    extent
        What to cover: the first grid, or all of them.

    Raises
    ------
    GridError
        A grid has no coordinate system where one is needed, or does not lie where the coordinate
        system is defined.
    OptionError
        The coordinate system is not known; or the resolution is not above 0, larger than what is
        to be covered, or so small that no file could hold the pixels.
    """
    first = grids[0]
    if resolution is not None and not (math.isfinite(resolution) and resolution > 0):
        raise OptionError(f"a resolution of {resolution:g} gives pixels no area; give one above 0")
    if resolution is not None and not _LEAST < resolution < 1 / _LEAST:
        raise OptionError(f"a resolution of {resolution:g} is beyond all measure; check it")
    system = first.crs if crs is None else parse_crs(crs)
    covered = [first] if extent == "first" else list(grids)
    if system != first.crs:
        side = _natural_side(first, system) if resolution is None else resolution
        lattice = _lattice(system, 0.0, 0.0, side)
    elif resolution is not None:
        west, _, _, north = first.bounds()
        lattice = _lattice(system, west, north, resolution)
    else:
        lattice = first
    outlines = [_outline(grid, lattice) for grid in covered]
    low = np.min([outline.min(axis=1) for outline in outlines], axis=0)
    high = np.max([outline.max(axis=1) for outline in outlines], axis=0)
    if resolution is not None:
        _check_resolution(resolution, system, *(high - low).tolist())
    row, col = (math.floor(value + _SNAP) for value in low)
    row_stop, col_stop = (math.ceil(value - _SNAP) for value in high)
    t = lattice.transform
    return Grid(
        crs=system,
        transform=Affine(
            t.a, t.b, t.a * col + t.b * row + t.c, t.d, t.e, t.d * col + t.e * row + t.f
        ),
        height=max(1, row_stop - row),
        width=max(1, col_stop - col),
    )


def _check_resolution(side: float, crs: CRS | None, height: float, width: float) -> None:
    """Refuse pixels larger than what they are to cover, and more of them than can be.

    Parameters
    ----------
    side
        Of a pixel, in units of the coordinate system.
    crs
        The coordinate system.
    height, width
        What is to be covered, in such pixels.

    Raises
    ------
    OptionError
        Either is so.
    """
    units = _units(crs)
    there = "the coordinate system" if crs is None else crs_text(crs)
    if max(height, width) < 1 - _SNAP:
        raise OptionError(
            f"a pixel of {side:g} {units} is larger than all that is to be covered "
            f"({width * side:.3g} × {height * side:.3g} {units}); give a resolution in units of "
            f"{there}"
        )
    if height * width > _MOST_PIXELS:
        raise OptionError(
            f"pixels of {side:g} {units} would be {width:.3g} × {height:.3g}, and there may be "
            f"{_MOST_PIXELS:.1e}; give a larger resolution, in units of {there}"
        )


def _units(crs: CRS | None) -> str:
    """Name the units of a coordinate system, several of them."""
    if crs is None:
        return "units"
    name: str = crs.units_factor[0] if crs.is_geographic else crs.linear_units
    known = {"metre": "metres", "meter": "metres", "degree": "degrees", "unknown": "units"}
    return known.get(name, name)


def parse_crs(text: str) -> CRS:
    """Return the coordinate system of a code ("EPSG:32633", "4326"), a name or WKT.

    Raises
    ------
    OptionError
        There is none of that name.
    """
    try:
        with Env():  # else GDAL writes its own line to the terminal, before ours
            return CRS.from_user_input(int(text) if text.isdecimal() else text)
    except (CRSError, CPLE_BaseError) as error:
        raise OptionError(
            f"coordinate system “{text}” is not known; give a code such as EPSG:32633"
        ) from error


def overlap(one: Grid, other: Grid) -> bool:
    """Tell whether two grids share ground. Where that cannot be known, they do."""
    if (one.crs is None) != (other.crs is None):
        return True
    return Lookup(source=one, target=other).overlaps()


def _lattice(crs: CRS | None, x: float, y: float, side: float) -> Grid:
    """Return square pixels with a corner at (x, y); of the first row and column one each."""
    return Grid(crs=crs, transform=Affine(side, 0.0, x, 0.0, -side, y), height=1, width=1)


def _outline(grid: Grid, lattice: Grid) -> NDArray[np.float64]:
    """(2, points): rows and columns of the lattice where a grid's border runs."""
    zero, one = np.zeros_like(_SIDE), np.ones_like(_SIDE)
    r = np.concatenate([zero, _SIDE, one, _SIDE]) * grid.height
    c = np.concatenate([_SIDE, one, _SIDE, zero]) * grid.width
    t = grid.transform
    x, y = _moved(grid, lattice.crs, t.a * c + t.b * r + t.c, t.d * c + t.e * r + t.f)
    i = ~lattice.transform
    return np.array([i.d * x + i.e * y + i.f, i.a * x + i.b * y + i.c])


def _natural_side(grid: Grid, crs: CRS | None) -> float:
    """Side of a square that has the area of the grid's middle pixel, in another system."""
    r = grid.height / 2 + np.array([0.0, 1.0, 0.0])
    c = grid.width / 2 + np.array([0.0, 0.0, 1.0])
    t = grid.transform
    x, y = _moved(grid, crs, t.a * c + t.b * r + t.c, t.d * c + t.e * r + t.f)
    area = abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]))
    return float(math.sqrt(area))


def _moved(
    grid: Grid, crs: CRS | None, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Transform places of a grid's coordinate system to another."""
    if grid.crs == crs:
        return x, y
    if grid.crs is None or crs is None:
        raise GridError(
            "of the scenes some have a coordinate system and some have none, so how they lie to "
            "each other is not known; give all one (gdal_edit -a_srs)"
        )
    try:
        xs, ys = (np.asarray(values) for values in transform_points(grid.crs, crs, x, y))
    except (CPLE_BaseError, RasterioError):
        xs = ys = np.array([np.nan])
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise GridError(
            f"a scene ({grid.describe()}) does not lie where {crs_text(crs)} is defined; choose "
            "another --crs"
        )
    return xs, ys
