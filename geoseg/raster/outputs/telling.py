"""What a function returns, with other names for the files that it made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any


def told(value: Any, spoken: Callable[[str], str]) -> Any:
    """Say texts and paths of a value in other words, also those within it.

    Parameters
    ----------
    value
        Lists, tuples and dictionaries are made anew; dataclasses, most of which are frozen and made
        for this one call, are changed.
    spoken
        Says a text in other words; a path for which it has some becomes a text.
    """
    if isinstance(value, str):
        return spoken(value)
    if isinstance(value, Path):
        said = spoken(str(value))
        return value if said == str(value) else said
    if isinstance(value, dict):
        return {told(key, spoken): told(item, spoken) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(told(item, spoken) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_make"):  # a named one
        return type(value)(*(told(item, spoken) for item in value))
    if is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            before = getattr(value, one.name)
            if isinstance(before, str | Path | dict | list | tuple) or is_dataclass(before):
                object.__setattr__(value, one.name, told(before, spoken))
    return value
