"""Tiles of a scene through networks, blended, as rows of maps from top to bottom.

Tiles are computed row of tiles by row of tiles, and the same tile always in the same batch: batches
are cut from a row of tiles by position. On the processor every batch runs on one thread of its own
and several run at once, which scales better than splitting each convolution among the threads, and
makes the result independent of their number. Who has computed a batch blends it, and those that
wait behind it, if nobody else does just then. So nobody waits for a row of tiles to be whole: the
first ones of the next are computed meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch

from geoseg.inference.batches import Batches
from geoseg.inference.blend import Axis, Blender
from geoseg.inference.source import InputRows

_AHEAD = 3
"""Batches a thread that are being computed, or wait to be blended."""

_JOINED_COLS = 512
"""Columns, about, that are joined with earlier rows at once: fewer take longer each."""


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

    @property
    def has_threads(self) -> bool:
        """Whether tasks run beside the caller."""
        return self._pool is not None

    def start(self, task: Callable[[], None]) -> None:
        """Begin a task, which must not raise; it is done at once where there are no threads."""
        if self._pool is None:
            task()
        else:
            self._pool.submit(task)

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
    line = _Line(crew, blender)
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

        row_of_tiles = _RowOfTiles(index, batches.cut(chosen), partial(batches.compute, maps=maps))
        line.put(row_of_tiles)
        return row_of_tiles

    try:
        now = begun()
        while now is not None:
            line.open(now)
            after = begun()
            now.joined.result()
            # All its tiles are computed: what only they needed may make room for others.
            height = rows.finished(now.index)
            source.passed(rows.starts[now.index] + height)
            yield MeanRows(
                rows.starts[now.index], height, blender.means[:, :height] if now.any_tiles else None
            )
            if now.any_tiles:
                blender.advance(now.index)
            now = after
    finally:
        line.stop()


def _wanted_tiles(source: InputRows, row: int, height: int, cols: Axis) -> list[int]:
    """Tiles of a row that hold a wanted pixel, or one whose neighbours are asked for as well."""
    reach = source.reach
    first, stop = max(row - reach, 0), min(row + height + reach, source.height)
    source.load(stop)
    wanted = source.wanted_cols(first, stop)
    return [
        k
        for k, col in enumerate(cols.starts)
        if wanted[max(col - reach, 0) : col + cols.size + reach].any()
    ]


@dataclass(eq=False)
class _RowOfTiles:
    """Batches of a row of tiles, and how far they are blended."""

    index: int
    """Which row of tiles."""
    batches: list[list[int]]
    """Tiles, from left to right."""
    compute: Callable[[Sequence[int]], torch.Tensor]
    """Computes a batch."""
    joined: Future[None] = field(default_factory=Future)
    """Done when all are blended, and joined with earlier rows."""
    is_open: bool = False
    """Whether its batches may be blended: the row before is through."""
    is_busy: bool = False
    """Whether somebody blends some just now."""
    blended: int = 0
    """Batches that are."""
    joined_cols: int = 0
    """Columns of the scene that are joined with earlier rows."""
    waiting: dict[int, torch.Tensor] = field(default_factory=dict)
    """Maps of batches that are not, by their position."""

    @property
    def any_tiles(self) -> bool:
        """Whether there is anything to blend."""
        return bool(self.batches)


class _Line:
    """Batches of rows of tiles, computed some ahead of being blended in their order."""

    def __init__(self, crew: Crew, blender: Blender) -> None:
        self._crew = crew
        self._blender = blender
        self._lock = threading.Lock()
        self._waiting: deque[tuple[_RowOfTiles, int]] = deque()
        self._room = _AHEAD * crew.size
        self._begins = False
        self._stopped = False

    def put(self, row: _RowOfTiles) -> None:
        """Have a row computed behind those that were put before."""
        self._waiting.extend((row, k) for k in range(len(row.batches)))
        self._begin()

    def open(self, row: _RowOfTiles) -> None:
        """Have a row blended; what was given of earlier rows has been seen."""
        row.is_open = True
        if not row.any_tiles:
            row.joined.set_result(None)
        elif self._crew.has_threads:
            self._crew.start(partial(self._blend, row))
        else:
            self._blend(row)

    def stop(self) -> None:
        """Begin nothing any more."""
        with self._lock:
            self._stopped = True

    def _begin(self) -> None:
        """Begin as many batches as there is room for."""
        with self._lock:
            if self._begins:  # who does looks again for room that others make meanwhile
                return
            self._begins = True
        while True:
            with self._lock:
                if self._stopped or not self._waiting or self._room == 0:
                    self._begins = False
                    return
                self._room -= 1
                row, position = self._waiting.popleft()
                # Within the lock: after `stop` a crew may be closed.
                error = self._started(row, position)
            if error is not None:
                self._fail(row, error)
                return
            if not self._crew.has_threads:
                self._compute(row, position)

    def _started(self, row: _RowOfTiles, position: int) -> BaseException | None:
        """Have a thread compute a batch, if there are any; return why none does."""
        if self._crew.has_threads:
            try:
                self._crew.start(partial(self._compute, row, position))
            except BaseException as error:  # no more threads, say; others wait for the row
                return error
        return None

    def _compute(self, row: _RowOfTiles, position: int) -> None:
        try:
            maps = row.compute(row.batches[position])
        except BaseException as error:  # raised where the row is waited for
            self._fail(row, error)
            return
        with self._lock:
            row.waiting[position] = maps
        del maps  # or it would be held until others are blended
        self._blend(row)

    def _blend(self, row: _RowOfTiles) -> None:
        """Blend what is there in order, unless somebody does or may not yet."""
        while True:
            with self._lock:
                if row.is_busy or not row.is_open or row.blended not in row.waiting:
                    return
                row.is_busy = True
                maps = row.waiting.pop(row.blended)
            try:
                with torch.inference_mode():
                    self._add(row, maps)
            except BaseException as error:  # raised where the row is waited for
                self._fail(row, error)
                return
            del maps
            with self._lock:
                row.blended += 1
                row.is_busy = False
                self._room += 1
                is_whole = row.blended == len(row.batches)
            self._begin()
            if is_whole:
                row.joined.set_result(None)

    def _add(self, row: _RowOfTiles, maps: torch.Tensor) -> None:
        blender = self._blender
        for k, tile in zip(row.batches[row.blended], maps, strict=True):
            blender.add(k, tile)
        # Columns that no later tile of the row covers are joined while they are at hand.
        if row.blended + 1 == len(row.batches):
            stop = blender.cols.length
        else:
            stop = blender.cols.starts[row.batches[row.blended + 1][0]]
            if stop - row.joined_cols < _JOINED_COLS:
                return
        blender.finish(row.index, slice(row.joined_cols, stop))
        row.joined_cols = stop

    def _fail(self, row: _RowOfTiles, error: BaseException) -> None:
        with self._lock:
            self._stopped = True
            if not row.joined.done():
                row.joined.set_exception(error)
