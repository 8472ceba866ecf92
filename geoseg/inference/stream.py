"""Tiles of a scene through networks, blended, as rows of maps from top to bottom.

Tiles are computed row of tiles by row of tiles, and the same tile always in the same batch: batches
are cut from a row of tiles by position. On the processor every batch runs on one thread of its own
and several run at once, which scales better than splitting each convolution among the threads, and
makes the result independent of their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.inference.blend import Axis, Blender
from geoseg.inference.source import InputRows

BATCH_ON_CPU = 1
BATCH_ON_GPU = 16


class TileMaps(Protocol):
    """Networks made ready: normalised tiles in, a map a class out."""

    @property
    def classes(self) -> int:
        """Number of maps."""

    @property
    def device(self) -> torch.device:
        """Where tiles must lie."""

    def maps(self, inputs: Sequence[torch.Tensor], /) -> torch.Tensor:
        """Map a batch of tiles.

        Takes (N, bands, rows, cols) for each input specification, and gives
        (N, classes, rows, cols) float32.
        """


@dataclass(frozen=True)
class MeanRows:
    """Finished rows of the (reduced) scene."""

    row: int
    """First row."""
    height: int
    """Number of rows."""
    means: torch.Tensor | None
    """(classes, height, width) float32, a view that lasts until the next rows are asked for; None
    where no pixel of these rows is wanted."""


@dataclass
class Work:
    """Counts of a run."""

    tiles: int = 0
    """Tiles computed."""
    skipped: int = 0
    """Tiles left out because they hold no wanted pixel."""


class Crew:
    """Threads that compute tiles and blend rows, or none where the device does it by itself."""

    def __init__(self, device: torch.device, threads: int) -> None:
        self.size = threads if device.type == "cpu" else 1
        self._pool = ThreadPoolExecutor(self.size, "geoseg-tile") if self.size > 1 else None

    def start(self, task: Callable[[], torch.Tensor]) -> Future[torch.Tensor]:
        """Begin a task, at once where there are no threads."""
        if self._pool is not None:
            return self._pool.submit(task)
        done: Future[torch.Tensor] = Future()
        done.set_result(task())
        return done

    def on_parts(self, height: int, task: Callable[[slice], None]) -> list[Future[None]]:
        """Begin a task on each of several slices of rows."""
        if self._pool is None:
            task(slice(0, height))
            return []
        step = -(-height // self.size)
        parts = [slice(first, min(first + step, height)) for first in range(0, height, step)]
        return [self._pool.submit(task, part) for part in parts]

    def close(self) -> None:
        """Drop what has not begun and wait for what has."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def one_thread_per_operation(device: torch.device) -> Iterator[None]:
    """Keep torch from splitting operations among threads while tiles are computed side by side."""
    if device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def mean_rows(
    source: InputRows,
    answerer: TileMaps,
    *,
    rows: Axis,
    cols: Axis,
    batch: int,
    crew: Crew,
    work: Work,
    first: int = 0,
) -> Iterator[MeanRows]:
    """Give the rows of a scene, blended from all tiles that cover them.

    Parameters
    ----------
    source
        Where inputs come from; rows above what is given are not discarded here.
    answerer
        What computes a tile's maps.
    rows, cols
        Tiles along both axes.
    batch
        Tiles that are computed together, cut from a row of tiles by position.
    crew
        Threads.
    work
        Counts the tiles.
    first
        Row of tiles to begin with: rows that an earlier one covers are meaningless then.
    """
    blender = Blender(rows=rows, cols=cols, classes=answerer.classes, device=answerer.device)
    for index, row in list(enumerate(rows.starts))[first:]:
        chosen = _wanted_tiles(source, row, rows.size, cols)
        work.tiles += len(chosen)
        work.skipped += len(cols.starts) - len(chosen)
        if chosen:
            take = partial(source.tiles, row, rows.size, width=cols.size)
            _blend_row(blender, _batches(chosen, batch), take, answerer, cols, crew)
            _wait(crew.on_parts(rows.size, partial(blender.finish, index)))
        height = rows.finished(index)
        yield MeanRows(row, height, blender.means[:, :height] if chosen else None)
        if chosen:
            blender.advance(index)


def _wanted_tiles(source: InputRows, row: int, height: int, cols: Axis) -> list[int]:
    """Tiles of a row that hold a wanted pixel, or one whose neighbours are asked for as well."""
    reach = source.reach
    first, stop = max(row - reach, 0), min(row + height + reach, source.height)
    source.load(stop)
    wanted: NDArray[np.bool_] = np.logical_or.reduce(source.wanted(first, stop - first), axis=0)
    return [
        k
        for k, col in enumerate(cols.starts)
        if wanted[max(col - reach, 0) : col + cols.size + reach].any()
    ]


def _batches(chosen: Sequence[int], batch: int) -> list[list[int]]:
    """Tiles of a row that are computed together: those of the same run of `batch` positions."""
    groups: dict[int, list[int]] = {}
    for k in chosen:
        groups.setdefault(k // batch, []).append(k)
    return list(groups.values())


def _blend_row(
    blender: Blender,
    batches: Sequence[list[int]],
    take: Callable[[Sequence[int]], list[torch.Tensor]],
    answerer: TileMaps,
    cols: Axis,
    crew: Crew,
) -> None:
    """Compute a row of tiles and add them from left to right, computing ahead of adding."""

    def compute(tiles: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            return answerer.maps(take([cols.starts[k] for k in tiles]))

    def begin(some: Sequence[list[int]]) -> list[tuple[list[int], Future[torch.Tensor]]]:
        return [(tiles, crew.start(partial(compute, tiles))) for tiles in some]

    def add(group: Sequence[tuple[list[int], torch.Tensor]], part: slice) -> None:
        with torch.inference_mode():
            for tiles, maps in group:
                for k, tile in zip(tiles, maps, strict=True):
                    blender.add(k, tile, part)

    ahead = 2 * crew.size
    adding: list[Future[None]] = []
    running = begin(batches[:ahead])
    following = ahead
    while running:
        group = [(tiles, future.result()) for tiles, future in running[: crew.size]]
        del running[: crew.size]
        running += begin(batches[following : following + len(group)])
        following += len(group)
        _wait(adding)
        adding = crew.on_parts(blender.rows.size, partial(add, group))
    _wait(adding)


def _wait(futures: Sequence[Future[None]]) -> None:
    for future in futures:
        future.result()
