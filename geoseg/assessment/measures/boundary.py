"""How well borders between classes are met, row by row and exact.

A pixel lies on a border where one of its four neighbours is of another class, and near a border
where a pixel of another class is within the distance (of centres, Euclidean). What has no class,
and the edge of the map, makes no border. Three measures, of each class:

- boundary F1 (Csurka, Larlus & Perronnin, BMVC 2013): precision is the share of the predicted
  border pixels that have a true border pixel of the same class within the distance, recall the
  same the other way round. Counted over the whole map.
- boundary IoU (Cheng et al., CVPR 2021, arXiv 2103.16562): IoU of the class's pixels near its own
  border in either map. Distances there are of squares and the frame is a border; here they are of
  circles and it is none.
- trimap IoU (Kohli, Ladický & Torr 2009; Csurka et al.): IoU over the pixels near a true border.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.confusion import NOTHING
from geoseg.assessment.measures._kernels import (
    count_bands,
    distance_along_rows,
    match_edges,
    near_other,
)
from geoseg.errors import OptionError

FARTHEST = 100.0
"""Greatest distance, in pixels."""


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


@dataclass(frozen=True, kw_only=True, eq=False)
class Boundary:
    """What was found of one prediction. Scores are arrays (classes,), NaN where undefined."""

    distance: float
    """How far borders may be from each other, in pixels."""
    true_edges: NDArray[np.int64]
    """(classes, 2): border pixels of the truth, and those that the prediction meets."""
    found_edges: NDArray[np.int64]
    """(classes, 2): border pixels of the prediction, and those that the truth meets."""
    bands: NDArray[np.int64]
    """(classes, 3): pixels near a border in truth, in prediction, and both at once."""
    trimap: NDArray[np.int64]
    """(classes, 3): near a true border: true, predicted, right."""
    in_means: NDArray[np.bool_]
    """Whether each class enters the means."""

    def plus(self, other: Boundary) -> Boundary:
        """Return what was found of both, of another map with the same classes and distance."""
        return Boundary(
            distance=self.distance,
            true_edges=self.true_edges + other.true_edges,
            found_edges=self.found_edges + other.found_edges,
            bands=self.bands + other.bands,
            trimap=self.trimap + other.trimap,
            in_means=self.in_means,
        )

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of true border pixels that are met."""
        return _share(self.true_edges[:, 1], self.true_edges[:, 0])

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of predicted border pixels that are met."""
        return _share(self.found_edges[:, 1], self.found_edges[:, 0])

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall; 0 where only one map has a border of the class."""
        precision, recall = self.precision, self.recall
        result = np.full(precision.shape, np.nan)
        one = np.isnan(precision) != np.isnan(recall)
        both = ~(np.isnan(precision) | np.isnan(recall))
        total = precision + recall
        np.divide(2 * precision * recall, total, out=result, where=both & (total > 0))
        result[one | (both & (total == 0))] = 0.0
        return result

    @property
    def iou(self) -> NDArray[np.float64]:
        """Boundary IoU."""
        return _share(self.bands[:, 2], self.bands[:, 0] + self.bands[:, 1] - self.bands[:, 2])

    @property
    def trimap_iou(self) -> NDArray[np.float64]:
        """IoU over pixels near a true border."""
        return _share(self.trimap[:, 2], self.trimap[:, 0] + self.trimap[:, 1] - self.trimap[:, 2])

    def mean(self, scores: NDArray[np.float64]) -> float:
        """Mean of a score over the classes that have it and enter means."""
        known = scores[self.in_means & ~np.isnan(scores)]
        return float(known.mean()) if known.size else math.nan


def check_distance(distance: float) -> None:
    """Refuse distances, in pixels, at which borders cannot be compared; OptionError."""
    if not 1 <= distance <= FARTHEST:
        raise OptionError(f"borders are compared within 1 to {FARTHEST:g} pixels, not {distance:g}")


