"""Polygons that wait on disk until they are one feature: in WKB, by a number. Knows no geometry."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path

_LITTLE_ENDIAN_MULTIPOLYGON = struct.pack("<BI", 1, 6)


class Parts:
    """A temporary file of polygons; memory is that of one feature.

    Parameters
    ----------
    folder
        Where the file goes.

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

    def __init__(self, folder: Path) -> None:
        # Closed by `close`: it lives as long as this object.
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self.counts = {}
        self._places: dict[int, list[tuple[int, int]]] = {}
        self._end = 0

    def add(self, key: int, polygons: Iterable[bytes]) -> None:
        """Add polygons in WKB to those of a key."""
        data = list(polygons)
        whole = b"".join(data)
        self._file.seek(self._end)
        self._file.write(whole)
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
            parts.append(self._file.read(size))
        return b"".join(parts)

    def close(self) -> None:
        """Remove the file; safe to call again."""
        self._file.close()
