"""Finished rows of a prediction, kept beside its outputs until these are made.

``.NAME.part`` beside the map holds ``plan.json`` (what the rows are rows of), ``done.json`` (how
many there are), and ``rows.raw``; so does one beside each other output, whose ``plan.json`` says
which run it belongs to. Rows count as finished when they are on the disk itself and noted, in this
order; what was written after is computed again. A run that is killed leaves the folders; one with
the same plan goes on from them.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OutputError
from geoseg.inference.plan import differences
from geoseg.raster.kept import KEPT_ROWS, KeptFolder, kept_folder_of, read_kept
from geoseg.raster.output import output_error
from geoseg.raster.spool import Spool

EVERY_SECONDS = 1.0
"""Rows are noted no more often than this …"""
TIMES_AS_LONG = 20
"""… nor before this many times as long as it took the last time."""

_PLAN, _DONE, _INDEX = "plan.json", "done.json", "index.raw"
_PART_PIXELS = 1 << 22


class LeftoverError(OutputError):
    """What another run left does not go with what is asked."""


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


class Unfinished:
    """What is kept of one prediction; a context manager.

    While it is open no other run can use the folders. Leaving it keeps them if there is a finished
    row in them; `remove` removes them.

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

    Attributes
    ----------
    done
        What was finished so far.

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
        self._outputs = tuple(outputs)
        self._plan: dict[str, Any] = json.loads(json.dumps(plan))
        self._resume = resume
        self._overwrite = overwrite
        self._folders: dict[Path, KeptFolder] = {}
        self._index: Spool | None = None
        self.done = Done()
        self._next = 0.0

    def __enter__(self) -> Self:
        check_leftover(self._outputs, resume=self._resume, overwrite=self._overwrite)
        with ExitStack() as stack:
            for path in self._outputs:
                folder = self._folders[path] = KeptFolder(path)
                stack.callback(_let_go, folder)
            try:
                found = _read(self._outputs[0], _PLAN) if self._resume else None
                if found is None:
                    self._begin()
                else:
                    self._go_on(found)
            except OSError as error:
                raise output_error(error, self._outputs[0]) from error
            stack.pop_all()
        self._next = time.monotonic() + EVERY_SECONDS
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._index is not None:
            self._index.close()
        if self.done.rows == 0:
            self.remove()
        for folder in self._folders.values():
            folder.close()

    def _begin(self) -> None:
        """Begin anew."""
        run = uuid.uuid4().hex
        # The plan first: without it nobody goes on from the rest.
        (self._folders[self._outputs[0]].path / _PLAN).unlink(missing_ok=True)
        for folder in self._folders.values():
            folder.clear()
        main, *others = self._folders.values()
        for folder in others:
            folder.note(_PLAN, json.dumps({"run": run, "of": str(main.target.absolute())}))
        main.note(_PLAN, json.dumps({**self._plan, "run": run}, indent=1, sort_keys=True))

    def _go_on(self, before: dict[str, Any]) -> None:
        """Take over what is there, or refuse to."""
        main, *others = self._folders.values()
        run = before.pop("run", None)
        told = differences(before, self._plan)
        if told:
            raise LeftoverError(
                f"{main.path} holds rows of a run with other settings ({'; '.join(told)}); repeat"
                " that run's settings with --resume, or begin anew with --overwrite"
            )
        done = _done(main.target)
        if done.rows == 0:
            self._begin()
            return
        for folder in others:
            if (_read(folder.target, _PLAN) or {}).get("run") != run:
                raise LeftoverError(
                    f"{folder.path} no longer holds the rows of {folder.target.name} that go with"
                    f" those in {main.path}; begin anew with --overwrite"
                )
        for folder in self._folders.values():
            folder.clear(but=(_PLAN, _DONE, _INDEX, KEPT_ROWS))
        self.done = done

    def folder(self, output: Path) -> KeptFolder:
        """Return where rows of an output wait."""
        return self._folders[output]

    def keep_index(self, height: int, width: int) -> None:
        """Keep class indices by themselves, for maps that are cleaned when all rows are there.

        Raises
        ------
        OutputError
            There is no room for them, or those that should be there are not.
        """
        folder = self._folders[self._outputs[0]]
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
            raise output_error(error, self._outputs[0]) from error

    def kept_index(self, width: int) -> Iterator[NDArray[np.uint8]]:
        """Give the finished rows of class indices, some (rows, cols) at a time."""
        if self._index is None:
            return
        step = max(1, _PART_PIXELS // width)
        try:
            for row in range(0, self.done.rows, step):
                part = np.empty((min(step, self.done.rows - row), width), np.uint8)
                self._index.read_at(row * width, part.data)
                yield part
        except OSError as error:
            raise output_error(error, self._outputs[0]) from error

    @property
    def due(self) -> bool:
        """Whether it is time to note what is finished."""
        return time.monotonic() >= self._next

    def note(self, done: Done, flush: Sequence[Callable[[], None]]) -> None:
        """Note how far the run came.

        Parameters
        ----------
        done
            What is finished: written by all writers.
        flush
            Has what was written on the disk itself.

        Raises
        ------
        OutputError
            The disk is full, or fails.
        """
        began = time.monotonic()
        try:
            for one in flush:
                one()
            if self._index is not None:
                self._index.flush()
            self._folders[self._outputs[0]].note(_DONE, json.dumps(asdict(done)))
        except OSError as error:
            raise output_error(error, self._outputs[0]) from error
        self.done = done
        now = time.monotonic()
        self._next = now + max(EVERY_SECONDS, TIMES_AS_LONG * (now - began))

    def remove(self) -> None:
        """Remove the folders, the plan first, as in `_begin`."""
        if self._folders:
            (self._folders[self._outputs[0]].path / _PLAN).unlink(missing_ok=True)
        for folder in self._folders.values():
            folder.remove()
        self.done = Done()


def kept_rows(output: str | Path) -> int:
    """Count the finished rows that are kept for a map, or with one, for its other outputs."""
    plan = _read(output, _PLAN)
    if plan is None:
        return 0
    if "of" not in plan:
        return _done(output).rows
    # Rows beside another map: they are of use while that has a run to go on with.
    with_map = _read(plan["of"], _PLAN) or {}
    return _done(plan["of"]).rows if with_map.get("run") == plan.get("run") else 0


def remove_useless(outputs: Sequence[Path]) -> None:
    """Remove what is left beside outputs and nobody can go on from."""
    for path in outputs:
        plan = kept_folder_of(path) / _PLAN
        foreign = plan.exists() and _read(path, _PLAN) is None
        if plan.parent.is_dir() and not foreign and not kept_rows(path):
            with suppress(OutputError):  # in use
                KeptFolder(path).remove()


def check_leftover(outputs: Sequence[Path], *, resume: bool, overwrite: bool) -> None:
    """Refuse to begin anew over rows of an unfinished run; early, before anything is computed.

    Raises
    ------
    LeftoverError
        There are some, and nobody said what to do with them.
    """
    if overwrite:
        return
    for path in outputs:
        folder = kept_folder_of(path)
        if (folder / _PLAN).exists() and _read(path, _PLAN) is None:
            raise LeftoverError(
                f"{folder} holds something else than a prediction; remove it, or choose another"
                " output"
            )
        if not resume and kept_rows(path):
            raise LeftoverError(
                f"{folder} holds rows of an unfinished run; go on with --resume, or begin anew with"
                " --overwrite"
            )


def _let_go(folder: KeptFolder) -> None:
    """Leave a folder as it was found; if it was not, remove it."""
    if (folder.path / _PLAN).exists():
        folder.close()
    else:
        folder.remove()


def _read(output: str | Path, name: str) -> dict[str, Any] | None:
    """Read what was noted; None if nothing was, or not by a prediction."""
    try:
        found = json.loads(read_kept(output, name) or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) and ("run" in found or name != _PLAN) else None


def _done(output: str | Path) -> Done:
    try:
        found = Done(**(_read(output, _DONE) or {}))
        return replace(found, counts=tuple(found.counts))
    except TypeError:
        return Done()
