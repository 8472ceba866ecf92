"""Windows of a composite shared out among threads, or among the workers of a cluster, and written.

What is written first comes first in the raster: whole tiles row of tiles by row of tiles, or rows
from the top. So what is finished is told by a number, which an unfinished run keeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.compositing.making import Found, Making, Rows
from geoseg.errors import OutputError, RasterReadError
from geoseg.raster.cog.tilepacking import PackedTile, TilePacking
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.elsewhere import told_by_worker
from geoseg.raster.opening.handles import small_block_cache
from geoseg.raster.outputs.unfinished import Unfinished
from geoseg.raster.window import Window

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

_WINDOWS = 4
"""Of a cluster's item, for the threads of a worker."""
_WAITING_BYTES = 1 << 30
"""Finished windows of a cluster held at once."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """How far a run came."""

    pixels: int = 0
    """Finished pixels."""
    tiles: int = 0
    """Whole tiles, row of tiles by row of tiles; of a composite that is made of such."""
    rows: int = 0
    """Rows from the top; of one that is made of rows."""
    lists: tuple[int, ...] = ()
    """What `RasterWriter.flush` told of each output."""
    counts: tuple[int, ...] = ()
    """`Found.counts` of them."""
    clipped: int = 0
    """`Found.clipped` of them."""
    sums: tuple[tuple[int, ...], ...] = ()
    """What `RasterWriter.sums` told of each output."""
    made: bool = False
    """Whether all outputs were made, and some may have their names."""

    @classmethod
    def of(cls, unfinished: Unfinished | None) -> Done:
        """Return what was noted; nothing where nothing is kept."""
        if unfinished is None or not unfinished.noted:
            return cls()
        noted: dict[str, Any] = dict(unfinished.noted)
        with unfinished.legible():
            for name in ("lists", "counts"):
                noted[name] = tuple(noted[name])
            noted["sums"] = tuple(map(tuple, noted["sums"]))
            return cls(**noted)


class Writing:
    """Makes a composite's windows and writes them.

    Parameters
    ----------
    making
        What is made.
    writers
        The composite's and, where counts go to a file of their own, theirs; open.
    unfinished
        What an earlier run had finished, and where this one notes what it has; None to keep
        nothing.
    cluster
        Whose workers make the windows; None for threads of this process.
    progress
        Called with numbers of finished pixels.

    Attributes
    ----------
    taken_over
        Pixels that an earlier run had finished.
    """

    def __init__(
        self,
        making: Making,
        writers: Sequence[RasterWriter],
        *,
        unfinished: Unfinished | None,
        cluster: Cluster | None,
        progress: Callable[[int], None],
    ) -> None:
        self._making = making
        self._writers = writers
        self._unfinished = unfinished
        self._cluster = cluster
        self._progress = progress
        self._done = Done.of(unfinished)
        self.taken_over = self._done.pixels

    @property
    def found(self) -> Found:
        """What was counted in the finished pixels."""
        found, done = Found.none(len(self._making.dates)), self._done
        if done.counts:
            found.add(Found(np.array(done.counts, np.int64), done.clipped))
        return found

    def write(self) -> None:
        """Make and write all that is not there."""
        if self.taken_over:
            self._progress(self.taken_over)
        with ThreadPoolExecutor(self._making.workers, "geoseg-composite") as pool:
            try:
                if self._making.makes_tiles(self._writers[0].blocksize):
                    self._write_tiles(pool)
                else:
                    self._write_rows(pool)
            except BaseException:
                # Who interrupts a run, or frees a full disk, goes on from the last window.
                with suppress(OutputError):
                    self.note()
                raise
            finally:
                pool.shutdown(cancel_futures=True)

    def note(self, *, made: bool = False) -> None:
        """Note what is finished, where that is kept."""
        if self._unfinished is None:
            return

        def say() -> dict[str, Any]:
            done = self._done  # what is finished now is on the disk after this
            lists = tuple(writer.flush() for writer in self._writers)
            sums = tuple(writer.sums(done.rows) for writer in self._writers)
            return asdict(replace(done, lists=lists, sums=sums, made=made))

        self._unfinished.note_finished(say)

    def _finished(self, window: Window, found: Found, *, tiles: int = 0, rows: int = 0) -> None:
        """Count a window as finished, all that is told of it at once."""
        done, sums = self._done, self.found
        sums.add(found)
        self._done = replace(
            done,
            pixels=done.pixels + window.area,
            tiles=done.tiles + tiles,
            rows=done.rows + rows,
            counts=tuple(sums.counts.tolist()),
            clipped=sums.clipped,
        )
        if self._unfinished is not None and self._unfinished.due:
            self.note()
        self._progress(window.area)

    def _write_tiles(self, pool: ThreadPoolExecutor) -> None:
        side = self._writers[0].blocksize
        self._take_over_tiles(side)
        waiting: deque[tuple[Window, Future[Found]]] = deque()

        def take() -> None:
            tiles, job = waiting.popleft()
            found, number = job.result(), -(-tiles.height // side) * -(-tiles.width // side)
            self._finished(tiles, found, tiles=number)

        if self._cluster is None:
            for tiles in self._making.tile_windows(side, first=self._done.tiles):
                waiting.append((tiles, pool.submit(self._make_tiles, tiles)))
                if len(waiting) > 2 * self._making.workers:
                    take()
        else:
            whole = self._making.tile_windows(side, first=self._done.tiles, windows=_WINDOWS)
            packings = tuple(writer.packing for writer in self._writers)
            for made in self._made_elsewhere(self._cluster, list(whole), packings):
                waiting.append((made.window, pool.submit(self._put_packed, made)))
                if len(waiting) > self._making.workers:
                    take()
        while waiting:
            take()

    def _take_over_tiles(self, side: int) -> None:
        """Have the writers take over the tiles that are finished."""
        grid = self._making.grid
        whole, more = divmod(self._done.tiles, -(-grid.width // side))
        for part in (
            Window(0, 0, whole * side, grid.width),
            Window(whole * side, 0, side, more * side),
        ):
            tiles = part.intersection(grid.window) if part.area else None
            if tiles is not None:
                for writer in self._writers:
                    writer.take_tiles(tiles)

    def _make_tiles(self, tiles: Window) -> Found:
        rows, found = self._making.make_tiles(tiles)
        for writer, pixels in zip(self._writers, _of_writers(rows), strict=False):
            writer.write_tiles(tiles.row, tiles.col, pixels)
        return found

    def _put_packed(self, made: Made) -> Found:
        for writer, tiles in zip(self._writers, made.packed, strict=True):
            writer.write_packed(made.window, tiles)
        return made.found

    def _write_rows(self, pool: ThreadPoolExecutor) -> None:
        bands = self._making.bands_of_rows(self._done.rows)
        if self._cluster is not None:
            for made in self._made_elsewhere(self._cluster, list(bands)):
                self._take_rows(made)
            return
        waiting: deque[tuple[Made, list[Future[Found]]]] = deque()

        def take() -> None:
            made, jobs = waiting.popleft()
            for job in jobs:
                made.found.add(job.result())
            self._take_rows(made)

        for band in bands:
            rows = self._making.new_rows(band.height, band.width)
            made = Made(band, self._none(), rows)
            jobs = [
                pool.submit(self._making.make, window, rows, band)
                for window in self._making.parts(band)
            ]
            waiting.append((made, jobs))
            if sum(len(jobs) for _, jobs in list(waiting)[1:]) >= self._making.workers:
                take()
        while waiting:
            take()

    def _none(self) -> Found:
        return Found.none(len(self._making.dates))

    def _take_rows(self, made: Made) -> None:
        if made.rows is not None:
            for writer, pixels in zip(self._writers, _of_writers(made.rows), strict=False):
                writer.write_rows(made.window.row, pixels)
        self._finished(made.window, made.found, rows=made.window.height)

    def _made_elsewhere(
        self, cluster: Cluster, windows: Sequence[Window], packings: tuple[TilePacking, ...] = ()
    ) -> Iterator[Made]:
        """Have windows made by the workers of a cluster, and packed where that is told how."""
        if not windows:
            return iter(())
        pixel = (self._making.bands + 1) * np.dtype(self._making.storage.dtype).itemsize + 2
        at_once, most = cluster.at_once, _WAITING_BYTES // (windows[0].area * pixel)
        ahead = max(at_once + 1, min(2 * at_once, most))
        shared = Elsewhere(self._making, packings, self._writers[0].blocksize)
        return cluster.ordered(make_elsewhere, shared, windows, ahead=ahead)


def _of_writers(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (bands, rows, cols) for the composite, and for the counts if they have a file."""
    return rows.values, rows.counts[np.newaxis]


