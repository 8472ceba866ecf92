"""What a scene knows of its components: tables on disk that bands add to. Knows no pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.inference import _components, _resolution
from geoseg.inference._spill import SpillFile

_MOST_NODES = 2**31 - 1


class ComponentTables:
    """Tables of a scene's components, filled band by band from the top, then resolved once.

    Parameters
    ----------
    folder
        Existing folder for the temporary files that hold them.

    Raises
    ------
    OutputError
        Files there cannot be written (also raised by the methods).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[SpillFile] = []
        try:
            self._areas = self._column(np.int64)
            self._classes = self._column(np.uint8)
            self._ends = self._column(np.int64)
            self._neighbours = self._column(np.int32)
            self._links = self._column(np.int32)
        except BaseException:
            self.close()
            raise
        self._bottom: NDArray[np.int32] | None = None

    def append(
        self,
        areas: NDArray[np.int32],
        classes: NDArray[np.uint8],
        ends: NDArray[np.int32],
        neighbours: NDArray[np.int32],
        top: NDArray[np.int32],
        bottom: NDArray[np.int32],
    ) -> slice:
        """Add what `_components.label_band` found in the next band, and return its nodes' numbers.

        Raises
        ------
        InputError
            There are too many components to number them.
        """
        first = self._areas.length
        if first + areas.size > _MOST_NODES:
            raise InputError(
                f"the map has more than {_MOST_NODES} small components, too many to remove them: "
                "smooth it first"
            )
        self._areas.append(areas)
        self._classes.append(classes)
        self._ends.append(ends + np.int64(self._neighbours.length))
        self._neighbours.append(neighbours + np.int32(first))
        top, bottom = (
            np.where(row < 0, np.int32(-1), row + np.int32(first)) for row in (top, bottom)
        )
        if self._bottom is not None:
            # The halo is the last row of the band above: run by run, these are the same components.
            self._links.append(np.stack([self._bottom, top], axis=1)[top >= 0])
        self._bottom = bottom
        return slice(first, first + areas.size)

    def resolve(self, min_area: int, roles: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Apply the rule, and return the final class of every node (nodes,), mapped from disk."""
        room = [self._column(dtype) for dtype in (np.int32, np.int32, np.int32, np.uint8, np.int32)]
        for column in room:
            column.lengthen(self._areas.length)
        parents, parts, targets, stages, queue = (column.map() for column in room)
        areas, classes = self._areas.map(), self._classes.map()
        ends, neighbours = self._ends.map(), self._neighbours.map()
        _components.merge_bands(self._links.map().reshape(-1, 2), areas, parents, parts)
        graph = (areas, ends, neighbours, parents, parts, targets, stages, queue)
        resolved = _resolution.first_round(min_area, roles, classes, *graph)
        _resolution.further_rounds(resolved, *graph)
        _resolution.islands(*graph)
        _resolution.take_classes(parents, targets, classes)
        return classes

    def close(self) -> None:
        """Remove the files; may be called again."""
        for file in self._files:
            file.close()

    def _column(self, dtype: type[np.generic]) -> SpillFile:
        self._files.append(SpillFile(self._folder, dtype))
        return self._files[-1]
