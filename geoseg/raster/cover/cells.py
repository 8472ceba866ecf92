"""Cells: a coarse grid along the axes of a raster, and how pixels are shared out among them.

Cells and pixels are rectangles of the same axes, so the share of a pixel in a cell is the product
of two shares, one along the rows and one down the columns. Knows no files.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geoseg.errors import GridError, OptionError
from geoseg.raster.grid import Grid, crs_text

_SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([a-zA-Z°]*)\s*")
_METRES = {"m": 1.0, "km": 1000.0, "ft": 0.3048}
_DEGREES = ("deg", "degree", "degrees", "°")
_UNITS = ("", "px", "deg", *_METRES)
_LARGEST = 1e9
"""Sides beyond this are slips; places on such cells would be lost in rounding."""
_FINE = 2.0**30
"""Places are rounded to this part of a pixel: below the rounding of coordinates nothing is known,
and borders that should meet do."""
_MOST_CELLS = 1 << 33
_SMALLEST = 1 / 64


@dataclass(frozen=True, kw_only=True)
class CellSize:
    """Side of a cell as a person gives it."""

    value: float
    """Number of units."""
    unit: str
    """"px", "m", "km", "ft", "deg", or "" for the units of the coordinate system."""

    def __str__(self) -> str:
        return f"{self.value:g}{self.unit}"

    @classmethod
    def parse(cls, text: str) -> CellSize:
        """Read "300m", "0.01deg", "10px" or "300".

        Raises
        ------
        OptionError
            It is none of these.
        """
        found = _SIZE.fullmatch(text)
        unit = found[2].lower() if found else ""
        unit = "deg" if unit in _DEGREES else unit
        if not found or not 0 < float(found[1]) < _LARGEST or unit not in _UNITS:
            raise OptionError(
                f"a cell of {text!r} has no size: write 300m, 1km, 0.01deg or 10px (or a number of"
                " units of the raster's coordinate system)"
            )
        return cls(value=float(found[1]), unit=unit)


def cell_grid(grid: Grid, size: CellSize, *, name: str) -> Grid:
    """Grid of square cells that covers a raster.

    Parameters
    ----------
    grid
        The raster's.
    size
        Cells in pixels begin at the raster's first corner and keep its directions; all others have
        their borders at multiples of their size from the origin of the coordinate system, north up,
        so that cells of neighbouring rasters are the same.
    name
        What errors call the raster.

    Raises
    ------
    GridError
        The raster has no such unit, or is rotated and the cells are not in pixels.
    OptionError
        The cells would be far smaller than pixels, or too many.
    """
    if size.unit == "px":
        t, n = grid.transform, size.value
        found = Grid(
            crs=grid.crs,
            transform=Affine(t.a * n, t.b * n, t.c, t.d * n, t.e * n, t.f),
            height=math.ceil(grid.height / n - 1e-9),
            width=math.ceil(grid.width / n - 1e-9),
        )
    else:
        _along_axes(grid, name, "give the cell in pixels (10px)")
        side = _in_units(grid, size, name)
        xmin, ymin, xmax, ymax = grid.bounds()
        # A border of the raster that is one of the cells but for rounding shall be it.
        give = 1e-6 * min(grid.resolution) / side
        west, south = math.floor(xmin / side + give), math.floor(ymin / side + give)
        east, north = math.ceil(xmax / side - give), math.ceil(ymax / side - give)
        found = Grid(
            crs=grid.crs,
            transform=Affine(side, 0, west * side, 0, -side, north * side),
            height=max(1, north - south),
            width=max(1, east - west),
        )
    _check_size(grid, found, str(size))
    return found


def check_like(grid: Grid, like: Grid, *, name: str, like_name: str) -> None:
    """Refuse a grid of cells whose axes are not the raster's.

    Raises
    ------
    GridError
        Another coordinate system, a rotation, or no overlap.
    OptionError
        Its cells are far smaller than pixels.
    """
    if grid.crs != like.crs:
        systems = ["none" if g.crs is None else crs_text(g.crs) for g in (grid, like)]
        raise GridError(
            f"{like_name} has another coordinate system ({systems[1]}) than {name} ({systems[0]}):"
            " give a raster in the same, or the cells as polygons (--zones)"
        )
    _along_axes(grid, name, "give the cells in pixels (--cell 10px) or as polygons (--zones)")
    _along_axes(like, like_name, "give its cells as polygons (--zones)")
    a, b = grid.bounds(), like.bounds()
    if min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1]):
        raise GridError(f"{like_name} ({like.describe()}) does not overlap {name}")
    _check_size(grid, like, like_name)


def _along_axes(grid: Grid, name: str, advice: str) -> None:
    if grid.transform.b != 0 or grid.transform.d != 0:
        raise GridError(f"{name} is rotated, so cells cut its pixels aslant: {advice}")


def _in_units(grid: Grid, size: CellSize, name: str) -> float:
    """Side of a cell in units of the coordinate system."""
    if size.unit == "":
        return size.value
    geographic = grid.crs is not None and grid.crs.is_geographic
    if grid.crs is None or geographic != (size.unit == "deg"):
        has = "degrees" if geographic else "metres"
        system = "no coordinate system" if grid.crs is None else f"coordinates in {has}"
        example = "0.01deg" if geographic else "300m"
        advice = "10px" if grid.crs is None else f"{example} or 10px"
        raise GridError(f"{name} has {system}, so a cell of {size} has no size: give {advice}")
    if geographic:
        return size.value
    return float(size.value * _METRES[size.unit] / grid.crs.linear_units_factor[1])


def _check_size(grid: Grid, cells: Grid, what: str) -> None:
    if min(c / p for c, p in zip(cells.resolution, grid.resolution, strict=True)) < _SMALLEST:
        x, y = grid.resolution
        raise OptionError(f"cells of {what} are far smaller than the pixels ({x:g} × {y:g})")
    if cells.height * cells.width > _MOST_CELLS:
        raise OptionError(
            f"cells of {what} would be {cells.width} × {cells.height}; choose larger ones"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """How the pixels along one axis fall into cells; pieces in the order of pixels."""

    pixels: NDArray[np.int64]
    """(pieces,) row or column of pixels."""
    cells: NDArray[np.int64]
    """(pieces,) row or column of cells."""
    lengths: NDArray[np.float64]
    """(pieces,) share of the pixel that lies in the cell, over 0 to 1."""
    cell_lengths: NDArray[np.float64]
    """(cells,) length of each whole cell in pixels, its borders rounded as those of pieces are."""


def pieces(grid: Grid, cells: Grid) -> tuple[Pieces, Pieces]:
    """Lay the axes of cells on those of pixels; both grids have the same directions but for sign.

    Returns
    -------
    Pieces down the rows, and along the columns. Pixels outside all cells have none.
    """
    i, t = ~grid.transform, cells.transform
    first_col, first_row = i.a * t.c + i.b * t.f + i.c, i.d * t.c + i.e * t.f + i.f
    down = _pieces(i.d * t.b + i.e * t.e, first_row, cells.height, grid.height)
    along = _pieces(i.a * t.a + i.b * t.d, first_col, cells.width, grid.width)
    return down, along


def _pieces(length: float, start: float, count: int, size: int) -> Pieces:
    """Cut `size` pixels at the borders of `count` cells."""
    borders = np.rint((start + length * np.arange(count + 1)) * _FINE) / _FINE
    order = 1 if length > 0 else -1
    low, high = borders[[0, -1][::order]]
    cuts = np.unique(np.concatenate([borders, np.arange(size + 1)]))
    cuts = cuts[(cuts >= max(0.0, low)) & (cuts <= min(float(size), high))]
    middle = (cuts[1:] + cuts[:-1]) / 2
    cell = np.searchsorted(borders[::order], middle, side="right") - 1
    return Pieces(
        pixels=np.floor(middle).astype(np.int64),
        cells=(cell if order > 0 else count - 1 - cell).astype(np.int64),
        lengths=np.diff(cuts),
        cell_lengths=np.abs(np.diff(borders)),
    )