class BoundaryMeter:
    """Takes rows from top to bottom; keeps as many of them as the distance is long.

    Parameters
    ----------
    distance
        In pixels, 1 to `FARTHEST`.
    predictions, classes
        Numbers of them.
    unpredicted_is_wrong
        Whether labelled pixels without a prediction take part, as true; else they have no class in
        either map.
    workers
        Threads.
    """

    def __init__(
        self,
        distance: float,
        *,
        predictions: int,
        classes: int,
        unpredicted_is_wrong: bool = False,
        workers: int = 1,
    ) -> None:
        check_distance(distance)
        self._distance = distance
        self._classes = classes
        self._wrong = unpredicted_is_wrong
        self._workers = workers
        reach = math.floor(distance)
        square = [
            (dy * dy + dx * dx, dy, dx)
            for dy in range(-reach, reach + 1)
            for dx in range(-reach, reach + 1)
            if dy * dy + dx * dx <= distance * distance
        ]
        self._offsets = np.array([(dy, dx) for _, dy, dx in sorted(square)], np.int64)
        self._reach = reach
        self._halo = reach + 1  # whether a pixel within reach is on a border, its neighbour says
        self._held: NDArray[np.uint8] | None = None
        self._done = 0  # rows held that are counted
        self._counts = np.zeros((predictions, 10, 256), np.int64)

    def take(self, row: int, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Take the next rows, as `BlockCounter.take`."""
        del row
        new = np.concatenate([truth[np.newaxis], found])
        held = new if self._held is None else np.concatenate([self._held, new], axis=1)
        self._count(held, self._done, max(self._done, held.shape[1] - self._halo))

    def result(self, in_means: NDArray[np.bool_]) -> tuple[Boundary, ...]:
        """Count the last rows; return what was found of each prediction."""
        if self._held is not None:
            self._count(self._held, self._done, self._held.shape[1])
            self._held = None
        found = self._counts[:, :, : self._classes].transpose(0, 2, 1)
        return tuple(
            Boundary(
                distance=self._distance,
                true_edges=one[:, 0:2],
                found_edges=one[:, 2:4],
                bands=one[:, 4:7],
                trimap=one[:, 7:10],
                in_means=in_means,
            )
            for one in found
        )

    def _count(self, held: NDArray[np.uint8], first: int, stop: int) -> None:
        """Count rows `first` to `stop` of those held, and keep what later ones need."""
        step = max(32, -(-(stop - first) // self._workers))
        parts = [(top, min(top + step, stop)) for top in range(first, stop, step)]
        jobs = [(held, number, *part) for number in range(len(held) - 1) for part in parts]
        if len(jobs) > 1 and self._workers > 1:
            with ThreadPoolExecutor(self._workers, "geoseg-borders") as pool:
                done = list(pool.map(self._part, jobs))
        else:
            done = [self._part(job) for job in jobs]
        for job, counts in zip(jobs, done, strict=True):
            self._counts[job[1]] += counts
        keep = max(0, stop - self._halo)
        self._held = held[:, keep:].copy()
        self._done = stop - keep

    def _part(self, job: tuple[NDArray[np.uint8], int, int, int]) -> NDArray[np.int64]:
        held, number, first, stop = job
        top, bottom = max(0, first - self._halo), min(held.shape[1], stop + self._halo)
        truth, found = held[0, top:bottom].copy(), held[number + 1, top:bottom].copy()
        found[truth == NOTHING] = NOTHING
        if not self._wrong:
            truth[found == NOTHING] = NOTHING
        out = np.zeros((10, 256), np.int64)
        first, stop = first - top, stop - top
        true_edges, true_near = self._near(truth, first, stop)
        found_edges, found_near = self._near(found, first, stop)
        pair = (truth, true_edges), (found, found_edges)
        match_edges(*pair[0], *pair[1], first, stop, self._offsets, out[0:2])
        match_edges(*pair[1], *pair[0], first, stop, self._offsets, out[2:4])
        count_bands(truth, found, true_near, found_near, first, out[4:10])
        return out

    def _near(
        self, classes: NDArray[np.uint8], first: int, stop: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which pixels are on a border, of all rows, and which are near one, of some."""
        rows, cols = classes.shape
        along = np.empty(classes.shape, np.uint8)
        distance_along_rows(classes, self._reach, along)
        edges = np.empty((rows, cols), bool)
        near_other(classes, along, 0, rows, 1, 1.0, edges)
        near = np.empty((stop - first, cols), bool)
        square = self._distance * self._distance
        near_other(classes, along, first, stop, self._reach, square, near)
        return edges, near
