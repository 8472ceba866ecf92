"""Cutting one scene: rows of pixels come in from above, whole patches go out.

Each block of the scene is decoded once. Rows are kept until no patch below needs them, so memory
depends on the width of the scene and the size of a patch alone. For every row of patches, threads
first count what is in each patch; then each is kept or dropped, in order; then threads cut, measure
and store the kept.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError
from geoseg.patches import kernels
from geoseg.patches.dataset import UNLABELLED
from geoseg.patches.settings import TileSettings
from geoseg.patches.storage import PatchWriter
from geoseg.patches.table import KEPT, PatchTable
from geoseg.raster.legend import Legend
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.statistics import Measured, Statistics, count_values
from geoseg.raster.strips import Strip, read_strips
from geoseg.raster.window import Window


class Mask(Protocol):
    """What a region can do."""

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """(rows, cols), True inside."""


@dataclass(kw_only=True)
class Job:
    """A scene to be cut, with all that belongs to it."""

    scene: Scene
    labels: Scene | None = None
    """On the scene's grid, one band."""
    confidence: Scene | None = None
    """Of the labels, from 0 to 1; on the scene's grid, one band."""
    region: Mask | None = None
    window: Window
    """Part of the scene that patches cover."""
    table: PatchTable
    name: str
    """Of the scene, different from all others."""


@dataclass
class Seen:
    """What was seen of a scene while it was read."""

    valid: bool = False
    """A valid pixel."""
    nonzero: bool = False
    """A valid reading other than 0."""
    ignored: Counter[int] = field(default_factory=Counter)
    """Pixels by label value that means no class."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Take in pixels: (bands, rows, cols) and (rows, cols)."""
        if self.nonzero:
            return
        self.valid = self.valid or bool(valid.any())
        self.nonzero = self.valid and bool((data.any(axis=0) & valid).any())

    def ignore(self, counts: Mapping[int, int]) -> None:
        """Take in label values that mean no class, and their pixels."""
        with self._lock:
            self.ignored.update(counts)


def value_counts(values: NDArray[Any], mask: NDArray[np.bool_], where: str) -> dict[int, int]:
    """Pixels by label value, where a mask is True.

    Raises
    ------
    LabelError
        A value is no whole number; `where` is the file to name.
    """
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        # Counting is many times faster than sorting.
        bits = np.ascontiguousarray(values).reshape(1, -1).view(f"u{values.dtype.itemsize}")
        counts = np.zeros((1, 1 << 8 * values.dtype.itemsize), np.int64)
        count_values(bits, np.ascontiguousarray(mask).reshape(-1), False, counts)
        there = np.flatnonzero(counts[0])
        signed = there.astype(bits.dtype).view(values.dtype)
        return {int(v): int(counts[0, i]) for v, i in zip(signed, there, strict=True)}
    distinct, number = np.unique(values[mask], return_counts=True)
    if distinct.dtype.kind not in "iub" and not (distinct == np.floor(distinct)).all():
        raise LabelError(
            f"{where}: holds values such as {distinct[distinct != np.floor(distinct)][0]:g}, which "
            "are measurements and no classes"
        )
    return {int(v): int(n) for v, n in zip(distinct, number, strict=True)}


def confidences(pixels: Pixels, where: str) -> NDArray[np.floating[Any]]:
    """(rows, cols): confidences as they were read; NaN where there is none.

    Raises
    ------
    LabelError
        A confidence is no share; `where` is the file to name.
    """
    read = pixels.data[0]
    if read.dtype.kind != "f":
        read = read.astype(np.float32)
    values: NDArray[np.floating[Any]] = np.where(pixels.valid, read, read.dtype.type(np.nan))
    wrong = (values < 0) | (values > 1)
    if wrong.any():
        raise LabelError(
            f"{where}: holds {values[wrong][0]:g}, and confidences are from 0 to 1 (divide percent "
            "by 100, bytes by 255)"
        )
    return values


