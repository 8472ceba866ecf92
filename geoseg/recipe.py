"""A recipe: the steps that lead from data to a result, as a TOML file.

::

    title = "Landsat, blue to near infrared, over Zion"

    [[step]]
    run = "tile"                              # a command of geoseg
    arguments = ["{data}/scene.tif"]
    output = "{out}/patches"
    options = { labels = "{data}/labels.tif", size = 128 }

``{data}`` stands for the folder of the data and ``{out}`` for the folder of the results. Options
are those of the command line without their dashes; true is a flag, a list repeats the option. A
step whose output is there already is done, since outputs appear only when they are whole.

Knows nothing of what the commands do.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.errors import RecipeError

_STEP_KEYS = {"run", "arguments", "options", "output"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command with its words."""

    run: str
    """Name of the command."""
    words: tuple[str, ...]
    """What follows the name on the command line."""
    output: Path
    """What the step makes; there when the step is done."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Steps in their order."""

    title: str
    """For people."""
    steps: tuple[Step, ...]
    """What to run."""


def read_recipe(path: str | Path, *, data: Path, out: Path) -> Recipe:
    """Read a recipe for a folder of data and one of results.

    Raises
    ------
    RecipeError
        The file is missing, no TOML, or holds what a recipe does not.
    """
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} is no TOML: {error}") from error
    _known(content, {"title", "step"}, f"recipe {path}")
    title = content.get("title", Path(path).stem)
    steps = content.get("step")
    if not isinstance(title, str) or not isinstance(steps, list) or not steps:
        raise RecipeError(f"recipe {path} needs a title in quotes and at least one [[step]]")
    places = {"data": str(data), "out": str(out)}
    return Recipe(
        title=title,
        steps=tuple(
            _step(table, f"recipe {path}, step {number}", places)
            for number, table in enumerate(steps, start=1)
        ),
    )


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    for key in table:
        if key not in keys:
            raise RecipeError(f"{where}: '{key}' is not known; there are {', '.join(sorted(keys))}")


def _step(table: object, where: str, places: Mapping[str, str]) -> Step:
    if not isinstance(table, dict):
        raise RecipeError(f"{where}: write it as [[step]] with keys below it")
    _known(table, _STEP_KEYS, where)
    run, output = table.get("run"), table.get("output")
    arguments, options = table.get("arguments", []), table.get("options", {})
    if not isinstance(run, str) or not isinstance(output, str):
        raise RecipeError(f'{where}: needs run = "command" and output = "path"')
    if not isinstance(arguments, list) or not isinstance(options, dict):
        raise RecipeError(f"{where}: arguments are a list [ … ], options a table {{ … }}")
    words = [_text(value, where, places) for value in arguments]
    for key, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if one is True:
                words.append(f"--{key}")
            elif one is not False:
                words += [f"--{key}", _text(one, where, places)]
    target = _text(output, where, places)
    return Step(run=run, words=(*words, "--output", target), output=Path(target))


def _text(value: object, where: str, places: Mapping[str, str]) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RecipeError(f"{where}: {value!r} is neither text nor number")
    text = str(value)
    for name, place in places.items():
        text = text.replace(f"{{{name}}}", place)
    return text
