"""Tiles of a scene through networks, blended, as rows of maps from top to bottom.

Tiles are computed row of tiles by row of tiles, and the same tile always in the same batch: batches
are cut from a row of tiles by position. On the processor every batch runs on one thread of its own
and several run at once, which scales better than splitting each convolution among the threads, and
makes the result independent of their number. While a row of tiles is blended, the first tiles of
the next are computed: neither threads nor a card wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.inference.batches import Batches
from geoseg.inference.blend import Axis, Blender
from geoseg.inference.source import InputRows


class TileMaps(Protocol):
    """Networks made ready: normalised tiles in, a map a class out."""

    @property
    def classes(self) -> int:
        """Number of maps."""

    @property
    def device(self) -> torch.device:
        """Where tiles must lie."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""

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
    """(classes, height, width) float32, a view that lasts until the rows after the next are asked
    for; None where no pixel of these rows is wanted."""


@dataclass
class Work:
    """Counts of a run."""

    tiles: int = 0
    """Tiles computed."""
    skipped: int = 0
    """Tiles left out because they hold no wanted pixel."""
    notes: tuple[str, ...] = field(default=())
    """What the user should know."""


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
    batches: Batches,
    crew: Crew,
    work: Work,
    first: int = 0,
    stop: int | None = None,
) -> Iterator[MeanRows]:
    """Give the rows of a scene, blended from all tiles that cover them.

    Beside the two rows of tiles of means that blending needs, probabilities of three batches a
    thread are held at most, those of the next row of tiles among them.

    Parameters
    ----------
    source
        Where inputs come from; whether rows are wanted is not forgotten here.
    answerer
        What computes a tile's maps.
    rows, cols
        Tiles along both axes.
    batches
        Tiles that are computed together, cut from a row of tiles by position.
    crew
        Threads.
    work
        Counts the tiles.
    first
        Row of tiles to begin with: rows that an earlier one covers are meaningless then.
    stop
        Row of tiles not to compute any more; all are if None.
    """
    blender = Blender(rows=rows, cols=cols, classes=answerer.classes, device=answerer.device)
    following = iter(list(enumerate(rows.starts))[first:stop])

    def begun() -> _RowOfTiles | None:
        """Read what the next row of tiles needs, and begin to compute it."""
        index, row = next(following, (None, 0))
        if index is None:
            return None
        chosen = _wanted_tiles(source, row, rows.size, cols)
        work.tiles += len(chosen)
        work.skipped += len(cols.starts) - len(chosen)

        def maps(tiles: Sequence[int]) -> torch.Tensor:
            with torch.inference_mode():
                starts = [cols.starts[k] for k in tiles]
                return answerer.maps(source.tiles(row, rows.size, starts, width=cols.size))

        return _RowOfTiles(index, batches.cut(chosen), partial(batches.compute, maps=maps), crew)

    now = begun()
    while now is not None:
        adding: list[Future[None]] = []
        for group in now.groups():
            _wait(adding)
            adding = crew.on_parts(rows.size, partial(_add, blender, group))
        # All tiles of this row are computed: what only they needed may make room for others.
        height = rows.finished(now.index)
        source.passed(rows.starts[now.index] + height)
        after = begun()
        _wait(adding)
        if now.any_tiles:
            _wait(crew.on_parts(rows.size, partial(blender.finish, now.index)))
        yield MeanRows(
            rows.starts[now.index], height, blender.means[:, :height] if now.any_tiles else None
        )
        if now.any_tiles:
            blender.advance(now.index)
        now = after


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


class _RowOfTiles:
    """Batches of a row of tiles, computed some ahead of who adds them."""

    def __init__(
        self,
        index: int,
        batches: Sequence[list[int]],
        compute: Callable[[Sequence[int]], torch.Tensor],
        crew: Crew,
    ) -> None:
        self.index = index
        self.any_tiles = bool(batches)
        self._compute = compute
        self._crew = crew
        self._waiting = deque(batches)
        self._running: deque[tuple[list[int], Future[torch.Tensor]]] = deque()
        self._begin(2 * crew.size)

    def _begin(self, count: int) -> None:
        for _ in range(min(count, len(self._waiting))):
            tiles = self._waiting.popleft()
            self._running.append((tiles, self._crew.start(partial(self._compute, tiles))))

    def groups(self) -> Iterator[list[tuple[list[int], torch.Tensor]]]:
        """Give tiles and their maps from left to right, a batch a thread at once."""
        while self._running:
            group = []
            for _ in range(min(self._crew.size, len(self._running))):
                tiles, future = self._running.popleft()
                group.append((tiles, future.result()))
            self._begin(len(group))
            yield group


def _add(blender: Blender, group: Sequence[tuple[list[int], torch.Tensor]], part: slice) -> None:
    with torch.inference_mode():
        for tiles, maps in group:
            for k, tile in zip(tiles, maps, strict=True):
                blender.add(k, tile, part)


def _wait(futures: Sequence[Future[None]]) -> None:
    for future in futures:
        future.result()
