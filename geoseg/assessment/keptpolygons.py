"""What a stopped making of polygons leaves for the next run to go on from.

The folder ``.NAME.part`` beside the output holds the file as far as it is whole, corners for the
simplifier, polygons that wait to be one feature, and ``state-K.npz``: all that was in memory at a
border between two bands of rows. Every state is whole on the disk before it is noted, and the one
before stays until then.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OutputError
from geoseg.raster.outputs.kept import KeptFolder, kept_folder_of
from geoseg.raster.outputs.unfinished import (
    PLAN,
    Kind,
    LeftoverError,
    Unfinished,
    changed,
    options_then_and_now,
    or_versions,
    then_and_now,
)
from geoseg.raster.polygons.files.formats import COPIES, copy_name
from geoseg.raster.polygons.files.layer import KEPT
from geoseg.raster.sums import FileSum, check_file

VERTICES = "vertices.raw"
"""The simplifier's corners."""
_STATES = ("state-0.npz", "state-1.npz")
_GROWING = (VERTICES, *(name for name in KEPT if name not in COPIES))
"""Files that grow at their ends."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Done:
    """How far a run came, as plain JSON but for the arrays."""

    rows: int = 0
    """Rows that were read, those read for zones among them: how much is finished."""
    zone_rows: int = 0
    """Rows of the raster from its top in which zones are measured."""
    traced_rows: int = 0
    """Rows of the raster from its top of which polygons were made."""
    lines: int = 0
    """Lines of corners that the simplifier has."""
    is_traced: bool = False
    """Whether no polygon is to come any more."""
    features: int = 0
    """Features that were put together from gathered polygons and written."""
    sums: Mapping[str, Any] = field(default_factory=dict)
    """What those hold, by class."""
    colors: tuple[Any, ...] = ()
    """Colours of classes that were found so far."""
    sink: Mapping[str, Any] | None = None
    """What is whole of the file; None before its first row."""
    state: str | None = None
    """File of the arrays."""
    arrays: Arrays = field(default_factory=dict)
    """What was in memory."""
    finished: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Bytes of each file that are finished, and their sum; see `geoseg.raster.sums`."""


class PolygonRun:
    """What is kept of one run; a context manager, which keeps it where some was noted.

    Parameters
    ----------
    target
        The file to be.
    plan
        What the polygons are, as plain JSON: those of one plan may be shared by two runs.
    resume, overwrite
        As `geoseg.raster.outputs.unfinished.Unfinished` has them.

    Attributes
    ----------
    done
        How far the run before this one came.

    Raises
    ------
    LeftoverError
        There is some and nobody said what to do with it, it is of another plan, or is damaged.
    OutputError
        Another run uses the folder, or it cannot be written.
    """

    def __init__(
        self, target: Path, plan: Mapping[str, Any], *, resume: bool, overwrite: bool
    ) -> None:
        self._target = target
        self._unfinished = Unfinished([target], plan, KIND, resume=resume, overwrite=overwrite)
        self.done = Done()
        self._sums: dict[str, FileSum] = {}
        self._copy: tuple[object, tuple[int, int]] | None = None

    def __enter__(self) -> Self:
        self._unfinished.__enter__()
        try:
            if self._unfinished.finished:
                self.done = self._read(self._unfinished.noted)
        except BaseException:
            self._unfinished.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._unfinished.__exit__(kind, error, trace)

    def _read(self, noted: Mapping[str, Any]) -> Done:
        try:
            done = Done(**noted)
            if not {str(done.state), *done.finished} <= set(KIND.files):
                raise ValueError
            for name, (size, wanted) in done.finished.items():
                self._sums[name] = check_file(self.folder.path / name, size, wanted)
            path = self.folder.path / str(done.state)
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return replace(done, arrays=dict(arrays.items()))
        except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:
            raise LeftoverError(
                f"{self.folder.path} is damaged: what was finished cannot be read; begin anew with"
                " --overwrite"
            ) from error

    @property
    def folder(self) -> KeptFolder:
        """Where what is not finished waits."""
        return self._unfinished.folder(self._target)

    @property
    def due(self) -> bool:
        """Whether it is time to note what is finished."""
        return self._unfinished.due

    def note(self, done: Done) -> None:
        """Note how far the run came; what its files hold is on the disk itself.

        Raises
        ------
        OutputError
            The disk is full, or fails.
        """
        last = self._unfinished.noted.get("state")
        name = _STATES[1 if last == _STATES[0] else 0]

        def say() -> dict[str, Any]:
            with (self.folder.path / name).open("wb") as file:
                np.savez(file, **dict[str, Any](done.arrays))
                file.flush()
                os.fsync(file.fileno())
            noted = replace(done, arrays={}, state=name, finished=self._summed(done, name))
            return asdict(noted) | {"arrays": {}}

        self._unfinished.note_finished(say)

    def _summed(self, done: Done, state: str) -> dict[str, tuple[int, int]]:
        """Sum up what is finished of each file; of those that grow, what was added."""
        folder = self.folder.path
        found = {state: _whole_sum(folder / state)}
        for name in _GROWING:
            path = folder / name
            if path.exists():
                size = path.stat().st_size
                found[name] = size, self._sums.setdefault(name, FileSum(path)).upto(size)
        number = (done.sink or {}).get("number")
        if number is not None:
            copy = copy_name(number)
            if self._copy is None or self._copy[0] != number:
                self._copy = number, _whole_sum(folder / copy)
            found[copy] = self._copy[1]
        return found

    def remove(self) -> None:
        """Remove what is kept."""
        self._unfinished.remove()


def _whole_sum(path: Path) -> tuple[int, int]:
    size = path.stat().st_size
    return size, FileSum(path).upto(size)


def remove_leftover(target: Path) -> None:
    """Remove what is left beside a file that was finished, unless another run uses it."""
    folder = kept_folder_of(target)
    if folder.is_dir():
        with suppress(OutputError):
            kept = KeptFolder(target)
            (kept.path / PLAN).unlink(missing_ok=True)  # first: nobody goes on without it
            kept.remove()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how two plans differ, in the words of options; empty where they do not."""
    other = changed(before, now)
    told = []
    if "raster" in other:
        told.append(then_and_now("raster", before, now))
    elif "contents" in other:
        told.append("the raster's files are not the same")
    elif "grid" in other:
        told.append(then_and_now("grid", before, now))
    elif "classes" in other and "--classes" not in other:
        told.append("the raster's classes are not the same")
    told += options_then_and_now(before, now)
    if "zones" in other and "--zones" not in other:
        told.append("--zones: its polygons are not the same")
    return or_versions(told, before, now)


KIND = Kind(
    what="polygons of a raster",
    parts="polygons",
    count="rows",
    files=(*_STATES, *KEPT, VERTICES),
    differences=differences,
)
"""What can be gone on with beside a file of polygons."""
