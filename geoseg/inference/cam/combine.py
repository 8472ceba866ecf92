"""From activation maps to classes. Knows no files and no networks.

All ways are affine: a pixel's class scores are a matrix times its activations plus offsets, and the
class with the highest score is chosen.

- ``argmax``: the activations themselves.
- ``zscore``: minus the map's mean, over its deviation. Maps then compete by how much they stand
  out, whatever their level; what a rare class gains, frequent ones lose.
- ``median``: minus the map's median.
- ``logistic``: multinomial logistic regression of the class on the activations, fitted on labelled
  pixels, see `geoseg.inference.cam.logistic`.

Mean, deviation and median are those of a map over the whole scene. (Over each patch by itself,
every class would stand out somewhere in every patch.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.inference.outputs import NODATA

_UNSAID = {"homogenise": "model"}
"""Options that are written down only where they are not as usual."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Combination:
    """An affine map from activations to scores, and what its rows stand for."""

    method: str
    """Its name."""
    weights: NDArray[np.float32]
    """(classes,) factors of each map by itself, or a matrix (rows, classes)."""
    offsets: NDArray[np.float32]
    """(rows,)."""
    classes: tuple[int, ...]
    """Class index of each row, rising; classes without a row are never chosen."""

    @classmethod
    def argmax(cls, classes: int) -> Combination:
        """Take the activations as they are."""
        return cls._by_map("argmax", np.ones(classes), np.zeros(classes))

    @classmethod
    def zscore(cls, mean: NDArray[np.float64], std: NDArray[np.float64]) -> Combination:
        """Standardise each map by mean and deviation, (classes,); one that never varies is 0."""
        factors = np.divide(1.0, std, out=np.zeros_like(std), where=std > 0)
        return cls._by_map("zscore", factors, -mean * factors)

    @classmethod
    def median(cls, median: NDArray[np.float64]) -> Combination:
        """Subtract each map's median, (classes,)."""
        return cls._by_map("median", np.ones_like(median), -median)

    @classmethod
    def _by_map(cls, method: str, factors: Any, offsets: Any) -> Combination:
        return cls(
            method=method,
            weights=np.asarray(factors, np.float32),
            offsets=np.asarray(offsets, np.float32),
            classes=tuple(range(len(factors))),
        )

    def scores(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map activations (classes, …) to scores (rows, …), float32.

        Sums run over the maps in their order, so that a pixel's scores do not depend on how many
        are computed at once.
        """
        offsets = self.offsets.reshape(-1, *[1] * (maps.ndim - 1))
        if self.weights.ndim == 1:
            return maps * self.weights.reshape(offsets.shape) + offsets
        out = np.broadcast_to(offsets, (len(self.weights), *maps.shape[1:])).copy()
        term = np.empty(maps.shape[1:], np.float32)
        for row, weights in enumerate(self.weights):
            for one, weight in zip(maps, weights, strict=True):
                np.multiply(one, weight, out=term)
                out[row] += term
        return out

    def choose(
        self,
        maps: NDArray[np.float32],
        valid: NDArray[np.bool_],
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Choose classes.

        Parameters
        ----------
        maps
            (classes, rows, cols).
        valid
            (rows, cols).
        allowed
            (classes, rows, cols): which classes come into question; None for all. A pixel at which
            none does gets no class; one at which none of those that have a score does is free to
            be any of them.

        Returns
        -------
        index
            (rows, cols) uint8 class index, the lowest of equal ones; 255 where not valid.
        confidence
            (rows, cols) float32: softmax of the scores at the class chosen; NaN where not valid.
            Of ``logistic`` that is the class's probability; else it says by how much the class
            stands out, and nothing about how often it is right.
        """
        scores = self.scores(maps)
        if allowed is not None:
            valid = valid & allowed.any(axis=0)
            kept = allowed[list(self.classes)]
            free = ~kept.any(axis=0)
            scores[~(kept | free)] = -np.inf
        rows = scores.argmax(axis=0)
        top = np.take_along_axis(scores, rows[None], axis=0)[0]
        with np.errstate(invalid="ignore"):
            scores -= top
            np.exp(scores, out=scores)
        total = scores[0].copy()
        for row in scores[1:]:  # in order, whatever the shape
            total += row
        index = np.where(valid, np.asarray(self.classes, np.uint8)[rows], np.uint8(NODATA))
        confidence = np.where(valid, 1 / total, np.float32(np.nan)).astype(np.float32)
        return index, confidence

    def to_json(self) -> dict[str, Any]:
        """Return a regression as plain JSON, as model cards keep it."""
        return {
            "method": self.method,
            "coefficients": [[float(v) for v in row] for row in self.weights],
            "intercepts": [float(v) for v in self.offsets],
            "classes": list(self.classes),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Combination:
        """Take up what a checked model card keeps."""
        return cls(
            method=str(obj["method"]),
            weights=np.asarray(obj["coefficients"], np.float32),
            offsets=np.asarray(obj["intercepts"], np.float32),
            classes=tuple(int(c) for c in obj["classes"]),
        )


def kept_combination(
    kept: Mapping[str, Any] | None, made: Mapping[str, Any], name: str
) -> tuple[Combination, tuple[str, ...]]:
    """Take up the regression that a model keeps.

    Parameters
    ----------
    kept
        Of the model's card.
    made
        How maps are made now, by option.
    name
        What the model is called.

    Returns
    -------
    The combination, and notes on what differs from when it was fitted.

    Raises
    ------
    OptionError
        The model keeps none.
    """
    if kept is None:
        raise OptionError(
            f"the model '{name}' keeps no regression from activations to classes: give --reference"
            " with labelled pixels to fit one, or another --combine"
        )
    combination = Combination.from_json(kept)
    then, now = _UNSAID | kept.get("settings", {}), _UNSAID | dict(made)
    changed = [f"{k} {then[k]} (now {now[k]})" for k in now if k in then and then[k] != now[k]]
    notes = (f"the regression of '{name}' was fitted with {', '.join(changed)}",) if changed else ()
    return combination, notes
