"""Windows of a composite, each read from every date and reduced by one thread.

Where the files' blocks are no larger than tiles of the composite, a thread makes whole tiles and
hands them on; otherwise rows are put together of several windows.

Memory depends on the width of the grid and on the window, whose size follows from the number of
dates and bands; nothing grows with the number of rows. What a pixel becomes depends on its own
readings alone, so the result depends neither on windows nor on threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.dates import Date, Reading
from geoseg.compositing.reduce import MOST_DATES, Reduction, reduce_dates
from geoseg.compositing.storage import Storage
from geoseg.raster.grid import Grid
from geoseg.raster.lookup import TILE
from geoseg.raster.region import Region
from geoseg.raster.window import Window
from geoseg.raster.writer import RasterWriter

_STACK_BYTES = 512 << 20
"""Readings held at once, over all threads."""
_MOST_PIXELS = 1 << 19
"""Of a window."""
_ROWS_BYTES = 256 << 20
"""Finished rows held at once."""


@dataclass
class _Rows:
    """Rows of the composite that are being filled."""

    values: NDArray[Any]
    """(bands, rows, width) as stored, the counts behind the bands if they belong there."""
    counts: NDArray[np.uint16]
    """(rows, width)."""


@dataclass
class Found:
    """What is counted on the way."""

    counts: NDArray[np.int64]
    clipped: int = 0


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
    _local: threading.local = field(default_factory=threading.local)

    @property
    def bands(self) -> int:
        """Number of bands, without the counts."""
        return len(self.dates[0].bands)

    def windows(self) -> Iterator[Window]:
        """Windows of the grid, row of windows by row of windows, each row from left to right."""
        grid = self.grid
        height, width = self._window_shape()
        for row in range(0, grid.height, height):
            for col in range(0, grid.width, width):
                yield Window(row, col, min(height, grid.height - row), min(width, grid.width - col))

    def _window_shape(self) -> tuple[int, int]:
        """Rows and columns of a window: whole blocks of the first date's files where they fit."""
        pixel = len(self.dates) * (self.bands * self.reading.dtype.itemsize + 1)
        most = max(256, min(_MOST_PIXELS, _STACK_BYTES // (self.workers * pixel)))
        scene = self.dates[0].scenes[0]
        rows, cols = (2 * TILE, 2 * TILE) if scene.is_warped else scene.block_shape
        rows, cols = min(rows, self.grid.height), min(cols, self.grid.width)
        if rows * cols > most:  # blocks are decoded more than once
            rows = cols = max(16, int(most**0.5) // 16 * 16)
        stored = (self.bands + 1) * 4 * self.grid.width
        tallest = max(1, min(512, _ROWS_BYTES // (stored * (self.workers + 1)), most // cols))
        height = max(1, tallest // rows) * rows
        wide = max(1, most // (height * cols)) * cols
        # No thread shall wait for another that does half of the grid.
        fair = -(-self.grid.width // (cols * self.workers)) * cols
        return height, min(wide, fair)

    def write(self, writers: Sequence[RasterWriter], progress: Callable[[int], None]) -> Found:
        """Make all windows in threads and write rows as they are complete.

        Parameters
        ----------
        writers
            The composite's and, where counts go to a file of their own, theirs; open.
        progress
            Called with numbers of finished pixels.
        """
        if self._makes_tiles(writers[0].blocksize):
            return self._write_tiles(writers, progress)
        return self._write_rows(writers, progress)

    def _makes_tiles(self, side: int) -> bool:
        scene = self.dates[0].scenes[0]
        return scene.is_warped or max(scene.block_shape) <= side

    def _tile_windows(self, side: int) -> Iterator[Window]:
        """Whole tiles of the composite, as many as make a window, row by row of tiles."""
        grid = self.grid
        across = max(1, self._window_shape()[1] // side) * side
        for row in range(0, grid.height, side):
            for col in range(0, grid.width, across):
                tile = Window(row, col, side, across).intersection(grid.window)
                if tile is not None:
                    yield tile

    def _write_tiles(
        self, writers: Sequence[RasterWriter], progress: Callable[[int], None]
    ) -> Found:
        found = Found(np.zeros(len(self.dates) + 1, np.int64))
        waiting: deque[tuple[Window, Future[tuple[NDArray[np.int64], int]]]] = deque()

        def take() -> None:
            window, made = waiting.popleft()
            counts, clipped = made.result()
            found.counts += counts
            found.clipped += clipped
            progress(window.area)

        with ThreadPoolExecutor(self.workers, "geoseg-composite") as pool:
            try:
                for tiles in self._tile_windows(writers[0].blocksize):
                    waiting.append((tiles, pool.submit(self._make_tiles, tiles, writers)))
                    if len(waiting) > 2 * self.workers:
                        take()
                while waiting:
                    take()
            finally:
                pool.shutdown(cancel_futures=True)
        return found

    def _make_tiles(
        self, tiles: Window, writers: Sequence[RasterWriter]
    ) -> tuple[NDArray[np.int64], int]:
        """Make whole tiles, window by window; return what `_make` does."""
        rows = self._room(tiles.height, tiles.width)
        numbers, clipped = np.zeros(len(self.dates) + 1, np.int64), 0
        height, width = self._window_shape()
        for row in range(tiles.row, tiles.row_stop, height):
            for col in range(tiles.col, tiles.col_stop, width):
                window = Window(row, col, height, width).intersection(tiles)
                if window is not None:
                    counted, cut = self._make(window, rows, tiles)
                    numbers += counted
                    clipped += cut
        writers[0].write_tiles(tiles.row, tiles.col, rows.values)
        if self.beside:
            writers[1].write_tiles(tiles.row, tiles.col, rows.counts[np.newaxis])
        return numbers, clipped

    def _room(self, height: int, width: int) -> _Rows:
        """Room for finished pixels, the same memory for all tiles of a thread."""
        bands = self.bands + (not self.beside)
        held = getattr(self._local, "rows", None)
        if held is None or held[1].size < height * width:
            held = self._local.rows = (
                np.empty(bands * height * width, self.storage.dtype),
                np.empty(height * width, np.uint16),
            )
        values, counts = held[0][: bands * height * width], held[1][: height * width]
        return _Rows(values.reshape(bands, height, width), counts.reshape(height, width))

    def _write_rows(
        self, writers: Sequence[RasterWriter], progress: Callable[[int], None]
    ) -> Found:
        found = Found(np.zeros(len(self.dates) + 1, np.int64))
        waiting: deque[tuple[Window, _Rows, Future[tuple[NDArray[np.int64], int]]]] = deque()
        rows = self._new_rows(0)
        with ThreadPoolExecutor(self.workers, "geoseg-composite") as pool:
            try:
                for window in self.windows():
                    if window.col == 0:
                        rows = self._new_rows(window.height)
                    whole = Window(window.row, 0, window.height, self.grid.width)
                    made = pool.submit(self._make, window, rows, whole)
                    waiting.append((window, rows, made))
                    if len(waiting) > self.workers:
                        self._take(*waiting.popleft(), found, writers, progress)
                while waiting:
                    self._take(*waiting.popleft(), found, writers, progress)
            finally:
                pool.shutdown(cancel_futures=True)
        return found

    def _new_rows(self, height: int) -> _Rows:
        bands = self.bands + (not self.beside)
        return _Rows(
            np.empty((bands, height, self.grid.width), self.storage.dtype),
            np.empty((height, self.grid.width), np.uint16),
        )

    def _take(
        self,
        window: Window,
        rows: _Rows,
        made: Future[tuple[NDArray[np.int64], int]],
        found: Found,
        writers: Sequence[RasterWriter],
        progress: Callable[[int], None],
    ) -> None:
        counts, clipped = made.result()
        found.counts += counts
        found.clipped += clipped
        if window.col_stop == self.grid.width:
            writers[0].write_rows(window.row, rows.values)
            if self.beside:
                writers[1].write_rows(window.row, rows.counts)
        progress(window.area)

    def _make(self, window: Window, rows: _Rows, whole: Window) -> tuple[NDArray[np.int64], int]:
        """Make a window of `whole`, which `rows` are for.

        Return pixels by number of clear dates, and how many values did not fit.
        """
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
        return numbers, clipped

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
