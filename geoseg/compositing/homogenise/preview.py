"""All images of a group in one picture of the size of a screen, before and after.

Pixels are picked while images are written, so nothing is read for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.raster.cover.footprints import boxes_in
from geoseg.raster.grid import Grid
from geoseg.raster.resampling.lookup import Lookup
from geoseg.raster.resampling.regrid import common_grid
from geoseg.raster.window import Window

__all__ = ["Sheet", "Thumb"]

_SIDE = 720
"""Pixels of the picture's longer side."""
_FEWEST = 128
"""Pixels of an image's longer side that are picked at least, if it has as many."""
_DRAWN = (2, 98)
"""Percentiles of an image that are drawn black and full."""


class Thumb:
    """Some pixels of an image, evenly spread.

    Parameters
    ----------
    grid
        The image's.
    step
        Rows and columns from one pixel to the next.
    bands
        Positions of the bands to show as red, green and blue.
    """

    def __init__(self, grid: Grid, step: int, bands: Sequence[int]) -> None:
        self.grid, self.bands = grid.coarsen(step), list(bands)
        # The middle one of each block; of a block that the border cuts, the last there is.
        self.rows = np.minimum(np.arange(self.grid.height) * step + step // 2, grid.height - 1)
        self.cols = np.minimum(np.arange(self.grid.width) * step + step // 2, grid.width - 1)
        shape = (2, 3, self.grid.height, self.grid.width)
        self.pixels = np.full(shape, np.nan)
        """Before and after, NaN where there is no reading."""

    def take(
        self, data: NDArray[Any], valid: NDArray[np.bool_], window: Window, *, after: bool
    ) -> None:
        """Pick pixels of a window; from any thread.

        Parameters
        ----------
        data
            (bands, rows, cols) readings of the window.
        valid
            (rows, cols).
        window
            Where they lie.
        after
            Whether they have their new colour.
        """
        top, bottom = np.searchsorted(self.rows, (window.row, window.row_stop))
        left, right = np.searchsorted(self.cols, (window.col, window.col_stop))
        at = np.ix_(self.rows[top:bottom] - window.row, self.cols[left:right] - window.col)
        for into, band in zip(self.pixels[int(after)], self.bands, strict=True):
            into[top:bottom, left:right] = np.where(valid[at], data[band][at], np.nan)


class Sheet:
    """The picture.

    Parameters
    ----------
    grids
        The images'. Where they have no common place they are laid side by side.
    bands
        Positions of the bands to show as red, green and blue.
    """

    def __init__(self, grids: Sequence[Grid], bands: Sequence[int]) -> None:
        self.bands = tuple(bands)
        self._canvas = _canvas(grids)
        if self._canvas is None:
            self._columns = math.ceil(math.sqrt(len(grids)))
            self._side = max(8, _SIDE // self._columns)
            steps = [math.ceil(max(g.height, g.width) / self._side) for g in grids]
            shape = (self._side * -(-len(grids) // self._columns), self._side * self._columns)
        else:
            canvas = self._canvas
            steps = [
                max(
                    1,
                    min(
                        int(min(Lookup(source=g, target=canvas).scale())),
                        max(g.height, g.width) // _FEWEST,
                    ),
                )
                for g in grids
            ]
            shape = (canvas.height, canvas.width)
        self._steps = steps
        self._ranges: list[NDArray[np.float64]] = []
        self.pixels = np.full((2, 3, *shape), np.nan)
        """(2, 3, rows, cols): before and after; NaN where there is nothing."""

    def thumb(self, number: int, grid: Grid) -> Thumb:
        """Return what picks the pixels of an image."""
        return Thumb(grid, self._steps[number], self.bands)

    def limits(self, *, after_alone: bool = False) -> NDArray[np.float64]:
        """Return the readings to draw black and full: one stretch for all images.

        In the middle between what each image needs, so that a few with clouds do not darken all.

        Parameters
        ----------
        after_alone
            Whether the images as they were do not count.

        Returns
        -------
        limits
            (3, 2) for red, green and blue, of the images laid so far; the second is above the
            first, also where readings never vary.
        """
        if not self._ranges:
            return np.tile([0.0, 1.0], (3, 1))
        ranges = np.array(self._ranges)[:, 1 if after_alone else 0 :]
        middle: NDArray[np.float64] = np.median(ranges.reshape(-1, 3, 2), axis=0)
        flat = ~(middle[:, 1] > middle[:, 0])
        middle[flat] = middle[flat, :1] + [-0.5, 0.5]
        return middle

    def lay(self, number: int, thumb: Thumb) -> None:
        """Lay an image under those that lie there already."""
        there = np.isfinite(thumb.pixels).all(axis=(0, 1))
        if there.any():
            # (before and after, bands, low and high)
            found = np.percentile(thumb.pixels[:, :, there], _DRAWN, axis=2)
            self._ranges.append(np.moveaxis(found, 0, -1))
        if self._canvas is None:
            row, col = (self._side * place for place in divmod(number, self._columns))
            height, width = thumb.grid.height, thumb.grid.width
            self.pixels[:, :, row : row + height, col : col + width] = thumb.pixels
            return
        whole = np.array([[0, 0, thumb.grid.height, thumb.grid.width]], np.int64)
        box = boxes_in(thumb.grid, whole, self._canvas)[0]
        top, left = math.floor(box[0]), math.floor(box[1])
        window = Window(top, left, math.ceil(box[2]) - top, math.ceil(box[3]) - left)
        window_inside = window.intersection(self._canvas.window)
        if window_inside is None:
            return
        lookup = Lookup(source=thumb.grid, target=self._canvas)
        for part in lookup.parts(window_inside):
            rows, cols, inside = lookup.pixels(part)
            into = self.pixels[(slice(None), slice(None), *part.slices())]
            found = thumb.pixels[:, :, rows, cols]
            free = inside & np.isnan(into).any(axis=(0, 1)) & ~np.isnan(found).any(axis=(0, 1))
            np.copyto(into, found, where=free)


def _canvas(grids: Sequence[Grid]) -> Grid | None:
    """Grid of the picture; None where the images have no common place."""
    if any(grid.crs is None for grid in grids):
        return None
    try:
        whole = common_grid(grids, extent="union")
    except GridError:
        return None
    return whole.coarsen(max(1, math.ceil(max(whole.height, whole.width) / _SIDE)))
