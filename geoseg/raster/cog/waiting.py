"""Rows that wait on disk, uncompressed, for the tiles that they are parts of.

Knows the layout of the file and where a pixel's place is in it; knows not which rows are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.cog.head import Layout
from geoseg.raster.cog.spool import Spool
from geoseg.raster.sums import RowSums
from geoseg.raster.window import Window

__all__ = ["WaitingRows", "nodata_bits"]

_LOOK_BYTES = 16 << 20
"""Bytes of rows that are looked at together."""


def nodata_bits(nodata: float | None, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return the bits of nodata as a whole number; None where there is none, or no pixel is it."""
    if nodata is None:
        return None
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        if not (limits.min <= nodata <= limits.max and float(nodata).is_integer()):
            return None
    return np.full((), nodata, dtype).view(f"u{dtype.itemsize}")


class WaitingRows:
    """Rows of all bands in a file; from any thread.

    What is stored is the difference of each pixel's bits from those of nodata, so that nodata is 0:
    where there is nothing else, nothing is written, and a hole in the file takes no room.

    Parameters
    ----------
    path
        The file.
    layout
        What raster they are of.
    again
        Whether the file is there and its rows are taken over; otherwise one that is there goes.

    Raises
    ------
    OSError
        By every method: what the system reported.
    """

    def __init__(self, path: Path, layout: Layout, *, again: bool) -> None:
        self._layout = layout
        self._again = again
        bits = nodata_bits(layout.nodata, layout.dtype)
        self._key = np.zeros((), f"u{layout.dtype.itemsize}") if bits is None else bits
        if not again:
            path.unlink(missing_ok=True)
        self._spool = Spool(path, layout.total_bytes, again=again)
        self._sums: RowSums | None = None
        self.flush = self._spool.flush
        self.close = self._spool.close

    def write(self, row: int, data: NDArray[Any]) -> None:
        """Write (bands, rows, width) from a row on."""
        for tile, rows in self._tiles(row, row + data.shape[1]):
            part = data[:, rows.start - row : rows.stop - row, tile.col : tile.col_stop]
            for band, pixels in enumerate(part):
                place = self._layout.offset(tile, band, rows.start)
                stored = self._turned(np.ascontiguousarray(pixels))
                if self._again or stored.any():
                    self._spool.write_at(place, stored.data)
        if self._sums is not None:
            self._sums.add(row, data)

    def sum_up(self, rows: int, wanted: Sequence[int] | None) -> None:
        """Keep sums of the rows from now on, having looked at those that are taken over.

        Parameters
        ----------
        rows
            How many those are, from the first.
        wanted
            What `sums` said of them; None where it was not asked.

        Raises
        ------
        DamagedError
            They are others.
        """
        layout, width = self._layout, self._layout.grid.width
        sums = RowSums(len(layout.band_names))
        step = max(1, _LOOK_BYTES // max(1, layout.row_bytes))
        for row in range(0, rows, step):
            part = np.empty((len(layout.band_names), min(step, rows - row), width), layout.dtype)
            self.read(row, part)
            sums.add(row, part)
        if wanted is not None:
            sums.check(rows, wanted, self._spool.path.name)
        self._sums = sums

    def sums(self, rows: int) -> tuple[int, ...] | None:
        """Return the sum of each band of the first rows; None where it is not known."""
        return None if self._sums is None else self._sums.of(rows)

    def read(self, row: int, out: NDArray[Any]) -> None:
        """Read (bands, rows, width) from a row on, into an array of the raster's type."""
        for tile, some in self._tiles(row, row + out.shape[1]):
            part = np.empty((len(some), tile.width), self._layout.dtype)
            at = (slice(some.start - row, some.stop - row), slice(tile.col, tile.col_stop))
            for band in range(len(out)):
                self._spool.read_at(self._layout.offset(tile, band, some.start), part.data)
                out[band, *at] = self._turned(part).view(part.dtype)

    def read_tile(self, tile_row: int, tile_col: int) -> NDArray[Any]:
        """Read the pixels of a tile, (bands, rows, cols)."""
        tile = self._layout.tile(tile_row, tile_col)
        shape = (len(self._layout.band_names), tile.height, tile.width)
        pixels = np.empty(shape, self._layout.dtype)
        self._spool.read_at(self._layout.offset(tile, 0, tile.row), pixels.data)
        return self._turned(pixels).view(pixels.dtype)

    def _turned(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Turn pixels into what is stored, or back; contiguous, as whole numbers."""
        turned: NDArray[Any] = np.bitwise_xor(pixels.view(self._key.dtype), self._key)
        return turned

    def _tiles(self, first: int, stop: int) -> Iterator[tuple[Window, range]]:
        """Tiles that share rows `first` to `stop` with the raster, and which rows those are."""
        side = self._layout.blocksize
        for tile_row in range(first // side, -(-stop // side) if first < stop else 0):
            for tile_col in range(-(-self._layout.grid.width // side)):
                tile = self._layout.tile(tile_row, tile_col)
                yield tile, range(max(first, tile.row), min(stop, tile.row_stop))
