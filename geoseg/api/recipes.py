"""Recipes, from data to the paper's table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.api.arguments import checked
from geoseg.api.common import PathLike


@checked()
def run(
    recipe: PathLike,
    output: PathLike,
    *,
    data: PathLike,
    overrides: Mapping[str, object] | None = None,
    only: Sequence[str] = (),
    start: str | None = None,
    again: bool = False,
    adopt: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run the steps of a recipe in order, those done already skipped.

    The steps speak on standard error as they do in a shell. Until it returns, `sys.stdout` is
    replaced for the whole process, with `quiet` `sys.stderr` too: what other threads print passes
    through the first and is lost in the second, and two calls at a time are one too many.

    Parameters
    ----------
    recipe
        The recipe, a TOML file.
    output
        Folder of the results, made if it is not there.
    data
        Folder of the data.
    overrides
        What to take in place of what the recipe says: a value of its ``[set]``, ``{"epochs": 2}``,
        or an option of a step, ``{"train.epochs": 2}``.
    only, start
        Look at these steps alone; leave out the steps before this one.
    again, adopt
        Run chosen steps again that are done; take results as done that are there and that no run
        made.
    dry_run
        Say what would be run, and run nothing.
    quiet
        Say nothing while it runs.

    Returns
    -------
    What report.json holds: ``steps`` with their ``action``, ``output`` and ``seconds``,
    ``expected`` with the paper's numbers beside ours, and more.

    Raises
    ------
    RecipeError
        The recipe is wrong, with its file and line, or data are missing.
    GeosegError
        As the step that failed.
    """
    from geoseg.cli.called import call  # noqa: PLC0415 — steps are commands; imports click

    words = ["run", str(recipe), "--data", str(data), "--output", str(output)]
    for name, value in (overrides or {}).items():
        words += ["--set", f"{name}={_typed(value)}"]
    for step in only:
        words += ["--only", step]
    if start is not None:
        words += ["--from", start]
    flags = {"--again": again, "--adopt": adopt, "--dry-run": dry_run}
    return call([*words, *(flag for flag, given in flags.items() if given)], quiet=quiet)


def _typed(value: object) -> str:
    """Write a value as it is typed after ``--set NAME=``: a text bare, all else as TOML."""
    if isinstance(value, bool | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)  # TOML writes them alike
    return str(value)
