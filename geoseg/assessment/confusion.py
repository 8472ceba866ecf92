"""Counts of truth against prediction, and every score from counts.

Knows neither files nor class names: only class indices 0 … n − 1 and `NOTHING` where there is none.

Where a score is undefined (a division of nothing by nothing) it is NaN, never 0 or 1; a mean runs
over the classes whose score is defined. So the rule for absent classes is:

- a class in neither truth nor prediction has no score and enters no mean;
- a class that is predicted but never true has precision, IoU and F1 of 0, which enter their means,
  and no recall;
- a class that is true but never predicted has recall, IoU and F1 of 0, which enter their means, and
  no precision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError, OptionError

NOTHING = 255
"""In an array of class indices: no class here."""

_CODES = 256
# Pixels counted at a time: few enough for the cache, in which bincount widens them to 8 bytes.
_CHUNK = 1 << 17


def count_pairs(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count how often each value of one array meets each value of the other at the same place.

    Parameters
    ----------
    first, second
        Arrays of the same shape, uint8.

    Returns
    -------
    Counts (256, 256): row = value in `first`, column = value in `second`.
    """
    if first.shape != second.shape:
        raise LabelError(f"arrays of {first.shape} and {second.shape} do not lie on each other")
    a, b = first.reshape(-1), second.reshape(-1)
    counts = np.zeros(_CODES * _CODES, np.int64)
    for start in range(0, a.size, _CHUNK):
        code = a[start : start + _CHUNK].astype(np.uint16)
        code <<= 8
        code |= b[start : start + _CHUNK]
        found = np.bincount(code)
        counts[: found.size] += found
    return counts.reshape(_CODES, _CODES)


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each true class was predicted as each class. Add two with ``+``."""

    counts: NDArray[np.int64]
    """Pixels (true class, predicted class), int64: row = truth, column = prediction."""
    unpredicted: NDArray[np.int64]
    """Pixels (true class,) where truth has a class and the prediction none, int64."""

    def __post_init__(self) -> None:
        counts = np.array(self.counts, dtype=np.int64)
        unpredicted = np.array(self.unpredicted, dtype=np.int64)
        n = unpredicted.size
        if counts.shape != (n, n) or unpredicted.shape != (n,) or n < 1:
            raise LabelError(
                f"a confusion of {counts.shape} counts and {unpredicted.shape} unpredicted is none"
            )
        if counts.min() < 0 or unpredicted.min() < 0:
            raise LabelError("a confusion cannot hold negative counts")
        counts.setflags(write=False)
        unpredicted.setflags(write=False)
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "unpredicted", unpredicted)

    @classmethod
    def empty(cls, classes: int) -> Confusion:
        """Nothing counted yet, for so many classes."""
        return cls(np.zeros((classes, classes), np.int64), np.zeros(classes, np.int64))

    @classmethod
    def from_pairs(cls, pairs: NDArray[np.int64], classes: int) -> Confusion:
        """From counts (256, 256) of (true class index, predicted class index).

        Row `NOTHING` (truth has no class) is not scored; column `NOTHING` is `unpredicted`.

        Raises
        ------
        LabelError
            There are counts at an index that is neither below `classes` nor `NOTHING`.
        """
        for axis, what in ((1, "truth"), (0, "prediction")):
            wrong = np.flatnonzero(pairs.sum(axis=axis)[classes:NOTHING])
            if wrong.size:
                raise LabelError(
                    f"the {what} holds class index {classes + int(wrong[0])}, beyond the last of "
                    f"{classes} classes"
                )
        return cls(pairs[:classes, :classes], pairs[:classes, NOTHING])

    @classmethod
    def from_arrays(
        cls,
        truth: NDArray[np.uint8],
        prediction: NDArray[np.uint8],
        *,
        classes: int,
    ) -> Confusion:
        """Count two arrays of class indices.

        Parameters
        ----------
        truth
            Class indices, uint8, any shape; `NOTHING` (255) where there is no label: not counted.
        prediction
            Class indices, uint8, same shape; `NOTHING` where nothing was predicted: counted apart.
        classes
            Number of classes, at most 255.
        """
        if truth.dtype != np.uint8 or prediction.dtype != np.uint8:
            raise LabelError(
                f"class indices are uint8, not {truth.dtype} (truth) and {prediction.dtype} "
                "(prediction)"
            )
        return cls.from_pairs(count_pairs(truth, prediction), classes)

    @classmethod
    def total(cls, parts: Iterable[Confusion], *, classes: int) -> Confusion:
        """Sum of any number of confusions of the same classes; `empty` where there are none."""
        return sum(parts, cls.empty(classes))

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.unpredicted.size)

    def __add__(self, other: Confusion) -> Confusion:
        if self.classes != other.classes:
            raise LabelError(
                f"confusions of {self.classes} and of {other.classes} classes cannot be added"
            )
        return Confusion(self.counts + other.counts, self.unpredicted + other.unpredicted)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Confusion):
            return NotImplemented
        return np.array_equal(self.counts, other.counts) and np.array_equal(
            self.unpredicted, other.unpredicted
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def scores(
        self, *, leave_out: Collection[int] = (), unpredicted_is_wrong: bool = False
    ) -> Scores:
        """Every score from these counts.

        Parameters
        ----------
        leave_out
            Indices of classes that enter no mean over classes. Their pixels still count in the
            overall accuracy, in kappa and as errors of other classes.
        unpredicted_is_wrong
            Count pixels without a prediction as errors of their true class. By default they are not
            scored; `Scores.unpredicted_share` says how many they are.
        """
        wrong = sorted(i for i in leave_out if not 0 <= i < self.classes)
        if wrong:
            raise OptionError(f"there is no class of index {wrong[0]} to leave out of the means")
        kept = np.ones(self.classes, bool)
        kept[list(leave_out)] = False
        missing = self.unpredicted if unpredicted_is_wrong else np.zeros_like(self.unpredicted)
        return Scores(
            true=self.counts.sum(axis=1) + missing,
            predicted=self.counts.sum(axis=0),
            correct=np.diagonal(self.counts).copy(),
            unpredicted=self.unpredicted,
            labelled=int(self.counts.sum() + self.unpredicted.sum()),
            in_means=kept,
        )


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of each whole, float64; NaN where there is no whole."""
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Scores of a confusion with entries n_ij (true class i predicted as class j).

    Scores of a class are arrays (classes,), float64; those of the whole are floats. Undefined is
    NaN; the module says when that is. Sources: Congalton 1991 (doi 10.1016/0034-4257(91)90048-B)
    for overall, producer's and user's accuracy; Long, Shelhamer, Darrell 2015 (arXiv 1411.4038,
    section 5) for mean accuracy, mean and frequency-weighted IoU; Cohen 1960 (doi
    10.1177/001316446002000104) for kappa.
    """

    true: NDArray[np.int64]
    """Scored pixels of each true class: t_i = Σ_j n_ij, and those unpredicted if wrong."""
    predicted: NDArray[np.int64]
    """Scored pixels predicted as each class: p_j = Σ_i n_ij."""
    correct: NDArray[np.int64]
    """n_ii."""
    unpredicted: NDArray[np.int64]
    """Labelled pixels of each true class without a prediction, scored or not."""
    labelled: int
    """Pixels with a true class, predicted or not."""
    in_means: NDArray[np.bool_]
    """Whether each class enters the means over classes."""

    @property
    def scored(self) -> int:
        """Pixels that the scores rest on."""
        return int(self.true.sum())

    @property
    def unpredicted_share(self) -> float:
        """Share of labelled pixels without a prediction."""
        return float(self.unpredicted.sum()) / self.labelled if self.labelled else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """PA, overall accuracy: Σ_i n_ii / Σ_i t_i."""
        return float(self.correct.sum()) / self.scored if self.scored else float("nan")

    @property
    def frequency(self) -> NDArray[np.float64]:
        """Share of each true class: t_i / Σ_k t_k."""
        return _share(self.true, np.full_like(self.true, self.scored))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Accuracy of a class, producer's accuracy, recall: n_ii / t_i."""
        return _share(self.correct, self.true)

    @property
    def precision(self) -> NDArray[np.float64]:
        """User's accuracy, precision: n_jj / p_j."""
        return _share(self.correct, self.predicted)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union, Jaccard index: n_ii / (t_i + p_i − n_ii)."""
        return _share(self.correct, self.true + self.predicted - self.correct)

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1, Dice: 2 n_ii / (t_i + p_i), the harmonic mean of precision and recall."""
        return _share(2 * self.correct, self.true + self.predicted)

    def _mean(self, scores: NDArray[np.float64]) -> float:
        known = scores[self.in_means & ~np.isnan(scores)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def mean_accuracy(self) -> float:
        """MPA, mean accuracy: mean of `recall` over the classes in truth."""
        return self._mean(self.recall)

    @property
    def mean_precision(self) -> float:
        """Mean of `precision` over the classes in the prediction."""
        return self._mean(self.precision)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` (mIoU) over the classes in truth or prediction."""
        return self._mean(self.iou)

    @property
    def mean_f1(self) -> float:
        """Mean of `f1` (macro F1) over the classes in truth or prediction."""
        return self._mean(self.f1)

    @property
    def frequency_weighted_iou(self) -> float:
        """Σ_i t_i IoU_i / Σ_i t_i, over the same classes as `mean_iou`."""
        weight = np.where(self.in_means, self.true, 0)
        total = int(weight.sum())
        return float(np.nansum(self.iou * weight)) / total if total else float("nan")

    @property
    def kappa(self) -> float:
        """Cohen's kappa: (p_o − p_e) / (1 − p_e).

        p_o is the pixel accuracy, p_e = Σ_i t_i p_i / (Σ_i t_i)² the agreement expected by chance.
        NaN where all pixels are of one class in both, so that chance alone agrees fully.
        """
        if not self.scored:
            return float("nan")
        # As shares: products of counts leave the range of int64 from some billions of pixels on.
        total = float(self.scored)
        chance = float(np.sum((self.true / total) * (self.predicted / total)))
        if np.count_nonzero(self.true) == 1 and np.array_equal(self.true, self.predicted):
            return float("nan")
        return (self.pixel_accuracy - chance) / (1 - chance)
