"""Reading scenes from top to bottom by several threads, each block of the files decoded once.

The cut is planned by `geoseg.raster.cut`; here it is read, ahead of the consumer.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError, OptionError
from geoseg.raster.cut import RECTANGLE_PIXELS, Cut, borders, plan_cut
from geoseg.raster.opening.handles import CACHE_BYTES, is_far, small_block_cache
from geoseg.raster.pieces import Mask
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.window import Window

Convert = Callable[[list[Pixels], Window], tuple[tuple[NDArray[Any], ...], Mask]]

_FAR_AHEAD = 3
"""Strips of a scene on a server that are read ahead, at least."""
_FAR_PIXELS = 1 << 20
"""Pixels of a rectangle of such a scene, at least, where the blocks leave a choice."""
BIG_BLOCK_BYTES = 32 << 20
"""A block as wide as the file and larger than this is decoded by one thread, and kept."""


@dataclass
class Strip:
    """Some rows of the scenes, from one side of the window to the other."""

    row: int
    """First row, in the scenes' grid."""
    height: int
    """Number of rows."""
    arrays: tuple[NDArray[Any], ...]
    """What `convert` made; the last two axes are rows and columns."""
    valid: Mask
    """(rows, cols), True where there is a reading."""


def read_strips(
    scenes: Sequence[Scene],
    *,
    window: Window | None = None,
    target_rows: int = 256,
    workers: int = 4,
    convert: Convert | None = None,
    prefetch: int = 1,
) -> Generator[Strip, None, None]:
    """Read scenes of one size in strips of rows, from top to bottom.

    Strips follow the blocks of the scene with the most bytes a pixel, and worker threads read and
    convert them in rectangles of whole blocks. So each block of that scene is decoded once; of the
    others, blocks that lie across the border of two strips or rectangles are decoded for each.
    While the consumer works with a strip, the next ones are read. Closing the generator, or leaving
    it to an exception, stops the threads.

    A file whose block is the whole image (a TIFF in "one strip", a JPEG) cannot be read in parts.
    If it is small it makes one strip. Otherwise a single thread decodes it once and hands out rows
    of it: GDAL then holds the decoded image, once, for as long as the file is read, which is in the
    nature of such a file; store it in tiles to avoid that.

    Parameters
    ----------
    scenes
        Scenes of the same height and width: a scene and the labels on its grid, say.
    window
        Part to read, by default all. Strips keep to the blocks of the file, so the first may be
        lower.
    target_rows
        Height of a strip to aim at. Strips are the multiple of the block's height nearest to it.
    workers
        Threads that read and convert.
    convert
        Called by the workers for each rectangle with the pixels of each scene and the rectangle's
        window. It returns arrays whose last two axes are the rectangle's rows and columns, and what
        is valid (rows, cols). By default the data of each scene, (bands, rows, cols), and what is
        valid in the first.
    prefetch
        Strips that are read ahead. At most ``prefetch + 1`` exist at once, the consumer's included;
        with 2, no thread waits for the last rectangle of a strip, which is some 10 % faster where
        reading is all there is. Of scenes on a server at least 3.

    Yields
    ------
    Strip
        Strips that together cover the window.

    Raises
    ------
    RasterReadError
        A file cannot be read; raised where its rows would come.
    GridError
        The scenes' sizes differ, or the window lies outside.
    OptionError
        There are no scenes, or a number makes no sense.
    """
    if not scenes:
        raise OptionError("there is no scene to read")
    if min(workers, target_rows) < 1 or prefetch < 0:
        raise OptionError("workers and rows of a strip must be at least 1, prefetch at least 0")
    first = scenes[0]
    for scene in scenes[1:]:
        if (scene.grid.height, scene.grid.width) != (first.grid.height, first.grid.width):
            raise GridError(
                f"{scene.paths[0]}: {scene.grid.describe()} does not lie on {first.paths[0]} "
                f"({first.grid.describe()})"
            )
    window = window or first.grid.window
    if min(window.height, window.width) < 1 or not first.grid.window.contains(window):
        raise GridError(f"{first.name}: {window} does not lie in {first.grid.describe()}")
    return _Reader(tuple(scenes), window, target_rows, workers, convert, prefetch).run()


def _pixel_bytes(scene: Scene) -> int:
    return len(scene.bands) * scene.dtype.itemsize


def _is_one_big_block(scene: Scene) -> bool:
    rows, cols = scene.block_shape
    return (
        cols >= scene.grid.width
        and rows > 1
        and rows * cols * _pixel_bytes(scene) > BIG_BLOCK_BYTES
    )


class _StoppedError(Exception):
    """The consumer has gone; never leaves this module."""


