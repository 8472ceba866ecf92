"""Open files for processes that stand in another folder, those of a cluster say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rasterio.io import DatasetReader

from geoseg.raster.handles import Handles, is_local_file

__all__ = ["HandlesFrom"]


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
