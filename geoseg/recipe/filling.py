"""Names in braces replaced by what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from geoseg.errors import RecipeError
from geoseg.recipe.form import IN_BRACES, PLACES
from geoseg.recipe.lines import suggestion

Fail = Callable[[str], RecipeError]
"""Makes the error of a message, with the place in the file."""
_STEP = "step."


def fill(
    value: object, values: Mapping[str, Any], outputs: Mapping[str, tuple[str, ...]], fail: Fail
) -> list[str | bool]:
    """Write one value of a recipe as words of a command line.

    Parameters
    ----------
    value
        Text, number, truth value, or a list of them.
    values
        What names in braces stand for.
    outputs
        What steps make, by their names: ``{step.NAME}``.
    fail
        Makes errors.

    Returns
    -------
    A text a word, several where the value is a list or names one; folders stay in braces.

    Raises
    ------
    RecipeError
        A name is unknown, or the value is neither text nor number.
    """
    if isinstance(value, list):
        return [word for one in value for word in fill(one, values, outputs, fail)]
    if isinstance(value, bool):
        return [value]
    if isinstance(value, int | float):
        return [str(value)]
    if not isinstance(value, str):
        raise fail(f"{value!r} is neither text nor number")
    whole = IN_BRACES.fullmatch(value)
    if whole and whole[1] in values:
        return fill(values[whole[1]], {}, {}, fail)
    texts: list[str | bool] = []
    names = list(dict.fromkeys(IN_BRACES.findall(value)))
    for found in product(*(_meant(name, values, outputs, fail) for name in names)):
        meaning = dict(zip(names, found, strict=True))
        texts.append(IN_BRACES.sub(lambda match, m=meaning: m[match[1]], value))  # type: ignore[misc]
    return texts


def fill_text(value: str, values: Mapping[str, Any], fail: Fail) -> str:
    """Write a text in which names stand for one value each.

    Raises
    ------
    RecipeError
        A name is unknown or stands for several values.
    """
    words = fill(value, values, {}, fail)
    if len(words) != 1 or isinstance(words[0], bool):
        raise fail(f"'{value}' stands for several values, and one is wanted")
    return words[0]


def _meant(
    name: str, values: Mapping[str, Any], outputs: Mapping[str, tuple[str, ...]], fail: Fail
) -> tuple[str, ...]:
    if name in PLACES:
        return (f"{{{name}}}",)
    if name.startswith(_STEP):
        step = name.removeprefix(_STEP)
        if step not in outputs:
            raise fail(f"no earlier step is called '{step}'{suggestion(step, list(outputs))}")
        return outputs[step]
    if name not in values:
        known = [*PLACES, *values, *(f"{_STEP}{step}" for step in outputs)]
        raise fail(f"nothing is called {{{name}}}{suggestion(name, known)}")
    words = fill(values[name], {}, {}, fail)
    return tuple(str(word).lower() if isinstance(word, bool) else word for word in words)
