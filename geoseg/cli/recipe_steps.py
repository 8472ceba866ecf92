"""Steps of recipes as commands: checked against their options, and run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from geoseg.cli.launch import WORDS
from geoseg.cli.recipe_learning import check_learning
from geoseg.cli.stopped import STEP
from geoseg.errors import GeosegError, OptionError, RecipeError

if TYPE_CHECKING:
    from geoseg.recipe.form import Recipe, Step

OUTPUTS: dict[str, frozenset[str]] = {
    "composite": frozenset({"counts", "labels-output"}),
    "train": frozenset({"tensorboard"}),
    "predict": frozenset({"probabilities", "confidence"}),
    "cam": frozenset({"weak-labels", "confidence", "fitted-model", "report"}),
    "coverage": frozenset({"previews"}),
    "evaluate": frozenset({"errors"}),
}
"""Options that name files to write, besides ``--output``."""
_OURS = ("output", "overwrite", "resume", "json", "help", "trust")
"""Options that a step does not give."""
_NOT_IN_RECIPES = ("run", "demo", "info")


class CommandsOfClick:
    """The commands of the command line, for `geoseg.recipe.running`."""

    neutral: Collection[str] = ("workers", "jobs", "quiet", "verbose", "debug", "trust")
    """Options that decide nothing about a result."""

    def __init__(self, ctx: click.Context, *, quiet_results: bool) -> None:
        """Take the commands of the group that runs; `quiet_results` keeps standard output free."""
        parent = ctx.parent
        if parent is None or not isinstance(parent.command, click.Group):
            raise RuntimeError("the command runs inside the geoseg group")
        self._parent, self._group = parent, parent.command
        self._quiet_results = quiet_results
        self.running: Step | None = None
        """The step that is being run, or that failed."""

    def outputs_of(self, run: str) -> Collection[str]:
        """Options of a command that name files to write."""
        return OUTPUTS.get(run, frozenset())

    def check(self, recipe: Recipe) -> None:
        """Check every step without running anything.

        Raises
        ------
        RecipeError
            A command or option is unknown, or a value is none for its option; with file and line.
        """
        from geoseg.recipe.lines import suggestion  # noqa: PLC0415 — a recipe is being read

        for step in recipe.steps:
            known = [n for n in self._group.list_commands(self._parent) if n not in _NOT_IN_RECIPES]
            found = self._group.get_command(self._parent, step.run)
            if found is None or step.run in _NOT_IN_RECIPES:
                raise recipe.document.error(
                    step.place("run"),
                    f"there is no command '{step.run}' for steps{suggestion(step.run, known)}",
                )
            for key, values in step.options.items():
                try:
                    option = _option(step.run, found, key)
                except GeosegError as error:
                    raise _misfit(recipe, step, key, "", error) from error
                try:
                    self._check_values(step.run, found, option, key, values)
                except (click.UsageError, GeosegError) as error:
                    value = _set_value(recipe, step, key)
                    raise _misfit(recipe, step, key, value, error) from error
            try:
                found.make_context(step.run, list(step.words()), parent=self._parent)
            except (click.UsageError, GeosegError) as error:
                at = "arguments" if isinstance(error, click.MissingParameter) else "run"
                raise recipe.document.error(
                    step.place(at), f"step {step.name} ({step.run}): {_words(error)}"
                ) from error

    def _check_values(
        self,
        run: str,
        found: click.Command,
        option: click.Option,
        key: str,
        values: Sequence[str | bool],
    ) -> None:
        if len(values) > 1 and not option.multiple:
            raise OptionError(f"'{key}' takes one value, not {len(values)}")
        for value in values:
            if isinstance(value, bool) != option.is_flag:
                wanted = "is true or false" if option.is_flag else "takes a value"
                raise OptionError(f"'{key}' {wanted}")
        if not option.is_flag:
            if run == "train":
                for value in values:
                    check_learning(key, str(value))
            ctx = click.Context(found, info_name=run, parent=self._parent)
            option.process_value(ctx, tuple(values) if option.multiple else values[0])

    def run(self, step: Step, words: Sequence[str], *, resume: bool, replace: bool) -> None:
        """Run a step; see `geoseg.recipe.running.Commands`."""
        self.running = step
        found = self._group.get_command(self._parent, step.run)
        if found is None:
            raise RuntimeError(f"no command {step.run}")
        names = {name for option in found.params for name in option.opts}
        typed = list(words)
        if resume and "--resume" in names and _goes_on(step):
            typed.append("--resume")
        elif replace or resume:
            typed += ["--overwrite"] if "--overwrite" in names else []
        with (
            self._results(),
            found.make_context(step.run, list(typed), parent=self._parent) as inner,
        ):
            inner.meta[WORDS] = (step.run, *typed)
            inner.meta[STEP] = True
            found.invoke(inner)
        self.running = None

    @contextlib.contextmanager
    def _results(self) -> Iterator[None]:
        """Let steps print their summaries where they do not come between ours."""
        if not self._quiet_results:
            yield
            return
        with contextlib.redirect_stdout(sys.stderr):
            yield


def _option(run: str, found: click.Command, key: str) -> click.Option:
    """Find an option of a command that a step may give.

    Raises
    ------
    OptionError
        There is none of that name.
    """
    from geoseg.recipe.lines import suggestion  # noqa: PLC0415 — a recipe is being read

    options = {
        name.removeprefix("--"): option
        for option in found.params
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--")
    }
    if key in _OURS:
        raise OptionError(f"'{key}' is not for steps: geoseg run sees to it")
    if key not in options:
        known = [name for name in options if name not in _OURS]
        raise OptionError(f"{run} has no option '{key}'{suggestion(key, known)}")
    return options[key]


def _set_value(recipe: Recipe, step: Step, key: str) -> str:
    """Name the value of [set] that an option takes; nothing where it says more, or something else.

    What an override of the option says is no value of [set].
    """
    from geoseg.recipe.form import IN_BRACES  # noqa: PLC0415 — a recipe is being read

    written = recipe.document.content["step"][step.index].get("options", {}).get(key)
    match = IN_BRACES.fullmatch(written) if isinstance(written, str) else None
    return match[1] if match and match[1] in recipe.values else ""


def _misfit(
    recipe: Recipe, step: Step, key: str, value: str, error: click.UsageError | GeosegError
) -> RecipeError:
    """Say what is wrong with an option where it was written: an override, [set], or the step."""
    said = f"step {step.name}: {_words(error)}"
    for override in reversed(recipe.overrides):
        if override.startswith((f"{step.group}.{key}=", f"{value}=" if value else "\n")):
            return RecipeError(f"--set {override}: {said}")
    place = ("set", value) if value else step.place("options", key)
    return recipe.document.error(place, said)


def _goes_on(step: Step) -> bool:
    """Tell whether a command can go on with what a stopped run of a step left."""
    if step.run == "predict":  # a map; folders of photographs are made as a whole
        return step.output.casefold().endswith((".tif", ".tiff"))
    return True


def _words(error: click.UsageError | GeosegError) -> str:
    return error.format_message() if isinstance(error, click.UsageError) else str(error)
