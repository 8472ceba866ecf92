"""The directories of a TIFF: read as they are, and written again around other tiles.

Knows tags and places; knows neither pixels nor compression. Little-endian files, as GDAL makes
where numbers are stored so.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["BROKEN", "Directory", "NotWholeError", "check_whole", "head_bytes", "read_directories"]

_WIDTH, _HEIGHT = 256, 257
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_TILE_OFFSETS, _TILE_SIZES = 324, 325
_SHORT, _LONG, _LONG8 = 3, 4, 16
# Types of fields and how many bytes one value takes.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_NUMBERS = {3: "H", 4: "I", 16: "Q"}
_CLASSIC_END = 1 << 32

BROKEN = (struct.error, KeyError, ValueError)
"""What reading a TIFF that is not whole may raise."""


class NotWholeError(Exception):
    """A TIFF with parts missing."""


@dataclass(frozen=True, kw_only=True)
class Directory:
    """What a TIFF says of one raster in it."""

    fields: dict[int, tuple[int, int, bytes]]
    """Tag → type, number of values, and the values as they are stored."""

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the values of a field of whole numbers; empty if it is not there."""
        if tag not in self.fields:
            return ()
        kind, count, raw = self.fields[tag]
        return struct.unpack(f"<{count}{_NUMBERS[kind]}", raw)

    @property
    def tiles(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Places and sizes of the tiles."""
        return self.numbers(_TILE_OFFSETS), self.numbers(_TILE_SIZES)

    def around(self, height: int, width: int, tiles: int, *, side: int) -> Directory:
        """Return the directory of a raster of another size, whose tiles have no place yet.

        Tiles have `side` rows and columns: GDAL gives smaller copies tiles of another size where
        the raster's is no power of two, or less than 64.
        """
        fields = dict(self.fields)
        fields[_WIDTH] = (_LONG, 1, struct.pack("<I", width))
        fields[_HEIGHT] = (_LONG, 1, struct.pack("<I", height))
        fields[_TILE_WIDTH] = fields[_TILE_HEIGHT] = (_SHORT, 1, struct.pack("<H", side))
        fields[_TILE_OFFSETS] = (_LONG, tiles, bytes(4 * tiles))
        fields[_TILE_SIZES] = (_LONG, tiles, bytes(4 * tiles))
        return Directory(fields=fields)

    def placed(self, offsets: Sequence[int], sizes: Sequence[int], *, big: bool) -> Directory:
        """Return the directory with places and sizes of its tiles."""
        kind, letter = (_LONG8, "Q") if big else (_LONG, "I")
        count = len(offsets)
        fields = dict(self.fields)
        fields[_TILE_OFFSETS] = (kind, count, struct.pack(f"<{count}{letter}", *offsets))
        fields[_TILE_SIZES] = (_LONG, count, struct.pack(f"<{count}I", *sizes))
        return Directory(fields=fields)


def read_directories(file: BinaryIO) -> tuple[bytes, list[Directory]]:
    """Read what stands before the first directory, and all directories.

    Returns
    -------
    ghost, directories
        The bytes between header and first directory, where GDAL says how a file is laid out; and
        the directories.

    Raises
    ------
    struct.error, KeyError
        It is no whole TIFF.
    """

    def take(layout: str, at: int) -> tuple[int, ...]:
        file.seek(at)
        return struct.unpack(layout, file.read(struct.calcsize(layout)))

    big = take("<2sH", 0)[1] == 43
    pointer, count, entry_size = ("<Q", "<Q", 20) if big else ("<I", "<H", 12)
    start, inline = (16, 8) if big else (8, 4)
    (directory,) = take(pointer, start - inline)
    file.seek(start)
    ghost = file.read(directory - start) if directory > start else b""
    found: list[Directory] = []
    while directory:
        (entries,) = take(count, directory)
        first = directory + struct.calcsize(count)
        fields: dict[int, tuple[int, int, bytes]] = {}
        for at in range(first, first + entries * entry_size, entry_size):
            tag, kind = take("<HH", at)
            (number,) = take(pointer, at + 4)
            size, place = number * _SIZES[kind], at + 4 + inline
            if size > inline:
                (place,) = take(pointer, place)
            file.seek(place)
            fields[tag] = (kind, number, file.read(size))
        found.append(Directory(fields=fields))
        (directory,) = take(pointer, first + entries * entry_size)
    return ghost, found


def head_bytes(
    ghost: bytes, directories: Sequence[Directory], sizes: Sequence[Sequence[int]], *, around: int
) -> tuple[bytes, list[list[int]]]:
    """Lay out a TIFF: all directories, then the tiles of the last, of the one before, and so on.

    Parameters
    ----------
    ghost
        What stands before the first directory.
    directories
        One a raster, from `Directory.around`.
    sizes
        Of each raster's tiles, row by row.
    around
        Bytes before each tile, and after.

    Returns
    -------
    head, offsets
        All that comes before the tiles, and the place of each tile: the first `around` bytes after
        the head's end. It is a BigTIFF where a place takes more than 32 bits.
    """
    total = sum(size + 2 * around for some in sizes for size in some)
    for big in (False, True):
        ghost_end = (16 if big else 8) + len(ghost)
        start = ghost_end + ghost_end % 2
        blank = [
            d.placed([0] * len(some), some, big=big)
            for d, some in zip(directories, sizes, strict=True)
        ]
        end = start + sum(_length(d, big=big) for d in blank)
        if big or end + total < _CLASSIC_END:
            break
    offsets: list[list[int]] = [[] for _ in sizes]
    place = end
    for level in reversed(range(len(sizes))):
        for size in sizes[level]:
            offsets[level].append(place + around)
            place += size + 2 * around
    header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, start) if big else b""
    parts = [header or struct.pack("<2sHI", b"II", 42, start), ghost, bytes(start - ghost_end)]
    at = start
    for index, directory in enumerate(directories):
        placed = directory.placed(offsets[index], sizes[index], big=big)
        last = index == len(directories) - 1
        parts.append(_written(placed, at, big=big, last=last))
        at += len(parts[-1])
    return b"".join(parts), offsets


def _length(directory: Directory, *, big: bool) -> int:
    """Bytes that a directory takes, with the values that do not fit into it."""
    return len(_written(directory, 0, big=big, last=True))


def _written(directory: Directory, at: int, *, big: bool, last: bool) -> bytes:
    """Write a directory for the place `at`, an even number; another follows it, or none."""
    count, pointer, inline = ("<Q", "<Q", 8) if big else ("<H", "<I", 4)
    entries = bytearray(struct.pack(count, len(directory.fields)))
    fixed = len(entries) + len(directory.fields) * (4 + 2 * inline) + inline
    beyond = bytearray(fixed % 2)
    for tag, (kind, number, raw) in sorted(directory.fields.items()):
        entries += struct.pack("<HH", tag, kind) + struct.pack(pointer, number)
        if len(raw) <= inline:
            entries += raw.ljust(inline, b"\0")
        else:
            entries += struct.pack(pointer, at + fixed + len(beyond))
            beyond += raw + bytes(len(raw) % 2)
    following = 0 if last else at + fixed + len(beyond)
    return bytes(entries) + struct.pack(pointer, following) + bytes(beyond)


def check_whole(path: Path) -> None:
    """Check that every tile of a COG is in the file.

    A COG of GDAL's kind repeats a tile's size in the four bytes before the tile, so a glance at
    each is enough.

    Raises
    ------
    NotWholeError
        Directories or tiles are missing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            for directory in read_directories(file)[1]:
                offsets, sizes = directory.tiles
                if len(offsets) != len(sizes) or not offsets:
                    raise NotWholeError("a directory of tiles is damaged")
                for offset, count in zip(offsets, sizes, strict=True):
                    file.seek(offset - 4)
                    leader = file.read(4)
                    if count < 1 or offset + count > size or leader != struct.pack("<I", count):
                        raise NotWholeError(f"the tile at byte {offset} is missing")
        except (*BROKEN, OSError) as error:
            raise NotWholeError(f"a directory of tiles is damaged: {error}") from error
