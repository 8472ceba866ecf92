"""A scene to be cut with all that belongs to it, and what its pixels become as they are read."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError, RasterReadError
from geoseg.patches.dataset import UNLABELLED
from geoseg.patches.table import PatchTable
from geoseg.raster.legend import Legend
from geoseg.raster.opening.handles import is_remote
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.statistics import count_values
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
    """Pixels by label value that means no class, in the rows that are finished."""
    first_row: int = 0
    """Rows of pixels above this one count for nothing in `ignored`: they were counted before."""
    stop_row: int | None = None
    """Nor do those from here on."""
    _waiting: list[tuple[int, Mapping[int, int]]] = field(default_factory=list)
    """Of rows that are read and not yet finished: the row behind them, and their `ignored`."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Take in pixels: (bands, rows, cols) and (rows, cols)."""
        if self.nonzero:
            return
        self.valid = self.valid or bool(valid.any())
        self.nonzero = self.valid and bool((data.any(axis=0) & valid).any())

    def counted(self, window: Window) -> slice:
        """Rows of a window in which label values are counted."""
        stop = window.row_stop if self.stop_row is None else min(self.stop_row, window.row_stop)
        first = max(0, self.first_row - window.row)
        return slice(first, max(first, stop - window.row))

    def ignore(self, counts: Mapping[int, int], stop: int) -> None:
        """Take in label values that mean no class, and their pixels, of rows that end at `stop`."""
        with self._lock:
            self._waiting.append((stop, counts))

    def finish(self, row: int) -> None:
        """Take it that all rows above one are read, and that those below will be read again."""
        with self._lock:
            for _, counts in (one for one in self._waiting if one[0] <= row):
                self.ignored.update(counts)
            self._waiting = [one for one in self._waiting if one[0] > row]
            self.first_row = max(self.first_row, row)

    def merge(self, other: Seen) -> None:
        """Take in what was seen of the rows below."""
        self.valid, self.nonzero = self.valid or other.valid, self.nonzero or other.nonzero
        self.ignored.update(other.ignored)


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
        rows = seen.counted(window)
        unknown = usable[rows] & (index[rows] == UNLABELLED)
        if unknown.any():
            seen.ignore(value_counts(values[rows], unknown, where), window.row_stop)
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


def why_withdrawn(error: RasterReadError) -> str:
    """Say why a scene that is being cut cannot be used, however it was cut up for reading."""
    if not error.damaged:
        return str(error)
    if error.changed:
        return f"{error.damaged}: changed while it was read; run again when nobody writes it"
    if is_remote(error.damaged):
        return (
            f"{error.damaged}: a part of it cannot be read (the server or the network fails, or the"
            " file is damaged); try again later"
        )
    return (
        f"{error.damaged}: a part of it cannot be read (truncated or damaged?); re-download or"
        " recreate it"
    )
