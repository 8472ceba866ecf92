"""Digests of files, for knowing whether an input changed.

Contents only: neither names, folders nor times of change enter, so that a copy has the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from geoseg.errors import RasterReadError
from geoseg.raster.handles import environment, is_local_file, open_dataset

WHOLE_BYTES = 16 << 20
"""Files up to this size are digested whole."""
CHUNKS, CHUNK_BYTES = 64, 64 << 10
"""Of larger files, this many evenly spaced chunks of this size, the first and the last included."""


def fingerprint_files(paths: Sequence[str]) -> str:
    """Return blake2b (16 bytes, hexadecimal) over sizes and contents of files, VRTs' sources too.

    Files over 16 MiB enter by 64 evenly spaced chunks of 64 KiB. Files that are not in the file
    system (URLs, archives) enter by 64 evenly spaced blocks of their pixels.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        _add(digest, path, set())
    return digest.hexdigest()


def local_files(paths: Sequence[str]) -> list[str]:
    """List the files in the file system among paths, and the sources of those that are VRTs."""
    found: list[str] = []
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path not in found and is_local_file(path) and Path(path).is_file():
            found.append(path)
            waiting += _vrt_sources(path)
    return found


def _vrt_sources(path: str) -> list[str]:
    if Path(path).suffix.lower() != ".vrt":
        return []
    with environment(path), open_dataset(path) as dataset:
        inside = [f for f in dataset.files if f != path]
    return [f for f in inside if not f.endswith((".aux.xml", ".ovr"))]


def _add(digest: hashlib.blake2b, path: str, seen: set[str]) -> None:
    if path in seen:
        return
    seen.add(path)
    if not is_local_file(path) or not Path(path).is_file():
        _add_pixels(digest, path)
        return
    file = Path(path)
    try:
        with file.open("rb") as stream:
            _add_bytes(digest, stream, file.stat().st_size)
    except OSError as error:
        raise RasterReadError(f"{path}: cannot be read ({error.strerror})") from error
    mask = Path(f"{path}.msk")
    if mask.is_file():
        _add(digest, str(mask), seen)
    for source in _vrt_sources(path):
        _add(digest, source, seen)


def _add_bytes(digest: hashlib.blake2b, stream: BinaryIO, size: int) -> None:
    digest.update(size.to_bytes(8, "little"))
    if size <= WHOLE_BYTES:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        return
    for i in range(CHUNKS):
        stream.seek((size - CHUNK_BYTES) * i // (CHUNKS - 1))
        digest.update(stream.read(CHUNK_BYTES))


def _add_pixels(digest: hashlib.blake2b, path: str) -> None:
    with environment(path), open_dataset(path) as dataset:
        digest.update(
            repr((dataset.shape, dataset.count, dataset.dtypes, dataset.nodatavals)).encode()
        )
        digest.update(repr(tuple(dataset.transform)[:6]).encode())
        rows, cols = dataset.block_shapes[0]
        down, across = -(-dataset.height // rows), -(-dataset.width // cols)
        count = min(CHUNKS, down * across)
        for i in range(count):
            block = (down * across - 1) * i // max(1, count - 1)
            window = dataset.block_window(1, *divmod(block, across))
            digest.update(dataset.read(window=window).tobytes())
