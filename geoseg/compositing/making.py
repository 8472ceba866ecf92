"""Windows of a composite, each read from every date and reduced by one thread.

Where the files' blocks are no larger than tiles of the composite, a thread makes whole tiles;
otherwise rows are put together of several windows. `geoseg.compositing.writing` shares them out.

Memory depends on the width of the grid and on the window, whose size follows from the number of
dates and bands; nothing grows with the number of rows. What a pixel becomes depends on its own
readings alone, so the result depends neither on windows nor on threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.dates import Date, Reading
from geoseg.compositing.reduce import MOST_DATES, Reduction, reduce_dates
from geoseg.compositing.storage import Storage
from geoseg.raster.cover.region import Region
from geoseg.raster.grid import Grid
from geoseg.raster.resampling.lookup import TILE
from geoseg.raster.window import Window

_STACK_BYTES = 512 << 20
"""Readings held at once, over all threads."""
_MOST_PIXELS = 1 << 19
"""Of a window."""
_ROWS_BYTES = 256 << 20
"""Finished rows held at once."""
_CACHE_BYTES = 128 << 20
"""Of GDAL's blocks, in each process, where windows share some."""
_LEAST_CACHE_BYTES = 16 << 20
"""Where they do not."""


@dataclass
class Rows:
    """Rows of the composite that are being filled."""

    values: NDArray[Any]
    """(bands, rows, width) as stored, the counts behind the bands if they belong there."""
    counts: NDArray[np.uint16]
    """(rows, width)."""


@dataclass
class Found:
    """What is counted on the way."""

    counts: NDArray[np.int64]
    """(dates + 1,) pixels by number of clear dates."""
    clipped: int = 0
    """Values that did not fit the stored type."""

    @classmethod
    def none(cls, dates: int) -> Found:
        """Return what is found in no pixel."""
        return cls(np.zeros(dates + 1, np.int64))

    def add(self, other: Found) -> None:
        """Count what was found elsewhere too."""
        self.counts += other.counts
        self.clipped += other.clipped


