"""Which pixel of one grid the centres of another grid's pixels lie in, to the pixel.

Knows grids and map projections; reads no pixels.

Between two coordinate systems an exact transformation of every pixel is slow, so positions are
interpolated between nodes 64 pixels apart, the error is measured where it is largest, and every
pixel that lies nearer to a border between source pixels than several times that error is
transformed exactly. The result is that of transforming each pixel. It does not depend on the window
asked for: nodes and the batches in which points are transformed (the transformation may choose its
operation by batch) belong to tiles fixed on the target grid.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import RasterioError
from rasterio.warp import transform as transform_points

from geoseg.errors import OptionError
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]

RESAMPLINGS = ("nearest", "bilinear", "cubic")

TILE = 256
"""Rows and columns of the target for which positions are computed together."""
_CELL = 64
_SAFETY = 4.0
_MOST_ERROR = 0.2
_MOST_SHIFT = 0.01
"""Source pixels by which `Lookup.positions` may miss."""
TIE = 1e-6
"""A centre this near to a border, in source pixels, lies on it and belongs to the pixel after it.
Grids offset by half a pixel would otherwise be decided by rounding, pixel by pixel."""

_KEPT_TILES = 16
"""That a thread remembers, 1 MiB each."""


@dataclass(frozen=True)
class Lookup:
    """From pixels of `target` to those of `source`."""

    source: Grid
    target: Grid
    resampling: str = "nearest"
    """What becomes of the positions: one of `RESAMPLINGS`; see `interpolate`."""

    def __post_init__(self) -> None:
        if self.resampling not in RESAMPLINGS:
            raise OptionError(
                f"resampling “{self.resampling}” is not known; there are: {', '.join(RESAMPLINGS)}"
            )

    def dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the type of what is made of pixels of a type: between pixels lie no integers."""
        return dtype if self.resampling == "nearest" else np.result_type(dtype, np.float32)

    @cached_property
    def _systems(self) -> tuple[str, str] | None:
        """Coordinate systems of target and source as text; None where they are one."""
        one, other = self.target.crs, self.source.crs
        if one == other or one is None or other is None:
            return None
        return one.to_wkt(version=WktVersion.WKT2_2019), other.to_wkt(version=WktVersion.WKT2_2019)

    def parts(self, window: Window) -> Iterator[Window]:
        """Cut a window along the borders of the tiles."""
        for top in range(window.row // TILE * TILE, window.row_stop, TILE):
            for left in range(window.col // TILE * TILE, window.col_stop, TILE):
                part = Window(top, left, TILE, TILE).intersection(window)
                if part is not None:
                    yield part

    def pixels(self, part: Window) -> tuple[Integers, Integers, NDArray[np.bool_]]:
        """Look up a part of a tile.

        Returns
        -------
        rows, cols, inside
            (rows, cols) each: row and column in the source of the pixel in which the centre lies,
            and whether there is one. Where there is none, row and column are 0.
        """
        shape = (part.height, part.width)
        if self._systems is None:
            r = np.arange(part.row, part.row_stop)[:, None] + 0.5
            c = np.arange(part.col, part.col_stop)[None, :] + 0.5
            row, col = self._affine(*self._places(r, c))
            row, col = np.broadcast_to(row, shape), np.broadcast_to(col, shape)
        else:
            row, col = self._in_tile(part, _MOST_ERROR)
        row, col = row + TIE, col + TIE
        with np.errstate(invalid="ignore"):  # NaN, where a place has no coordinates in the source
            inside = (
                (row >= 0) & (col >= 0) & (row < self.source.height) & (col < self.source.width)
            )
        if inside.all():
            return row.astype(np.int64), col.astype(np.int64), inside
        return (
            np.where(inside, row, 0).astype(np.int64),
            np.where(inside, col, 0).astype(np.int64),
            inside,
        )

    def positions(self, part: Window) -> tuple[Floats, Floats]:
        """Return where the centres of a part of a tile lie in the source.

        Returns
        -------
        rows, cols
            (rows, cols) each, float64: pixel coordinates of the source, in which a pixel's own
            centre is at one half. Between coordinate systems exact to a hundredth of a pixel, and
            on the right side of every border between pixels. NaN for a place that has none.
        """
        if self._systems is not None:
            return self._in_tile(part, _MOST_SHIFT)
        r = np.arange(part.row, part.row_stop)[:, None] + 0.5
        c = np.arange(part.col, part.col_stop)[None, :] + 0.5
        row, col = self._affine(*self._places(r, c))
        shape = (part.height, part.width)
        return np.broadcast_to(row, shape), np.broadcast_to(col, shape)

    def _in_tile(self, part: Window, most_error: float) -> tuple[Floats, Floats]:
        """Positions of a part of a tile, of those that were found for the whole tile."""
        tile = Window(part.row // TILE * TILE, part.col // TILE * TILE, TILE, TILE)
        whole = tile.intersection(self.target.window)
        if whole is None or not whole.contains(part):
            raise ValueError(f"{part} is no part of a tile of the target")
        row, col = self._kept(whole, most_error)
        at = part.slices(row_origin=whole.row, col_origin=whole.col)
        return row[at], col[at]

    def scale(self) -> tuple[float, float]:
        """Return how many source pixels a row and a column of the target are, at its centre."""
        r, c = self.target.height / 2, self.target.width / 2
        row, col = self._exact(np.array([r, r + 1, r]), np.array([c, c, c + 1]))
        down, across = np.hypot(row[1:] - row[0], col[1:] - col[0])
        if not (np.isfinite(down) and np.isfinite(across)):
            return 1.0, 1.0
        return float(down), float(across)

    def overlaps(self) -> bool:
        """Tell whether the grids share any ground."""
        return self._meets() or Lookup(self.target, self.source)._meets()

    def _meets(self) -> bool:
        """Tell whether the target's outline crosses the source or its centre lies in it."""
        h, w = self.target.height, self.target.width
        t = np.linspace(0, 1, 65)
        zero, one = np.zeros_like(t), np.ones_like(t)
        r = np.concatenate([zero, t, one, t[::-1], [0.5]]) * h
        c = np.concatenate([t, one, t[::-1], zero, [0.5]]) * w
        row, col = self._exact(r, c)
        size = (self.source.height, self.source.width)
        if 0 < row[-1] < size[0] and 0 < col[-1] < size[1]:
            return True
        # Cut each segment of the outline to the source's rows and columns; something must be left
        # of it.
        start, stop = np.zeros(len(row) - 2), np.ones(len(row) - 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            for values, length in ((row[:-1], size[0]), (col[:-1], size[1])):
                a, step = values[:-1], np.diff(values)
                border = 1e-3  # touching is not overlapping
                ends = (border - a) / step, (length - border - a) / step
                level = step == 0
                within = (a > border) & (a < length - border)
                low = np.where(level, np.where(within, 0, np.inf), np.minimum(*ends))
                high = np.where(level, np.where(within, 1, -np.inf), np.maximum(*ends))
                start, stop = np.maximum(start, low), np.minimum(stop, high)
            return bool((start < stop).any())

    def _places(self, r: Floats, c: Floats) -> tuple[Floats, Floats]:
        """(x, y) of pixel coordinates of the target, in its own coordinate system."""
        t = self.target.transform
        return t.a * c + t.b * r + t.c, t.d * c + t.e * r + t.f

    def _affine(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """(row, col) in the source of places in its coordinate system."""
        i = ~self.source.transform
        return i.d * x + i.e * y + i.f, i.a * x + i.b * y + i.c

    def _exact(self, r: Floats, c: Floats) -> tuple[Floats, Floats]:
        """(row, col) in the source of pixel coordinates (1-D) of the target; NaN for none."""
        x, y = self._places(r, c)
        if self._systems is not None:
            x, y = _reproject(_system(self._systems[0]), _system(self._systems[1]), x, y)
        return self._affine(x, y)

    def _kept(self, tile: Window, most_error: float) -> tuple[Floats, Floats]:
        """Return what `_interpolated` does, as this thread found it a moment ago if it did.

        Scenes on one grid are brought to another one after the other, window by window.
        """
        known: OrderedDict[object, tuple[Floats, Floats]] = _tiles_of_thread.__dict__.setdefault(
            "known", OrderedDict()
        )
        ends = [(g.transform, g.height, g.width) for g in (self.source, self.target)]
        key = (*ends, self._systems, tile, most_error)
        found = known.pop(key, None)
        known[key] = self._interpolated(tile, most_error) if found is None else found
        if len(known) > _KEPT_TILES:
            known.popitem(last=False)
        return known[key]

    def _interpolated(self, tile: Window, most_error: float) -> tuple[Floats, Floats]:
        """(row, col) in the source of a tile's pixels, exact where that decides the pixel."""
        down, across = -(-tile.height // _CELL), -(-tile.width // _CELL)
        # Nodes of the cells are at even places of this lattice, the middles of edges and of cells
        # between.
        r, c = np.meshgrid(
            tile.row + np.arange(2 * down + 1) * (_CELL / 2),
            tile.col + np.arange(2 * across + 1) * (_CELL / 2),
            indexing="ij",
        )
        found = self._exact(r.ravel(), c.ravel())
        doubtful = np.zeros((tile.height, tile.width), bool)
        result = []
        for values in (found[0].reshape(r.shape), found[1].reshape(r.shape)):
            error = _worst(values)
            pixels = _bilinear(values[::2, ::2], tile)
            near = np.where(error <= most_error, _SAFETY * error + 10 * TIE, np.inf)
            near = np.repeat(np.repeat(near, _CELL, axis=0), _CELL, axis=1)
            doubtful |= ~(np.abs(pixels - np.rint(pixels)) > near[: tile.height, : tile.width])
            result.append(pixels)
        if not np.isfinite(found[0]).any():
            return result[0], result[1]
        rows, cols = np.nonzero(doubtful)
        result[0][rows, cols], result[1][rows, cols] = self._exact(
            tile.row + rows + 0.5, tile.col + cols + 0.5
        )
        return result[0], result[1]


def _worst(values: Floats) -> Floats:
    """Error of bilinear interpolation in each cell, where it is largest; NaN where not known."""
    nodes = values[::2, ::2]
    rows = np.abs((nodes[:-1] + nodes[1:]) / 2 - values[1::2, ::2])
    cols = np.abs((nodes[:, :-1] + nodes[:, 1:]) / 2 - values[::2, 1::2])
    middle = (nodes[:-1, :-1] + nodes[:-1, 1:] + nodes[1:, :-1] + nodes[1:, 1:]) / 4
    edges = np.maximum(np.maximum(rows[:, :-1], rows[:, 1:]), np.maximum(cols[:-1], cols[1:]))
    worst: Floats = np.maximum(edges, np.abs(middle - values[1::2, 1::2]))
    return worst


def _bilinear(nodes: Floats, tile: Window) -> Floats:
    """Values at the centres of a tile's pixels between nodes at multiples of the cell."""
    i, r = np.divmod(np.arange(tile.height) + 0.5, _CELL)
    j, c = np.divmod(np.arange(tile.width) + 0.5, _CELL)
    i, j, r, c = i.astype(np.int64), j.astype(np.int64), r[:, None] / _CELL, c[None, :] / _CELL
    along = nodes[:, j] * (1 - c) + nodes[:, j + 1] * c
    result: Floats = along[i] * (1 - r) + along[i + 1] * r
    return result


_systems_of_thread = threading.local()
_tiles_of_thread = threading.local()


def _system(wkt: str) -> CRS:
    # PROJ's objects may not be used by several threads at once, so each thread has its own.
    known: dict[str, CRS] = _systems_of_thread.__dict__
    if wkt not in known:
        known[wkt] = CRS.from_wkt(wkt)
    return known[wkt]


def _reproject(source: CRS, target: CRS, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Transform places; NaN for those that cannot be."""
    try:
        xs, ys = transform_points(source, target, x, y)
    except (
        CPLE_BaseError,
        RasterioError,
    ):  # one bad point spoils the call: halve until it is found
        if len(x) == 1:
            return np.array([np.nan]), np.array([np.nan])
        half = len(x) // 2
        first = _reproject(source, target, x[:half], y[:half])
        second = _reproject(source, target, x[half:], y[half:])
        return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])
    result = np.array([xs, ys])
    result[:, ~np.isfinite(result).all(axis=0)] = np.nan
    return result[0], result[1]
