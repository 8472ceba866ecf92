"""A scene through networks, as finished rows of maps at the scene's own size."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.inference.batches import (
    BATCH_ON_CPU,
    Batches,
    fitting_batch,
    memory_of,
    most_on_card,
    too_small,
)
from geoseg.inference.blend import Axis, plan_axis
from geoseg.inference.members import InputSpec
from geoseg.inference.settings import PredictSettings
from geoseg.inference.source import Area, InputRows
from geoseg.inference.stream import (
    Crew,
    MeanRows,
    TileMaps,
    Work,
    mean_rows,
    one_thread_per_operation,
)
from geoseg.inference.upsample import RowUpsampler
from geoseg.models.device import is_out_of_memory
from geoseg.raster.allocator import keep_large_blocks
from geoseg.raster.scene import Scene


@dataclass(frozen=True)
class MapRows:
    """Finished rows of a scene."""

    row: int
    """First row."""
    means: torch.Tensor | None
    """(maps, height, width) float32, a view that lasts until the rows after the next are asked for;
    meaningless where not wanted. None where no pixel of these rows is wanted."""
    wanted: NDArray[np.bool_]
    """(height, width): valid, and inside the area. A view that lasts until the next rows are asked
    for."""


def map_rows(
    scene: Scene,
    answerer: TileMaps,
    settings: PredictSettings,
    *,
    specs: Sequence[InputSpec],
    area: Area | None,
    workers: int,
    crew: Crew,
    work: Work,
    first: int = 0,
    stop: int | None = None,
) -> Generator[MapRows]:
    """Give the rows of a scene from top to bottom, each once.

    Parameters
    ----------
    scene
        Holds the bands that are asked for.
    answerer
        Networks that map tiles.
    settings
        Tiles, weights, scale and batch; the rest is the answerer's.
    specs
        What the answerer wants to be fed.
    area
        Where maps are wanted; everywhere if None.
    workers
        Threads that read.
    crew
        Threads that compute.
    work
        Counts the tiles.
    first
        First row to give; to the bit what it is when all are given. Tiles that rows above share
        with it are computed again.
    stop
        First row not to give, likewise; the scene's height if None. Nothing is read or computed
        that no row above needs.

    Raises
    ------
    ModelError
        The device's memory is too small even for one tile at a time.
    """
    keep_large_blocks()
    scale = settings.scale or 1
    grid = scene.grid
    stop = grid.height if stop is None else min(stop, grid.height)
    if first >= stop:
        return
    rows, cols = (
        plan_axis(-(-length // scale), settings.tile, settings.steps, settings.blend)
        for length in (grid.height, grid.width)
    )
    up = RowUpsampler(factor=scale, height=grid.height, width=grid.width, first=first)
    first_tile = rows.first_over(first if scale == 1 else up.needed)
    up.begin_at(rows.starts[first_tile])
    stop_tile = rows.stop_over(stop if scale == 1 else up.needed_above(stop))
    source = InputRows(
        scene,
        specs,
        area=area,
        scale=scale,
        workers=workers,
        device=answerer.device,
        first=max(rows.starts[first_tile] - (scale > 1), 0),
        stop=rows.starts[stop_tile - 1] + rows.size + (scale > 1),
    )
    with (
        _memory_in_words(answerer.device),
        one_thread_per_operation(answerer.device),
        closing(source),
    ):
        batches = Batches(settings.batch or _found(answerer, specs, rows, cols), answerer.device)
        done = first
        for band in mean_rows(
            source,
            answerer,
            rows=rows,
            cols=cols,
            batches=batches,
            crew=crew,
            work=work,
            first=first_tile,
            stop=stop_tile,
        ):
            for row, height, means in _full_size(band, up, scale, answerer):
                above, done = max(first - row, 0), max(min(row + height, stop), first)
                if row + above < done:
                    wanted = source.full_wanted(row + above, done - row - above)
                    here = None if means is None else means[:, above : done - row]
                    yield MapRows(row + above, here, wanted)
            source.discard(band.row + band.height, full_before=done)
        work.notes = tuple(dict.fromkeys((*work.notes, *answerer.notes, *batches.notes)))


def _found(answerer: TileMaps, specs: Sequence[InputSpec], rows: Axis, cols: Axis) -> int:
    """Find how many tiles are computed together where nobody says."""
    device = answerer.device
    if device.type == "cpu":
        return BATCH_ON_CPU
    most = min(len(cols.starts), most_on_card(rows.size, cols.size))
    memory = memory_of(device)
    if memory is None:
        return most

    def forward(count: int) -> torch.Tensor:
        shape = (rows.size, cols.size)
        return answerer.maps(
            [torch.zeros((count, len(spec.bands), *shape), device=device) for spec in specs]
        )

    return fitting_batch(forward, memory, most=most)


@contextmanager
def _memory_in_words(device: torch.device) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise too_small(device) from error


def _full_size(
    band: MeanRows, up: RowUpsampler, scale: int, answerer: TileMaps
) -> Iterator[tuple[int, int, torch.Tensor | None]]:
    if scale == 1:
        yield band.row, band.height, band.means
        return
    means = band.means
    if means is None:
        shape = (answerer.classes, band.height, up.reduced_width)
        means = torch.zeros(shape, device=answerer.device)
    for row, rows in up.push(means):
        yield row, rows.shape[1], rows
