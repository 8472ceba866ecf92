"""Rows of patches that are cut by themselves, elsewhere: what is sent, done there, and sent back.

A block is read with the rows that it shares with the next one; label values are counted in its own
rows alone, so that blocks add up to what one run counts, whatever their size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import RasterReadError
from geoseg.patches.cutting import SceneCutter
from geoseg.patches.dataset import SPLITS
from geoseg.patches.handing import Desk, Handed
from geoseg.patches.job import Job, Seen, why_withdrawn
from geoseg.patches.packing import ArrayPacker, Collector, FilePacker, Packed, Packer
from geoseg.patches.settings import TileSettings
from geoseg.patches.table import PatchTable
from geoseg.raster.elsewhere import told_by_worker
from geoseg.raster.legend import Legend
from geoseg.raster.statistics import Measured, Statistics, statistics_for
from geoseg.raster.window import Window

BLOCK_BYTES = 32 << 20
"""Readings of a block, about: a block's patches come back in one message."""
_MOST_BYTES = 4 * BLOCK_BYTES
"""… that a block may have, to keep to the blocks of the files."""


@dataclass(frozen=True, kw_only=True)
class Common:
    """What is the same for all blocks, sent once."""

    jobs: Sequence[Job]
    """All scenes, with empty tables."""
    settings: TileSettings
    legend: Legend | None
    """Classes of the labels of pixels."""
    dtype: np.dtype[Any]
    """Of the patches."""
    bands: tuple[str, ...]
    """Names of the bands."""
    nodata: float | None
    """Nodata value that GeoTIFF patches declare."""
    invalid_value: float
    """Stored in place of invalid pixels."""
    measured_splits: Sequence[int]
    """Splits that count in the statistics."""
    desk: Desk | None = None
    """Where patches are left for who makes the set; None to send them."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some rows of the patches of one scene."""

    scene: int
    """Place of the scene."""
    patches: range
    """Rows of the scene's table."""
    table: PatchTable
    """Those rows."""
    window: Window
    """What to read."""
    own_rows: tuple[int, int]
    """First and last row (exclusive) of pixels that no other block counts."""


@dataclass(frozen=True, kw_only=True)
class CutBlock:
    """What came of a block."""

    scene: int
    patches: range
    own_rows: tuple[int, int]
    withdrawn: str
    """Why the scene cannot be used; empty, and then the rest is there."""
    valid_pixels: NDArray[np.int64]
    class_pixels: NDArray[np.int64]
    """Of all patches of the block, as in the table."""
    kept: Sequence[Packed]
    """The patches that are kept, in their order; none where they are handed over."""
    measured: Sequence[Measured | None]
    """What was measured of them."""
    counts: NDArray[np.int64]
    """Readings counted in them."""
    valid: bool
    nonzero: bool
    ignored: dict[int, int]
    """As in `Seen`."""
    handed: Handed | None = None
    """The patches that are kept, in a file."""


def blocks_of(
    scene: int, job: Job, *, first: int, read_to: int, dtype: np.dtype[Any]
) -> Iterator[Block]:
    """Cut the rows of patches of a scene into blocks.

    Parameters
    ----------
    scene
        Its place among all.
    job
        The scene.
    first
        Row of patches to begin with.
    read_to
        Label values above this row of pixels are counted already.
    dtype
        Of the patches.
    """
    table, window = job.table, job.window
    rows = table.rows
    step = _step(job, dtype)
    for start in range(first, len(rows), step):
        stop = min(start + step, len(rows))
        top = rows[start]
        below = rows[stop] if stop < len(rows) else window.row_stop
        bottom = max(below, min(rows[stop - 1] + table.size, window.row_stop))
        yield Block(
            scene=scene,
            patches=range(start * len(table.cols), stop * len(table.cols)),
            table=table.part(start, stop),
            window=Window(top, window.col, bottom - top, window.width),
            own_rows=(max(top, read_to), max(below, read_to)),
        )


