"""Scenes and files for processes that stand in another folder, those of a cluster say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rasterio.io import DatasetReader

from geoseg.raster.opening.handles import Handles, is_local_file
from geoseg.raster.scene import Scene

__all__ = ["HandlesFrom", "absolute"]


class HandlesFrom(Handles):
    """As `Handles`, with relative paths taken from a folder, wherever a process stands.

    Parameters
    ----------
    folder
        Where relative paths begin.
    most
        Files that one thread keeps open.
    """

    def __init__(self, folder: Path, most: int | None = None) -> None:
        super().__init__(most)
        self._given = (folder.absolute(), most)

    def __reduce__(self) -> tuple[Any, ...]:
        return (HandlesFrom, self._given)

    @contextmanager
    def borrow(self, path: str) -> Iterator[DatasetReader]:
        """Give this thread's handle of `path`; see `Handles.borrow`."""
        where = str(self._given[0] / path) if is_local_file(path) else path
        with super().borrow(where) as dataset:
            yield dataset


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
