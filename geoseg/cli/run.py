"""``geoseg run``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from geoseg.cli.launch import WORDS
from geoseg.cli.options import common_options, emit, json_option, note
from geoseg.errors import OutputError, RecipeError


@click.command()
@click.argument("recipe", type=click.Path())
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the data.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the results; made if it is not there.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be run, and what is done already.")
@json_option
@common_options
@click.pass_context
def command(
    ctx: click.Context, recipe: str, data: Path, output: Path, dry_run: bool, as_json: bool
) -> None:
    """Run the steps of a recipe in order, those done already skipped.

    Every step is checked for unknown commands and options before the first one starts. A step that
    failed or was interrupted left nothing behind and is run again by the same command.

    \b
    Example:
      geoseg run pipelines/landsat-zion/recipe.toml --data zion -o zion-results
    """
    from geoseg.recipe import read_recipe  # noqa: PLC0415 — only here

    plan = read_recipe(recipe, data=data, out=output)
    parent = ctx.parent
    if parent is None or not isinstance(parent.command, click.Group):
        raise RuntimeError("the command runs inside the geoseg group")
    commands = []
    for number, step in enumerate(plan.steps, start=1):
        found = parent.command.get_command(parent, step.run)
        if found is None:
            raise RecipeError(f"recipe {recipe}, step {number}: there is no command '{step.run}'")
        try:
            found.make_context(step.run, list(step.words), parent=parent)
        except click.UsageError as error:
            raise RecipeError(
                f"recipe {recipe}, step {number} ({step.run}): {error.format_message()}"
            ) from error
        commands.append(found)
    if not dry_run:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{output} cannot be made: {error.strerror}") from error
    steps = []
    for step, found in zip(plan.steps, commands, strict=True):
        words = shlex.join(["geoseg", step.run, *step.words])
        done = step.output.exists()
        steps.append({"command": words, "output": str(step.output), "was_done": done})
        note(f"{'done already' if done else 'would run' if dry_run else 'running'}: {words}")
        if not done and not dry_run:
            with found.make_context(step.run, list(step.words), parent=parent) as inner:
                inner.meta[WORDS] = (step.run, *step.words)
                found.invoke(inner)
    ran = sum(not step["was_done"] for step in steps)
    text = f"{plan.title}: {ran} of {len(steps)} steps {'to run' if dry_run else 'run'}"
    emit({"title": plan.title, "steps": steps, "dry_run": dry_run}, text, as_json=as_json)
