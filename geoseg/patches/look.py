"""A look ahead: which label values there are, and which patches will have data and labels.

Splits are chosen before patches are cut, and only patches that will be kept should count there.
Labels are looked at whole: they are small when compressed. So are scenes that are small; of large
ones their overviews, where they have any; else all their pixels are taken for valid.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError, RasterReadError
from geoseg.patches import kernels
from geoseg.patches.dataset import UNLABELLED
from geoseg.patches.job import Job, confidences, value_counts
from geoseg.patches.settings import TileSettings
from geoseg.patches.table import PatchTable
from geoseg.raster.legend import Legend
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window

# All scenes together up to this many pixels are read twice.
_SMALL = 1 << 24
_OVERVIEW_PIXELS = 1 << 18
_MOST_VALUES = 64


def look_ahead(
    jobs: Sequence[Job], legend: Legend | None, settings: TileSettings
) -> tuple[Legend | None, list[tuple[Job, str]]]:
    """Fill the columns `expected` and `inside` of the jobs' tables, and find the classes.

    Returns
    -------
    legend, failed
        The legend given, or where there is none, one of the label values present; None without
        labels. And the jobs that cannot be read, each with the reason.

    Raises
    ------
    LabelError
        There are no labels at all, or too many different values to be classes.
    """
    small = sum(job.window.area for job in jobs) <= _SMALL
    values: Counter[int] = Counter()
    failed = []
    for job in jobs:
        try:
            _look_at(job, legend, settings, values, whole=small)
        except RasterReadError as error:
            failed.append((job, str(error)))
    if legend is None and any(job.labels is not None for job in jobs):
        if not values:
            if len(failed) == len(jobs):
                return None, failed
            raise LabelError(
                f"{_paths(jobs[0].labels)}: no label lies on the scenes: check that they overlap"
            )
        legend = Legend.of_values(values)
    return legend, failed


def _look_at(
    job: Job, legend: Legend | None, settings: TileSettings, values: Counter[int], *, whole: bool
) -> None:
    """Look at one scene and its labels."""
    table = job.table
    cells = _Cells.over(job.window, table.size, settings.stride)
    view = _View(job, legend, cells, settings.min_confidence)
    scenes = [job.scene] if whole else []
    if job.labels is not None:
        scenes.append(job.labels)
        # Confidences do not compress: of large scenes they are read once, for cutting.
        if whole and job.confidence is not None:
            scenes.append(job.confidence)
    if scenes:
        strips = read_strips(
            scenes,
            window=job.window,
            target_rows=table.size,
            workers=settings.workers,
            convert=view.take_in,
        )
        with closing(strips):
            for _ in strips:
                if len(view.values) > _MOST_VALUES:
                    raise LabelError(
                        f"{_paths(job.labels)}: more than {_MOST_VALUES} different values look "
                        "like measurements and not like classes: name the classes with --classes"
                    )
    values.update(view.values)
    valid = cells.in_patches(view.valid, table) if whole else _from_overview(job)
    table.expected &= table.pixels - valid <= settings.most_invalid
    if job.labels is not None:
        labelled = cells.in_patches(view.labelled, table)
        table.expected &= labelled >= max(1, settings.fewest_labelled)
    if job.region is not None:
        table.inside = _touches_region(job)
        table.expected &= table.inside


def _paths(scene: Scene | None) -> str:
    return "the labels" if scene is None else scene.paths[0]


@dataclass(frozen=True)
class _Cells:
    """A window in square cells, in which pixels are counted."""

    window: Window
    side: int

    @classmethod
    def over(cls, window: Window, size: int, stride: int) -> _Cells:
        """Cells whose borders patches share, if those are not too small."""
        return cls(window, max(int(np.gcd(size, stride)), -(-size // 16)))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return -(-self.window.height // self.side), -(-self.window.width // self.side)

    def count(self, mask: NDArray[np.bool_], window: Window) -> tuple[Any, NDArray[np.int64]]:
        """Count the pixels of a mask over `window`; the cells that it touches, and counts."""
        row, col = window.row - self.window.row, window.col - self.window.col
        first_row, first_col = row // self.side, col // self.side
        last_row = (row + window.height - 1) // self.side
        last_col = (col + window.width - 1) // self.side
        counts = np.zeros((last_row - first_row + 1, last_col - first_col + 1), np.int64)
        row, col = row - first_row * self.side, col - first_col * self.side
        kernels.count_cells(np.ascontiguousarray(mask), row, col, self.side, counts)
        return np.s_[first_row : last_row + 1, first_col : last_col + 1], counts

    def in_patches(self, counts: NDArray[np.int64], table: PatchTable) -> NDArray[np.int64]:
        """Pixels counted in each patch; nearly, where its borders are not those of cells."""
        total = np.zeros((counts.shape[0] + 1, counts.shape[1] + 1), np.int64)
        total[1:, 1:] = counts.cumsum(0).cumsum(1)

        def ends(starts: list[int], origin: int, cells: int) -> tuple[NDArray[Any], NDArray[Any]]:
            first = (np.asarray(starts) - origin) / self.side
            low = np.round(first).astype(np.int64)
            high = np.round(first + table.size / self.side).astype(np.int64)
            return np.minimum(low, cells), np.minimum(high, cells)

        top, bottom = ends(table.rows, self.window.row, counts.shape[0])
        left, right = ends(table.cols, self.window.col, counts.shape[1])
        found: NDArray[np.int64] = (
            total[np.ix_(bottom, right)]
            - total[np.ix_(top, right)]
            - total[np.ix_(bottom, left)]
            + total[np.ix_(top, left)]
        )
        return np.minimum(found.ravel(), table.pixels)


@dataclass
class _View:
    """Counts pixels as they are read; `take_in` runs in several threads."""

    job: Job
    legend: Legend | None
    cells: _Cells
    least_confidence: float | None = None
    valid: NDArray[np.int64] = field(init=False)
    labelled: NDArray[np.int64] = field(init=False)
    values: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.valid = np.zeros(self.cells.shape, np.int64)
        self.labelled = np.zeros(self.cells.shape, np.int64)

    def take_in(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """Count valid and labelled pixels of a rectangle, and its label values."""
        valid = pixels[0].valid
        if self.job.labels is not None:
            labels = pixels[0] if len(pixels) == 1 else pixels[1]
            labelled = labels.valid
            if self.job.region is not None:
                labelled = labelled & self.job.region.mask(window)
            if self.legend is not None:
                labelled = labelled & (self.legend.lookup(labels.data[0]) != UNLABELLED)
            else:
                found = value_counts(labels.data[0], labelled, _paths(self.job.labels))
                with self._lock:
                    self.values.update(found)
            if len(pixels) == 1:
                self._add(labelled, window, self.labelled)
                return (), valid
            if self.job.confidence is not None and len(pixels) > 2:
                share = confidences(pixels[2], self.job.confidence.paths[0])
                least = share.dtype.type(self.least_confidence or 0)
                labelled = labelled & (share >= least)  # NaN is not
            self._add(labelled & valid, window, self.labelled)
        self._add(valid, window, self.valid)
        return (), valid

    def _add(self, mask: NDArray[np.bool_], window: Window, total: NDArray[np.int64]) -> None:
        place, counts = self.cells.count(mask, window)
        with self._lock:
            total[place] += counts


def _from_overview(job: Job) -> NDArray[np.int64]:
    """Estimate the valid pixels of each patch from the scene's overviews; all, if it has none."""
    table, grid = job.table, job.scene.grid
    windows = table.windows(job.window)
    everything: NDArray[np.int64] = windows[:, 2] * windows[:, 3]
    pieces = list(job.scene.read_overview(_OVERVIEW_PIXELS) or ())
    if len(pieces) != 1:
        return everything
    valid = pieces[0].valid
    total = np.zeros((valid.shape[0] + 1, valid.shape[1] + 1), np.int64)
    total[1:, 1:] = valid.cumsum(0).cumsum(1)
    down, across = valid.shape[0] / grid.height, valid.shape[1] / grid.width
    top, left = (windows[:, 0] * down).astype(np.int64), (windows[:, 1] * across).astype(np.int64)
    # One coarse pixel at least.
    bottom = np.maximum(top + 1, np.round((windows[:, 0] + windows[:, 2]) * down).astype(np.int64))
    right = np.maximum(
        left + 1, np.round((windows[:, 1] + windows[:, 3]) * across).astype(np.int64)
    )
    bottom, right = np.minimum(bottom, valid.shape[0]), np.minimum(right, valid.shape[1])
    top, left = np.minimum(top, bottom - 1), np.minimum(left, right - 1)
    found = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    share = found / ((bottom - top) * (right - left))
    estimate: NDArray[np.int64] = np.round(everything * share).astype(np.int64)
    return estimate


def _touches_region(job: Job) -> NDArray[np.bool_]:
    """Whether each patch has a pixel inside the region."""
    if job.region is None:
        return np.ones(len(job.table), bool)
    inside = np.zeros(len(job.table), bool)
    across = len(job.table.cols)
    for number, row in enumerate(job.table.rows):
        height = min(job.table.size, job.window.row_stop - row)
        mask = job.region.mask(Window(row, job.window.col, height, job.window.width))
        total = np.concatenate([[0], mask.any(axis=0).cumsum()])
        for k, col in enumerate(job.table.cols):
            left = col - job.window.col
            right = min(left + job.table.size, job.window.width)
            inside[number * across + k] = total[right] > total[left]
    return inside