@dataclass(frozen=True)
class Elsewhere:
    """What is the same for all windows that workers make, sent once."""

    making: Making
    packings: tuple[TilePacking, ...]
    """How the tiles of each raster are packed; empty where rows are sent."""
    side: int
    """Rows and columns of a tile."""


@dataclass(frozen=True)
class Made:
    """A part of a composite."""

    window: Window
    found: Found
    """What was counted in it."""
    rows: Rows | None = None
    """Its pixels; None where they are packed."""
    packed: tuple[list[PackedTile], ...] = ()
    """Its tiles, row by row of tiles, for each raster."""


def make_elsewhere(shared: Elsewhere, window: Window) -> Made:
    """Make a part of a composite in a worker's process, by the threads that it has.

    Raises
    ------
    RasterReadError
        A file cannot be read there; the message names the worker.
    """
    from geoseg.cluster.worker import task_threads  # noqa: PLC0415 — imports dask

    making, threads = shared.making, task_threads()
    rows, found = making.new_rows(window.height, window.width), Found.none(len(making.dates))
    parts = list(making.parts(window, threads=threads))
    pool = making.own_pool(threads)
    try:
        with small_block_cache(making.cache_bytes(shared.side)):
            for some in pool.map(lambda part: making.make(part, rows, window), parts):
                found.add(some)
    except RasterReadError as error:
        raise told_by_worker(error) from None
    if not shared.packings:
        return Made(window, found, rows)
    side = shared.side
    tiles = [
        Window(row, col, side, side).intersection(window) or window
        for row in range(window.row, window.row_stop, side)
        for col in range(window.col, window.col_stop, side)
    ]

    def packed(packing: TilePacking, pixels: NDArray[Any]) -> list[PackedTile]:
        places = [tile.slices(row_origin=window.row, col_origin=window.col) for tile in tiles]
        return list(pool.map(lambda at: packing.pack(pixels[(slice(None), *at)]), places))

    of_each = zip(shared.packings, _of_writers(rows), strict=False)
    return Made(window, found, packed=tuple(packed(*one) for one in of_each))
