"""From tiles of pixels to one Cloud Optimized GeoTIFF, its smaller copies included.

Each tile is compressed when its rows are there, while others are still being computed, and its
half goes into a tile of the next smaller copy, which waits for its up to four quarters. What is
compressed waits on disk; at the end, when the sizes of all tiles are known, they are put behind the
directories: those of the smallest copy first, of each copy row by row. So the file does not depend
on the order in which tiles come, nor on the number of threads.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from geoseg.errors import OutputError
from geoseg.raster.cog import Head, Layout
from geoseg.raster.halving import Halving, halved
from geoseg.raster.spool import Spool
from geoseg.raster.tiff import NotWholeError, check_whole, head_bytes, read_directories

__all__ = ["Pyramid"]

_AROUND = 4
"""Bytes before a tile, its size, and behind it, its last four again: GDAL's layout of a COG."""
_PREDICTOR = 317
_LEVELS = {"f": 1}
"""Of deflate, by kind of numbers: of floats a higher one saves nothing, and takes twice as long."""
_USUAL_LEVEL = 6
_PART = 8 << 20
"""Bytes copied at a time."""


class Pyramid:
    """The tiles of a raster and of its smaller copies.

    Parameters
    ----------
    layout
        What the raster is.
    head
        How its file begins.
    folder
        For temporary files, which the caller removes.
    target
        The name that errors speak of.
    how
        How pixels are halved.
    workers
        Threads that compress; one works in those of the caller.

    Raises
    ------
    OSError
        A temporary file cannot be made.
    """

    def __init__(
        self,
        layout: Layout,
        head: Head,
        folder: Path,
        *,
        target: Path,
        how: Halving,
        workers: int,
    ) -> None:
        self._layout = layout
        self._head = head
        self._target = target
        self._how: Halving = how
        side = layout.blocksize
        self._counts = [(-(-rows // side), -(-cols // side)) for rows, cols in layout.sizes]
        self._placed = [[(0, 0)] * (rows * cols) for rows, cols in self._counts]
        # Of tiles that are not whole: the place and shape of each quarter, by its row and column.
        self._quarters: dict[tuple[int, int, int], dict[tuple[int, int], _Part]] = {}
        self._lock = threading.Lock()
        self._jobs: list[Future[None]] = []
        self._failed = threading.Event()
        self._tiles = Spool(folder / "tiles.raw")
        try:
            self._halves = Spool(folder / "halves.raw")
        except BaseException:
            self._tiles.close()
            raise
        self._pool = ThreadPoolExecutor(workers, "geoseg-tiles") if workers > 1 else None

    def add_tile(self, tile_row: int, tile_col: int, pixels: NDArray[Any]) -> None:
        """Compress a tile now, in this thread; each once, from any thread.

        Raises
        ------
        OSError, OutputError
            It cannot be made.
        """
        self._add(tile_row, tile_col, lambda *_: pixels)

    def add_row(self, tile_row: int, read: Callable[[int, int], NDArray[Any]]) -> None:
        """Compress a row of tiles, soon.

        Parameters
        ----------
        tile_row
            Which, each once; from any thread.
        read
            Gives a tile's pixels, (bands, rows, cols), by its row and column.

        Raises
        ------
        OSError, OutputError
            A tile that was added before could not be made.
        """
        for tile_col in range(self._counts[0][1]):
            if self._pool is None:
                self._add(tile_row, tile_col, read)
                continue
            if self._failed.is_set():
                self._wait()
            self._jobs.append(self._pool.submit(self._add, tile_row, tile_col, read))

    def _add(self, row: int, col: int, read: Callable[[int, int], NDArray[Any]]) -> None:
        if self._failed.is_set():
            return
        try:
            pixels: NDArray[Any] | None = read(row, col)
            level = 0
            while pixels is not None:
                pixels = self._make(level, row, col, pixels)
                level, row, col = level + 1, row // 2, col // 2
        except (RasterioError, CPLE_BaseError, SystemError) as error:
            self._failed.set()
            told = " ".join(str(error).split())
            raise OutputError(f"{self._target} cannot be written: {told}") from error
        except BaseException:
            self._failed.set()
            raise

    def _make(self, level: int, row: int, col: int, pixels: NDArray[Any]) -> NDArray[Any] | None:
        """Compress a tile and halve it; return the tile of the next copy if it is whole now."""
        tile = self._compressed(pixels)
        at = self._tiles.append(b"".join((struct.pack("<I", len(tile)), tile, tile[-_AROUND:])))
        self._placed[level][row * self._counts[level][1] + col] = at, len(tile)
        if level + 1 == len(self._counts):
            return None
        half = halved(pixels, self._how, self._layout.nodata)
        down, across = self._counts[level]
        parent = (level + 1, row // 2, col // 2)
        wanted = min(2, down - row // 2 * 2) * min(2, across - col // 2 * 2)
        if wanted == 1:
            return half
        part = self._halves.append(half.data), half.shape
        with self._lock:
            parts = self._quarters.setdefault(parent, {})
            parts[row % 2, col % 2] = part
            if len(parts) < wanted:
                return None
            del self._quarters[parent]
        return self._joined(parent, parts)

    def _joined(
        self, tile: tuple[int, int, int], parts: dict[tuple[int, int], _Part]
    ) -> NDArray[Any]:
        level, row, col = tile
        side = self._layout.blocksize
        rows, cols = self._layout.sizes[level]
        shape = (min(side, rows - row * side), min(side, cols - col * side))
        pixels = np.empty((len(self._layout.band_names), *shape), self._layout.dtype)
        for (down, across), (at, size) in parts.items():
            quarter = np.empty(size, self._layout.dtype)
            self._halves.read_at(at, quarter.data)
            top, left = down * side // 2, across * side // 2
            pixels[:, top : top + size[1], left : left + size[2]] = quarter
        return pixels

    def _compressed(self, pixels: NDArray[Any]) -> bytes:
        """Compress a tile as GDAL does; 0 where it reaches over the raster's edge."""
        side = self._layout.blocksize
        if pixels.shape[1:] != (side, side):
            whole = np.zeros((len(pixels), side, side), pixels.dtype)
            whole[:, : pixels.shape[1], : pixels.shape[2]] = pixels
            pixels = whole
        profile = {
            "driver": "GTiff",
            "width": side,
            "height": side,
            "count": len(pixels),
            "dtype": pixels.dtype.name,
            "transform": Affine(1, 0, 1, 0, -1, 1),  # without one, rasterio warns
            "tiled": True,
            "blockxsize": side,
            "blockysize": side,
            "interleave": "pixel",
            "compress": "deflate",
            "predictor": (self._head.directory.numbers(_PREDICTOR) or (1,))[0],
            "zlevel": _LEVELS.get(pixels.dtype.kind, _USUAL_LEVEL),
            "num_threads": "1",
        }
        with rasterio.Env(GDAL_NUM_THREADS="1"), MemoryFile() as memory:
            with memory.open(**profile) as dataset:
                dataset.write(pixels)
            memory.seek(0)
            offsets, sizes = read_directories(memory)[1][0].tiles
            memory.seek(offsets[0])
            tile: bytes = memory.read(sizes[0])
        if len(offsets) != 1 or len(tile) != sizes[0] or not tile:
            raise OutputError(f"{self._target} cannot be written: a tile was not compressed")
        return tile

    def _wait(self) -> None:
        """Wait for all tiles; raise what one of them raised."""
        for job in self._jobs:
            job.result()

    def write(self, made: Path) -> None:
        """Write the file, all rows of tiles having been added.

        Raises
        ------
        OSError, OutputError
            A tile could not be made, or the file cannot be written.
        """
        self._wait()
        self._halves.remove()
        head = self._head
        directories = [
            (head.directory if level == 0 or head.overview is None else head.overview).around(
                *size, len(self._placed[level]), side=self._layout.blocksize
            )
            for level, size in enumerate(self._layout.sizes)
        ]
        sizes = [[size for _, size in level] for level in self._placed]
        start, _ = head_bytes(head.ghost, directories, sizes, around=_AROUND)
        target = Spool(made)
        try:
            target.append(start)
            part = memoryview(bytearray(_PART))
            for level in reversed(self._placed):
                for at, size in level:
                    whole = size + 2 * _AROUND
                    for done in range(0, whole, _PART):
                        some = part[: min(_PART, whole - done)]
                        self._tiles.read_at(at + done, some)
                        target.append(some)
        finally:
            target.close()
        self._tiles.remove()
        try:
            check_whole(made)
        except NotWholeError as error:
            raise OutputError(f"{self._target} cannot be written: {error}") from error

    def close(self) -> None:
        """Stop the threads and close what is open; safe to call again."""
        self._failed.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._tiles.close()
        self._halves.close()


_Part = tuple[int, tuple[int, ...]]
"""Place and shape of a quarter that waits."""
