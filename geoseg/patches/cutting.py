"""Cutting one scene: rows of pixels come in from above, whole patches go out.

Each block of the scene is decoded once. Rows are kept until no patch below needs them, so memory
depends on the width of the scene and the size of a patch alone. For every row of patches, threads
first count what is in each patch; then each is kept or dropped, in order; then threads cut, measure
and store the kept.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.patches import kernels
from geoseg.patches.dataset import UNLABELLED
from geoseg.patches.job import Job, Seen, converter
from geoseg.patches.packing import Patch
from geoseg.patches.settings import TileSettings
from geoseg.patches.storage import PatchTaker
from geoseg.raster.legend import Legend
from geoseg.raster.statistics import Measured
from geoseg.raster.strips import Strip, read_strips
from geoseg.raster.window import Window


class Gathering(Protocol):
    """What a cutter asks of statistics; see `geoseg.raster.statistics.Statistics`."""

    def measure(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> Measured | None:
        """Take in a part."""

    def add(self, measured: Sequence[Measured | None]) -> None:
        """Take in what was measured, in order."""


class SceneCutter:
    """Cuts one scene into patches."""

    def __init__(
        self,
        job: Job,
        *,
        settings: TileSettings,
        legend: Legend | None,
        dtype: np.dtype[Any],
        writers: Sequence[PatchTaker],
        positions: list[int],
        statistics: Gathering,
        measured_splits: Sequence[int],
        invalid_value: float,
        workers: int,
        pool: Executor,
        seen: Seen | None = None,
        first: int = 0,
    ) -> None:
        """Prepare; see `run`.

        Parameters
        ----------
        job
            The scene.
        settings
            What was asked for.
        legend
            Classes of the labels of pixels, if there are any.
        dtype
            Of the patches.
        writers
            Where patches go, by split.
        positions
            Where the first patch goes, by split; counted on.
        statistics
            Gathers the patches of `measured_splits`.
        measured_splits
            Splits that count in the statistics.
        invalid_value
            Stored in place of invalid pixels.
        workers
            Threads that read, and threads of `pool`.
        pool
            Threads that cut.
        seen
            What was seen of the scene before, if it was begun.
        first
            The row of patches to begin with.
        """
        self.job, self.settings, self.legend = job, settings, legend
        self.workers, self.first = workers, first
        self.dtype, self.writers, self.statistics = dtype, writers, statistics
        self.positions = positions
        self.measured_splits = frozenset(measured_splits)
        self.invalid_value = dtype.type(invalid_value)
        self.pool = pool
        self.seen = Seen() if seen is None else seen
        self._windows = job.table.windows(job.window)
        self._buffers = threading.local()
        self._strips: deque[Strip] = deque()

    def run(
        self,
        progress: Callable[[int], None] | None = None,
        finished: Callable[[range], None] | None = None,
    ) -> None:
        """Read the scene and cut it; fills the job's table, `positions` and `seen`.

        Parameters
        ----------
        progress
            Called with the number of pixels done.
        finished
            Called with each row of patches, when all that is known of it is where it belongs.

        Raises
        ------
        RasterReadError
            A file cannot be read; patches have gone to the writers all the same.
        OSError
            Patches cannot be stored.
        """
        job, table = self.job, self.job.table
        rows = deque(list(enumerate(table.rows))[self.first :])
        if not rows:
            return
        scenes = [s for s in (job.scene, job.labels, job.confidence) if s is not None]
        strips = read_strips(
            scenes,
            window=_below(job.window, rows[0][1]),
            target_rows=self.settings.size,
            workers=self.workers,
            convert=converter(
                job, self.legend, self.dtype, self.seen, self.settings.min_confidence
            ),
        )
        with closing(strips):
            for strip in strips:
                self._strips.append(strip)
                self.seen.look(strip.arrays[0], strip.valid)
                below = strip.row + strip.height
                new = max(0, below - max(strip.row, self.seen.first_row))
                self.seen.finish(below)
                while rows and min(rows[0][1] + table.size, job.window.row_stop) <= below:
                    number, _ = rows.popleft()
                    patches = range(number * len(table.cols), (number + 1) * len(table.cols))
                    self._cut_row(patches)
                    if finished is not None:
                        finished(patches)
                needed = rows[0][1] if rows else below
                while self._strips and self._strips[0].row + self._strips[0].height <= needed:
                    self._strips.popleft()
                if progress is not None:
                    progress(new * job.window.width)
                del strip  # or it would be held while the next one is waited for

    def _cut_row(self, patches: range) -> None:
        """Count, decide, and store one row of patches."""
        table, settings = self.job.table, self.settings
        self._spread(self._count, patches)
        kept = table.place(
            patches,
            self.positions,
            most_invalid=settings.most_invalid,
            fewest_labelled=settings.fewest_labelled,
        )
        self.statistics.add(self._spread(self._store, kept))

    def _spread(self, work: Callable[[int], Any], patches: Sequence[int]) -> list[Any]:
        """Do something for each patch in several threads; results in order."""
        share = -(-len(patches) // (2 * self.workers)) or 1
        groups = [patches[i : i + share] for i in range(0, len(patches), share)]

        def do(group: Iterable[int]) -> list[Any]:
            return [work(patch) for patch in group]

        return list(chain.from_iterable(self.pool.map(do, groups)))

    def _pieces(self, patch: int) -> Iterator[tuple[Strip, slice, slice, slice]]:
        """Yield strips that hold a patch, its rows and columns there, and those rows in it."""
        row, col, height, width = (int(n) for n in self._windows[patch])
        left = col - self.job.window.col
        for strip in self._strips:
            top, bottom = max(row, strip.row), min(row + height, strip.row + strip.height)
            if top < bottom:
                yield (
                    strip,
                    slice(top - strip.row, bottom - strip.row),
                    slice(left, left + width),
                    slice(top - row, bottom - row),
                )

    def _count(self, patch: int) -> None:
        """Count the valid pixels and the classes of a patch."""
        table = self.job.table
        valid = 0
        counts = np.zeros(256, np.int64)
        for strip, rows, cols, _ in self._pieces(patch):
            valid += int(np.count_nonzero(strip.valid[rows, cols]))
            if self.legend is not None:
                kernels.count_classes(strip.arrays[1][rows, cols].ravel(), counts)
        table.valid_pixels[patch] = valid
        if table.classes:
            table.class_pixels[patch] = counts[: table.classes]

    def _store(self, patch: int) -> Measured | None:
        """Cut a patch, measure it, and hand it to the writer of its split."""
        table, job = self.job.table, self.job
        images, labels, confidence, valid = self._buffer()
        row, col, height, width = (int(n) for n in self._windows[patch])
        padded = (height, width) != (table.size, table.size)
        if padded:
            images[...] = self.invalid_value
            labels[...] = UNLABELLED
            confidence[...] = 0
            valid[...] = False
        for strip, rows, cols, into in self._pieces(patch):
            images[:, into, :width] = strip.arrays[0][:, rows, cols]
            valid[into, :width] = strip.valid[rows, cols]
            if self.legend is not None:
                labels[into, :width] = strip.arrays[1][rows, cols]
            if job.confidence is not None:
                confidence[into, :width] = strip.arrays[2][rows, cols]
        split = int(table.split[patch])
        measured = None
        if split in self.measured_splits:
            flat = images.reshape(len(images), -1)
            measured = self.statistics.measure(flat, valid.reshape(-1))
        if table.valid_pixels[patch] < table.pixels:
            np.copyto(images, self.invalid_value, where=~valid)
        cut = Patch(
            images=images,
            labels=labels if self.legend is not None else None,
            confidence=confidence if job.confidence is not None else None,
            name=patch_name(job.name, row, col),
            grid=job.scene.grid,
            row=row,
            col=col,
        )
        self.writers[split].write(int(table.position[patch]), cut)
        return measured

    def _buffer(
        self,
    ) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
        """Room for one patch, one for each thread."""
        size = self.job.table.size
        if not hasattr(self._buffers, "room"):
            self._buffers.room = (
                np.empty((len(self.job.scene.bands), size, size), self.dtype),
                np.empty((size, size), np.uint8),
                np.empty((size, size), np.uint8),
                np.empty((size, size), np.bool_),
            )
        room: tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]
        room = self._buffers.room
        return room


def _below(window: Window, row: int) -> Window:
    """Return the part of a window from a row on."""
    return Window(row, window.col, window.row_stop - row, window.width)


def patch_name(scene: str, row: int, col: int) -> str:
    """Name of a patch: its scene and its first row and column."""
    return f"{scene}_r{row:06d}_c{col:06d}"
