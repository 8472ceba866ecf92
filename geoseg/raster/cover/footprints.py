"""Where windows of a raster lie: in another raster's pixels, or as outlines on the ground."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as transform_points

from geoseg.errors import GridError
from geoseg.raster.grid import Grid, crs_text

# Points along a side of a window that is brought to another coordinate system, where sides bend.
_POINTS = 9
# By how many pixels corners may miss a pixel's corner and still be taken for it.
_TOLERANCE = 1e-2


def boxes_in(grid: Grid, windows: NDArray[np.int64], reference: Grid) -> NDArray[np.float64]:
    """Boxes around windows, in the pixels of another grid.

    Parameters
    ----------
    grid
        The grid of the windows.
    windows
        (N, 4): first row, first column, height, width.
    reference
        The other grid; with a coordinate system if `grid` has one, and without if not.

    Returns
    -------
    (N, 4): first row, first column, last row, last column (exclusive); whole numbers where the
    pixels of both grids coincide.

    Raises
    ------
    GridError
        The windows cannot be brought to the other grid's coordinate system.
    """
    same = grid.crs == reference.crs
    points = _points(windows, 2 if same else _POINTS)
    cols, rows = _apply(~reference.transform, *_in_crs(grid, points, reference.crs))
    box = np.stack([rows.min(1), cols.min(1), rows.max(1), cols.max(1)], axis=1)
    whole = np.round(box)
    return np.where(np.abs(box - whole) < _TOLERANCE, whole, box)


def outlines(grid: Grid, windows: NDArray[np.int64], crs: CRS | None) -> NDArray[np.float64]:
    """Outlines of windows as closed rings.

    Parameters
    ----------
    grid, windows
        As for `boxes_in`.
    crs
        Coordinate system of the outlines. With None, and a grid that has no place on Earth at all,
        rows run downwards from 0, which is where QGIS shows such a picture.

    Returns
    -------
    (N, points, 2): x, y.

    Raises
    ------
    GridError
        The windows cannot be brought to that coordinate system.
    """
    points = _points(windows, 2 if crs == grid.crs else _POINTS)
    if not grid.is_georeferenced:
        return np.stack([points[..., 0], -points[..., 1]], axis=-1)
    return np.stack(_in_crs(grid, points, crs), axis=-1)


def _points(windows: NDArray[np.int64], per_side: int) -> NDArray[np.float64]:
    """(N, points, 2): column, row of points around each window, the first once more at the end."""
    step = np.arange(per_side - 1) / (per_side - 1)
    zero, one = np.zeros_like(step), np.ones_like(step)
    along = np.concatenate([step, one, 1 - step, zero, [0.0]])
    down = np.concatenate([zero, step, one, 1 - step, [0.0]])
    w = windows.astype(np.float64)
    cols = w[:, 1:2] + along * w[:, 3:4]
    rows = w[:, 0:1] + down * w[:, 2:3]
    return np.stack([cols, rows], axis=-1)


def _apply(t: Affine, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


def _in_crs(
    grid: Grid, points: NDArray[np.float64], crs: CRS | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """x, y of pixel coordinates of a grid, in a coordinate system."""
    x, y = _apply(grid.transform, points[..., 0], points[..., 1])
    if crs == grid.crs:
        return x, y
    if crs is None or grid.crs is None:
        raise GridError("one raster has a coordinate system and another has none")
    try:
        xs, ys = transform_points(grid.crs, crs, x.ravel(), y.ravel())
    except (CPLE_BaseError, RasterioError) as error:  # rasterio lets GDAL's own pass here
        words = " ".join(str(error).split())
        raise GridError(
            f"{grid.describe()} cannot be brought to {crs_text(crs)}: {words}"
        ) from error
    x, y = np.reshape(xs, x.shape), np.reshape(ys, y.shape)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise GridError(f"{grid.describe()} reaches beyond where {crs_text(crs)} is defined")
    return x, y
