"""What a stopped run finished, kept beside its outputs until these are made.

``.NAME.part`` beside the first output holds ``plan.json`` (what the work is), ``done.json`` (how
much of it is finished), and the finished parts themselves; so does one beside each other output,
whose ``plan.json`` says which run it belongs to. A part counts as finished when it is on the disk
itself and noted, in this order; what was written after is made again. A run that is killed leaves
the folders; one with the same plan goes on from them.

Knows neither pixels nor what the parts are: a `Kind` says it in words.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from geoseg.errors import OutputError
from geoseg.raster.outputs.kept import KeptFolder, kept_folder_of, read_kept
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.provenance import without_secrets

EVERY_SECONDS = 1.0
"""Parts are noted no more often than this …"""
TIMES_AS_LONG = 20
"""… nor before this many times as long as it took the last time."""

PLAN, DONE = "plan.json", "done.json"
_SUM = "sum"
"""What the rest of ``done.json``, and the run that wrote it, come to."""
_NONSENSE = (
    *(ArithmeticError, AttributeError, LookupError, SyntaxError, TypeError, ValueError),
    *(MemoryError, zlib.error),
)


class LeftoverError(OutputError):
    """What another run left does not go with what is asked."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Work of one command that can be stopped and gone on with."""

    what: str
    """What is made, with its article: "a prediction". Folders of another kind are left alone."""
    parts: str = "rows"
    """What is finished piece by piece, in the plural."""
    count: str = "rows"
    """Name of the number in ``done.json`` that says how many parts are finished."""
    files: Collection[str] = ()
    """Files of finished parts: what else is in a folder goes when a run goes on with it."""
    differences: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]
    """How two plans differ, before and now, in the words of options; nothing where they do not."""


class Unfinished:
    """What is kept of one run; a context manager.

    While it is open no other run can use the folders. Leaving it keeps them if a part is noted as
    finished; `remove` removes them.

    Parameters
    ----------
    outputs
        What is made together, the main output first.
    plan
        What the work is, as plain JSON: runs of one plan may share finished parts.
    kind
        Which command's work it is.
    resume
        Whether to go on from what is there. Where nothing is, all is still to be done.
    overwrite
        Whether what is there may be removed, without `resume`.

    Attributes
    ----------
    noted
        What was noted last, by this run or the one before it; empty where nothing was.

    Raises
    ------
    LeftoverError
        There are finished parts and neither was asked for, or they are of another plan.
    OutputError
        Another run uses the folders, or they cannot be written.
    """

    def __init__(
        self,
        outputs: Sequence[Path],
        plan: Mapping[str, Any],
        kind: Kind,
        *,
        resume: bool,
        overwrite: bool,
    ) -> None:
        self.outputs = tuple(outputs)
        self.kind = kind
        self.noted: dict[str, Any] = {}
        # A signature is renewed, and lies on no disk.
        shown = without_secrets(json.loads(json.dumps(plan)))
        self._plan: dict[str, Any] = {**shown, "work": kind.what}
        self._resume = resume
        self._overwrite = overwrite
        self._folders: dict[Path, KeptFolder] = {}
        self._next = 0.0
        self._run = ""

    def __enter__(self) -> Self:
        check_leftover(self.outputs, self.kind, resume=self._resume, overwrite=self._overwrite)
        with ExitStack() as stack:
            for path in self.outputs:
                folder = self._folders[path] = KeptFolder(path)
                stack.callback(_let_go, folder)
            try:
                found = _plan_of(self.outputs[0], self.kind) if self._resume else None
                if found is None:
                    self._begin()
                else:
                    self._go_on(found)
            except OSError as error:
                raise output_error(error, self.outputs[0]) from error
            stack.pop_all()
        self._next = time.monotonic() + EVERY_SECONDS
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.finished == 0:
            self.remove()
        for folder in self._folders.values():
            folder.close()

    def _begin(self) -> None:
        """Begin anew."""
        run = self._run = uuid.uuid4().hex
        # The plan first: without it nobody goes on from the rest.
        (self._folders[self.outputs[0]].path / PLAN).unlink(missing_ok=True)
        for folder in self._folders.values():
            folder.clear()
        main, *others = self._folders.values()
        whose = {"run": run, "of": str(main.target.absolute()), "work": self.kind.what}
        for folder in others:
            folder.note(PLAN, json.dumps(whose))
        main.note(PLAN, json.dumps({**self._plan, "run": run}, indent=1, sort_keys=True))

    def _go_on(self, before: dict[str, Any]) -> None:
        """Take over what is there, or refuse to."""
        main, *others = self._folders.values()
        run, parts = before.pop("run", None), self.kind.parts
        told = self.kind.differences(before, self._plan)
        if finished_parts(main.target, self.kind) == 0:
            self._begin()  # nothing is lost, whatever the settings were
            return
        if told:
            raise LeftoverError(
                f"{main.path} holds {parts} of a run with other settings ({'; '.join(told)});"
                " repeat that run's settings with --resume, or begin anew with --overwrite"
            )
        for folder in others:
            if (_plan_of(folder.target, self.kind) or {}).get("run") != run:
                raise LeftoverError(
                    f"{folder.path} no longer holds the {parts} of {folder.target.name} that go"
                    f" with those in {main.path}; begin anew with --overwrite"
                )
        for folder in self._folders.values():
            folder.clear(but=(PLAN, DONE, *self.kind.files))
        self._run = str(run)
        noted = _read(main.target, DONE) or {}
        with self.legible():
            # Numbers that make sense may be those of another run, or of none.
            if noted.pop(_SUM, None) != _sum_of(self._run, noted):
                raise ValueError
        self.noted = noted

    @property
    def finished(self) -> int:
        """How many parts are noted as finished."""
        return _count(self.noted, self.kind)

    def folder(self, output: Path) -> KeptFolder:
        """Return where finished parts of an output wait."""
        return self._folders[output]

    @property
    def due(self) -> bool:
        """Whether it is time to note what is finished."""
        return time.monotonic() >= self._next

    def note_finished(self, say: Callable[[], Mapping[str, Any]]) -> None:
        """Note how far the run came.

        Parameters
        ----------
        say
            Has what is finished on the disk itself, and then says how much that is, as plain JSON
            with the number that the kind calls `count`.

        Raises
        ------
        OutputError
            The disk is full, or fails.
        """
        began = time.monotonic()
        try:
            noted = json.loads(json.dumps(dict(say())))
            whole = {**noted, _SUM: _sum_of(self._run, noted)}
            self._folders[self.outputs[0]].note(DONE, json.dumps(whole))
        except OSError as error:
            raise output_error(error, self.outputs[0]) from error
        self.noted = noted
        now = time.monotonic()
        self._next = now + max(EVERY_SECONDS, TIMES_AS_LONG * (now - began))

    @contextmanager
    def legible(self) -> Iterator[None]:
        """Refuse in one line what is noted and makes no sense to who takes it up within.

        Raises
        ------
        LeftoverError
            It does not.
        """
        try:
            yield
        except _NONSENSE:
            raise LeftoverError(
                f"{self._folders[self.outputs[0]].path} is damaged: what was finished cannot be"
                " read; begin anew with --overwrite"
            ) from None

    def remove(self) -> None:
        """Remove the folders, the plan first, as in `_begin`."""
        if self._folders:
            (self._folders[self.outputs[0]].path / PLAN).unlink(missing_ok=True)
        for folder in self._folders.values():
            folder.remove()
        self.noted = {}


