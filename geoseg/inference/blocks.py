"""A scene in blocks of rows, each computed from the files by itself, anywhere.

Blocks share tiles at their edges and compute them twice, so they are many rows of tiles high; how
many tells `cut_blocks`. Their rows are those that one run gives, to the bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import RasterReadError
from geoseg.inference.classes import ClassRows, class_rows
from geoseg.inference.members import Ensemble
from geoseg.inference.networks import Networks
from geoseg.inference.packing import BlockPacking, MapPacking
from geoseg.inference.rows import map_rows
from geoseg.inference.settings import PredictSettings
from geoseg.inference.source import Area
from geoseg.inference.stream import Crew, Work, one_thread_per_operation
from geoseg.raster.elsewhere import absolute, told_by_worker
from geoseg.raster.scene import Scene

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster
    from geoseg.cluster.worker import Kept

TIMES_THE_EDGE = 16
"""A block is at most this many times as high, in rows of tiles, as what it computes twice …"""
TIMES_THE_EDGE_AT_LEAST = 2
"""… and no lower than this many times, however many there are to compute it."""
TIMES_THE_EDGE_FOR_TWO = 6
"""Where writing is work, each worker gets two blocks at least if that leaves them this many times
as high: the first are written while the second are computed."""
BLOCK_BYTES = 1 << 28
"""And its finished rows take no more than this, if that leaves it high enough."""
WAITING_BYTES = 1 << 30
"""What several cards' finished blocks may take, if that leaves each card one to compute."""


class Block(NamedTuple):
    """Rows of a scene that are computed together."""

    first: int
    """First row."""
    stop: int
    """First row that is no longer in it."""


@dataclass(frozen=True)
class Computed:
    """A block that was."""

    rows: ClassRows
    """Its finished rows."""
    work: Work
    """What it cost."""


@dataclass(frozen=True, kw_only=True)
class BlockWork:
    """What all blocks of a scene are computed from."""

    scene: Scene
    """With its bands and colour as networks want them."""
    settings: PredictSettings
    """With a scale."""
    area: Area | None
    """Where a map is wanted; everywhere if None."""
    confidence: bool
    """Whether it is wanted."""
    probabilities: bool
    """Whether they are wanted."""
    packing: MapPacking | None = None
    """How tiles of the map are packed by other machines; None where its rows are all they send."""

    def compute(self, block: Block, ensemble: Ensemble, *, threads: int) -> Computed:
        """Compute the rows of a block.

        Raises
        ------
        RasterReadError
            The scene cannot be read.
        ModelError
            A probability is NaN, or memory is too small.
        """
        work = Work()
        rows = self.rows(ensemble, first=block.first, stop=block.stop, threads=threads, count=work)
        with closing(rows):
            return Computed(
                _joined(block, rows, self.scene.grid.width, self.packing, threads), work
            )

    def rows(
        self,
        ensemble: Ensemble,
        *,
        first: int,
        stop: int | None = None,
        threads: int,
        count: Work,
    ) -> Generator[ClassRows, None, None]:
        """Give rows from `first` to before `stop` as they are finished, a row of tiles at a time.

        Raises
        ------
        RasterReadError, ModelError
            As `compute`.
        """
        with (
            closing(Crew(ensemble.device, threads)) as crew,
            closing(
                map_rows(
                    self.scene,
                    ensemble,
                    self.settings,
                    specs=ensemble.specs,
                    area=self.area,
                    workers=threads,
                    crew=crew,
                    work=count,
                    first=first,
                    stop=stop,
                )
            ) as found,
        ):
            yield from class_rows(
                found, crew, confidence=self.confidence, probabilities=self.probabilities
            )


