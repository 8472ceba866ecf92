"""A prediction against labels, strip by strip.

The prediction's grid is the one that counts: labels elsewhere are brought to it, nearest pixel.
Both rasters are read once; their pairs of values are counted in the threads that read them, and
what is kept is counts, so memory does not grow with the scene.

The prediction holds class *ids*; the labels hold whatever *values* the legend says mean a class
(the id, where it says nothing). Each pixel of the prediction's grid inside the region is one of:

- unlabelled: the labels are nodata or do not reach here, or are 255 where that means no class; not
  scored;
- ignored: a label value that the caller wants to ignore; not scored;
- unknown: a label value that means no class; not scored, counted by value and said in words;
- unpredicted: labelled, but the prediction is nodata or a value that is no class; not scored unless
  `unpredicted_is_wrong`, and its share is reported either way;
- scored: everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.align import Source, lay_together, name_disagreements, open_classes
from geoseg.assessment.codes import Codes, Tally, by_id, gather, legend_of_pairs
from geoseg.assessment.confusion import NOTHING, Confusion, count_pairs
from geoseg.assessment.evaluation import Evaluation, check_scored
from geoseg.assessment.scoring import Scoring
from geoseg.errors import LabelError, OptionError
from geoseg.raster.legend import Legend
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window

if TYPE_CHECKING:
    from geoseg.raster.vector import Region


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """A prediction and labels that lie on each other, ready to be counted; made by `compare`."""

    prediction: Scene
    """One band: class ids."""
    labels: Scene
    """One band on the prediction's pixels: label values."""
    names: tuple[str, str]
    """What both are called."""
    legend: Legend | None
    """Classes; None where they are the values found."""
    ignore: tuple[int | str, ...] = ()
    """Label values, or names of classes, that are not scored."""
    leave_out: tuple[int | str, ...] = ()
    """Ids or names of classes that enter no mean."""
    unpredicted_is_wrong: bool = False
    """Whether labelled pixels without a prediction count as errors."""
    region: Region | None = None
    """Where to score; None is everywhere."""
    region_name: str | None = None
    """The region as given."""
    notes: tuple[str, ...] = ()
    """What was done to make both comparable, in words."""

    @property
    def window(self) -> Window:
        """The part of the prediction's grid that is read."""
        return self.prediction.grid.window if self.region is None else self.region.window

    def run(
        self,
        *,
        workers: int = 4,
        progress: Callable[[int], None] | None = None,
        may_be_empty: bool = False,
    ) -> Evaluation:
        """Read both rasters and count.

        Parameters
        ----------
        workers
            Threads that read and count.
        progress
            Called with the number of pixels done since the last call.
        may_be_empty
            Whether nothing to score is no error: one of many photographs.

        Raises
        ------
        RasterReadError
            A file cannot be read to its end.
        LabelError
            Nothing can be scored, or there is no legend and the values are no classes.
        """
        counter = _Counter(self)
        for strip in read_strips(
            [self.prediction, self.labels],
            window=self.window,
            workers=workers,
            convert=counter.count,
        ):
            if progress is not None:
                progress(strip.height * self.window.width)
        found = counter.evaluation()
        if not may_be_empty:
            check_scored(found)
        return found

    def ignored_values(self, legend: Legend | None) -> set[int]:
        """Label values that are not scored; names need a legend."""
        values: set[int] = set()
        for item in self.ignore:
            if isinstance(item, int):
                values.add(item)
            elif legend is None:
                raise LabelError(f"no class is named {item!r}: neither raster names its classes")
            else:
                values.update(legend.classes[legend.index_of_name(item)].label_values)
        return values

    def left_out(self, legend: Legend) -> tuple[int, ...]:
        """Find the indices of the classes that enter no mean.

        A class all of whose label values are ignored can never be true, so that its scores would be
        0 for no fault of the prediction: it is left out as well.
        """
        ignored = self.ignored_values(legend)
        found = {i for i, c in enumerate(legend.classes) if ignored.issuperset(c.label_values)}
        for item in self.leave_out:
            if isinstance(item, int):
                found.add(legend.index_of(item))
            else:
                found.add(legend.index_of_name(item))
        if len(found) == len(legend):
            raise OptionError("every class is ignored or left out, so there is nothing to average")
        return tuple(sorted(found))


