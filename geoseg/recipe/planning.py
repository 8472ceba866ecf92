"""What of a recipe is done, what is to be done, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from geoseg.errors import OutputError, RecipeError
from geoseg.recipe.form import Places, Recipe, Step
from geoseg.recipe.lines import suggestion
from geoseg.recipe.record import Entry, Mark, Record, is_there, mark, part_names, parts
from geoseg.recipe.wiring import Wired, depends

Action = Literal["done", "run", "redo", "resume", "foreign", "left out"]
"""``redo`` replaces what is there; ``foreign``: what is there is not of this recipe."""
_STYLE = ".qml"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be done about a step."""

    wired: Wired
    """The step."""
    action: Action
    """What to do."""
    reason: str = ""
    """Why, where that is not plain."""
    path: str = ""
    """What of it that is about, where it is not the output itself; folders are in braces."""


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Compares steps with what a record says of their outputs."""

    places: Places
    """Where the folders are."""
    record: Record
    """What made what is there."""
    neutral: Collection[str] = ()
    """Options that decide nothing about the result."""
    seen: dict[str, Mark] = field(default_factory=dict)
    """What was found before, so that nothing is read twice."""

    def words(self, step: Step) -> tuple[str, ...]:
        """Return what decides about a step's result: command and words."""
        options = {key: value for key, value in step.options.items() if key not in self.neutral}
        words = [step.run, *step.arguments]
        for key, values in options.items():
            words += [f"--{key}={value}" for value in values if value is not False]
        return tuple(words)

    def inputs(self, wired: Wired, known: Entry | None) -> dict[str, Mark]:
        """Describe what a step would read now."""
        before = known.inputs if known else {}
        paths = (path for path in wired.inputs if path != "{out}")
        return {path: self._mark(path, before) for path in paths}

    def outputs(self, wired: Wired, known: Entry | None) -> dict[str, Mark]:
        """Describe what a step made."""
        before = known.outputs if known else {}
        return {path: self._mark(path, before) for path in wired.makes}

    def beside(self, paths: Iterable[str], known: Entry | None) -> dict[str, Mark]:
        """Describe what a step made without being told to, as far as it is there."""
        before = known.beside if known else {}
        there = (path for path in paths if is_there(self.places.fill(path)))
        return {path: self._mark(path, before) for path in there}

    def parts(self, wired: Wired) -> dict[str, dict[str, str]]:
        """List the files of folders that a step made."""
        found = {path: parts(self.places.fill(path)) for path in wired.makes}
        return {path: files for path, files in found.items() if files}

    def _lost(self, wired: Wired, entry: Entry) -> list[str]:
        """List files that are gone from folders whose others are as they were."""
        lost: list[str] = []
        for path in wired.makes:
            before, folder = entry.parts.get(path, {}), self.places.fill(path)
            gone = sorted(set(before) - set(part_names(folder)))
            if gone and parts(folder).items() <= before.items():
                lost += [f"{folder}/{name}" for name in gone]
        return lost

    def _mark(self, path: str, before: Mapping[str, Mark]) -> Mark:
        known = self.seen.get(path, before.get(path))
        found = self.seen[path] = mark(self.places.fill(path), known)
        return found

    def verdict(
        self, wired: Wired, *, changing: Iterable[Wired] = (), adopt: bool = False
    ) -> Verdict:
        """Judge one step.

        Parameters
        ----------
        wired
            The step.
        changing
            Earlier steps that will be run before it: what they make may change.
        adopt
            Take what is there as it is where nothing is known about it.
        """
        step, entry = wired.step, self.record.entries.get(wired.step.output)
        there = [is_there(self.places.fill(path)) for path in wired.makes]

        def verdict(action: Action, reason: str = "", path: str = "") -> Verdict:
            return Verdict(wired=wired, action=action, reason=reason, path=path)

        if entry is None:
            if not any(there):
                return verdict("run")
            if adopt and all(there):
                return verdict("done", "taken as it is")
            return verdict("foreign", "is there, and nothing says how it was made")
        change = _change(entry.words, self.words(step))
        waits = {path for path in wired.inputs for other in changing if depends(path, other.makes)}
        if not change:
            change = self._changed_input(wired, entry, waits)
        if entry.state != "done":
            if change:
                return verdict("redo", f"was interrupted, and {change}")
            return verdict("redo", "was interrupted") if waits else verdict("resume")
        if not all(there):
            return verdict("redo", "what it made is gone")
        now = self.beside(entry.beside, entry)
        gone = [self.places.fill(path) for path in entry.beside if path not in now]
        gone += self._lost(wired, entry)
        if gone and not adopt:
            return verdict("redo", f"{gone[0]}, which it made too, is gone")
        changed = _changed(self.outputs(wired, entry), entry.outputs)
        # A style is the reader's to change.
        changed += [path for path in _changed(now, entry.beside) if not path.endswith(_STYLE)]
        if changed and not adopt:
            return verdict("foreign", "was changed since it was made", changed[0])
        if changed or gone:
            return verdict("done", "taken as it is")
        if change:
            return verdict("redo", change)
        if waits:
            return verdict(
                "redo", f"if {self.places.fill(sorted(waits)[0])} comes out other than before"
            )
        return verdict("done")

    def _changed_input(self, wired: Wired, entry: Entry, waits: Collection[str]) -> str:
        now = self.inputs(wired, entry)
        for path, known in now.items():
            if path not in waits and path in entry.inputs and known[1] != entry.inputs[path][1]:
                return f"{self.places.fill(path)} has changed"
        return ""


