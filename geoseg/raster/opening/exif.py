"""EXIF of PNG and WebP files, which GDAL does not read: how they are turned, where they were taken.

Knows the blocks of the two formats and the directories of a TIFF, and nothing of pixels. A block
that makes no sense says nothing: pictures are not refused for what is noted beside them.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_ORIENTATION, _GPS = 0x0112, 0x8825
_OF_GPS = {
    1: "EXIF_GPSLatitudeRef",
    2: "EXIF_GPSLatitude",
    3: "EXIF_GPSLongitudeRef",
    4: "EXIF_GPSLongitude",
}
_TEXT, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_SIZES = {_TEXT: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8}
_MOST_BYTES = 1 << 20
_MOST_ENTRIES = 1000


def exif_tags(path: str) -> dict[str, str]:
    """Read orientation and place from a PNG or WebP file.

    Returns
    -------
    Tags as GDAL has them of a JPEG: ``EXIF_Orientation``, ``EXIF_GPSLatitude`` and so on. Empty
    where there are none, and for other files.
    """
    try:
        with Path(path).open("rb") as file:
            block = _block(file)
        return {} if block is None else _tags(block.removeprefix(b"Exif\0\0"))
    except (OSError, ValueError, struct.error):
        return {}


def _block(file: BinaryIO) -> bytes | None:
    """Find the bytes of the EXIF block; None where there is none."""
    head = file.read(12)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        file.seek(8)
        is_png, wanted = True, b"eXIf"
    elif head.startswith(b"RIFF") and head.endswith(b"WEBP"):
        is_png, wanted = False, b"EXIF"
    else:
        return None
    while len(start := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", start) if is_png else struct.unpack("<4sI", start)[::-1]
        if name == wanted:
            return file.read(size) if size <= _MOST_BYTES else None
        if name == b"IEND":
            return None
        # A PNG has a checksum behind each block; a WebP has blocks of even length.
        file.seek(size + 4 if is_png else size + size % 2, 1)
    return None


def _tags(block: bytes) -> dict[str, str]:
    """Read what is wanted of a block that begins as a TIFF does."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return {}
    entries = _directory(block, order, struct.unpack_from(order + "I", block, 4)[0])
    found: dict[str, str] = {}
    if turned := entries.get(_ORIENTATION):
        found["EXIF_Orientation"] = turned
    if place := entries.get(_GPS):
        inside = _directory(block, order, int(place))
        found |= {name: inside[tag] for tag, name in _OF_GPS.items() if tag in inside}
    return found


def _directory(block: bytes, order: str, at: int) -> dict[int, str]:
    """Read the entries of a directory, as text in the words of GDAL."""
    (count,) = struct.unpack_from(order + "H", block, at)
    found: dict[int, str] = {}
    for place in range(at + 2, at + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", block, place)
        size = _SIZES.get(kind, 0) * number
        if not 0 < size <= len(block):
            continue
        begin = place + 8
        if size > 4:
            (begin,) = struct.unpack_from(order + "I", block, begin)
        if kind == _TEXT:
            found[tag] = block[begin : begin + size].split(b"\0")[0].decode("latin-1")
        elif kind == _RATIONAL:
            parts = struct.unpack_from(f"{order}{2 * number}I", block, begin)
            pairs = zip(parts[::2], parts[1::2], strict=True)
            found[tag] = " ".join(f"({part / of:.15g})" if of else "(nan)" for part, of in pairs)
        elif number == 1:
            code = "H" if kind == _SHORT else "I"
            found[tag] = str(struct.unpack_from(order + code, block, begin)[0])
    return found