class _Counter:
    """Counts in many threads; `evaluation` sums up."""

    def __init__(self, comparison: Comparison) -> None:
        legend = comparison.legend
        ids = None if legend is None else by_id(legend)
        prediction, labels = comparison.names
        self._of = comparison
        self._truth = Codes(comparison.labels.dtype, legend, name=labels)
        self._predicted = Codes(comparison.prediction.dtype, ids, name=prediction)
        self._ignore = np.array(sorted(comparison.ignored_values(legend)), np.int64)
        self._lock = Lock()
        self._pairs = np.zeros((256, 256), np.int64)
        self._pixels = self._unlabelled = self._ignored = 0
        self._unknown_labels, self._unknown_predictions = Tally(), Tally()

    def count(
        self, pixels: list[Pixels], window: Window
    ) -> tuple[tuple[NDArray[np.uint8], ...], NDArray[np.bool_]]:
        """Count one rectangle; runs in the thread that read it."""
        predicted, labels = pixels
        keep = labels.valid
        inside = keep.size
        if self._of.region is not None:
            mask = self._of.region.mask(window)
            keep = keep & mask
            inside = int(np.count_nonzero(mask))
        kept = int(np.count_nonzero(keep))
        unlabelled = inside - kept
        ignored = 0
        if self._ignore.size and not self._truth.raw:
            hit = keep & np.isin(labels.data[0], self._ignore)
            ignored = int(np.count_nonzero(hit))
            keep = keep & ~hit
        if kept:
            self._count_kept(predicted, labels, keep)
        with self._lock:
            self._pixels += inside
            self._unlabelled += unlabelled
            self._ignored += ignored
        return (), labels.valid

    def _count_kept(self, predicted: Pixels, labels: Pixels, keep: NDArray[np.bool_]) -> None:
        everything = bool(keep.all())  # indexing by a mask costs more than the counting
        values, guess, there = labels.data[0], predicted.data[0], predicted.valid
        if not everything:
            values, guess, there = values[keep], guess[keep], there[keep]
        truth, found = self._truth.encode(values), self._predicted.encode(guess)
        nowhere = None if self._truth.raw else truth == NOTHING
        stray = None
        if not self._predicted.raw and self._of.legend is not None:
            index = self._truth.index(self._of.legend)
            stray = (found == NOTHING) & there & (index[truth] != NOTHING)
        if not there.all():
            found = np.where(there, found, np.uint8(NOTHING))
        pairs = count_pairs(truth, found)
        with self._lock:
            self._pairs += pairs
            if nowhere is not None:
                self._unknown_labels.add(values[nowhere])
            if stray is not None:
                self._unknown_predictions.add(guess[stray])

    def evaluation(self) -> Evaluation:
        pairs = self._pairs
        if self._truth.raw:
            rows = [value for value in self._ignore if 0 <= value <= 255]
            self._ignored = int(pairs[rows].sum())
            pairs[rows] = 0
        legend = self._of.legend or legend_of_pairs(pairs, self._of.names)
        left_out = self._of.left_out(legend)
        truth_index = self._truth.index(legend)
        found_index = self._predicted.index(by_id(legend))
        if self._truth.raw:
            stray = truth_index == NOTHING
            stray[NOTHING] = False  # nodata of class rasters, tagged or not
            if truth_index[NOTHING] == NOTHING:
                self._unlabelled += int(pairs[NOTHING].sum())
            _add_strays(self._unknown_labels, pairs.sum(axis=1), stray)
        if self._predicted.raw:
            labelled = pairs[truth_index != NOTHING].sum(axis=0)
            stray = found_index == NOTHING
            stray[NOTHING] = False  # nodata of class rasters, tagged or not
            _add_strays(self._unknown_predictions, labelled, stray)
        return Evaluation(
            prediction=self._of.names[0],
            labels=self._of.names[1],
            fingerprints=(self._of.prediction.fingerprint(), self._of.labels.fingerprint()),
            legend=legend,
            confusion=Confusion.from_pairs(gather(pairs, truth_index, found_index), len(legend)),
            left_out=left_out,
            ignored_values=tuple(int(v) for v in self._ignore),
            unpredicted_is_wrong=self._of.unpredicted_is_wrong,
            pixels=self._pixels,
            unlabelled=self._unlabelled,
            ignored=self._ignored,
            unknown_labels=self._unknown_labels,
            unknown_predictions=self._unknown_predictions,
            region=self._of.region_name,
            notes=self._of.notes,
        )


def _add_strays(tally: Tally, counts: NDArray[np.int64], stray: NDArray[np.bool_]) -> None:
    values = np.flatnonzero(stray & (counts > 0))
    tally.add_counts(values, counts[values])


def compare(prediction: Source, labels: Source, scoring: Scoring | None = None) -> Comparison:
    """Lay labels on a prediction; `Comparison.run` then counts.

    Parameters
    ----------
    prediction
        Class raster; its pixels are class ids.
    labels
        Raster of label values, on any grid that overlaps the prediction's.
    scoring
        What is scored, and how; None for the defaults.

    Raises
    ------
    RasterReadError
        A file is not there, or no raster.
    BandError
        A raster has more bands than one.
    GridError
        The two do not overlap, or one has no place on Earth and they are not assumed to be aligned,
        or are and their sizes differ.
    LabelError
        A class to ignore or to leave out is none.
    VectorError
        The region cannot be read.
    """
    scoring = scoring or Scoring()
    (found, name), (truth, labels_name) = open_classes(prediction), open_classes(labels)
    names = (name, labels_name)
    truth_legend = raster_legend(truth.paths[0])
    own_legend = raster_legend(found.paths[0])
    legend = scoring.classes or own_legend or truth_legend
    found, aligned, notes = lay_together(
        found, truth, names, assume_aligned=scoring.assume_aligned, strict=scoring.strict_grid
    )
    if legend is None:
        notes += (
            "neither raster names its classes: the values found in them are taken as classes",
        )
    elif scoring.classes is None and own_legend is not None and truth_legend is not None:
        notes += name_disagreements(own_legend, truth_legend)
    comparison = Comparison(
        prediction=found,
        labels=aligned,
        names=names,
        legend=legend,
        ignore=tuple(scoring.ignore),
        leave_out=tuple(scoring.leave_out),
        unpredicted_is_wrong=scoring.unpredicted_is_wrong,
        region=None if scoring.region is None else _region(scoring.region, found),
        region_name=None if scoring.region is None else str(scoring.region),
        notes=notes,
    )
    if legend is not None:
        comparison.left_out(legend)  # a wrong name is told before anything is read
    return comparison


def _region(source: str | Path, scene: Scene) -> Region:
    from geoseg.raster.vector import read_region  # noqa: PLC0415 — loads geopandas

    return read_region(source, scene.grid)
