"""Whether a class map shows where tiles met: changes of class across lines, against elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.measures._kernels import count_changes
from geoseg.raster.window import Window


@dataclass(frozen=True, kw_only=True)
class ClassSeams:
    """How often neighbouring pixels are of two classes."""

    step: int
    """Lines lie before every so many pixels, from the raster's first."""
    line_pairs: int
    """Neighbours across a line, both with a class."""
    line_changes: int
    """Those of two classes."""
    other_pairs: int
    """All other neighbours."""
    other_changes: int
    """Those of two classes."""

    @property
    def line_share(self) -> float:
        """Share of neighbours across a line that are of two classes; NaN without any."""
        return self.line_changes / self.line_pairs if self.line_pairs else float("nan")

    @property
    def other_share(self) -> float:
        """Share of all other neighbours that are of two classes; NaN without any."""
        return self.other_changes / self.other_pairs if self.other_pairs else float("nan")

    @property
    def ratio(self) -> float:
        """How many times as often classes change across the lines; 1 is no seam, NaN unknown."""
        if not self.line_pairs or not self.other_pairs:
            return float("nan")
        if not self.other_changes:
            return 1.0 if not self.line_changes else float("inf")
        return self.line_share / self.other_share


class ClassSeamMeter:
    """Takes the rows of class maps from top to bottom: the labels first, then predictions."""

    def __init__(self, window: Window, step: int, *, maps: int) -> None:
        self._step = step
        self._window = window
        self._right = np.zeros((maps, 2, window.width), np.int64)
        self._down = np.zeros((maps, 2, 2), np.int64)  # pairs and changes, on lines and elsewhere
        self._last: NDArray[np.uint8] | None = None

    def take(self, row: int, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Take the next rows, as `BlockCounter.take`."""
        new = np.concatenate([truth[np.newaxis], found])
        rows = new if self._last is None else np.concatenate([self._last, new], axis=1)
        before = rows.shape[1] - new.shape[1]
        line = (np.arange(rows.shape[1]) + row - before) % self._step == 0
        for number, classes in enumerate(rows):
            down = np.zeros((2, rows.shape[1]), np.int64)
            above = np.array([before], np.int64)
            count_changes(classes, above, self._right[number], down)
            self._down[number, 0] += down[:, line].sum(axis=1)
            self._down[number, 1] += down[:, ~line].sum(axis=1)
        self._last = new[:, -1:].copy()

    def result(self) -> tuple[ClassSeams, ...]:
        """Return what was found, one a map."""
        line = np.arange(self._window.col, self._window.col_stop) % self._step == 0
        found = []
        for right, down in zip(self._right, self._down, strict=True):
            lines = right[:, line].sum(axis=1) + down[0]
            others = right[:, ~line].sum(axis=1) + down[1]
            found.append(
                ClassSeams(
                    step=self._step,
                    line_pairs=int(lines[0]),
                    line_changes=int(lines[1]),
                    other_pairs=int(others[0]),
                    other_changes=int(others[1]),
                )
            )
        return tuple(found)
