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

from geoseg.compositing.making import Found, Making, Rows
from geoseg.errors import OutputError, RasterReadError
from geoseg.raster.handles import small_block_cache
from geoseg.raster.unfinished import Unfinished
from geoseg.raster.window import Window
from geoseg.raster.writer import RasterWriter

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

CACHE_BYTES = 128 << 20
"""Of GDAL's blocks, in each process."""
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
            return asdict(replace(done, lists=lists, made=made))

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
            for made in self._made_elsewhere(self._cluster, list(whole)):
                waiting.append((made.window, pool.submit(self._put_tiles, made)))
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
        self._put(tiles, rows)
        return found

    def _put_tiles(self, made: Made) -> Found:
        self._put(made.window, made.rows)
        return made.found

    def _put(self, tiles: Window, rows: Rows) -> None:
        self._writers[0].write_tiles(tiles.row, tiles.col, rows.values)
        if self._making.beside:
            self._writers[1].write_tiles(tiles.row, tiles.col, rows.counts[np.newaxis])

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
            made = Made(band, self._making.new_rows(band.height, band.width), self._none())
            jobs = [
                pool.submit(self._making.make, window, made.rows, band)
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
        self._writers[0].write_rows(made.window.row, made.rows.values)
        if self._making.beside:
            self._writers[1].write_rows(made.window.row, made.rows.counts)
        self._finished(made.window, made.found, rows=made.window.height)

    def _made_elsewhere(self, cluster: Cluster, windows: Sequence[Window]) -> Iterator[Made]:
        """Have windows made by the workers of a cluster."""
        if not windows:
            return iter(())
        pixel = (self._making.bands + 1) * np.dtype(self._making.storage.dtype).itemsize + 2
        at_once, most = cluster.at_once, _WAITING_BYTES // (windows[0].area * pixel)
        ahead = max(at_once + 1, min(2 * at_once, most))
        return cluster.ordered(make_elsewhere, self._making, windows, ahead=ahead)


@dataclass(frozen=True)
class Made:
    """A part of a composite."""

    window: Window
    rows: Rows
    """Its pixels."""
    found: Found
    """What was counted in it."""


def make_elsewhere(making: Making, window: Window) -> Made:
    """Make a part of a composite in a worker's process, by the threads that it has.

    Raises
    ------
    RasterReadError
        A file cannot be read there; the message names the worker.
    """
    from geoseg.cluster.worker import task_threads, worker_name  # noqa: PLC0415 — imports dask

    threads = task_threads()
    rows, found = making.new_rows(window.height, window.width), Found.none(len(making.dates))
    parts = list(making.parts(window, threads=threads))
    try:
        with small_block_cache(CACHE_BYTES):
            pool = making.own_pool(threads)
            for some in pool.map(lambda part: making.make(part, rows, window), parts):
                found.add(some)
    except RasterReadError as error:
        raise type(error)(f"{error} (so says the worker {worker_name()})") from None
    return Made(window, rows, found)
