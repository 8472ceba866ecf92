"""Steps done in their order, each of them written down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from geoseg.errors import OutputError
from geoseg.recipe.form import Places, Step
from geoseg.recipe.planning import Planner, Verdict, missing, refuse_foreign
from geoseg.recipe.record import Entry, beside, is_there
from geoseg.recipe.wiring import Wired

Tell = Callable[[int, Verdict], None]
"""Told of each step before it is run or passed over: its number, from 1, and why."""


class Commands(Protocol):
    """Who knows the commands that recipes name."""

    neutral: Collection[str]
    """Options that decide nothing about a result."""

    def outputs_of(self, run: str) -> Collection[str]:
        """Options of a command that name files to write."""

    def run(self, step: Step, words: Sequence[str], *, resume: bool, replace: bool) -> None:
        """Run a command.

        Parameters
        ----------
        step
            The step.
        words
            What follows the command's name; folders are filled in.
        resume
            Whether an interrupted run of the same words may have left something to go on from.
        replace
            Whether what is there is to be replaced.
        """


@dataclass(kw_only=True)
class Outcome:
    """What a run did."""

    verdicts: list[Verdict] = field(default_factory=list)
    """One a step of the recipe, in order; those not chosen are ``left out``."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each output took to make, by output, those of earlier runs too."""
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What was made besides each output, by output."""

    @property
    def ran(self) -> int:
        """Number of steps that were (or, in a plan, will be) run."""
        return sum(one.action in ("run", "redo", "resume") for one in self.verdicts)


def plan(
    planner: Planner,
    wired: Sequence[Wired],
    chosen: Sequence[Wired],
    *,
    adopt: bool = False,
    again: bool = False,
) -> Outcome:
    """Say what a run would do, without doing anything.

    Parameters
    ----------
    planner
        Knows folders and record.
    wired, chosen
        All steps, and those to look at.
    adopt
        Take what is there as it is where nothing is known about it.
    again
        Run chosen steps that are done too.
    """
    outcome = Outcome()
    changing: list[Wired] = []
    for one in wired:
        if one not in chosen:
            verdict = Verdict(wired=one, action="left out")
        else:
            verdict = _judge(planner, one, changing, adopt=adopt, again=again)
        if verdict.action in ("run", "redo", "resume"):
            changing.append(one)
        outcome.verdicts.append(verdict)
    _take_known(outcome, planner)
    return outcome


def run(
    planner: Planner,
    wired: Sequence[Wired],
    chosen: Sequence[Wired],
    commands: Commands,
    *,
    tell: Tell,
    adopt: bool = False,
    again: bool = False,
) -> Outcome:
    """Run what is to be run; other parameters as of `plan`.

    Parameters
    ----------
    commands
        Runs the steps.
    tell
        Told of each chosen step before it is run or passed over.

    Raises
    ------
    OutputError
        Something is there that no run made, or a step made nothing.
    RecipeError
        Something that is read is not there.
    """
    planned = plan(planner, wired, chosen, adopt=adopt, again=again)
    refuse_foreign(planned.verdicts, planner.places)
    outcome = Outcome()
    for number, one in enumerate(wired, start=1):
        if one not in chosen:
            outcome.verdicts.append(planned.verdicts[number - 1])
            continue
        verdict = _judge(planner, one, (), adopt=adopt, again=again)
        refuse_foreign([verdict], planner.places)
        outcome.verdicts.append(verdict)
        tell(number, verdict)
        if verdict.action == "done":
            if verdict.reason:
                _note(planner, one, state="done", seconds=0.0)  # taken as it is
        else:
            _run(planner, verdict, commands)
    _take_known(outcome, planner)
    return outcome


def missing_inputs(planner: Planner, chosen: Sequence[Wired], planned: Outcome) -> list[str]:
    """List what the steps that will be run read and is not there; in words."""
    to_run = [v.wired for v in planned.verdicts if v.action in ("run", "redo", "resume")]
    return missing(planner.places, [one for one in chosen if one in to_run])


def _judge(
    planner: Planner, one: Wired, changing: Sequence[Wired], *, adopt: bool, again: bool
) -> Verdict:
    verdict = planner.verdict(one, changing=changing, adopt=adopt)
    if again and verdict.action == "done":
        return Verdict(wired=one, action="redo", reason="asked for again")
    return verdict


def _run(planner: Planner, verdict: Verdict, commands: Commands) -> None:
    one, places = verdict.wired, planner.places
    targets = [Path(places.fill(path)) for path in one.makes]
    replace = verdict.action == "redo"
    if verdict.action == "resume" and targets[0].is_file():
        replace = True  # it was there whole, and something beside it was not
    for target in targets:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{target.parent} cannot be made: {error.strerror}") from error
    known = planner.record.entries.get(one.step.output)
    # What goes on from an interrupted run owns what that left.
    owned = list(known.beside) if known is not None and verdict.action == "resume" else []
    there = beside(map(str, targets))
    _note(planner, one, state="started", seconds=0.0, made=owned)
    began = time.perf_counter()
    words = [places.fill(word) for word in one.step.words()]
    try:
        commands.run(
            one.step, words, resume=verdict.action == "resume" and not replace, replace=replace
        )
    except BaseException:
        made = _made_since(there, targets, places)
        with contextlib.suppress(OutputError):  # what stopped the step is what counts
            _note(planner, one, state="started", seconds=0.0, made=[*owned, *made])
        raise
    for target in targets:
        if not is_there(str(target)):
            raise OutputError(f"step {one.step.name} made no {target}")
    seconds = time.perf_counter() - began
    made = _made_since(there, targets, places)
    _note(planner, one, state="done", seconds=seconds, made=[*owned, *made])


def _made_since(before: Mapping[str, str], targets: Sequence[Path], places: Places) -> list[str]:
    """List what a step put beside its outputs, as paths of the recipe."""
    now = beside(map(str, targets))
    return [
        f"{{out}}/{Path(path).relative_to(places.out).as_posix()}"
        for path, stamp in now.items()
        if before.get(path) != stamp
    ]


def _note(
    planner: Planner, one: Wired, *, state: str, seconds: float, made: Iterable[str] | None = None
) -> None:
    """Write down what is known about a step's output; `made`: beside it, by default as before."""
    entries = planner.record.entries
    known = entries.get(one.step.output)
    done = state == "done"
    began = done and known is not None and known.state == "started"
    entries[one.step.output] = Entry(
        state=state,
        words=planner.words(one.step),
        # What was read is what was there at the beginning.
        inputs=known.inputs if known is not None and began else planner.inputs(one, known),
        outputs=planner.outputs(one, known) if done else {},
        beside=planner.beside(known.beside if made is None and known else made or (), known),
        parts=planner.parts(one) if done else {},
        seconds=seconds,
    )
    planner.record.save()


def _take_known(outcome: Outcome, planner: Planner) -> None:
    outcome.seconds = {
        path: entry.seconds
        for path, entry in planner.record.entries.items()
        if entry.state == "done" and entry.seconds
    }
    outcome.beside = {path: tuple(entry.beside) for path, entry in planner.record.entries.items()}
