"""What a scene knows of its components: tables on disk that bands add to. Knows no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.inference import _components, _resolution
from geoseg.inference._spill import SpillFile

_MOST_NODES = 2**31 - 1


@dataclass(frozen=True)
class BandTables:
    """Where the tables hold what belongs to a band."""

    first_node: int
    """Number of the band's first node in the scene."""
    nodes: int
    """How many nodes it has."""
    first_change: int
    """How many runs of earlier bands may change."""
    changes: int
    """How many of its own runs may change."""


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
            self._changes = self._column(np.int32)
            self._links = self._column(np.int32)
        except BaseException:
            self.close()
            raise
        self._bottom: NDArray[np.int32] | None = None

    def append(self, tables: tuple[NDArray[Any], ...]) -> BandTables:
        """Add what `_components.label_band` returned of the next band.

        Raises
        ------
        InputError
            There are too many components to number them.
        """
        areas, classes, ends, neighbours, changes, top, bottom = tables
        first_node, first_change = self._areas.length, self._changes.length // 2
        if first_node + areas.size > _MOST_NODES:
            raise InputError(
                f"the map has more than {_MOST_NODES} small components, too many to remove them: "
                "smooth it first"
            )
        self._areas.append(areas)
        self._classes.append(classes)
        self._ends.append(ends + np.int64(self._neighbours.length))
        neighbours += np.int32(first_node)
        self._neighbours.append(neighbours)
        self._changes.append(changes)
        for row in (top, bottom):
            row[row >= 0] += np.int32(first_node)
        if self._bottom is not None:
            # The halo is the last row of the band above: run by run, these are the same components.
            self._links.append(np.stack([self._bottom, top], axis=1)[top >= 0])
        self._bottom = bottom
        return BandTables(first_node, areas.size, first_change, changes.shape[0])

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

    def changes(self, band: BandTables) -> NDArray[np.int32]:
        """Return the runs of a band that may change, as `_components.repaint` takes them."""
        changes = np.empty((band.changes, 2), np.int32)
        self._changes.read(band.first_change * 2, changes)
        return changes

    def close(self) -> None:
        """Remove the files; may be called again."""
        for file in self._files:
            file.close()

    def _column(self, dtype: type[np.generic]) -> SpillFile:
        self._files.append(SpillFile(self._folder, dtype))
        return self._files[-1]
