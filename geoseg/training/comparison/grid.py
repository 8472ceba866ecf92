"""A grid of settings: every combination of some values of some of them. Trains nothing."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from hashlib import blake2b
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from geoseg.errors import OptionError
from geoseg.terms import Value, parse_call
from geoseg.training.settings import Settings

SEED = "seed"
"""The setting that makes repetitions instead of rows of a table."""
_LONGEST_NAME = 100


def expand(
    base: Settings, grid: Mapping[str, Sequence[Value | Mapping[str, Value] | None]]
) -> tuple[tuple[dict[str, Any], Settings], ...]:
    """Make the settings of every combination, the last key varying fastest.

    Parameters
    ----------
    base
        Everything that is not varied.
    grid
        Field of `Settings` → values; text stands for a value of the field's type, as on the command
        line. Hyphens in a field's name are as good as underscores.

    Returns
    -------
    combinations
        The values that make each, by field, and the settings.

    Raises
    ------
    OptionError
        No setting is called so, a value makes no sense for it, or stands there twice.
    """
    values: dict[str, list[Any]] = {}
    for key, given in grid.items():
        name = setting_name(key)
        if name in values:
            raise OptionError(f"--compare names {name!r} twice: give all its values in one")
        values[name] = [setting_value(name, value) for value in given]
        if not values[name]:
            raise OptionError(f"--compare gives no value for {name!r}")
        for value in values[name]:
            if values[name].count(value) > 1:
                raise OptionError(f"--compare gives {name} = {value_text(value)} twice")
    made = []
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        made.append((chosen, replace(base, **chosen)))
    return tuple(made)


def setting_name(key: str) -> str:
    """Return the field of `Settings` that a text names.

    Raises
    ------
    OptionError
        There is none; the message names one that is spelt alike.
    """
    names = [f.name for f in fields(Settings)]
    name = key.strip().replace("-", "_")
    if name not in names:
        near = difflib.get_close_matches(name, names, n=2)
        guess = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        raise OptionError(f"no setting is called {key!r}{guess}; there are: {', '.join(names)}")
    return name


def setting_value(name: str, value: Any) -> Any:
    """Return a value of a setting in its type.

    Parameters
    ----------
    name
        Field of `Settings`.
    value
        A value, or text for one. ``none`` stands for None where there is a default to fall back to,
        unless it is a word of the setting's own.
        Options of the network are a mapping, or text such as ``widths=[16,32], batch_norm=false``.

    Raises
    ------
    OptionError
        It is none of the setting's type.
    """
    choices = _choices(get_type_hints(Settings)[name])
    if isinstance(value, str):
        return _of_text(name, value.strip(), choices)
    if isinstance(value, Mapping):
        if Mapping in choices:
            return dict(value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        if type(value) in choices:
            return value
    elif type(value) in choices:
        return value
    elif isinstance(value, int) and float in choices:
        return float(value)
    raise OptionError(f"--compare: {value_text(value)} is no value for {name!r}")


def value_text(value: Any) -> str:
    """Return a value of a setting as it is typed."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={value_text(v)}" for key, v in value.items())
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return str(value)


def file_names(combinations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Name the file of each combination after its values, without an ending.

    The name of a combination depends on its own values alone, so that a grid can grow; where two
    would be called alike, or a name would be long, some digits of a hash tell them apart.
    """
    plain = ["_".join(_slug(k, v) for k, v in c.items()) or "run" for c in combinations]
    # Some file systems do not tell upper from lower case.
    folded = [name.casefold() for name in plain]
    made = []
    for name, combination in zip(plain, combinations, strict=True):
        if len(name) > _LONGEST_NAME or folded.count(name.casefold()) > 1:
            text = repr([(key, value_text(v)) for key, v in combination.items()])
            digest = blake2b(text.encode(), digest_size=4).hexdigest()
            made.append(f"{name[:_LONGEST_NAME]}_{digest}")
        else:
            made.append(name)
    return tuple(made)


def _slug(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else f"{key}-{value_text(value)}"
    # No dot: what stands behind the last one would be taken for the ending of a file's name.
    return re.sub(r"[^A-Za-z0-9+]+", "-", text).strip("-") or "empty"


def _choices(hint: Any) -> tuple[Any, ...]:
    """Types and words that a field of a type may hold."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(itertools.chain.from_iterable(_choices(h) for h in get_args(hint)))
    if get_origin(hint) is Literal:
        return get_args(hint)
    return (get_origin(hint) or hint,)


def _of_text(name: str, text: str, choices: tuple[Any, ...]) -> Any:
    words = [choice for choice in choices if isinstance(choice, str)]
    if NoneType in choices and text.lower() == "none" and "none" not in words:
        return None
    if Mapping in choices:
        return dict(parse_call(f"options({text})", option=f"--compare {name}").arguments)
    for kind in (bool, int, float):
        if kind in choices:
            try:
                return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
            except (ValueError, KeyError):
                continue
    if text in words or (text and str in choices):
        return text
    wanted = f"; it is one of {', '.join(words)}" if words else ""
    raise OptionError(f"--compare: {text!r} is no value for {name!r}{wanted}")
