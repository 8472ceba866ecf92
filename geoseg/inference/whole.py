"""Maps that an earlier run made, known by what their metadata say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoseg.inference.outputs import hectares_of
from geoseg.raster.legend import Legend
from geoseg.raster.provenance import VERSIONS, read_provenance
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips


@dataclass(frozen=True)
class FinishedMap:
    """What a map holds."""

    pixels: dict[str, int]
    """Pixels of each class, by name, in the order of the legend."""
    hectares: dict[str, float] | None
    """The same as areas, where pixels have an area on Earth."""


def are_whole(paths: Iterable[Path], tags: Mapping[str, str]) -> bool:
    """Tell whether outputs are there and were made of the same scene, models and settings.

    A raster gets its name when it is whole. By which versions it was made is not asked, nor on
    which device, with how many tiles at once or compiled: that may change the last bits of shares,
    and is asked only of rows that are to be gone on with.

    Parameters
    ----------
    paths
        The rasters.
    tags
        What their metadata would say.
    """
    wanted = {name: text for name, text in tags.items() if name not in VERSIONS}
    for path in paths:
        found = read_provenance(path)
        if {name: text for name, text in found.items() if name not in VERSIONS} != wanted:
            return False
    return True


def finished_map(path: Path, legend: Legend, *, workers: int) -> FinishedMap:
    """Count the classes of a map.

    Parameters
    ----------
    path
        The class raster.
    legend
        Of the models that made it.
    workers
        Threads that read.

    Raises
    ------
    RasterReadError
        It cannot be read.
    """
    counts = np.zeros(256, np.int64)
    with Scene.open(path) as scene:
        for strip in read_strips([scene], workers=workers):
            counts += np.bincount(strip.arrays[0].ravel(), minlength=256)
        pixels = {one.name: int(counts[one.id]) for one in legend.classes}
        return FinishedMap(pixels, hectares_of(pixels, scene.grid))