def most_bytes(job: Job, dtype: np.dtype[Any]) -> int:
    """Return what the patches of one of a scene's blocks take at most, with their labels."""
    table, beside = job.table, (job.labels is not None) + (job.confidence is not None)
    patch = table.pixels * (len(job.scene.bands) * dtype.itemsize + beside)
    return min(_step(job, dtype), len(table.rows)) * len(table.cols) * patch


def _step(job: Job, dtype: np.dtype[Any]) -> int:
    """Rows of patches of a block."""
    table = job.table
    if len(table.rows) == 1:
        return 1
    stride = table.rows[1] - table.rows[0]
    row_bytes = stride * job.window.width * len(job.scene.bands) * dtype.itemsize
    step = max(1, BLOCK_BYTES // row_bytes)
    high = job.scene.block_shape[0]
    if job.scene.in_order or high >= job.scene.grid.height:
        return len(table.rows)  # it can only be read from the top
    # Where blocks end with those of the files, none of these are decoded for two.
    fitting = high // math.gcd(high, stride)
    if step % fitting and fitting * row_bytes <= _MOST_BYTES:
        step = -(-step // fitting) * fitting
    return step


def cut_block(common: Common, block: Block) -> CutBlock:
    """Cut one block; called by workers."""
    from geoseg.cluster.worker import task_threads  # noqa: PLC0415 - it brings dask

    cut = cut_here(common, block, workers=task_threads())
    if common.desk is None or not cut.kept:
        return cut
    table = block.table
    splits = table.split[table.position >= 0].tolist()
    handed = common.desk.hand(cut.kept, splits, threads=task_threads())
    return cut if handed is None else replace(cut, kept=(), handed=handed)


def cut_here(common: Common, block: Block, *, workers: int) -> CutBlock:
    """Cut one block with some threads."""
    job = replace(common.jobs[block.scene], table=block.table, window=block.window)
    settings = common.settings
    packer: Packer = ArrayPacker()
    if settings.storage == "geotiff":
        packer = FilePacker(
            band_names=common.bands, nodata=common.nodata, tags=settings.patch_tags()
        )
    takers = [Collector(packer) for _ in SPLITS]
    statistics = _Measuring(statistics_for(common.dtype, len(common.bands)))
    seen = Seen(first_row=block.own_rows[0], stop_row=block.own_rows[1])
    withdrawn = ""
    with ThreadPoolExecutor(workers, "geoseg-cut") as pool:
        cutter = SceneCutter(
            job,
            settings=settings,
            legend=common.legend,
            dtype=common.dtype,
            writers=takers,
            positions=[0] * len(SPLITS),
            statistics=statistics,
            measured_splits=common.measured_splits,
            invalid_value=common.invalid_value,
            workers=workers,
            pool=pool,
            seen=seen,
        )
        try:
            cutter.run()
        except RasterReadError as error:
            if not error.damaged:  # who asks has opened it: nothing of the scene is wrong
                raise told_by_worker(error) from error
            withdrawn = why_withdrawn(error)
    table = block.table
    kept: list[Packed] = []
    if not withdrawn:
        places = zip(table.split.tolist(), table.position.tolist(), strict=True)
        kept = [takers[split].packed[place] for split, place in places if place >= 0]
    return CutBlock(
        scene=block.scene,
        patches=block.patches,
        own_rows=block.own_rows,
        withdrawn=withdrawn,
        valid_pixels=table.valid_pixels,
        class_pixels=table.class_pixels,
        kept=kept,
        measured=statistics.measured,
        counts=statistics.counts(),
        valid=seen.valid,
        nonzero=seen.nonzero,
        ignored=dict(seen.ignored),
    )


class _Measuring:
    """Statistics that keep what was measured of each patch, for moments merge in one order only."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self.measure = statistics.measure
        self.counts = statistics.counts
        self.measured: list[Measured | None] = []

    def add(self, measured: Sequence[Measured | None]) -> None:
        self.measured += measured
