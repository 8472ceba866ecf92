"""What one grid's pixels hold on average of a finer raster, by area.

Exact: a pixel of the raster counts by the part of it that lies inside, so the grids need not be
multiples of each other, nor begin at the same place. Every pixel is computed by itself, so results
do not depend on windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.jit import compiled
from geoseg.raster.grid import Grid, crs_text
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_AT_ONCE = 1 << 21
"""Pixels of the raster read at once, 16 MiB of them in double precision."""
_SNAP = 1e-6
"""A border this near to one of the raster's, in its pixels, lies on it."""


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Where the pixels of a grid lie in those of another, neither turned against the other."""

    grid: Grid
    """Whose pixels are looked at."""
    source: Grid
    """In whose rows and columns."""

    def __post_init__(self) -> None:
        if self.grid.crs != self.source.crs:
            one, other = (
                "none" if g.crs is None else crs_text(g.crs) for g in (self.grid, self.source)
            )
            raise GridError(
                f"coordinate systems differ ({one}; {other}); bring one to the other's first "
                "(gdalwarp -t_srs)"
            )
        a, b, d, e = self._terms[:4]
        turned = abs(b) * self.grid.height + abs(d) * self.grid.width
        if turned > 0.01 * min(abs(a), abs(e)):
            raise GridError(
                "rows and columns of the two are turned against each other; bring one to the "
                "other's directions first (gdalwarp)"
            )

    @cached_property
    def _terms(self) -> tuple[float, float, float, float, float, float]:
        """a, b, d, e, c, f: column = a·col + b·row + c, row = d·col + e·row + f."""
        i, t = ~self.source.transform, self.grid.transform
        return (
            i.a * t.a + i.b * t.d,
            i.a * t.b + i.b * t.e,
            i.d * t.a + i.e * t.d,
            i.d * t.b + i.e * t.e,
            i.a * t.c + i.b * t.f + i.c,
            i.d * t.c + i.e * t.f + i.f,
        )

    @property
    def scale(self) -> tuple[float, float]:
        """Rows and columns of the source that a pixel is high and wide."""
        return abs(self._terms[3]), abs(self._terms[0])

    def rows(self, start: int, stop: int) -> tuple[Floats, Floats]:
        """(stop − start,) each: where rows begin and end, in rows of the source."""
        return _intervals(self._terms[3], self._terms[5], start, stop)

    def cols(self, start: int, stop: int) -> tuple[Floats, Floats]:
        """(stop − start,) each: where columns begin and end, in columns of the source."""
        return _intervals(self._terms[0], self._terms[4], start, stop)

    def covering(self) -> Window | None:
        """Return the part of the source whose pixels' centres lie in the grid; None for nothing."""
        low, high = self.rows(0, self.grid.height)
        first, last = self.cols(0, self.grid.width)
        row, row_stop = _centres(low.min(), high.max(), self.source.height)
        col, col_stop = _centres(first.min(), last.max(), self.source.width)
        if row >= row_stop or col >= col_stop:
            return None
        return Window(row, col, row_stop - row, col_stop - col)

    def means(self, raster: Scene, window: Window) -> tuple[Floats, Mask]:
        """Average a raster over the pixels of a window of the grid.

        Parameters
        ----------
        raster
            One band, on the source's grid.
        window
            Rows and columns of the grid.

        Returns
        -------
        means, valid
            (rows, cols) each. Valid is what lies wholly on valid readings; the rest is 0.

        Raises
        ------
        RasterReadError
            The raster cannot be read there.
        """
        means = np.zeros((window.height, window.width))
        valid = np.zeros(means.shape, bool)
        self._fill(raster, window, means, valid)
        return means, valid

    def _fill(self, raster: Scene, window: Window, means: Floats, valid: Mask) -> None:
        low, high = self.rows(window.row, window.row_stop)
        first, last = self.cols(window.col, window.col_stop)
        top, left = max(0, math.floor(low.min())), max(0, math.floor(first.min()))
        bottom = min(self.source.height, math.ceil(high.max()))
        right = min(self.source.width, math.ceil(last.max()))
        if top >= bottom or left >= right:
            return
        box = Window(top, left, bottom - top, right - left)
        if box.area > _MOST_AT_ONCE and window.area > 1:
            for part in _halves(window):
                at = part.slices(row_origin=window.row, col_origin=window.col)
                self._fill(raster, part, means[at], valid[at])
            return
        pixels = raster.read(box)
        _means(
            pixels.data[0].astype(np.float64),
            pixels.valid,
            (low - top, high - top),
            (first - left, last - left),
            means,
            valid,
        )


def _intervals(step: float, start: float, first: int, stop: int) -> tuple[Floats, Floats]:
    borders = step * np.arange(first, stop + 1) + start
    whole = np.rint(borders)
    borders = np.where(np.abs(borders - whole) < _SNAP, whole, borders)
    return np.minimum(borders[:-1], borders[1:]), np.maximum(borders[:-1], borders[1:])


def _centres(low: float, high: float, size: int) -> tuple[int, int]:
    """First and one after the last of those whose centres lie between."""
    return max(0, math.ceil(low - 0.5)), min(size, math.ceil(high - 0.5))


def _halves(window: Window) -> tuple[Window, Window]:
    if window.height >= window.width:
        half = window.height // 2
        return (
            Window(window.row, window.col, half, window.width),
            Window(window.row + half, window.col, window.height - half, window.width),
        )
    half = window.width // 2
    return (
        Window(window.row, window.col, window.height, half),
        Window(window.row, window.col + half, window.height, window.width - half),
    )


@compiled(
    "void(float64[:,::1], boolean[:,:], UniTuple(float64[::1], 2), UniTuple(float64[::1], 2),"
    " float64[:,:], boolean[:,:])"
)
def _means(
    data: NDArray[Any],
    there: Mask,
    rows: tuple[Floats, Floats],
    cols: tuple[Floats, Floats],
    means: Floats,
    valid: Mask,
) -> None:
    height, width = data.shape
    for i in range(means.shape[0]):
        low, high = rows[0][i], rows[1][i]
        if low < 0 or high > height:
            continue
        for j in range(means.shape[1]):
            first, last = cols[0][j], cols[1][j]
            if first < 0 or last > width:
                continue
            total, weights, good = 0.0, 0.0, True
            for r in range(math.floor(low), math.ceil(high)):
                down = min(high, r + 1.0) - max(low, float(r))
                for c in range(math.floor(first), math.ceil(last)):
                    if not there[r, c]:
                        good = False
                        continue
                    weight = down * (min(last, c + 1.0) - max(first, float(c)))
                    weights += weight
                    total += weight * data[r, c]
            if good and weights > 0:
                means[i, j] = total / weights
                valid[i, j] = True