@dataclass
class _Job:
    """A strip that is being read."""

    window: Window
    arrays: tuple[NDArray[Any], ...]
    valid: Mask
    ready: dict[int, tuple[Pixels, list[Future[None]]]] = field(default_factory=dict)
    """Scenes that are read by whole rows, and when that is done."""
    tasks: list[Future[None]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class _Reader:
    """One run of `read_strips`."""

    scenes: tuple[Scene, ...]
    window: Window
    target_rows: int
    workers: int
    convert: Convert | None
    prefetch: int

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self.in_order = [s.in_order or _is_one_big_block(s) for s in self.scenes]
        # Far away, waiting is what takes time: fewer and wider reads, and more of them at once.
        far = any(is_far(path) for scene in self.scenes for path in scene.paths)
        self.threads = 2 * self.workers if far else self.workers
        self.sharing = 1 if far else self.workers
        self.rectangle_pixels = _FAR_PIXELS if far else RECTANGLE_PIXELS
        self.prefetch = max(self.prefetch, _FAR_AHEAD) if far else self.prefetch
        self.cut = self._plan()
        self.by_rows = [
            k
            for k, scene in enumerate(self.scenes)
            if self.in_order[k]
            or scene.block_shape[1] > self.cut.rectangle_cols
            or scene.block_shape[0] > self.cut.rectangle_rows
        ]

    def _plan(self) -> Cut:
        free = [s for s, in_order in zip(self.scenes, self.in_order, strict=True) if not in_order]
        shape, origin = (1, self.window.width), (0, self.window.col)
        if free:
            lead = max(free, key=lambda scene: (not scene.is_warped, _pixel_bytes(scene)))
            shape, origin = lead.block_shape, lead.block_origin
        return plan_cut(
            self.window,
            block_shape=shape,
            block_origin=origin,
            target_rows=self.target_rows,
            workers=self.sharing,
            rectangle_pixels=self.rectangle_pixels,
        )

    def _cache_bytes(self) -> int:
        kept = [
            2 * s.block_shape[0] * s.block_shape[1] * _pixel_bytes(s)
            for s, in_order in zip(self.scenes, self.in_order, strict=True)
            if in_order
        ]
        return CACHE_BYTES + sum(kept)

    def run(self) -> Generator[Strip, None, None]:
        pending: deque[_Job] = deque()
        windows = self.cut.strips()
        with (
            small_block_cache(self._cache_bytes()),
            ThreadPoolExecutor(self.threads, "geoseg-read") as pool,
            ThreadPoolExecutor(1, "geoseg-read-in-order") as single,
        ):
            try:
                self._start(pool, single, windows, pending, 1)
                while pending:
                    job = pending.popleft()
                    for task in job.tasks:
                        task.result()
                    strip = Strip(job.window.row, job.window.height, job.arrays, job.valid)
                    del job
                    self._start(pool, single, windows, pending, self.prefetch)
                    yield strip
                    del strip
                    self._start(pool, single, windows, pending, 1)
            finally:
                self.stop.set()
                single.shutdown(wait=True, cancel_futures=True)
                pool.shutdown(wait=True, cancel_futures=True)

    def _start(
        self,
        pool: Executor,
        single: Executor,
        windows: Iterator[Window],
        pending: deque[_Job],
        count: int,
    ) -> None:
        """Begin to read strips until `count` are under way."""
        while len(pending) < count and (window := next(windows, None)) is not None:
            pending.append(self._begin(pool, single, window))

    def _begin(self, pool: Executor, single: Executor, window: Window) -> _Job:
        shape = (window.height, window.width)
        data = {
            k: np.empty((len(scene.bands), *shape), scene.dtype)
            for k, scene in enumerate(self.scenes)
            if self.convert is None or k in self.by_rows
        }
        arrays = tuple(data[k] for k in data) if self.convert is None else ()
        job = _Job(window, arrays, np.empty(shape, bool))
        # Tasks for rectangles wait for those for whole rows. These come first in the queue, so
        # whenever a task waits, what it waits for is under way.
        for k in self.by_rows:
            pixels = Pixels(data[k], np.empty(shape, bool))
            executor, parts = (
                (single, [window]) if self.in_order[k] else (pool, self._rows(k, window))
            )
            reads = [executor.submit(self._read_rows, k, p, window, pixels) for p in parts]
            job.ready[k] = (pixels, reads)
        for part in self.cut.rectangles(window):
            job.tasks.append(pool.submit(self._read, job, part))
        return job

    def _rows(self, k: int, window: Window) -> list[Window]:
        """Cut a strip into rows of blocks of one scene, a part for each worker."""
        rows = self.scenes[k].block_shape[0]
        step = rows * max(1, round(window.height / (self.sharing * rows)))
        cuts = borders(window.row, window.row_stop, step, self.scenes[k].block_origin[0])
        return [
            Window(top, window.col, bottom - top, window.width) for top, bottom in pairwise(cuts)
        ]

    def _read_rows(self, k: int, part: Window, whole: Window, into: Pixels) -> None:
        if self.stop.is_set():
            raise _StoppedError
        at = part.slices(row_origin=whole.row, col_origin=whole.col)
        read = self.scenes[k].read(part, out=into.data[:, at[0], at[1]])
        into.valid[at] = read.valid

    def _read(self, job: _Job, part: Window) -> None:
        """Read and convert one rectangle."""
        if self.stop.is_set():
            raise _StoppedError
        at = part.slices(row_origin=job.window.row, col_origin=job.window.col)
        pixels = []
        for k, scene in enumerate(self.scenes):
            if k in job.ready:
                rows, reads = job.ready[k]
                for read in reads:
                    read.result()
                pixels.append(Pixels(rows.data[:, at[0], at[1]], rows.valid[at]))
            elif self.convert is None:
                pixels.append(scene.read(part, out=job.arrays[k][:, at[0], at[1]]))
            else:
                pixels.append(scene.read(part))
        if self.convert is None:
            job.valid[at] = pixels[0].valid
            return
        arrays, valid = self.convert(pixels, part)
        with job.lock:
            if not job.arrays:
                shape = (job.window.height, job.window.width)
                job.arrays = tuple(np.empty((*a.shape[:-2], *shape), a.dtype) for a in arrays)
        for target, array in zip(job.arrays, arrays, strict=True):
            target[..., at[0], at[1]] = array
        job.valid[at] = valid