def converter(
    job: Job,
    legend: Legend | None,
    dtype: np.dtype[Any],
    seen: Seen,
    least_confidence: float | None = None,
) -> Callable[[list[Pixels], Window], tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]] | None:
    """Make the step that turns what was read into readings and class indices.

    Returns
    -------
    A function for `read_strips`, which gives (bands, rows, cols) and, with labels, (rows, cols)
    class index, and with confidences, (rows, cols) uint8 round(255 · confidence); or None where
    pixels are used as they are read.
    """
    if job.labels is None and job.scene.dtype == dtype:
        return None
    where = "" if job.labels is None else job.labels.paths[0]

    def convert(
        pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        data = pixels[0].data.astype(dtype, copy=False)
        valid = pixels[0].valid
        if legend is None or len(pixels) == 1:
            return (data,), valid
        values = pixels[1].data[0]
        index = legend.lookup(values)
        usable = pixels[1].valid & valid
        if job.region is not None:
            usable &= job.region.mask(window)
        unknown = usable & (index == UNLABELLED)
        if unknown.any():
            seen.ignore(value_counts(values, unknown, where))
        if job.confidence is None:
            index[~usable] = UNLABELLED
            return (data, index), valid
        share = confidences(pixels[2], job.confidence.paths[0])
        usable &= ~np.isnan(share)
        if least_confidence is not None:
            # In the file's type: a confidence stored as the nearest float of 0.7 is no less.
            usable &= share >= share.dtype.type(least_confidence)
        index[~usable] = UNLABELLED
        share = np.where(index == UNLABELLED, 0, share)
        return (data, index, np.rint(share.astype(np.float64) * 255).astype(np.uint8)), valid

    return convert


class SceneCutter:
    """Cuts one scene into patches."""

    def __init__(
        self,
        job: Job,
        *,
        settings: TileSettings,
        legend: Legend | None,
        dtype: np.dtype[Any],
        writers: Sequence[PatchWriter],
        first_positions: Sequence[int],
        statistics: Statistics,
        measured_splits: Sequence[int],
        invalid_value: float,
        pool: Executor,
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
        first_positions
            Where the first patch of this scene goes, by split.
        statistics
            Gathers the patches of `measured_splits`.
        measured_splits
            Splits that count in the statistics.
        invalid_value
            Stored in place of invalid pixels.
        pool
            Threads that cut.
        """
        self.job, self.settings, self.legend = job, settings, legend
        self.dtype, self.writers, self.statistics = dtype, writers, statistics
        self.positions = list(first_positions)
        self.measured_splits = frozenset(measured_splits)
        self.invalid_value = dtype.type(invalid_value)
        self.pool = pool
        self.seen = Seen()
        self._windows = job.table.windows(job.window)
        self._buffers = threading.local()
        self._strips: deque[Strip] = deque()

    def run(self, progress: Callable[[int], None] | None = None) -> None:
        """Read the scene and cut it; fills the job's table, `positions` and `seen`.

        Raises
        ------
        RasterReadError
            A file cannot be read; patches have gone to the writers all the same.
        OSError
            Patches cannot be stored.
        """
        job, table = self.job, self.job.table
        scenes = [s for s in (job.scene, job.labels, job.confidence) if s is not None]
        strips = read_strips(
            scenes,
            window=job.window,
            target_rows=self.settings.size,
            workers=self.settings.workers,
            convert=converter(
                job, self.legend, self.dtype, self.seen, self.settings.min_confidence
            ),
        )
        rows = deque(enumerate(table.rows))
        with closing(strips):
            for strip in strips:
                self._strips.append(strip)
                self.seen.look(strip.arrays[0], strip.valid)
                below = strip.row + strip.height
                while rows and min(rows[0][1] + table.size, job.window.row_stop) <= below:
                    number, _ = rows.popleft()
                    self._cut_row(range(number * len(table.cols), (number + 1) * len(table.cols)))
                needed = rows[0][1] if rows else below
                while self._strips and self._strips[0].row + self._strips[0].height <= needed:
                    self._strips.popleft()
                if progress is not None:
                    progress(strip.height * job.window.width)
                del strip  # or it would be held while the next one is waited for

    def _cut_row(self, patches: range) -> None:
        """Count, decide, and store one row of patches."""
        table, settings = self.job.table, self.settings
        self._spread(self._count, patches)
        kept = []
        for patch in patches:
            reason = table.decide(
                patch,
                most_invalid=settings.most_invalid,
                fewest_labelled=settings.fewest_labelled,
            )
            if reason == KEPT:
                split = table.split[patch]
                table.position[patch] = self.positions[split]
                self.positions[split] += 1
                kept.append(patch)
        self.statistics.add(self._spread(self._store, kept))

    def _spread(self, work: Callable[[int], Any], patches: Sequence[int]) -> list[Any]:
        """Do something for each patch in several threads; results in order."""
        share = -(-len(patches) // (2 * self.settings.workers)) or 1
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
        self.writers[split].write(
            int(table.position[patch]),
            images,
            labels if self.legend is not None else None,
            name=patch_name(job.name, row, col),
            grid=job.scene.grid,
            row=row,
            col=col,
            confidence=confidence if job.confidence is not None else None,
        )
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


def patch_name(scene: str, row: int, col: int) -> str:
    """Name of a patch: its scene and its first row and column."""
    return f"{scene}_r{row:06d}_c{col:06d}"
