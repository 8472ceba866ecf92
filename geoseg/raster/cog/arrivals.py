"""Which pixels of a raster have been written: by rows, or by tiles.

Knows numbers of rows and tiles; knows neither pixels nor files. Safe from any thread.
"""

from __future__ import annotations

import threading

import numpy as np

from geoseg.raster.window import Window

__all__ = ["Arrivals"]


class Arrivals:
    """What has been taken in hand, and what is there.

    Parameters
    ----------
    height, width
        Of the raster.
    side
        Rows and columns of a tile.
    """

    def __init__(self, height: int, width: int, side: int) -> None:
        self._height, self._width = height, width
        self._side = side
        # Rows that somebody writes or wrote, and those that can be read back.
        self._taken = np.zeros(height, np.bool_)
        self._arrived = np.zeros(height, np.bool_)
        # Tiles that somebody writes or wrote as such.
        self._tiled = np.zeros((-(-height // side), -(-width // side)), np.bool_)
        self._lock = threading.Lock()

    def take_rows(self, first: int, stop: int) -> None:
        """Take rows in hand.

        Raises
        ------
        ValueError
            Some have been taken before.
        """
        with self._lock:
            if self._taken[first:stop].any():
                raise ValueError(f"some of the rows {first} to {stop} were written before")
            self._taken[first:stop] = True

    def rows_arrived(self, first: int, stop: int) -> list[int]:
        """Note that rows are there; return which rows of tiles are whole with them."""
        side = self._side
        if first == stop:
            return []
        with self._lock:
            self._arrived[first:stop] = True
            return [
                tile_row
                for tile_row in range(first // side, -(-stop // side))
                if self._arrived[tile_row * side : (tile_row + 1) * side].all()
            ]

    def take_tiles(self, pixels: Window) -> list[tuple[int, int]]:
        """Take tiles in hand; return the row and column of each.

        Raises
        ------
        ValueError
            It is not made of tiles, or some have been taken before, or rows of them have.
        """
        side, height, width = self._side, self._height, self._width
        if (
            not Window(0, 0, height, width).contains(pixels)
            or pixels.row % side
            or pixels.col % side
            or (pixels.row_stop % side and pixels.row_stop != height)
            or (pixels.col_stop % side and pixels.col_stop != width)
        ):
            raise ValueError(f"{pixels} is not made of tiles")
        rows = range(pixels.row // side, -(-pixels.row_stop // side))
        cols = range(pixels.col // side, -(-pixels.col_stop // side))
        with self._lock:
            for row in rows:
                by_rows = self._taken[row * side : (row + 1) * side]
                if self._tiled[row, cols.start : cols.stop].any() or (
                    by_rows.any() and not self._tiled[row].any()
                ):
                    raise ValueError(f"some of the tiles of {pixels} were written before")
            self._tiled[rows.start : rows.stop, cols.start : cols.stop] = True
            self._taken[pixels.row : pixels.row_stop] = True
        return [(row, col) for row in rows for col in cols]

    def absent(self, first: int, stop: int) -> int:
        """Count rows that cannot be read back."""
        with self._lock:
            return stop - first - int(np.count_nonzero(self._arrived[first:stop]))

    def missing(self) -> int:
        """Count rows that are not there, neither as such nor in tiles."""
        with self._lock:
            whole = np.repeat(self._tiled.all(axis=1), self._side)[: self._height]
            return self._height - int(np.count_nonzero(self._arrived | whole))
