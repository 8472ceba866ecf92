"""Where finished patches go: one array a split, or a GeoTIFF a patch.

Patches come from several threads, each with its place, and the files are laid out by place and not
by time of arrival. Patches may be taken back from the end (`keep`), when a scene turns out to be
damaged. What a patch becomes and where that is put are two things, so that the first can
be done elsewhere (`geoseg.patches.packing`).
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.patches.packing import ArrayPacker, FilePacker, Packed, Packer, Patch
from geoseg.raster.sums import FileSum

# Bytes before the numbers of a .npy file: room for any number of patches.
_HEADER = 256
_PART = 8 << 20
"""Bytes copied at a time, where the system does not copy by itself."""
_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
"""What a system says that does not."""


class PatchTaker(Protocol):
    """Takes the patches of one split as they are cut."""

    def write(self, position: int, patch: Patch) -> None:
        """Store one patch at its place in the split; several threads may call it."""


class PatchWriter(PatchTaker, Protocol):
    """Has the files of one split."""

    def put(self, position: int, name: str, packed: Packed) -> None:
        """Store a patch that was packed; several threads may call it."""

    def keep(self, count: int) -> None:
        """Forget the patches from a place on."""

    def flush(self, pool: Executor) -> None:
        """Have everything that was stored on the disk itself."""

    def sums(self, count: int, pool: Executor | None = None) -> list[int]:
        """Return what the first patches come to; see `geoseg.raster.sums`."""

    def finish(self) -> None:
        """Complete the files."""

    def close(self) -> None:
        """Close what is open, complete or not."""


class ArrayFile:
    """A .npy file that grows by patches, wherever they belong, and is never whole in memory."""

    def __init__(
        self,
        path: Path,
        item_shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        again: int | None = None,
    ) -> None:
        """Make the file, or take up one that holds `again` items."""
        self._item_shape = item_shape
        self._dtype = dtype
        self._item_bytes = int(np.prod(item_shape)) * dtype.itemsize
        self._sum = FileSum(path, start=_HEADER)
        self._lock = threading.Lock()
        if again and path.stat().st_size < _HEADER + again * self._item_bytes:
            raise OSError(errno.EIO, "a file of finished patches was cut short")
        self._file = path.open("wb" if again is None else "r+b")

    def write(self, position: int, item: NDArray[Any]) -> None:
        """Write one item at its place."""
        data = memoryview(np.ascontiguousarray(item, self._dtype).data).cast("B")
        self._write_at(_HEADER + position * self._item_bytes, data)

    def sum(self, count: int) -> int:
        """Sum of the first items."""
        return self._sum.upto(count * self._item_bytes)

    @property
    def item_bytes(self) -> int:
        """Bytes of an item."""
        return self._item_bytes

    def take(self, position: int, count: int, at: int, source: int) -> None:
        """Copy items from a place in another file, to theirs and those that follow."""
        offset, left = _HEADER + position * self._item_bytes, count * self._item_bytes
        copied = getattr(os, "copy_file_range", None)  # Linux; on disks that can, nothing moves
        while left:
            try:
                done = copied(source, self._file.fileno(), left, at, offset) if copied else 0
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                done, copied = 0, None
            if not done:
                part = _read_at(source, min(left, _PART), at)
                self._write_at(offset, memoryview(part))
                done = len(part)
            at, offset, left = at + done, offset + done, left - done

    def finish(self, count: int) -> None:
        """Cut the file to `count` items and say so in its head."""
        self._file.flush()
        self._file.truncate(_HEADER + count * self._item_bytes)
        text = repr(
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (count, *self._item_shape),
            }
        )
        magic = np.lib.format.magic(1, 0)
        length = _HEADER - len(magic) - 2
        header = magic + length.to_bytes(2, "little") + text.encode("latin1").ljust(length - 1)
        self._write_at(0, memoryview(header + b"\n"))

    def flush(self) -> None:
        """Have everything that was written on the disk itself."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write_at(self, offset: int, data: memoryview) -> None:
        if not hasattr(os, "pwrite"):  # Windows
            with self._lock:
                self._file.seek(offset)
                self._file.write(data)
            return
        while data:
            written = os.pwrite(self._file.fileno(), data, offset)
            offset, data = offset + written, data[written:]


class _Writer(ABC):
    """Packs, and puts."""

    _packer: Packer

    def write(self, position: int, patch: Patch) -> None:
        """Store one patch."""
        self.put(position, patch.name, self._packer.pack(patch))

    @abstractmethod
    def put(self, position: int, name: str, packed: Packed) -> None:
        """Store what was packed."""


