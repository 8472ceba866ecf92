"""Folders of outputs that other machines see too, told from others of the same path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from geoseg.raster.outputs.temporary import TemporaryFolder


@dataclass(frozen=True)
class Mark:
    """What lies in folders, by which another machine knows that it sees the same ones."""

    places: tuple[Path, ...]
    """Hidden folders of names of their own, by their full paths."""

    def is_seen(self) -> bool:
        """Tell whether this process sees all of the folders, and may write there."""
        return all(
            os.path.isdir(place) and os.access(place.parent, os.W_OK | os.X_OK)
            for place in self.places
        )


@contextmanager
def marked(folders: Iterable[Path]) -> Iterator[Mark]:
    """Mark folders while the context lasts; what a killed process left is removed by the next.

    Raises
    ------
    OutputError
        One cannot be written to.
    """
    with ExitStack() as stack:
        made = [
            stack.enter_context(TemporaryFolder(folder / "seen"))
            for folder in dict.fromkeys(folder.absolute() for folder in folders)
        ]
        yield Mark(tuple(one.path for one in made))
