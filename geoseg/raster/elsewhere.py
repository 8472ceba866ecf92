"""Scenes and files for processes that stand in another folder, those of a cluster say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rasterio.io import DatasetReader

from geoseg.errors import RasterReadError
from geoseg.raster.opening.handles import Handles, is_local_file
from geoseg.raster.provenance import SAME_PACKAGES
from geoseg.raster.scene import Scene

if TYPE_CHECKING:
    from geoseg.cluster.cluster import Cluster

__all__ = ["HandlesFrom", "absolute", "as_worker_says", "told_by_worker", "workers_elsewhere"]


def workers_elsewhere(
    address: str | None, workers: int | None, *, packages: Sequence[str] | None = None
) -> AbstractContextManager[Cluster | None]:
    """Reach workers, if any were asked for; see `geoseg.cluster.cluster.Cluster.open`.

    Parameters
    ----------
    address, workers
        As the user gave them; no address, no workers.
    packages
        What must be of the same release there, by default what reads, computes and writes pixels.
    """
    if address is None:
        return nullcontext()
    from geoseg.cluster.cluster import Cluster  # noqa: PLC0415 — a cluster was asked for

    return Cluster.open(address, workers=workers, packages=packages or SAME_PACKAGES)


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
        try:
            with super().borrow(where) as dataset:
                yield dataset
        except RasterReadError as error:
            if where == path:
                raise
            # Said as who gave the path knows it, and as one machine alone says it.
            told = type(error)(str(error).replace(where, path))
            told.damaged, told.changed = error.damaged.replace(where, path), error.changed
            raise told from error


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


def told_by_worker(error: RasterReadError) -> RasterReadError:
    """Return the error of reading in a worker as one that names it, and says what to see to."""
    told = type(error)(as_worker_says(str(error), unseen=not error.damaged))
    told.damaged, told.changed = error.damaged, error.changed
    return told


def as_worker_says(problem: str, *, unseen: bool) -> str:
    """Name the worker that this is in what is said of a file.

    Parameters
    ----------
    problem
        What is wrong.
    unseen
        Whether the file could not be opened here at all.
    """
    from geoseg.cluster.worker import worker_name  # noqa: PLC0415 — imports dask

    advice = ": all machines must see files by the same paths, and may read them" if unseen else ""
    return f"{problem} (so says the worker {worker_name()}{advice})"


def _full(path: str) -> str:
    return os.path.abspath(path) if is_local_file(path) else path
