"""How a model's activation maps become classes, as its card keeps it: checked, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from geoseg.errors import ModelError

METHOD = "logistic"
"""The only method there is: a multinomial logistic regression."""
_MOST_ROWS = 256
_MOST_ENTRIES = 1000


def check_combination(obj: object, classes: int, *, source: str) -> dict[str, Any]:
    """Check a combination from untrusted JSON.

    Parameters
    ----------
    obj
        A JSON object of

        - ``method``: "logistic";
        - ``coefficients``: rows of one number a class of the model;
        - ``intercepts``: one number a row;
        - ``classes``: class index of each row, rising;
        - ``settings``: how the maps were made that it was fitted on, plain values by name;
        - ``fitted_on``: what it was fitted on, plain values by name.
    classes
        Classes of the model, that is, its maps.
    source
        How to call the model in messages.

    Returns
    -------
    These entries and no others; coefficients and intercepts are floats.

    Raises
    ------
    ModelError
        An entry is missing or makes no sense.
    """

    def fail(reason: str) -> NoReturn:
        raise ModelError(f"{source} cannot be used: its combination of maps {reason}")

    if not isinstance(obj, dict):
        fail("is no JSON object")
    if obj.get("method") != METHOD:
        fail(f"has a method other than {METHOD!r}, which this geoseg does not know: update geoseg")
    rows = obj.get("classes")
    if not isinstance(rows, list) or not 1 <= len(rows) <= _MOST_ROWS:
        fail(f"does not name 1 to {_MOST_ROWS} classes")
    if not all(type(v) is int and 0 <= v < classes for v in rows) or rows != sorted(set(rows)):
        fail("names classes that the model does not have, or not in rising order")
    table, intercepts = obj.get("coefficients"), obj.get("intercepts")
    if not isinstance(table, list) or len(table) != len(rows):
        fail("does not have a row of coefficients a class")
    if not all(_are_numbers(row, classes) for row in table):
        fail(f"does not have rows of {classes} finite coefficients")
    if not isinstance(intercepts, list) or not _are_numbers(intercepts, len(rows)):
        fail("does not have a finite intercept a class")
    for key in ("settings", "fitted_on"):
        if not _is_plain(obj.get(key)):
            fail(f"has {key!r} that are no plain values by name")
    return {
        "method": METHOD,
        "coefficients": [[float(v) for v in row] for row in table],
        "intercepts": [float(v) for v in intercepts],
        "classes": list(rows),
        "settings": dict(obj["settings"]),
        "fitted_on": dict(obj["fitted_on"]),
    }


def combination_text(combination: Mapping[str, Any], names: list[str]) -> str:
    """Say a checked combination in a line.

    Parameters
    ----------
    combination
        As from `check_combination`.
    names
        Names of the model's classes.
    """
    rows = combination["classes"]
    which = "all classes" if len(rows) == len(names) else ", ".join(names[i] for i in rows)
    told = [
        f"{key} {value}"
        for key, value in combination["fitted_on"].items()
        if not key.endswith("fingerprint")  # no use to people
    ]
    return f"{combination['method']} regression to {which}" + (
        f", fitted on {', '.join(told)}" if told else ""
    )


def _is_number(value: object) -> bool:
    # A whole number in JSON may be too long for a float; NaN compares as False.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _are_numbers(value: object, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(map(_is_number, value))


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= _MOST_ENTRIES
        and all(v is None or isinstance(v, str | bool) or _is_number(v) for v in value.values())
    )
