"""Tiles of a map packed by who computed its rows, so that who writes the map need not.

A block of rows begins and ends somewhere in a row of the map's tiles; those that lie in it whole
are packed, while the block's next rows are computed. The rows themselves are sent along: what is
kept of an unfinished run are rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.cog.tilepacking import PackedRows, PackedTile, TilePacking


@dataclass(frozen=True, kw_only=True, eq=False)
class MapPacking:
    """How the tiles of a map are packed; from any process."""

    tiles: TilePacking
    """Of the raster of classes."""
    ids: NDArray[np.uint8]
    """(256,) class id of each class index."""
    height: int
    """Rows of the map."""


class BlockPacking:
    """Packs the rows of tiles that lie in a block whole, in threads; a context manager.

    Parameters
    ----------
    how
        See `MapPacking`; None to pack nothing.
    first, index
        First row of the block, and its class indices, (rows, cols), put there from the top.
    threads
        That pack.
    """

    def __init__(
        self, how: MapPacking | None, first: int, index: NDArray[np.uint8], threads: int
    ) -> None:
        self._how = how
        self._first = first
        self._index = index
        self._next = 0 if how is None else -(-first // how.tiles.side)
        self._jobs: dict[int, list[Future[PackedTile]]] = {}
        self._pool = ThreadPoolExecutor(threads, "geoseg-tiles")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def there(self, rows: int) -> None:
        """Take it that so many rows of the block are there, from its first."""
        how = self._how
        if how is None:
            return
        side, width = how.tiles.side, self._index.shape[1]
        while True:
            top = self._next * side
            stop = min(top + side, how.height)
            if top >= stop or stop > self._first + rows:
                return
            part = self._index[top - self._first : stop - self._first]
            self._jobs[self._next] = [
                self._pool.submit(self._pack, how, part[:, col : col + side])
                for col in range(0, width, side)
            ]
            self._next += 1

    @staticmethod
    def _pack(how: MapPacking, index: NDArray[np.uint8]) -> PackedTile:
        return how.tiles.pack(how.ids[index][np.newaxis])

    def packed(self) -> PackedRows:
        """Wait for what was begun.

        Raises
        ------
        OutputError
            A tile cannot be packed.
        """
        found: dict[int, Sequence[PackedTile]] = {
            row: [job.result() for job in jobs] for row, jobs in self._jobs.items()
        }
        return found
