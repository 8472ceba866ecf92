"""Where finished patches go: one array a split, or a GeoTIFF a patch.

Patches come from several threads, each with its place, and the files are laid out by place and not
by time of arrival. Patches may be taken back from the end (`keep`), when a scene turns out to be
damaged.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.patches.dataset import UNLABELLED
from geoseg.raster.grid import Grid
from geoseg.raster.patchfiles import PatchEncoder

# Bytes before the numbers of a .npy file: room for any number of patches.
_HEADER = 256


class PatchWriter(Protocol):
    """Takes the patches of one split."""

    def write(
        self,
        position: int,
        images: NDArray[Any],
        labels: NDArray[np.uint8] | None,
        *,
        name: str,
        grid: Grid,
        row: int,
        col: int,
        confidence: NDArray[np.uint8] | None = None,
    ) -> None:
        """Store one patch; several threads may call it.

        Parameters
        ----------
        position
            Its place in the split.
        images
            (bands, rows, cols).
        labels
            (rows, cols) class index, 255 = unlabelled.
        name
            Of the patch, for its file.
        grid
            Of its scene.
        row, col
            Its first pixel in the scene.
        confidence
            (rows, cols) round(255 · confidence) of each label.
        """

    def keep(self, count: int) -> None:
        """Forget the patches from a place on."""

    def finish(self) -> None:
        """Complete the files."""

    def close(self) -> None:
        """Close what is open, complete or not."""


class ArrayFile:
    """A .npy file that grows by patches, wherever they belong, and is never whole in memory."""

    def __init__(self, path: Path, item_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Make the file."""
        self._item_shape = item_shape
        self._dtype = dtype
        self._item_bytes = int(np.prod(item_shape)) * dtype.itemsize
        self._lock = threading.Lock()
        self._file = path.open("wb")

    def write(self, position: int, item: NDArray[Any]) -> None:
        """Write one item at its place."""
        data = memoryview(np.ascontiguousarray(item, self._dtype).data).cast("B")
        self._write_at(_HEADER + position * self._item_bytes, data)

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


class ArrayWriter:
    """Patches of one split as arrays."""

    def __init__(
        self,
        folder: Path,
        *,
        bands: int,
        size: int,
        dtype: np.dtype[Any],
        kinds: Sequence[str] = (),
    ) -> None:
        """Make the folder and its files; `kinds` are "labels", "confidence", a byte a pixel."""
        folder.mkdir()
        self._count = 0
        self._lock = threading.Lock()
        self._files = {"images": ArrayFile(folder / "images.npy", (bands, size, size), dtype)}
        for kind in kinds:
            self._files[kind] = ArrayFile(folder / f"{kind}.npy", (size, size), np.dtype(np.uint8))

    def write(
        self,
        position: int,
        images: NDArray[Any],
        labels: NDArray[np.uint8] | None,
        *,
        name: str,  # noqa: ARG002 - arrays know patches by their place alone
        grid: Grid,  # noqa: ARG002
        row: int,  # noqa: ARG002
        col: int,  # noqa: ARG002
        confidence: NDArray[np.uint8] | None = None,
    ) -> None:
        """Store one patch."""
        given = {"images": images, "labels": labels, "confidence": confidence}
        for kind, file in self._files.items():
            pixels = given[kind]
            if pixels is not None:
                file.write(position, pixels)
        with self._lock:
            self._count = max(self._count, position + 1)

    def keep(self, count: int) -> None:
        """Forget the patches from a place on; the next ones are written over them."""
        self._count = count

    def finish(self) -> None:
        """Complete the files."""
        for file in self._files.values():
            file.finish(self._count)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


class FileWriter:
    """Patches of one split as a GeoTIFF each."""

    def __init__(
        self,
        folder: Path,
        *,
        band_names: Sequence[str],
        nodata: float | None,
        kinds: Sequence[str] = (),
    ) -> None:
        """Make the folders; `kinds` are "labels", "confidence", a byte a pixel."""
        folder.mkdir()
        self._kinds = ("images", *kinds)
        for kind in self._kinds:
            (folder / kind).mkdir()
        self._folder = folder
        self._band_names = tuple(band_names)
        self._nodata = nodata
        self._names: dict[int, str] = {}
        self._encoders: tuple[Grid, dict[str, PatchEncoder]] | None = None
        self._lock = threading.Lock()

    def write(
        self,
        position: int,
        images: NDArray[Any],
        labels: NDArray[np.uint8] | None,
        *,
        name: str,
        grid: Grid,
        row: int,
        col: int,
        confidence: NDArray[np.uint8] | None = None,
    ) -> None:
        """Store one patch."""
        file = f"{name}.tif"
        # Noted first: a file that could be written only in part is found again.
        self._names[position] = file
        encoders = self._encoders_of(grid, images)
        given = {"images": images, "labels": labels, "confidence": confidence}
        for kind in self._kinds:
            pixels = given[kind]
            if pixels is not None:
                bands = pixels if kind == "images" else pixels[np.newaxis]
                data = encoders[kind].encode(bands, row, col)
                (self._folder / kind / file).write_bytes(data)

    def _encoders_of(self, grid: Grid, images: NDArray[Any]) -> dict[str, PatchEncoder]:
        """Return what encodes the patches of a scene, which is mostly the last one."""
        with self._lock:
            if self._encoders is None or self._encoders[0] is not grid:
                size, byte = images.shape[-1], np.dtype(np.uint8)
                says: dict[str, tuple[np.dtype[Any], Sequence[str], float | None]] = {
                    "images": (images.dtype, self._band_names, self._nodata),
                    "labels": (byte, ("class index",), UNLABELLED),
                    "confidence": (byte, ("confidence × 255",), None),
                }
                made = {}
                for kind in self._kinds:
                    dtype, names, nodata = says[kind]
                    made[kind] = PatchEncoder(
                        grid, size=size, dtype=dtype, band_names=names, nodata=nodata
                    )
                self._encoders = grid, made
            return self._encoders[1]

    def keep(self, count: int) -> None:
        """Forget the patches from a place on, and remove their files."""
        for position in [p for p in self._names if p >= count]:
            name = self._names.pop(position)
            for kind in self._kinds:
                (self._folder / kind / name).unlink(missing_ok=True)

    def finish(self) -> None:
        """Write down the order of the files."""
        text = "".join(f"{self._names[p]}\n" for p in sorted(self._names))
        (self._folder / "files.txt").write_text(text, encoding="utf-8", newline="\n")

    def close(self) -> None:
        """Nothing is open."""


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write a small array as .npy."""
    file = ArrayFile(path, array.shape[1:], array.dtype)
    try:
        for position, item in enumerate(array):
            file.write(position, item)
        file.finish(len(array))
    finally:
        file.close()
