"""Bytes that stand for a raster's values while pairs of them are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.confusion import NOTHING
from geoseg.errors import LabelError
from geoseg.raster.legend import Legend

_MOST_VALUES = 1000
"""Different values without a class that are listed; more look like measurements."""


class Tally:
    """How often each value occurred that means no class.

    Above a thousand different values only their number is kept. The result depends on what was
    added and not on the order, so threads may add (behind a lock).
    """

    def __init__(self) -> None:
        self.pixels = 0
        self._counts: Counter[int | float] | None = Counter()

    def add(self, values: NDArray[Any]) -> None:
        """Count an array's values."""
        self.pixels += values.size
        if self._counts is None or values.size == 0:
            return
        found, counts = np.unique(values, return_counts=True)
        self.add_counts(found, counts, counted=True)

    def add_counts(
        self, values: NDArray[Any], counts: NDArray[np.int64], *, counted: bool = False
    ) -> None:
        """Count values that occurred so many times each; `counted` if `pixels` knows them."""
        if not counted:
            self.pixels += int(counts.sum())
        if self._counts is None:
            return
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._counts[int(value) if float(value).is_integer() else value] += count
            if len(self._counts) > _MOST_VALUES:
                self._counts = None
                return

    @property
    def listed(self) -> dict[int | float, int]:
        """Pixels by value, in the order of values; empty if there were too many to list."""
        return dict(sorted((self._counts or {}).items()))

    def words(self) -> str:
        """Values without a class, for a sentence: "values that are no class (0, 7, 9)"."""
        listed = list(self.listed)
        if not listed:
            return "very many values that are no class"
        shown = ", ".join(f"{value:g}" for value in listed[:8])
        more = ", …" if len(listed) > 8 else ""
        what = "a value that is" if len(listed) == 1 else "values that are"
        return f"{what} no class ({shown}{more})"


class Codes:
    """Turns a raster's values into bytes, and such bytes into class indices.

    8-bit values are their own code: then counting needs no look-up for each pixel, the classes may
    be settled afterwards, and values without a class come out of the same counts. Wider values are
    looked up in the legend, and those without a class are tallied apart.
    """

    def __init__(self, dtype: np.dtype[Any], legend: Legend | None, *, name: str) -> None:
        self.raw = dtype == np.uint8
        self._legend = legend
        if not self.raw and legend is None:
            raise LabelError(
                f"{name} names no classes and holds {dtype} values: say with --classes what they"
                " mean"
            )

    def encode(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Codes of values; not to be changed in place, they may be the values themselves."""
        if self.raw or self._legend is None:
            return values
        return self._legend.lookup(values)

    def index(self, legend: Legend) -> NDArray[np.uint8]:
        """(256,) uint8: class index of each code, `NOTHING` where it means no class."""
        if self.raw:
            return legend.label_lut("uint8")
        lut = np.full(256, NOTHING, np.uint8)
        lut[: len(legend)] = np.arange(len(legend))
        return lut


def gather(
    pairs: NDArray[np.int64], rows: NDArray[np.uint8], columns: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Sum counts (256, 256) of codes into counts (256, 256) of what the codes mean."""
    result = np.zeros_like(pairs)
    np.add.at(result, (rows[:, np.newaxis], columns[np.newaxis, :]), pairs)
    return result


def by_id(legend: Legend) -> Legend:
    """Return the legend in which a class means its id alone, as in class rasters."""
    return Legend(tuple(replace(c, values=()) for c in legend.classes))


def legend_of_pairs(pairs: NDArray[np.int64], names: tuple[str, str]) -> Legend:
    """Return the classes of rasters that name none: the values found in either, but for 255."""
    found = (pairs.sum(axis=1) > 0) | (pairs.sum(axis=0) > 0)
    values = np.flatnonzero(found[:NOTHING])
    if values.size == 0:
        raise LabelError(f"{names[0]} and {names[1]} hold no class at the same place")
    return Legend.of_values(values.tolist())