def finished_parts(output: str | Path, kind: Kind) -> int:
    """Count the finished parts that are kept for an output, or with it, for another main output."""
    plan = _plan_of(output, kind)
    if plan is None:
        return 0
    if "of" not in plan:
        return _count(_read(output, DONE) or {}, kind)
    # Parts beside another output: they are of use while that has a run to go on with.
    main = plan["of"]
    if not isinstance(main, str):
        return 0
    with_main = _plan_of(main, kind) or {}
    if with_main.get("run") != plan.get("run"):
        return 0
    return _count(_read(main, DONE) or {}, kind)


def remove_useless(outputs: Sequence[Path], kind: Kind) -> None:
    """Remove what is left beside outputs and nobody can go on from."""
    for path in outputs:
        plan = kept_folder_of(path) / PLAN
        foreign = plan.exists() and _plan_of(path, kind) is None
        if plan.parent.is_dir() and not foreign and not finished_parts(path, kind):
            with suppress(OutputError):  # in use
                KeptFolder(path).remove()


def check_leftover(outputs: Sequence[Path], kind: Kind, *, resume: bool, overwrite: bool) -> None:
    """Refuse to begin anew over parts of an unfinished run; early, before anything is computed.

    Raises
    ------
    LeftoverError
        There are some, and nobody said what to do with them.
    """
    if overwrite:
        return
    for path in outputs:
        folder = kept_folder_of(path)
        if (folder / PLAN).exists() and _plan_of(path, kind) is None:
            raise LeftoverError(
                f"{folder} holds something else than {kind.what}; remove it, or choose another"
                " output"
            )
        if not resume and finished_parts(path, kind):
            raise LeftoverError(
                f"{folder} holds {kind.parts} of an unfinished run; go on with --resume, or begin"
                " anew with --overwrite"
            )


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    """Return the names under which two plans say different things."""
    return {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


def then_and_now(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say what one name of two plans meant then, and means now."""
    return f"{name}: {_brief(before.get(name))} then, {_brief(now.get(name))} now"


def options_then_and_now(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say how the options of two plans differ: what begins with two dashes."""
    other = sorted(name for name in changed(before, now) if name.startswith("--"))
    return [then_and_now(name, before, now) for name in other]


def or_versions(told: list[str], before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what was told of two plans; where they differ and nothing was, their versions."""
    if told or not changed(before, now):
        return told
    return _other_versions(before.get("versions"), now.get("versions"))


def _other_versions(before: object, now: object) -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        names = sorted(changed(before, now))
        if names:
            return [then_and_now(name, before, now) for name in names]
    return ["another release of geoseg began it"]


def _brief(value: object) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


def _let_go(folder: KeptFolder) -> None:
    """Leave a folder as it was found; if it was not, remove it."""
    if (folder.path / PLAN).exists():
        folder.close()
    else:
        folder.remove()


def _sum_of(run: str, noted: Mapping[str, Any]) -> str:
    text = json.dumps([run, noted], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _read(output: str | Path, name: str) -> dict[str, Any] | None:
    """Read what was noted; None if nothing was."""
    try:
        found = json.loads(read_kept(output, name) or "")
    except (RecursionError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _plan_of(output: str | Path, kind: Kind) -> dict[str, Any] | None:
    """Read the plan beside an output; None if there is none, or it is of another kind."""
    found = _read(output, PLAN)
    return found if found is not None and found.get("work") == kind.what else None


def _count(noted: Mapping[str, Any], kind: Kind) -> int:
    number = noted.get(kind.count, 0)
    return number if isinstance(number, int) and number > 0 else 0
