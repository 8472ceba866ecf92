"""Finished rows of a prediction, kept beside its outputs until these are made.

``rows.raw`` in each output's folder; see `geoseg.raster.outputs.unfinished`. The class indices of
maps that are cleaned when all rows are there wait by themselves, in ``index.raw``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.plan import differences
from geoseg.raster.cog.spool import Spool
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.outputs import unfinished
from geoseg.raster.outputs.kept import KEPT_ROWS, KeptFolder
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.outputs.unfinished import Kind, LeftoverError
from geoseg.raster.sums import RowSums

__all__ = [
    "Done",
    "LeftoverError",
    "Unfinished",
    "check_leftover",
    "kept_rows",
    "remove_kept",
    "remove_useless",
]

_INDEX = "index.raw"
_PART_PIXELS = 1 << 22

PREDICTION = Kind(what="a prediction", files=(_INDEX, KEPT_ROWS), differences=differences)
"""Predictions as work that can be gone on with."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """How far a run came."""

    rows: int = 0
    """Finished rows, from the first."""
    valid: int = 0
    """Pixels with a class in them."""
    counts: tuple[int, ...] = ()
    """(256,) pixels of each class index in them."""
    made: bool = False
    """Whether all outputs were made, and some may have their names."""
    sums: tuple[tuple[int, ...], ...] = ()
    """Of each output's rows, by the place of the output; see `RasterWriter.sums`."""
    index: tuple[int, ...] = ()
    """Sum of the rows of class indices, where they wait by themselves."""


class Unfinished(unfinished.Unfinished):
    """What is kept of one prediction; a context manager.

    Parameters
    ----------
    outputs
        The rasters that are made together, the map first.
    plan
        What they are, as plain JSON: see `geoseg.inference.plan.described`.
    resume
        Whether to go on from what is there. Where nothing is, all is still to be done.
    overwrite
        Whether what is there may be removed, without `resume`.

    Raises
    ------
    LeftoverError
        There are rows and neither was asked for, or they are of another plan.
    OutputError
        Another run uses the folders, or they cannot be written.
    """

    def __init__(
        self,
        outputs: Sequence[Path],
        plan: Mapping[str, Any],
        *,
        resume: bool,
        overwrite: bool,
    ) -> None:
        super().__init__(outputs, plan, PREDICTION, resume=resume, overwrite=overwrite)
        self._index: Spool | None = None
        self._index_sums = RowSums(1)

    @property
    def done(self) -> Done:
        """What was finished so far."""
        try:
            found = Done(**self.noted)
            counts, sums = tuple(found.counts), tuple(map(tuple, found.sums))
            return replace(found, counts=counts, sums=sums, index=tuple(found.index))
        except TypeError:
            return Done()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._index is not None:
            self._index.close()
        super().__exit__(exc_type, exc, traceback)

    def keep_index(self, height: int, width: int) -> None:
        """Keep class indices by themselves, for maps that are cleaned when all rows are there.

        Raises
        ------
        OutputError
            There is no room for them, or those that should be there are not.
        """
        folder = self.folder(self.outputs[0])
        arrived = self.done.rows
        try:
            folder.need_space((height - arrived) * width)
            (folder.path / KEPT_ROWS).unlink(missing_ok=True)  # cleaned, and to be cleaned again
            self._index = Spool(folder.path / _INDEX, height * width, again=arrived > 0)
        except OSError as error:
            raise output_error(error, folder.target) from error

    def put_index(self, row: int, index: NDArray[np.uint8]) -> None:
        """Keep rows of class indices, (rows, cols), where they are kept by themselves."""
        if self._index is None:
            return
        try:
            self._index.write_at(row * index.shape[1], np.ascontiguousarray(index).data)
        except OSError as error:
            raise output_error(error, self.outputs[0]) from error
        self._index_sums.add(row, index[np.newaxis])

    def kept_index(self, width: int) -> Iterator[NDArray[np.uint8]]:
        """Give the finished rows of class indices, some (rows, cols) at a time."""
        if self._index is None:
            return
        step = max(1, _PART_PIXELS // width)
        rows = self.done.rows
        try:
            for row in range(0, rows, step):
                part = np.empty((min(step, rows - row), width), np.uint8)
                self._index.read_at(row * width, part.data)
                self._index_sums.add(row, part[np.newaxis])
                yield part
            self._index_sums.check(rows, self.done.index, _INDEX)
        except OSError as error:
            raise output_error(error, self.outputs[0]) from error

    def note(self, done: Done, writers: Mapping[Path, RasterWriter]) -> None:
        """Note how far the run came.

        Parameters
        ----------
        done
            What is finished: written by all writers.
        writers
            Of the outputs whose rows are kept.

        Raises
        ------
        OutputError
            The disk is full, or fails.
        """

        def say() -> dict[str, Any]:
            for writer in writers.values():
                writer.flush()
            if self._index is not None:
                self._index.flush()
            sums = [
                writers[path].sums(done.rows) if path in writers else () for path in self.outputs
            ]
            index = self._index_sums.of(done.rows) if self._index is not None else ()
            return asdict(replace(done, sums=tuple(sums), index=index or ()))

        self.note_finished(say)


def kept_rows(output: str | Path) -> int:
    """Count the finished rows that are kept for a map, or with one, for its other outputs."""
    return unfinished.finished_parts(output, PREDICTION)


def remove_useless(outputs: Sequence[Path]) -> None:
    """Remove what is left beside outputs and nobody can go on from."""
    unfinished.remove_useless(outputs, PREDICTION)


def remove_kept(outputs: Sequence[Path]) -> None:
    """Remove the rows that are kept for outputs.

    Raises
    ------
    OutputError
        Another run uses them.
    """
    for path in outputs:
        if kept_rows(path):
            KeptFolder(path).remove()


def check_leftover(outputs: Sequence[Path], *, resume: bool, overwrite: bool) -> None:
    """Refuse to begin anew over rows of an unfinished run; early, before anything is computed.

    Raises
    ------
    LeftoverError
        There are some, and nobody said what to do with them.
    """
    unfinished.check_leftover(outputs, PREDICTION, resume=resume, overwrite=overwrite)