class ArrayWriter(_Writer):
    """Patches of one split as arrays."""

    def __init__(
        self,
        folder: Path,
        *,
        bands: int,
        size: int,
        dtype: np.dtype[Any],
        kinds: Sequence[str] = (),
        again: int | None = None,
    ) -> None:
        """Make the folder and its files; `kinds` are "labels", "confidence", a byte a pixel.

        With `again`, take up those that are there, and their first so many patches.
        """
        self._packer = ArrayPacker()
        if again is None:
            folder.mkdir()
        self._count = again or 0
        self._lock = threading.Lock()
        self._files = {}
        try:
            for kind in ("images", *kinds):
                shape, of = ((bands, size, size), dtype) if kind == "images" else _plane(size)
                self._files[kind] = ArrayFile(folder / f"{kind}.npy", shape, of, again=again)
        except BaseException:
            self.close()
            raise

    def put(self, position: int, name: str, packed: Packed) -> None:  # noqa: ARG002
        """Store the arrays of one patch."""
        for kind, file in self._files.items():
            if kind in packed:
                file.write(position, np.asarray(packed[kind]))
        with self._lock:
            self._count = max(self._count, position + 1)

    def item_bytes(self, kind: str) -> int:
        """Bytes of what is stored of a patch."""
        return self._files[kind].item_bytes

    def take(self, kind: str, position: int, count: int, at: int, source: int) -> None:
        """Store what lies in a file, one patch behind the other; several threads may call it."""
        self._files[kind].take(position, count, at, source)
        with self._lock:
            self._count = max(self._count, position + count)

    def keep(self, count: int) -> None:
        """Forget the patches from a place on; the next ones are written over them."""
        self._count = count

    def flush(self, pool: Executor) -> None:
        """Have everything on the disk itself."""
        list(pool.map(ArrayFile.flush, self._files.values()))

    def sums(self, count: int, pool: Executor | None = None) -> list[int]:
        """Return what the first patches come to, one of each file."""
        every = map if pool is None else pool.map
        return list(every(lambda file: file.sum(count), self._files.values()))

    def finish(self) -> None:
        """Complete the files."""
        for file in self._files.values():
            file.finish(self._count)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


class FileWriter(_Writer):
    """Patches of one split as a GeoTIFF each."""

    def __init__(
        self,
        folder: Path,
        *,
        band_names: Sequence[str],
        nodata: float | None,
        tags: Mapping[str, str] = MappingProxyType({}),
        kinds: Sequence[str] = (),
        again: Sequence[str] | None = None,
    ) -> None:
        """Make the folders; `kinds` are "labels", "confidence", a byte a pixel.

        With `again`, take up those that are there: the patches of these names, in their order, and
        no others.
        """
        self._packer = FilePacker(band_names=band_names, nodata=nodata, tags=tags)
        self._kinds = ("images", *kinds)
        self._folder = folder
        self._names = {place: f"{name}.tif" for place, name in enumerate(again or ())}
        self._fresh: set[str] = set()
        self._sums: dict[str, int] = {}
        if again is None:
            folder.mkdir()
        for kind in self._kinds:
            if again is None:
                (folder / kind).mkdir()
            else:
                _keep_only(folder / kind, set(self._names.values()))

    def put(self, position: int, name: str, packed: Packed) -> None:
        """Store the files of one patch."""
        file = f"{name}.tif"
        # Noted first: a file that could be written only in part is found again.
        self._names[position] = file
        self._fresh.add(file)
        for kind in self._kinds:
            if kind in packed:
                (self._folder / kind / file).write_bytes(bytes(packed[kind]))

    def move(self, position: int, name: str, files: Mapping[str, Path]) -> None:
        """Store the files of one patch by giving them their names."""
        file = f"{name}.tif"
        self._names[position] = file
        self._fresh.add(file)
        for kind, path in files.items():
            path.replace(self._folder / kind / file)

    def keep(self, count: int) -> None:
        """Forget the patches from a place on, and remove their files."""
        for position in [p for p in self._names if p >= count]:
            name = self._names.pop(position)
            self._fresh.discard(name)
            self._sums.pop(name, None)
            for kind in self._kinds:
                (self._folder / kind / name).unlink(missing_ok=True)

    def flush(self, pool: Executor) -> None:
        """Have all files on the disk itself, and what their folders say of them."""
        paths = [self._folder / kind / name for kind in self._kinds for name in self._fresh]
        list(pool.map(_sync, paths))
        if paths and sys.platform != "win32":  # there, a folder cannot be opened
            list(pool.map(_sync, [self._folder / kind for kind in self._kinds]))
        self._fresh.clear()

    def sums(self, count: int, pool: Executor | None = None) -> list[int]:
        """Return what the first patches come to, one number; each file is read once."""
        names = [self._names[position] for position in range(count)]
        new = [name for name in names if name not in self._sums]
        every = map if pool is None else pool.map
        self._sums.update(zip(new, every(self._sum, new), strict=True))
        text = "".join(f"{name} {self._sums[name]}\n" for name in names)
        return [zlib.crc32(text.encode())]

    def _sum(self, name: str) -> int:
        found = 0
        for kind in self._kinds:
            path = self._folder / kind / name
            found = zlib.crc32(path.read_bytes() if path.exists() else b"-", found)
        return found

    def finish(self) -> None:
        """Write down the order of the files."""
        text = "".join(f"{self._names[p]}\n" for p in sorted(self._names))
        (self._folder / "files.txt").write_text(text, encoding="utf-8", newline="\n")

    def close(self) -> None:
        """Nothing is open."""


def _read_at(source: int, size: int, at: int) -> bytes:
    """Read from a place in a file of which several threads read."""
    part = os.pread(source, size, at)
    if not part:
        raise OSError(errno.EIO, "a file of finished patches was cut short")
    return part


def _plane(size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of what has a byte a pixel."""
    return (size, size), np.dtype(np.uint8)


def _sync(path: Path) -> None:
    """Have a file, or what a folder says, on the disk itself."""
    opened = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _keep_only(folder: Path, names: Collection[str]) -> None:
    """Remove the other files; all of those must be there."""
    there = {entry.name for entry in folder.iterdir()}
    for name in there.difference(names):
        (folder / name).unlink()
    if missing := set(names) - there:
        raise OSError(errno.EIO, f"{min(missing)}, a finished patch, is gone")


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write a small array as .npy."""
    file = ArrayFile(path, array.shape[1:], array.dtype)
    try:
        for position, item in enumerate(array):
            file.write(position, item)
        file.finish(len(array))
    finally:
        file.close()
