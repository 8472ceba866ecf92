"""Which tiles of a raster were compressed, and where they wait: a file that outlives a run.

Knows numbers; `geoseg.raster.pyramid` knows what they are numbers of. A record is written when its
tile is, so that of a file that reached the disk by a `flush` every tile did.
"""

from __future__ import annotations

import errno
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

from geoseg.raster.spool import Spool

__all__ = ["TileList", "TilePlace"]

_RECORD = struct.Struct("<IIIIQ")


@dataclass(frozen=True)
class TilePlace:
    """A tile that was compressed."""

    level: int
    """Of which copy of the raster, 0 being itself."""
    row: int
    """Row of tiles."""
    col: int
    """Column of tiles."""
    size: int
    """Bytes of the compressed tile."""
    at: int
    """Place where they wait."""


class TileList:
    """The list, in a file.

    Parameters
    ----------
    path
        The file.
    noted
        Bytes of it that an earlier run noted; what it wrote after is forgotten. With 0 the file
        must not be there.

    Attributes
    ----------
    taken
        Tiles of the earlier run.

    Raises
    ------
    OSError
        By every method: what the system reported; the file is shorter than was noted.
    """

    def __init__(self, path: Path, noted: int) -> None:
        if noted % _RECORD.size:
            raise OSError(errno.EIO, "a list of finished tiles is damaged")
        self._lock = threading.Lock()
        self._size = noted
        self._file = Spool(path, noted, again=noted > 0)
        try:
            content = bytearray(noted)
            self._file.read_at(0, memoryview(content))
        except BaseException:
            self._file.close()
            raise
        self.taken = [
            TilePlace(level, row, col, size, at)
            for level, row, col, size, at in _RECORD.iter_unpack(content)
        ]

    def add(self, tile: TilePlace) -> None:
        """Note a tile that was written; from any thread."""
        record = _RECORD.pack(tile.level, tile.row, tile.col, tile.size, tile.at)
        with self._lock:  # no gap before a record that is there
            self._file.write_at(self._size, record)
            self._size += len(record)

    @property
    def size(self) -> int:
        """Bytes of the list so far."""
        with self._lock:
            return self._size

    def flush(self) -> None:
        """Have the list on the disk itself."""
        self._file.flush()

    def close(self) -> None:
        """Close the file, which stays; safe to call again."""
        self._file.close()
