"""Which tiles of a raster were compressed, and where they wait: a file that outlives a run.

Knows numbers; `geoseg.raster.cog.pyramid` knows what they are numbers of. A record is written
when its tile is, so that of a file that reached the disk by a `flush` every tile did.
"""

from __future__ import annotations

import errno
import struct
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from geoseg.raster.cog.spool import Spool
from geoseg.raster.sums import DamagedError

__all__ = ["TileList", "TilePlace", "check_tiles", "sum_of"]

_RECORD = struct.Struct("<IIIIQI")


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
    sum: int = 0
    """Sum of what waits there, from `sum_of`."""


class TileList:
    """The list, in a file.

    Parameters
    ----------
    path
        The file.
    noted
        Bytes of it that an earlier run noted; what it wrote after is forgotten. With 0 the file
        must not be there.
    wanted
        Sum of them that it noted (`noted_sum`); None for none.

    Attributes
    ----------
    taken
        Tiles of the earlier run.
    noted_sum
        Sum of the list when its `size` was asked for.

    Raises
    ------
    OSError
        By every method: what the system reported; the file is shorter than was noted.
    DamagedError
        The list is another.
    """

    def __init__(self, path: Path, noted: int, wanted: int | None = None) -> None:
        if noted % _RECORD.size:
            raise OSError(errno.EIO, "a list of finished tiles is damaged")
        self._lock = threading.Lock()
        self._size = noted
        self._file = Spool(path, noted, again=noted > 0)
        try:
            content = bytearray(noted)
            self._file.read_at(0, memoryview(content))
            self._sum = self.noted_sum = zlib.crc32(content)
            if wanted is not None and self._sum != wanted:
                raise DamagedError(path.name)
        except BaseException:
            self._file.close()
            raise
        self.taken = [
            TilePlace(level, row, col, size, at, total)
            for level, row, col, size, at, total in _RECORD.iter_unpack(content)
        ]

    def add(self, tile: TilePlace) -> None:
        """Note a tile that was written; from any thread."""
        record = _RECORD.pack(tile.level, tile.row, tile.col, tile.size, tile.at, tile.sum)
        with self._lock:  # no gap before a record that is there
            self._file.write_at(self._size, record)
            self._size += len(record)
            self._sum = zlib.crc32(record, self._sum)

    @property
    def size(self) -> int:
        """Bytes of the list so far, whose sum is `noted_sum` from now on."""
        with self._lock:
            self.noted_sum = self._sum
            return self._size

    def flush(self) -> None:
        """Have the list on the disk itself."""
        self._file.flush()

    def close(self) -> None:
        """Close the file, which stays; safe to call again."""
        self._file.close()


def sum_of(waiting: bytes | bytearray) -> int:
    """Return the sum of a tile as it waits."""
    return zlib.crc32(waiting)


def check_tiles(tiles: Iterable[TilePlace], file: Spool, around: int) -> None:
    """Make sure that tiles of an earlier run wait as it wrote them.

    Parameters
    ----------
    tiles
        The tiles.
    file
        Where they wait.
    around
        Bytes that wait before and behind each, beyond its size.

    Raises
    ------
    DamagedError
        One is another, or is not there.
    """
    for one in tiles:
        waiting = bytearray(one.size + 2 * around)
        file.read_at(one.at, memoryview(waiting))
        if sum_of(waiting) != one.sum:
            raise DamagedError(file.path.name)
