"""Sums over finished work that waits on disk, so that what is damaged there is not gone on with.

Sums (CRC-32) tell accidents from what was written: a file that was cut, flipped, mixed with that of
another run. They cost a third of a nanosecond a byte.
"""

from __future__ import annotations

import errno
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DamagedError", "FileSum", "RowSums", "check_file"]

_PART = 4 << 20
"""Bytes read at a time."""


class DamagedError(OSError):
    """What an earlier run had finished is not what it wrote."""

    def __init__(self, what: str) -> None:
        super().__init__(
            errno.EIO,
            f"{what}, which an earlier run had finished, is damaged; begin anew with --overwrite",
        )


class FileSum:
    """The sum of the first bytes of a file that grows at its end; each is read once.

    Parameters
    ----------
    path
        The file.
    start
        Bytes before those that are meant.
    """

    def __init__(self, path: Path, *, start: int = 0) -> None:
        self._path = path
        self._start = start
        self._size = self._sum = 0

    def upto(self, size: int) -> int:
        """Return the sum of the first `size` bytes; if fewer than before, all are read again.

        Raises
        ------
        DamagedError
            The file holds fewer.
        OSError
            It cannot be read.
        """
        if size < self._size:
            self._size = self._sum = 0
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._start + self._size)
            while self._size < size:
                part = file.read(min(_PART, size - self._size))
                if not part:
                    raise DamagedError(self._path.name)
                self._sum = zlib.crc32(part, self._sum)
                self._size += len(part)
        return self._sum


def check_file(path: Path, size: int, wanted: int) -> FileSum:
    """Make sure that a file begins with what was written; return its sum, to go on with.

    Raises
    ------
    DamagedError
        It does not.
    OSError
        It cannot be read.
    """
    found = FileSum(path)
    if found.upto(size) != wanted:
        raise DamagedError(path.name)
    return found


class RowSums:
    """The sum of each band of a raster's first rows; from any thread.

    Rows are counted that come in order, from the first. What came out of order ends it: of more
    rows there is no sum.

    Parameters
    ----------
    bands
        Number of bands.
    """

    def __init__(self, bands: int) -> None:
        self._lock = threading.Lock()
        # The last two: some outputs of a run may be a step ahead of others.
        self._known: list[tuple[int, tuple[int, ...]]] = [(0, (0,) * bands)]

    def add(self, row: int, data: NDArray[Any]) -> None:
        """Count rows that were written: (bands, rows, width), from `row` on."""
        with self._lock:
            rows, sums = self._known[-1]
            if row == rows:
                more = zip(data, sums, strict=True)
                new = tuple(zlib.crc32(np.ascontiguousarray(b).data, s) for b, s in more)
                self._known = [self._known[-1], (row + data.shape[1], new)]

    def of(self, rows: int) -> tuple[int, ...] | None:
        """Return the sums of the first rows, one a band; None where they are not known."""
        with self._lock:
            return dict(self._known).get(rows)

    def check(self, rows: int, wanted: Sequence[int], what: str) -> None:
        """Make sure that the first rows are those that were written.

        Raises
        ------
        DamagedError
            They are not; `what` names them.
        """
        if self.of(rows) != tuple(wanted):
            raise DamagedError(what)
