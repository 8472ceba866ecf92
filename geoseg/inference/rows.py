"""A scene through networks, as finished rows of maps at the scene's own size."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import ModelError
from geoseg.inference.blend import plan_axis
from geoseg.inference.members import InputSpec
from geoseg.inference.settings import PredictSettings
from geoseg.inference.source import Area, InputRows
from geoseg.inference.stream import (
    BATCH_ON_CPU,
    BATCH_ON_GPU,
    Crew,
    MeanRows,
    TileMaps,
    Work,
    mean_rows,
    one_thread_per_operation,
)
from geoseg.inference.upsample import RowUpsampler
from geoseg.raster.allocator import keep_large_blocks
from geoseg.raster.scene import Scene


@dataclass(frozen=True)
class MapRows:
    """Finished rows of a scene."""

    row: int
    """First row."""
    means: torch.Tensor | None
    """(maps, height, width) float32, a view that lasts until the next rows are asked for;
    meaningless where not wanted. None where no pixel of these rows is wanted."""
    wanted: NDArray[np.bool_]
    """(height, width): valid, and inside the area. A view that lasts no longer than `means`."""


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

    Raises
    ------
    ModelError
        The device's memory is too small.
    """
    keep_large_blocks()
    scale = settings.scale or 1
    grid = scene.grid
    if first >= grid.height:
        return
    rows, cols = (
        plan_axis(-(-length // scale), settings.tile, settings.steps, settings.blend)
        for length in (grid.height, grid.width)
    )
    up = RowUpsampler(factor=scale, height=grid.height, width=grid.width, first=first)
    first_tile = rows.first_over(first if scale == 1 else up.needed)
    up.begin_at(rows.starts[first_tile])
    source = InputRows(
        scene,
        specs,
        area=area,
        scale=scale,
        workers=workers,
        device=answerer.device,
        live=settings.tile,
        first=max(rows.starts[first_tile] - (scale > 1), 0),
    )
    on_cpu = answerer.device.type == "cpu"
    batch = settings.batch or (BATCH_ON_CPU if on_cpu else BATCH_ON_GPU)
    with (
        _memory_in_words(answerer.device),
        one_thread_per_operation(answerer.device),
        closing(source),
    ):
        done = first
        for band in mean_rows(
            source,
            answerer,
            rows=rows,
            cols=cols,
            batch=batch,
            crew=crew,
            work=work,
            first=first_tile,
        ):
            for row, height, means in _full_size(band, up, scale, answerer):
                above, done = max(first - row, 0), max(row + height, first)
                if row + above < done:
                    wanted = source.full_wanted(row + above, done - row - above)
                    yield MapRows(row + above, None if means is None else means[:, above:], wanted)
            source.discard(band.row + band.height, full_before=done)


@contextmanager
def _memory_in_words(device: torch.device) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the memory of {device} is too small; use a smaller --batch-size or --tile"
        ) from error


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
