"""``geoseg run``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geoseg.cli.options import common_options, emit, json_option, note
from geoseg.cli.recipe_steps import CommandsOfClick
from geoseg.errors import GeosegError, OutputError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoseg.recipe.form import Places, Recipe
    from geoseg.recipe.planning import Planner, Verdict
    from geoseg.recipe.results import Line
    from geoseg.recipe.running import Outcome
    from geoseg.recipe.wiring import Wired

_SHOWN = 3
_WILL = {
    "run": "would run",
    "redo": "would run again",
    "resume": "would go on with",
    "done": "done already",
    "foreign": "not of this recipe",
}
_DOES = {
    "run": "running",
    "redo": "running again",
    "resume": "going on with",
    "done": "done already",
}


@click.command()
@click.argument("recipe", type=click.Path())
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the data.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the results, made if it is not there [default: NAME-results in this folder,"
    " after the recipe].",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="Override what the recipe says: a value of its [set], epochs=2, or an option of a step,"
    " train.epochs=2. May be repeated.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="STEP",
    help="Look at this step alone. May be repeated.",
)
@click.option("--from", "start", metavar="STEP", help="Leave out the steps before this one.")
@click.option("--again", is_flag=True, help="Run chosen steps again that are done.")
@click.option(
    "--adopt",
    is_flag=True,
    help="Take results as done that are there and that no run made, or that were changed since.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be run, and what is done already.")
@json_option
@common_options
@click.pass_context
def command(
    ctx: click.Context,
    recipe: str,
    data: Path,
    output: Path | None,
    overrides: tuple[str, ...],
    only: tuple[str, ...],
    start: str | None,
    again: bool,
    adopt: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run the steps of a recipe in order, those done already skipped.

    The whole recipe is checked before the first step starts. A step is done where what it makes is
    there, and was made by the same words of the same files; one whose words or files have changed
    is run again. An interrupted run goes on by the same command, training from its checkpoint.

    At the end OUTPUT holds report.html and report.json: the steps, their times, and the paper's
    numbers beside ours.

    \b
    Examples:
      geoseg run pipelines/landsat-zion/recipe.toml --data zion -o zion-results
      geoseg run pipelines/deepglobe/recipe.toml --data deepglobe -o try --set epochs=2 --dry-run
    """
    from geoseg.recipe.form import Places  # noqa: PLC0415 — only here
    from geoseg.recipe.page import document  # noqa: PLC0415
    from geoseg.recipe.planning import Planner, choose  # noqa: PLC0415
    from geoseg.recipe.reading import read_recipe  # noqa: PLC0415
    from geoseg.recipe.record import Record  # noqa: PLC0415
    from geoseg.recipe.wiring import wire  # noqa: PLC0415

    read = read_recipe(recipe, overrides=overrides)
    commands = CommandsOfClick(ctx, quiet_results=as_json)
    commands.check(read)
    wired = wire(read, commands.outputs_of)
    chosen = choose(read, wired, only=only, start=start)
    output = output or _folder_for(read.document.path)
    places = Places(data=data, out=output, recipe=read.document.path.parent)
    planner = Planner(places=places, record=Record.read(output), neutral=commands.neutral)
    steps = _Steps(read=read, planner=planner, wired=wired, chosen=chosen, adopt=adopt, again=again)
    refusal: str | None = None
    lines: tuple[Line, ...] = ()
    if dry_run:
        outcome = steps.foretell()
        refusal = _refusal(outcome, places)
        _say_misfits(read, data, wired)
    else:
        outcome, lines = steps.take(commands, recipe)
    summary = document(read, outcome, lines, places) | {"dry_run": dry_run, "refusal": refusal}
    emit(summary, _text(read.title, outcome, lines, output, dry_run=dry_run), as_json=as_json)


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """Steps of a recipe that are to be taken, or foretold."""

    read: Recipe
    planner: Planner
    wired: Sequence[Wired]
    """All of them."""
    chosen: Sequence[Wired]
    """Those to look at."""
    adopt: bool
    again: bool

    def _plan(self) -> Outcome:
        from geoseg.recipe.running import plan  # noqa: PLC0415 — only here

        return plan(self.planner, self.wired, self.chosen, adopt=self.adopt, again=self.again)

    def foretell(self) -> Outcome:
        """Say what would be run, and what is missing for it."""
        from geoseg.recipe.running import missing_inputs  # noqa: PLC0415 — only here

        outcome = self._plan()
        for number, verdict in enumerate(outcome.verdicts, start=1):
            _say(_WILL, number, len(self.wired), verdict, self.planner)
        for text in missing_inputs(self.planner, self.chosen, outcome):
            note(f"Missing: {text}")
        return outcome

    def take(self, commands: CommandsOfClick, recipe: str) -> tuple[Outcome, tuple[Line, ...]]:
        """Run them, and write what came of it; what cannot end well does not begin."""
        from geoseg.recipe.page import DOCUMENT, PAGE, document, json_text, page  # noqa: PLC0415
        from geoseg.recipe.record import alone, write_text  # noqa: PLC0415
        from geoseg.recipe.results import compare  # noqa: PLC0415
        from geoseg.recipe.running import missing_inputs  # noqa: PLC0415

        read, places = self.read, self.planner.places
        planned = self._plan()
        missing = missing_inputs(self.planner, self.chosen, planned)
        if missing:
            raise RecipeError(_missing(missing, read, places.data))
        if planned.ran:
            _say_misfits(read, places.data, self.wired)
        with alone(places.out):
            outcome = self._run(commands, recipe)
            lines = compare(read.expected, places)
            write_text(places.out / DOCUMENT, json_text(document(read, outcome, lines, places)))
            write_text(places.out / PAGE, page(read, outcome, lines, places))
        return outcome, lines

    def _run(self, commands: CommandsOfClick, recipe: str) -> Outcome:
        """Run them, and say how to go on where one is stopped or fails."""
        from geoseg.recipe.running import run  # noqa: PLC0415 — only here

        count, planner = len(self.wired), self.planner
        try:
            return run(
                planner,
                self.wired,
                self.chosen,
                commands,
                tell=lambda number, verdict: _say(_DOES, number, count, verdict, planner),
                adopt=self.adopt,
                again=self.again,
            )
        except (KeyboardInterrupt, SystemExit, click.Abort, click.exceptions.Exit):
            note("The same geoseg run goes on from here.")
            raise
        except GeosegError:
            if commands.running is not None:
                line = self.read.document.line(commands.running.place())
                note(
                    f"Step {commands.running.name} failed ({recipe}, line {line}); what is done"
                    " stays, and the same geoseg run goes on from here."
                )
            raise


