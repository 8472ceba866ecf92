"""From tiles of pixels to one Cloud Optimized GeoTIFF, its smaller copies included.

Each tile is compressed when its rows are there, while others are still being computed, and its
half goes into a tile of the next smaller copy, which waits for its up to four quarters. What is
compressed waits on disk; at the end, when the sizes of all tiles are known, they are put behind the
directories: those of the smallest copy first, of each copy row by row. So the file does not depend
on the order in which tiles come, nor on the number of threads.

By wish what is compressed outlives the run, with a list of it. Quarters do not: those of tiles that
are not whole are made again of the tiles that they are halves of.
"""

from __future__ import annotations

import errno
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from geoseg.errors import OutputError
from geoseg.raster.cog.halving import Halving
from geoseg.raster.cog.head import Head, Layout
from geoseg.raster.cog.spool import Spool
from geoseg.raster.cog.tiff import NotWholeError, check_whole, head_bytes
from geoseg.raster.cog.tilelist import TileList, TilePlace, check_tiles, sum_of
from geoseg.raster.cog.tilepacking import PackedTile, TilePacking, half_shape
from geoseg.raster.outputs.kept import KEPT_TILES, TILE_LIST

__all__ = ["Pyramid"]

_AROUND = 4
"""Bytes before a tile, its size, and behind it, its last four again: GDAL's layout of a COG."""
_PREDICTOR = 317
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
    noted
        Bytes that `flush` told an earlier run, whose tiles are taken over; 0 to keep what this one
        compresses for a later run, None to keep nothing.
    wanted
        What `noted_sum` told it then; None where it was not asked.

    Attributes
    ----------
    packing
        How tiles are compressed and halved.

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
        noted: int | None = None,
        wanted: int | None = None,
    ) -> None:
        self._layout = layout
        self._head = head
        self._target = target
        side = layout.blocksize
        self._counts = [(-(-rows // side), -(-cols // side)) for rows, cols in layout.sizes]
        self._placed = [[(0, 0)] * (rows * cols) for rows, cols in self._counts]
        # Of tiles that are not whole: the place and shape of each quarter, by its row and column.
        self._quarters: dict[tuple[int, int, int], dict[tuple[int, int], _Part]] = {}
        self.packing = TilePacking(
            target=str(target),
            dtype=layout.dtype,
            nodata=layout.nodata,
            side=side,
            predictor=(head.directory.numbers(_PREDICTOR) or (1,))[0],
            how=how,
        )
        self._lock = threading.Lock()
        self._jobs: list[Future[None]] = []
        self._failed = threading.Event()
        self._pool = None
        with ExitStack() as stack:
            self._list: TileList | None = None
            for name in ("halves.raw",) if noted else ("halves.raw", KEPT_TILES, TILE_LIST):
                (folder / name).unlink(missing_ok=True)
            if noted is not None:
                self._list = TileList(folder / TILE_LIST, noted, wanted)
                stack.callback(self._list.close)
            taken = [] if self._list is None else self._list.taken
            end = max((one.at + one.size + 2 * _AROUND for one in taken), default=0)
            self._tiles = Spool(folder / KEPT_TILES, end, again=end > 0)
            stack.callback(self._tiles.close)
            self._halves = Spool(folder / "halves.raw")
            stack.callback(self._halves.close)
            check_tiles(taken, self._tiles, _AROUND)
            self._take_over(taken)
            stack.pop_all()
        self._pool = ThreadPoolExecutor(workers, "geoseg-tiles") if workers > 1 else None

    def _take_over(self, taken: Iterable[TilePlace]) -> None:
        """Take over the tiles of an earlier run, and go on with the copies from there."""
        levels = len(self._counts)
        for one in taken:
            if one.level >= levels or not self._inside(one.level, one.row, one.col):
                raise OSError(errno.EIO, "a list of finished tiles is damaged")
            self._placed[one.level][one.row * self._counts[one.level][1] + one.col] = (
                one.at,
                one.size,
            )
        places = sorted({(one.level, one.row, one.col) for one in taken})
        for level, row, col in places:
            if level + 1 < levels and not self.holds(row // 2, col // 2, level=level + 1):
                tile = self._uncompressed(level, row, col)
                half, shape = self.packing.half(tile), half_shape(tile.shape)
                pixels = self._take_half(level, row, col, half, shape)
                if pixels is not None:
                    self._climb(level + 1, row // 2, col // 2, self.packing.pack(pixels))

    def _inside(self, level: int, row: int, col: int) -> bool:
        down, across = self._counts[level]
        return 0 <= row < down and 0 <= col < across

    def holds(self, tile_row: int, tile_col: int, *, level: int = 0) -> bool:
        """Tell whether a tile of the raster, or of a smaller copy, is there."""
        return self._placed[level][tile_row * self._counts[level][1] + tile_col][1] > 0

    def flush(self) -> int:
        """Have the tiles that are there on the disk itself.

        Returns
        -------
        Bytes of the list of them, for `noted`; 0 where nothing is kept.
        """
        if self._list is None:
            return 0
        size = self._list.size
        self._tiles.flush()
        self._list.flush()
        return size

    @property
    def noted_sum(self) -> int:
        """Sum of the list when `flush` was called last."""
        return 0 if self._list is None else self._list.noted_sum

    def add_tile(self, tile_row: int, tile_col: int, pixels: NDArray[Any]) -> None:
        """Compress a tile now, in this thread; each once, from any thread.

        One that was taken over is there already, and is left as it is.

        Raises
        ------
        OSError, OutputError
            It cannot be made.
        """
        if not self.holds(tile_row, tile_col):
            self._add(tile_row, tile_col, lambda: self.packing.pack(pixels))

    def add_packed(self, tile_row: int, tile_col: int, packed: PackedTile) -> None:
        """Add a tile that was packed elsewhere, by `packing`; as `add_tile`."""
        if not self.holds(tile_row, tile_col):
            self._add(tile_row, tile_col, lambda: packed)

    def add_row(
        self,
        tile_row: int,
        read: Callable[[int, int], NDArray[Any]],
        packed: Sequence[PackedTile] | None = None,
    ) -> None:
        """Compress a row of tiles, soon.

        Parameters
        ----------
        tile_row
            Which, each once; from any thread.
        read
            Gives a tile's pixels, (bands, rows, cols), by its row and column.
        packed
            Its tiles, where they were packed elsewhere, by `packing`.

        Raises
        ------
        OSError, OutputError
            A tile that was added before could not be made.
        """

        def add(col: int) -> None:
            def make() -> PackedTile:
                return self.packing.pack(read(tile_row, col)) if packed is None else packed[col]

            self._add(tile_row, col, make)

        for tile_col in range(self._counts[0][1]):
            if self._pool is None:
                add(tile_col)
                continue
            if self._failed.is_set():
                self._wait()
            self._jobs.append(self._pool.submit(add, tile_col))

    def _add(self, row: int, col: int, make: Callable[[], PackedTile]) -> None:
        if self._failed.is_set():
            return
        try:
            self._climb(0, row, col, make())
        except BaseException:
            self._failed.set()
            raise

    def _climb(self, level: int, row: int, col: int, packed: PackedTile) -> None:
        """Put a tile where it waits, and make those of smaller copies that are whole with it."""
        while True:
            tile = packed.content
            waits = b"".join((struct.pack("<I", len(tile)), tile, tile[-_AROUND:]))
            at = self._tiles.append(waits)
            self._placed[level][row * self._counts[level][1] + col] = at, len(tile)
            if self._list is not None:
                self._list.add(TilePlace(level, row, col, len(tile), at, sum_of(waits)))
            pixels = self._take_half(level, row, col, packed.half, packed.shape)
            if pixels is None:
                return
            packed = self.packing.pack(pixels)
            level, row, col = level + 1, row // 2, col // 2

    def _take_half(
        self, level: int, row: int, col: int, half: NDArray[Any] | None, shape: tuple[int, ...]
    ) -> NDArray[Any] | None:
        """Take in half a tile; return the tile of the next copy if it is whole now."""
        if level + 1 == len(self._counts):
            return None
        down, across = self._counts[level]
        parent = (level + 1, row // 2, col // 2)
        wanted = min(2, down - row // 2 * 2) * min(2, across - col // 2 * 2)
        if wanted == 1:
            return self.packing.whole_half(half, shape)
        # Of nodata nothing is stored: there may be as good as nothing else.
        part = -1 if half is None else self._halves.append(half.data), shape
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
            if at < 0:
                quarter = self.packing.whole_half(None, size)
            else:
                quarter = np.empty(size, self._layout.dtype)
                self._halves.read_at(at, quarter.data)
            top, left = down * side // 2, across * side // 2
            pixels[:, top : top + size[1], left : left + size[2]] = quarter
        return pixels

    def _uncompressed(self, level: int, row: int, col: int) -> NDArray[Any]:
        """Read back the pixels of a tile that is there."""
        side = self._layout.blocksize
        at, size = self._placed[level][row * self._counts[level][1] + col]
        waiting = bytearray(size + 2 * _AROUND)
        self._tiles.read_at(at, memoryview(waiting))
        alone = self._head.directory.around(side, side, 1, side=side)
        start, _ = head_bytes(self._head.ghost, [alone], [[size]], around=_AROUND)
        rows, cols = self._layout.sizes[level]
        try:
            with (
                rasterio.Env(GDAL_NUM_THREADS="1"),
                MemoryFile(start + bytes(waiting)) as memory,
                memory.open() as dataset,
            ):
                pixels: NDArray[Any] = dataset.read()
        except (RasterioError, CPLE_BaseError, SystemError) as error:
            raise OSError(errno.EIO, "a finished tile is damaged") from error
        return pixels[:, : min(side, rows - row * side), : min(side, cols - col * side)]

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
        if self._list is None:
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
        if self._list is not None:
            self._list.close()


_Part = tuple[int, tuple[int, ...]]
"""Place and shape of a quarter that waits."""
