"""Polygons that wait on disk until they are one feature: in WKB, by a number. Knows no geometry."""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from collections.abc import Iterable, Mapping
from io import FileIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

_LITTLE_ENDIAN_MULTIPOLYGON = struct.pack("<BI", 1, 6)


class CutShortError(OSError):
    """A file of finished work holds less of it than was noted."""


class Parts:
    """A temporary file of polygons; memory is that of one feature.

    Parameters
    ----------
    folder
        Where the file goes.
    kept
        A file that stays, in place of a temporary one, for another run to go on from.
    again
        What `flush` of an earlier run returned, whose file it is.

    Attributes
    ----------
    counts
        How many polygons there are of each key, in the order in which keys came.

    Raises
    ------
    OSError
        The disk is full (by the methods too).
    """

    counts: dict[int, int]

    def __init__(
        self,
        folder: Path,
        *,
        kept: Path | None = None,
        again: Mapping[str, NDArray[np.int64]] | None = None,
    ) -> None:
        self.counts = {}
        self._places: dict[int, list[tuple[int, int]]] = {}
        self._end = 0
        if again is not None:
            keys, counts = again["keys"].tolist(), again["counts"].tolist()
            self.counts = dict(zip(keys, counts, strict=True))
            self._places = {key: [] for key in keys}
            for key, place, size in again["places"].tolist():
                self._places[key].append((place, size))
                self._end = max(self._end, place + size)
        # Closed by `close`: it lives as long as this object.
        if kept is None:
            self._file: IO[bytes] | FileIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        else:
            self._file = open_kept(kept, self._end)

    def add(self, key: int, polygons: Iterable[bytes]) -> None:
        """Add polygons in WKB to those of a key."""
        data = list(polygons)
        whole = b"".join(data)
        self._file.seek(self._end)
        write_all(self._file, whole)
        self._places.setdefault(key, []).append((self._end, len(whole)))
        self.counts[key] = self.counts.get(key, 0) + len(data)
        self._end += len(whole)

    def size(self, key: int) -> int:
        """Bytes of a key's polygons."""
        return sum(size for _, size in self._places[key])

    def multipolygon(self, key: int) -> bytes:
        """WKB of all polygons of a key, in the order in which they came."""
        parts = [_LITTLE_ENDIAN_MULTIPOLYGON, struct.pack("<I", self.counts[key])]
        for place, size in self._places[key]:
            self._file.seek(place)
            parts.append(read_all(self._file, size))
        return b"".join(parts)

    def flush(self) -> dict[str, NDArray[np.int64]]:
        """Have all polygons on the disk itself; return where they are, to go on from."""
        self._file.flush()
        os.fsync(self._file.fileno())
        places = [(key, *one) for key, some in self._places.items() for one in some]
        return {
            "keys": np.array(list(self.counts), np.int64),
            "counts": np.array(list(self.counts.values()), np.int64),
            "places": np.array(places, np.int64).reshape(-1, 3),
        }

    def close(self) -> None:
        """Close the file, which goes if it is temporary; safe to call again."""
        self._file.close()


def open_kept(path: Path, size: int) -> FileIO:
    """Open a file that outlives the run at the end of its first `size` bytes; what follows goes.

    Raises
    ------
    OSError
        It cannot be written, or has not as many.
    """
    file = FileIO(path, "r+" if size else "w+")
    try:
        if os.fstat(file.fileno()).st_size < size:
            raise CutShortError(errno.EIO, "a file of finished work was cut short")
        file.truncate(size)
        file.seek(size)
    except BaseException:
        file.close()
        raise
    return file


def write_all(file: IO[bytes] | FileIO, data: bytes | memoryview) -> None:
    """Write all of some bytes, of which the system may take a part at a time."""
    left = memoryview(data).cast("B")
    while left:
        left = left[file.write(left) :]


def read_all(file: IO[bytes] | FileIO, size: int) -> bytes:
    """Read so many bytes, which the system may give in several goes.

    Raises
    ------
    OSError
        They are not there.
    """
    parts: list[bytes] = []
    while size:
        part = file.read(min(size, 1 << 28))
        if not part:
            raise CutShortError(errno.EIO, "a file of finished work was cut short")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
