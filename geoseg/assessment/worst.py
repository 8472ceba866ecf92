"""The worst patches of many maps."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.assessment.measures.overview import Overview
from geoseg.raster.window import Window


class Worst:
    """Keeps the patches with the most wrong pixels of all maps, so that no map has to be kept.

    Parameters
    ----------
    most
        Patches to keep.
    predictions
        Number of predictions, each with patches of its own.
    """

    def __init__(self, *, most: int, predictions: int) -> None:
        self._most = most
        self._kept: list[list[tuple[int, Window, int, int]]] = [[] for _ in range(predictions)]

    def add(self, number: int, found: Sequence[Overview] | None) -> None:
        """Take the patches of a map; of as many wrong pixels those of earlier maps come first."""
        for kept, one in zip(self._kept, found or (), strict=False):
            kept += [(number, window, wrong, scored) for window, wrong, scored in one.worst]
            kept.sort(key=lambda patch: -patch[2])
            del kept[self._most :]

    def of(self, prediction: int) -> tuple[tuple[int, Window, int, int], ...]:
        """Patches of a prediction, the worst first: map, window in it, wrong, scored pixels."""
        return tuple(self._kept[prediction])
