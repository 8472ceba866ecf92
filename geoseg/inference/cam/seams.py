"""Whether maps show where patches meet: differences across the lines, against those elsewhere.

Knows no files: rows come from top to bottom, in strips of any height, and are not kept.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SeamMeter", "Seams"]


@dataclass(frozen=True, kw_only=True)
class Seams:
    """What a `SeamMeter` found. Tuples hold one value a map; NaN where there were no pairs."""

    line_difference: tuple[float, ...]
    """Mean |difference| of neighbouring pixels across a line, in units of the map."""
    other_difference: tuple[float, ...]
    """Mean |difference| of all other neighbouring pixels."""
    lattice_difference: tuple[float, ...]
    """Mean |difference| at the distance from a line where, lines apart, it is greatest."""
    line_pairs: tuple[int, ...]
    """Numbers of pairs across lines."""
    other_pairs: tuple[int, ...]
    """Numbers of all other pairs."""

    @property
    def ratios(self) -> tuple[float, ...]:
        """Difference across the lines as a multiple of that elsewhere; 1 = no seam."""
        return tuple(map(_ratio, self.line_difference, self.other_difference))

    @property
    def ratio(self) -> float:
        """Mean of `ratios`, over the maps that have one; NaN if none has."""
        return _mean(self.ratios)

    @property
    def lattice_ratios(self) -> tuple[float, ...]:
        """As `ratios`, but against the roughest distance from the lines; 1 or less = no seam."""
        return tuple(map(_ratio, self.line_difference, self.lattice_difference))

    @property
    def lattice_ratio(self) -> float:
        """Mean of `lattice_ratios`, over the maps that have one; NaN if none has."""
        return _mean(self.lattice_ratios)


class SeamMeter:
    """Adds up differences between neighbouring pixels, apart for those across patch lines.

    Neighbours are a pixel and the one to its right, a pixel and the one below. Pairs with a NaN or
    infinite value count for nothing.

    Upsampled maps have a lattice of their own, at the steps of the network's last feature map: a
    map of repeated pixels changes nowhere else. So "elsewhere" are *all* other pairs, on that
    lattice or not, and even without any seam such a map has a ratio of about its factor. The
    lattice ratio is robust against that. It sorts pairs by their distance from the line before
    them, to the left or above, and compares the lines with the roughest distance. Only distances
    with at least half as many pairs as the lines themselves are asked.

    Sums are in float64 and by rows, so how rows are cut into strips changes no bit.

    Parameters
    ----------
    rows, cols
        First rows and columns of patches; lines lie before them. 0 is the map's edge and no line.
    maps
        Number of maps.
    width
        Columns of the maps.
    """

    def __init__(self, rows: Sequence[int], cols: Sequence[int], maps: int, width: int) -> None:
        self._rows = sorted({0, *rows})
        self._cols = sorted({0, *cols})
        self._maps = maps
        self._width = width
        gaps = np.diff(self._rows).tolist() + np.diff(self._cols).tolist()
        # Distances to tell apart; those behind the last line may be greater and share the last bin.
        self._beyond = max([1, *gaps])
        bins = self._beyond + 1
        self._down = np.zeros((maps, bins))
        self._down_pairs = np.zeros((maps, bins), np.int64)
        self._right = np.zeros((maps, max(0, width - 1)))
        self._right_pairs = np.zeros(self._right.shape, np.int64)
        self._next = 0
        self._above: NDArray[np.float32] | None = None

    def add(self, row: int, data: NDArray[np.float32]) -> None:
        """Take the next rows.

        Parameters
        ----------
        row
            First row of `data` in the map; the one after the last row taken.
        data
            (maps, rows, width), NaN where there is nothing. Its last row is copied.

        Raises
        ------
        ValueError
            Rows out of order, or of another shape.
        """
        if data.ndim != 3 or data.shape[0] != self._maps or data.shape[2] != self._width:
            raise ValueError(
                f"rows of shape {data.shape}; expected ({self._maps}, rows, {self._width})"
            )
        if row != self._next:
            raise ValueError(f"row {row} came where row {self._next} is the next")
        for offset in range(data.shape[1]):
            now = data[:, offset]
            found, counted = _differences(now[:, 1:], now[:, :-1])
            self._right += found
            self._right_pairs += counted
            if self._above is not None:
                found, counted = _differences(now, self._above)
                place = self._distance(self._rows, row + offset)
                self._down[:, place] += found.sum(axis=1)
                self._down_pairs[:, place] += counted.sum(axis=1)
            self._above = now
        if data.shape[1]:
            self._above = data[:, -1].copy()
        self._next = row + data.shape[1]

    def result(self) -> Seams:
        """Return what was found in all rows taken so far."""
        sums, pairs = self._down.copy(), self._down_pairs.copy()
        for col in range(1, self._width):
            place = self._distance(self._cols, col)
            sums[:, place] += self._right[:, col - 1]
            pairs[:, place] += self._right_pairs[:, col - 1]
        lines, line_pairs = sums[:, 0], pairs[:, 0]
        others, other_pairs = sums[:, 1:].sum(axis=1), pairs[:, 1:].sum(axis=1)
        with np.errstate(invalid="ignore"):  # no pairs: NaN
            at_distance = (sums / pairs)[:, 1 : self._beyond]
            at_distance[2 * pairs[:, 1 : self._beyond] < np.maximum(line_pairs, 1)[:, None]] = -1
            roughest = at_distance.max(axis=1, initial=-1)
            return Seams(
                line_difference=tuple((lines / line_pairs).tolist()),
                other_difference=tuple((others / other_pairs).tolist()),
                lattice_difference=tuple(np.where(roughest < 0, np.nan, roughest).tolist()),
                line_pairs=tuple(line_pairs.tolist()),
                other_pairs=tuple(other_pairs.tolist()),
            )

    def _distance(self, lines: Sequence[int], place: int) -> int:
        """Distance of the pair (place − 1, place) from the line before it: 0 on a line."""
        return min(place - lines[bisect.bisect_right(lines, place) - 1], self._beyond)


def _differences(
    one: NDArray[np.float32], other: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """|one − other|, 0 where either is not finite, and where both are."""
    both = np.isfinite(one) & np.isfinite(other)
    found = np.zeros(one.shape)
    np.subtract(one, other, out=found, where=both, dtype=np.float64)
    return np.abs(found, out=found), both


def _ratio(lines: float, others: float) -> float:
    """How many times as great; 1 where both are 0 (nothing changes anywhere), NaN if unknown."""
    if lines == others == 0:
        return 1.0
    if others == 0:
        return lines * float("inf")
    return lines / others


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if v == v]  # noqa: PLR0124 — NaN is not itself
    return sum(known) / len(known) if known else float("nan")
