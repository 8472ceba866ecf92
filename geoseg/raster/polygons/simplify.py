"""Simpler borders that neighbours still share, arc by arc.

An arc runs between two nodes, where three or more polygons meet, and is the border of the two on
its sides: made simpler once, it stays the border of both, and nodes stay where they are. No corner
lies farther from the new border than the tolerance, no two arcs cross or touch that did not, and no
polygon or hole disappears (`_simplify` says why). Every arc is looked at alone, against all corners
that borders ever had, so neither bands nor workers change anything.

Which corners those are is kept on disk, a bit for each corner of a pixel: an arc may come from far
above.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.raster.polygons import _join, _simplify
from geoseg.raster.polygons.parts import open_kept, write_all


class Simplifier:
    """Makes arcs simpler; a context manager that removes its file.

    Parameters
    ----------
    rows, cols
        Size of the raster.
    tolerance
        How far corners may lie from the new border, in the units of `metric`.
    metric
        x of a column and of a row, y of a column and of a row: (1, 0, 0, 1) measures in pixels.
    folder
        Where its temporary file goes; None for the system's folder.
    kept
        A file that stays, in place of a temporary one, for another run to go on from.
    lines
        Lines of corners that are in that file, by `flush` of an earlier run; 0 for none.

    Raises
    ------
    OptionError
        The tolerance is no positive number.
    OSError
        By the methods: the disk is full.
    """

    def __init__(
        self,
        rows: int,
        cols: int,
        *,
        tolerance: float,
        metric: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0),
        folder: Path | None = None,
        kept: Path | None = None,
        lines: int = 0,
    ) -> None:
        if not 0 < tolerance < float("inf"):
            raise OptionError(f"a tolerance of {tolerance:g} is none; give one above 0, 2px say")
        self._tolerance = tolerance
        self._metric = np.array(metric, np.float64)
        self._rows, self._cols = rows, cols
        self._bytes = -(-(cols + 1) // 8)
        # Closed by `__exit__`: it lives as long as this object.
        if kept is None:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        else:
            self._file = open_kept(kept, lines * self._bytes)
        self._lines = lines

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def vertices(self, edges: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Find which corners are vertices.

        Parameters
        ----------
        edges
            (lines, cols + 1) as from `_trace.find_edges`.

        Returns
        -------
        (lines, bytes) a bit for each.
        """
        return np.packbits((edges != 0) & (edges != 5) & (edges != 10), axis=1)

    def keep(self, bits: NDArray[np.uint8]) -> None:
        """Remember the vertices of the next lines."""
        self._lines += len(bits)
        if not bits.any():  # a hole in the file, which takes no room
            self._file.truncate(self._lines * self._bytes)
            self._file.seek(0, os.SEEK_END)
            return
        write_all(self._file, np.ascontiguousarray(bits).tobytes())

    def flush(self) -> int:
        """Have what is remembered on the disk itself; return how many lines that are."""
        os.fsync(self._file.fileno())
        return self._lines

    def simplify(
        self,
        arcs: _join._Pieces,
        bits: NDArray[np.uint8] | None = None,
        first_line: int = 0,
    ) -> _join._Pieces:
        """Return simpler arcs.

        Parameters
        ----------
        arcs
            Whole arcs, as from `_trace.trace_band`.
        bits, first_line
            Vertices of the lines in which they lie; None for those that were kept.
        """
        kinds, headings, sides, firsts, corners = arcs
        if not len(kinds):
            return arcs
        if bits is None:
            kept = mmap.mmap(self._file.fileno(), 0)
            bits, first_line = np.frombuffer(kept, np.uint8).reshape(-1, self._bytes), 0
        keep = _simplify.keep_corners(
            kinds,
            firsts,
            corners,
            bits,
            first_line,
            self._metric,
            self._tolerance,
            self._rows,
            self._cols,
        )
        firsts, corners = _simplify.drop_corners(firsts, corners, keep)
        return kinds, headings, sides, firsts, corners
