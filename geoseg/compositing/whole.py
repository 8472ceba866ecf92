"""Composites that an earlier run made, known by what their metadata say and where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.raster.cover.region import Region
from geoseg.raster.grid import Grid
from geoseg.raster.provenance import VERSIONS, read_provenance
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips
from geoseg.raster.window import Window


def are_whole(paths: Sequence[Path], tags: Mapping[str, str], grid: Grid) -> bool:
    """Tell whether outputs are there and were made of the same scenes, settings and grid.

    A raster gets its name when it is whole. By which versions it was made is not asked.

    Parameters
    ----------
    paths
        The rasters.
    tags
        What their metadata would say.
    grid
        Where they would lie.
    """
    wanted = {name: text for name, text in tags.items() if name not in VERSIONS}
    for path in paths:
        found = read_provenance(path)
        if {name: text for name, text in found.items() if name not in VERSIONS} != wanted:
            return False
        with Scene.open(path) as scene:
            if not scene.grid.same_pixels(grid):
                return False
    return True


def counted(
    path: Path,
    band: str,
    *,
    dates: int,
    area: Region | None,
    origin: tuple[int, int],
    workers: int,
) -> NDArray[np.int64]:
    """Count the pixels of a composite by their number of clear dates.

    Parameters
    ----------
    path, band
        The raster and the band that holds the numbers.
    dates
        How many dates there are.
    area, origin
        Where pixels count, and row and column on its grid of the raster's first pixel.
    workers
        Threads that read.

    Returns
    -------
    (dates + 1,)

    Raises
    ------
    RasterReadError
        It cannot be read.
    """
    counts = np.zeros(dates + 1, np.int64)
    with Scene.open(path) as scene:
        for strip in read_strips([scene.select([band])], workers=workers):
            numbers = strip.arrays[0][0].astype(np.int64)
            if area is not None:
                there = Window(strip.row + origin[0], origin[1], *numbers.shape)
                numbers = numbers[area.mask(there)]
            counts += np.bincount(numbers.ravel(), minlength=dates + 1)[: dates + 1]
    return counts
