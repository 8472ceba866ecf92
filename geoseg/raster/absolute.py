"""Scenes for other processes: their files by their full paths."""

from __future__ import annotations

import os
from dataclasses import replace

from geoseg.raster.handles import is_local_file
from geoseg.raster.scene import Scene


def absolute(scene: Scene) -> Scene:
    """Return the scene that finds its files from any folder; its name stays as it is."""
    pieces = tuple(
        replace(
            piece,
            sources=tuple(replace(source, path=_full(source.path)) for source in piece.sources),
        )
        for piece in scene._pieces.pieces
    )
    return scene._with(
        paths=tuple(map(_full, scene.paths)),
        bands=tuple(replace(band, path=_full(band.path)) for band in scene.bands),
        _pieces=replace(scene._pieces, pieces=pieces),
    )


def _full(path: str) -> str:
    return os.path.abspath(path) if is_local_file(path) else path