def _joined(
    block: Block,
    found: Iterable[ClassRows],
    width: int,
    packing: MapPacking | None,
    threads: int,
) -> ClassRows:
    """Put the rows of a block together as they come; what no pixel of it has stays None."""
    height = block.stop - block.first
    index = np.empty((height, width), np.uint8)
    confidence: NDArray[np.float32] | None = None
    probabilities: NDArray[np.float32] | None = None

    def put(
        every: NDArray[np.float32] | None, begin: int, part: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        if part is None:
            return every
        if every is None:
            every = np.full((*part.shape[:-2], height, width), np.nan, np.float32)
        every[..., begin : begin + part.shape[-2], :] = part
        return every

    with BlockPacking(packing, block.first, index, threads) as tiles:
        for rows in found:
            begin = rows.row - block.first
            index[begin : begin + len(rows.class_index)] = rows.class_index
            tiles.there(begin + len(rows.class_index))
            confidence = put(confidence, begin, rows.confidence)
            probabilities = put(probabilities, begin, rows.probabilities)
        return ClassRows(block.first, index, confidence, probabilities, tiles.packed())


def cut_blocks(
    height: int,
    settings: PredictSettings,
    *,
    first: int,
    at_once: int,
    row_bytes: int,
    packed: bool = False,
) -> list[Block]:
    """Cut a scene's rows into blocks.

    As few as keep all busy and, where writing rows is work, let them be written meanwhile, and
    multiples of `at_once`, so that all are done at about the same time. More is lost with its
    worker where blocks are higher, more computed twice at their edges where they are lower: with a
    stride of half a tile, one row of tiles a block.

    Parameters
    ----------
    height
        Rows of the scene.
    settings
        Tiles and scale.
    first
        First row that is to be computed.
    at_once
        How many blocks are computed at a time.
    row_bytes
        Size of a finished row.
    packed
        Whether who computes rows also packs them, so that there is little left to write.
    """
    step = settings.steps * (settings.scale or 1)
    start = first // step
    rows_of_tiles = max(1, -(-height // step) - start)
    twice = max(1, -(-settings.tile // settings.steps) - 1)
    most = max(1, min(TIMES_THE_EDGE * twice, BLOCK_BYTES // (step * row_bytes)))
    least = TIMES_THE_EDGE_AT_LEAST * twice
    turns = -(-rows_of_tiles // (at_once * most))
    if not packed and turns == 1 and rows_of_tiles >= 2 * at_once * TIMES_THE_EDGE_FOR_TWO * twice:
        turns = 2
    count = at_once * turns
    count = max(1, min(count, rows_of_tiles // least))
    edges = [(start + k * rows_of_tiles // count) * step for k in range(1, count)]
    return [Block(*pair) for pair in zip([first, *edges], [*edges, height], strict=True)]


# -- by a cluster ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ClusterWork:
    work: BlockWork
    networks: Kept[Networks]


def by_cluster(
    cluster: Cluster,
    networks: Kept[Networks],
    work: BlockWork,
    blocks: Sequence[Block],
    *,
    row_bytes: int,
) -> Generator[Computed, None, None]:
    """Have a cluster compute blocks; they come in order.

    Parameters
    ----------
    cluster, networks
        Who computes, and by which models.
    work, blocks
        What to compute.
    row_bytes
        Size of a finished row: it says how many blocks may wait here.

    Raises
    ------
    GeosegError
        As `BlockWork.compute`, and what `Cluster.ordered` raises.
    """
    width = work.scene.grid.width
    elsewhere = BlockWork(
        scene=absolute(work.scene),
        settings=work.settings,
        area=work.area,
        confidence=work.confidence,
        probabilities=work.probabilities,
        packing=work.packing,
    )
    yield from cluster.ordered(
        _compute,
        _ClusterWork(elsewhere, networks),
        blocks,
        # Packed tiles come with their halves.
        result_bytes=_largest(blocks, row_bytes + (work.packing is not None) * width // 2),
    )


def _compute(shared: _ClusterWork, block: Block) -> Computed:
    """Compute a block in a worker."""
    from geoseg.cluster.worker import task_threads  # noqa: PLC0415 — imports dask

    ensemble = shared.networks.get().ready()
    try:
        return shared.work.compute(block, ensemble, threads=task_threads())
    except RasterReadError as error:
        raise told_by_worker(error) from error


# -- by several cards of this machine ----------------------------------------------------------


def by_cards(
    ensembles: Sequence[Ensemble],
    work: BlockWork,
    blocks: Sequence[Block],
    *,
    threads: int,
    row_bytes: int,
) -> Generator[Computed, None, None]:
    """Have each of several devices compute blocks, side by side; they come in order.

    Parameters
    ----------
    ensembles
        The same networks, on a device each.
    work, blocks
        What to compute.
    threads
        In all; the devices share them.
    row_bytes
        Size of a finished row: it says how many blocks may wait for earlier ones.
    """
    free: SimpleQueue[Ensemble] = SimpleQueue()
    for ensemble in ensembles:
        free.put(ensemble)
    each = max(1, threads // len(ensembles))

    def compute(block: Block) -> Computed:
        ensemble = free.get()
        try:
            if ensemble.device.type == "cuda":
                torch.cuda.set_device(ensemble.device)
            return work.compute(block, ensemble, threads=each)
        finally:
            free.put(ensemble)

    with ExitStack() as stack:
        for ensemble in ensembles:
            stack.enter_context(one_thread_per_operation(ensemble.device))
        pool = stack.enter_context(_closing(ThreadPoolExecutor(len(ensembles), "geoseg-card")))
        room = WAITING_BYTES // max(1, _largest(blocks, row_bytes))
        ahead = max(len(ensembles) + 1, min(2 * len(ensembles), room))
        yield from _ahead(pool, compute, blocks, ahead)


def _largest(blocks: Sequence[Block], row_bytes: int) -> int:
    """Return the size of the largest block's rows."""
    return row_bytes * max((block.stop - block.first for block in blocks), default=0)


def _ahead(
    pool: ThreadPoolExecutor,
    compute: Callable[[Block], Computed],
    blocks: Iterable[Block],
    ahead: int,
) -> Generator[Computed, None, None]:
    """Give results in order, so many at most under way or waiting."""
    running: deque[Future[Computed]] = deque()
    for block in blocks:
        running.append(pool.submit(compute, block))
        if len(running) == ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


@contextmanager
def _closing(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    """Close a pool on leaving; what has not begun is dropped."""
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
