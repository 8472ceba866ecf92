"""Which step reads what, and which makes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from geoseg.raster.opening.trust import ADVICE, trusted
from geoseg.recipe.form import Recipe, Step, names_place
from geoseg.recipe.lines import suggestion

_OUT = "{out}/"
_ELSEWHERE = re.compile(r"[/\\]|[A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, kw_only=True)
class Wired:
    """A step with the paths that it reads and writes; folders are still in braces."""

    step: Step
    """The step."""
    inputs: tuple[str, ...]
    """What it reads, folders of data and results alike."""
    makes: tuple[str, ...]
    """What it makes, its output first."""


def wire(recipe: Recipe, outputs_of: Callable[[str], Collection[str]]) -> tuple[Wired, ...]:
    """Find out what the steps of a recipe read and write, and check that it fits together.

    Parameters
    ----------
    recipe
        The recipe.
    outputs_of
        Told the name of a command: those of its options that name files to write.

    Raises
    ------
    RecipeError
        A step reads from the results what no earlier step makes, writes elsewhere than into them,
        or two steps make the same; with file and line.
    """
    document = recipe.document
    made: list[str] = []
    wired = []
    for step in recipe.steps:
        writing = outputs_of(step.run)
        makes = [step.output]
        reads: list[tuple[str, tuple[str, ...]]] = []
        reads += [(text, ("arguments",)) for text in step.arguments]
        for key, values in step.options.items():
            texts = [value for value in values if isinstance(value, str)]
            if key in writing:
                makes += texts
            else:
                reads += [(text, ("options", key)) for text in texts]
        reads += [(text, ("needs",)) for text in step.needs]
        for text in makes:
            at = step.place("output" if text == step.output else "options")
            if not text.startswith(_OUT) or ".." in re.split(r"[\\/|]", text):
                raise document.error(at, f"'{text}' is written: let it begin with {{out}}/")
            if text in made:
                several = " (for each: name a value in it)" if step.name != step.group else ""
                raise document.error(at, f"'{text}' is made by another step{several}")
        for text, keys in reads:
            if _is_elsewhere(text) and not (trusted() or any(text in o for o in recipe.overrides)):
                raise document.error(
                    step.place(*keys),
                    f"'{text}' is neither in {{data}}, {{out}} nor {{recipe}}; {ADVICE}",
                )
            if text.startswith("{out}") and not _is_made(text, made):
                raise document.error(
                    step.place(*keys), f"no earlier step makes '{text}'{suggestion(text, made)}"
                )
        made += makes
        inputs = dict.fromkeys(text for text, _ in reads if names_place(text))
        wired.append(Wired(step=step, inputs=tuple(inputs), makes=tuple(makes)))
    for one in recipe.expected:
        # With fewer members of an ensemble, say, some of the paper's numbers have no counterpart.
        if not recipe.overrides and not (one.file.startswith(_OUT) and _is_made(one.file, made)):
            raise document.error(
                ("expected", one.index, "file"),
                f"no step makes '{one.file}'{suggestion(one.file, made)}",
            )
    return tuple(wired)


def _is_elsewhere(text: str) -> bool:
    """Tell whether a word names a place that nobody named who runs the recipe."""
    return _ELSEWHERE.match(text) is not None or ".." in re.split(r"[\\/|]", text)


def _is_made(text: str, made: Sequence[str]) -> bool:
    """Whether a path is one that was made, lies in or beside one, or is the folder of one."""
    return any(
        text == other
        or text.startswith(f"{other}/")
        or other.startswith(f"{text.rstrip('/')}/")
        or fnmatchcase(other, text)
        or _is_beside(PurePosixPath(text), PurePosixPath(other))
        for other in made
    )


def _is_beside(path: PurePosixPath, made: PurePosixPath) -> bool:
    """Whether a file is named after one that was made, as a model's report is."""
    return path.parent == made.parent and path.name.startswith(f"{made.stem}.")


def depends(path: str, makes: Collection[str]) -> bool:
    """Whether an input is of what a step makes."""
    return path.startswith("{out}") and _is_made(path, tuple(makes))
