"""The header of a safetensors file: eight bytes with its length (little-endian), JSON, the numbers.

It names every tensor with its type, shape and place. Reading it runs nothing and allocates no more
than the header.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from geoseg.errors import ModelError

MOST_HEADER_BYTES = 100_000_000
"""Bound on the header, the same as in the safetensors library."""


def read_header(path: str | Path) -> dict[str, Any]:
    """Read the JSON header of a safetensors file and check that its tensors fit into the file.

    Raises
    ------
    ModelError
        The file is missing, is a pickle or another file, or is truncated or damaged.
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            first = file.read(16)
            length = header_length(first, size, path)
            file.seek(8)
            text = file.read(length)
    except OSError as error:
        raise unreadable(path, error) from error
    return header_of(text, size, path)


def header_length(first: bytes, size: int, path: str | Path) -> int:
    """Return the length of the header by the first 16 bytes of a file and its size; as above."""
    length: int = struct.unpack("<Q", first[:8])[0] if len(first) >= 9 else 0
    if not 2 <= length <= min(MOST_HEADER_BYTES, size - 8) or first[8:9] != b"{":
        raise ModelError(f"{path} {_what_it_is(first, length, size)}")
    return length


def header_of(text: bytes, size: int, path: str | Path) -> dict[str, Any]:
    """Return a header by its bytes and the size of its file; as above."""
    header = parse_json(text, path, "its header")
    if not isinstance(header, dict):
        raise ModelError(f"{path} is damaged: its header is no JSON object")
    _check_extent(header, path, size - 8 - len(text))
    return header


def _check_extent(header: Mapping[str, Any], path: str | Path, available: int) -> None:
    ends = [0]
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if (
            not isinstance(offsets, list)
            or len(offsets) != 2
            or not all(type(v) is int for v in offsets)
            or not 0 <= offsets[0] <= offsets[1]
        ):
            raise ModelError(f"{path} is damaged: its header does not say where {key!r} lies")
        ends.append(offsets[1])
    if max(ends) != available:
        word = "truncated" if max(ends) > available else "damaged"
        raise ModelError(
            f"{path} is {word}: {available} bytes of weights where its header says {max(ends)}"
        )


def _what_it_is(first: bytes, length: int, size: int) -> str:
    if first.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return (
            "is a zip file, as torch.save writes: it holds a pickle, which runs code when loaded,"
            " so geoseg reads safetensors only"
        )
    if first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "is a pickle, which runs code when loaded, so geoseg reads safetensors only"
    if size < 10:
        return "is no model: it is empty or all but empty"
    if first[8:9] == b"{":
        return f"is damaged or truncated: a header of {length} bytes in a file of {size}"
    return "is no model of geoseg (a .safetensors file with a card in it)"


def parse_json(text: str | bytes, path: str | Path, what: str) -> object:
    """Parse JSON out of a model's file; `what` it is, for errors.

    Raises
    ------
    ModelError
        It is none.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    try:
        value: object = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: {what} is no JSON ({_short(error)})") from error
    return value


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:100] if str(error) else type(error).__name__


def unreadable(path: str | Path, error: OSError) -> ModelError:
    """Return the error of a file that the system does not give."""
    if isinstance(error, FileNotFoundError):
        return ModelError(f"model {path} is not there")
    return ModelError(f"model {path} cannot be read: {error.strerror or error}")