@dataclass(frozen=True, kw_only=True)
class Making:
    """A composite that is being made."""

    dates: Sequence[Date]
    grid: Grid
    area: Region | None
    """Where to work, on a grid of which this one is a part."""
    area_origin: tuple[int, int]
    """Row and column there of this grid's first pixel."""
    reduction: Reduction
    reading: Reading
    storage: Storage
    beside: bool
    """Whether counts go to a file of their own."""
    workers: int
    _local: threading.local = field(default_factory=threading.local, init=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave behind what threads keep; what other processes read, they open themselves."""
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.init}
        return _made_again, (given,)

    @property
    def bands(self) -> int:
        """Number of bands, without the counts."""
        return len(self.dates[0].bands)

    def bands_of_rows(self, first: int = 0) -> Iterator[Window]:
        """Rows of windows of the grid from a row on, as wide as the grid."""
        grid, row = self.grid, first
        height = self._window_shape()[0]
        while row < grid.height:
            stop = min(grid.height, (row // height + 1) * height)
            yield Window(row, 0, stop - row, grid.width)
            row = stop

    def _window_shape(self) -> tuple[int, int]:
        """Rows and columns of a window: whole blocks of the first date's files where they fit."""
        pixel = len(self.dates) * (self.bands * self.reading.dtype.itemsize + 1)
        most = max(256, min(_MOST_PIXELS, _STACK_BYTES // (self.workers * pixel)))
        rows, cols = self._block_shape()
        if rows * cols > most:  # blocks are decoded more than once
            rows = cols = max(16, int(most**0.5) // 16 * 16)
        stored = (self.bands + 1) * 4 * self.grid.width
        tallest = max(1, min(512, _ROWS_BYTES // (stored * (self.workers + 1)), most // cols))
        height = max(1, tallest // rows) * rows
        wide = max(1, most // (height * cols)) * cols
        # No thread shall wait for another that does half of the grid.
        fair = -(-self.grid.width // (cols * self.workers)) * cols
        return height, min(wide, fair)

    def _block_shape(self) -> tuple[int, int]:
        """Rows and columns that are best read at once."""
        scene = self.dates[0].scenes[0]
        rows, cols = (2 * TILE, 2 * TILE) if scene.is_warped else scene.block_shape
        return min(rows, self.grid.height), min(cols, self.grid.width)

    def makes_tiles(self, side: int) -> bool:
        """Tell whether whole tiles of this size are made, and not rows of windows."""
        scene = self.dates[0].scenes[0]
        return scene.is_warped or max(scene.block_shape) <= side

    def cache_bytes(self, side: int) -> int:
        """Tell what GDAL is to keep of decoded blocks, where tiles are of this size.

        Little, if no two tiles need the same block: the rest would be held for nothing.
        """
        scenes = [scene for date in self.dates for scene in date.read_scenes]
        shared = any(date.rule.reach for date in self.dates) or any(
            scene.is_warped
            or scene.block_origin != (0, 0)
            or side % scene.block_shape[0]
            or side % scene.block_shape[1]
            or len(scene.paths) < len(scene.bands)  # all bands of a block are decoded at once
            for scene in scenes
        )
        if shared:
            return _CACHE_BYTES
        largest = max(math.prod(scene.block_shape) * scene.dtype.itemsize for scene in scenes)
        return min(_CACHE_BYTES, max(_LEAST_CACHE_BYTES, 4 * self.workers * largest))

    def tile_windows(self, side: int, *, first: int = 0, windows: int = 1) -> Iterator[Window]:
        """Whole tiles of the composite, as many as make some windows, row by row of tiles.

        Parameters
        ----------
        side
            Rows and columns of a tile.
        first
            How many tiles to leave out, in this order.
        windows
            How many.
        """
        grid = self.grid
        across = max(1, self._window_shape()[1] // side) * windows * side
        in_a_row = -(-grid.width // side)
        for row in range(first // in_a_row * side, grid.height, side):
            begin = first % in_a_row * side if row == first // in_a_row * side else 0
            for col in range(begin, grid.width, across):
                tile = Window(row, col, side, across).intersection(grid.window)
                if tile is not None:
                    yield tile

    def make_tiles(self, tiles: Window) -> tuple[Rows, Found]:
        """Make whole tiles, window by window; the rows are overwritten by the thread's next."""
        rows = self._room(tiles.height, tiles.width)
        found = Found.none(len(self.dates))
        for window in self.parts(tiles):
            found.add(self.make(window, rows, tiles))
        return rows, found

    def parts(self, whole: Window, *, threads: int = 1) -> Iterator[Window]:
        """Cut what is made at once to windows, or to a few for each of several threads."""
        height, width = self._window_shape()
        if threads > 1:
            rows, cols = self._block_shape()
            if whole.width >= cols * threads:
                width = min(width, -(-whole.width // (cols * threads)) * cols)
            else:
                height = min(height, -(-whole.height // (rows * threads)) * rows)
        for row in range(whole.row, whole.row_stop, height):
            for col in range(whole.col, whole.col_stop, width):
                window = Window(row, col, height, width).intersection(whole)
                if window is not None:
                    yield window

    def own_pool(self, threads: int) -> ThreadPoolExecutor:
        """Threads of the thread that asks, for as long as it lives: each keeps its files open."""
        pool: ThreadPoolExecutor | None = getattr(self._local, "pool", None)
        if pool is None:
            pool = self._local.pool = ThreadPoolExecutor(threads, "geoseg-composite")
        return pool

    def _room(self, height: int, width: int) -> Rows:
        """Room for finished pixels, the same memory for all tiles of a thread."""
        bands = self.bands + (not self.beside)
        held = getattr(self._local, "rows", None)
        if held is None or held[1].size < height * width:
            held = self._local.rows = (
                np.empty(bands * height * width, self.storage.dtype),
                np.empty(height * width, np.uint16),
            )
        values, counts = held[0][: bands * height * width], held[1][: height * width]
        return Rows(values.reshape(bands, height, width), counts.reshape(height, width))

    def new_rows(self, height: int, width: int) -> Rows:
        """Room for rows of the composite."""
        bands = self.bands + (not self.beside)
        return Rows(
            np.empty((bands, height, width), self.storage.dtype),
            np.empty((height, width), np.uint16),
        )

    def make(self, window: Window, rows: Rows, whole: Window) -> Found:
        """Make a window of `whole`, which `rows` are for."""
        shape = (self.bands, window.height, window.width)
        at = window.slices(row_origin=whole.row, col_origin=whole.col)
        area = None if self.area is None else self.area.mask(self._in_area(window))
        numbers = np.zeros(len(self.dates) + 1, np.int64)
        stored, told = rows.values[: self.bands, *at], rows.counts[at]
        straight = self.storage.dtype == "float32" and window == whole
        values, counts = self._reduced(shape, window, area, stored if straight else None, told)
        clipped = 0 if straight else self.storage.store(values, stored)
        if not self.beside:
            rows.values[-1, *at] = np.minimum(counts, self._most_counted)
        inside = counts.ravel() if area is None else counts[area]
        numbers += np.bincount(inside, minlength=len(numbers))
        return Found(numbers, clipped)

    def _in_area(self, window: Window) -> Window:
        row, col = self.area_origin
        return Window(window.row + row, window.col + col, window.height, window.width)

    @property
    def _most_counted(self) -> int:
        return 32767 if self.storage.dtype == "int16" else MOST_DATES

    def _reduced(
        self,
        shape: tuple[int, int, int],
        window: Window,
        area: NDArray[np.bool_] | None,
        out: NDArray[np.float32] | None,
        told: NDArray[np.uint16],
    ) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """Read and reduce a window: values, to `out` if it is given, and counts, to `told`."""
        if out is None:
            out = np.empty(shape, np.float32)
        data, valid = self._stack(shape)
        used = 0
        if area is None or area.any():
            for date in self.dates:
                clear = date.read(window, area, self.reading, data[used])
                if clear is not None:
                    valid[used] = clear
                    used += 1
        if not used:
            out[...] = np.nan
            told[...] = 0
            return out, told
        # Dates without a clear pixel here take no part, which is as if all of theirs were invalid.
        _, counts = reduce_dates(
            data[:used],
            valid[:used],
            self.reduction,
            scales=self.reading.scales,
            offsets=self.reading.offsets,
            out=out,
            counts=told if told.flags.c_contiguous else None,
        )
        told[...] = counts
        return out, told

    def _stack(self, shape: tuple[int, int, int]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Room for the dates of a window, the same memory for all windows of a thread."""
        dates = len(self.dates)
        bands, height, width = shape
        values, pixels = dates * bands * height * width, dates * height * width
        held = getattr(self._local, "held", None)
        if held is None or held[0].size < values or held[1].size < pixels:
            held = self._local.held = np.empty(values, self.reading.dtype), np.empty(pixels, bool)
        data, valid = held
        return (
            data[:values].reshape(dates, bands, height, width),
            valid[:pixels].reshape(dates, height, width),
        )


def _made_again(given: dict[str, Any]) -> Making:
    return Making(**given)
