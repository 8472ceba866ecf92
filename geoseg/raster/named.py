"""Scenes and regions as a person names them, made what works on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from geoseg.errors import OptionError
from geoseg.raster.cover.region import Region
from geoseg.raster.grid import Grid
from geoseg.raster.scene import Scene

Named = Scene | str | Path | Sequence[str | Path]
"""A scene that is open, or what `Scene.open` opens."""


@contextmanager
def opened(
    scene: Named,
    *,
    bands: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
) -> Iterator[Scene]:
    """Open a scene, and close it in the end; one that is open already is left open.

    Parameters
    ----------
    scene
        What is named; one path in a list is that path.
    bands
        Those to use, in order; all if None.
    band_names
        What they are called where files do not say.

    Raises
    ------
    InputError
        It cannot be opened, or lacks a band.
    OptionError
        No band is to be used.
    """
    if bands is not None and not bands:
        raise OptionError("bands names no band; leave it out to use all")
    if isinstance(scene, Scene):
        named = scene if band_names is None else scene.renamed(band_names)
        yield named if bands is None else named.select(bands)
        return
    if not isinstance(scene, str | Path) and len(scene) == 1:
        scene = scene[0]
    with Scene.open(scene, band_names=band_names) as found:
        yield found if bands is None else found.select(bands)


def area_of(region: str | None, grid: Grid) -> Region | None:
    """Read where to work on a grid; None is everywhere.

    Raises
    ------
    InputError
        It cannot be read, or does not lie on the grid.
    """
    if region is None:
        return None
    from geoseg.raster.vector import read_region  # noqa: PLC0415 — imports geopandas

    return read_region(region, grid)