def _refusal(outcome: Outcome, places: Places) -> str | None:
    """Say why a run would not begin, if results of another hand are in its way."""
    from geoseg.recipe.planning import refuse_foreign  # noqa: PLC0415 — only here

    try:
        refuse_foreign(outcome.verdicts, places)
    except OutputError as error:
        note(f"The run will refuse: {error}")
        return str(error)
    return None


def _missing(missing: Sequence[str], read: Recipe, data: Path) -> str:
    """Say in one line what steps read and is not there, and where one learns more."""
    folder = "" if data.is_dir() else f"--data {data} is no folder: "
    shown = "; ".join(missing[:_SHOWN])
    more = f"; and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"{folder}{shown}{more}{_told_in(read)}"


def _told_in(read: Recipe) -> str:
    return f"; {read.data_file} says where data come from and how they lie" if read.data else ""


def _say_misfits(read: Recipe, data: Path, wired: Sequence[Wired]) -> None:
    """Tell of what the layout names and the folder of the data has not; a step may do without."""
    from geoseg.recipe.layout import not_found  # noqa: PLC0415

    # Who overrides may name other files than the layout does.
    paths = [path for one in wired for path in one.inputs] if read.overrides else []
    own = {p.removeprefix("{data}/") for p in paths if p.startswith("{data}/") and "*" not in p}
    found = not_found(read.data.get("layout", ""), data, instead=own)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        named = f"{', '.join(found[:_SHOWN])}{more}"
        note(f"Note: {data} has no {named}, which the layout names{_told_in(read)}")


def _folder_for(recipe: Path) -> Path:
    """Name a folder of results after a recipe, or after its folder where all are called alike."""
    own = recipe.stem if recipe.name != "recipe.toml" else recipe.absolute().parent.name
    return Path(f"{own}-results")


def _say(
    words: dict[str, str], number: int, steps: int, verdict: Verdict, planner: Planner
) -> None:
    """Tell of one step on standard error."""
    from geoseg.recipe.page import command as typed  # noqa: PLC0415

    if verdict.action == "left out":
        return
    step = verdict.wired.step
    reason = f" ({verdict.reason})" if verdict.reason else ""
    line = typed(step.run, step.words(), planner.places)
    note(f"[{number}/{steps}] {step.name}{reason}, {words[verdict.action]}: {line}")


def _text(
    title: str, outcome: Outcome, lines: tuple[Line, ...], output: Path, *, dry_run: bool
) -> str:
    text = (
        f"{title}: {outcome.ran} of {len(outcome.verdicts)} steps {'to run' if dry_run else 'run'}"
    )
    for line in lines:
        ours = "–" if line.ours is None else f"{line.ours:.3f}"
        text += f"\n  {line.expected.of}, {line.expected.score}: {ours}"
        if line.expected.published is not None:
            text += f" (published: {line.expected.published:.3f})"
    return text if dry_run else f"{text}\nReport: {output / 'report.html'}"