def _changed(now: Mapping[str, Mark], before: Mapping[str, Mark]) -> list[str]:
    """List what has other contents than before."""
    return [path for path, found in now.items() if found[1] != before.get(path, found)[1]]


def _change(old: Sequence[str], new: Sequence[str]) -> str:
    """Say what differs between two commands; nothing where nothing does."""
    if tuple(old) == tuple(new):
        return ""
    fresh = [word for word in new if word not in old]
    gone = [word for word in old if word not in new]
    if fresh and gone:
        return f"the step says {fresh[0]}, where it was {gone[0]}"
    if fresh:
        return f"the step says {fresh[0]} now"
    return f"the step says {gone[0]} no more" if gone else "the step's words changed their order"


def choose(
    recipe: Recipe, wired: Sequence[Wired], *, only: Sequence[str] = (), start: str | None = None
) -> tuple[Wired, ...]:
    """Choose steps by their names, or from one on; a name without ``[…]`` means all of that name.

    Raises
    ------
    RecipeError
        There is no such step.
    """
    groups = list(dict.fromkeys(step.group for step in recipe.steps))
    for name in (*only, *([start] if start is not None else ())):
        if not any(name in (step.name, step.group) for step in recipe.steps):
            raise RecipeError(f"no step is called '{name}'{suggestion(name, groups)}")
    chosen = list(wired)
    if start is not None:
        first = next(i for i, one in enumerate(wired) if start in (one.step.name, one.step.group))
        chosen = chosen[first:]
    if only:
        chosen = [one for one in chosen if {one.step.name, one.step.group} & set(only)]
    return tuple(chosen)


def missing(places: Places, chosen: Sequence[Wired]) -> list[str]:
    """List what chosen steps read and nobody has put or will make; in words."""
    found: dict[str, str] = {}
    for number, one in enumerate(chosen):
        for path in one.inputs:
            if any(depends(path, other.makes) for other in chosen[:number]):
                continue
            if not is_there(places.fill(path)):
                text = f"step {one.step.name} reads {places.fill(path)}, which is not there"
                found.setdefault(path, text)
    return list(found.values())


def refuse_foreign(verdicts: Iterable[Verdict], places: Places) -> None:
    """Stop before anything that a run did not make would be replaced.

    Raises
    ------
    OutputError
        There is such a thing.
    """
    for one in verdicts:
        if one.action == "foreign":
            paths = [one.path] if one.path else one.wired.makes
            path = next(p for p in map(places.fill, paths) if is_there(p))
            raise OutputError(
                f"{path} (step {one.wired.step.name}) {one.reason}: remove it to have it made, or"
                " take it as it is with --adopt"
            )
