"""Checks of the arguments that samplers and augmentations are made with."""

from __future__ import annotations

import sys

from geoseg.errors import OptionError


def whole(name: str, value: object, *, minimum: int = 1, maximum: int = sys.maxsize) -> int:
    """Check an argument that must be a whole number; `name` names it in the message.

    Raises
    ------
    OptionError
        It is none, or not within the bounds (both allowed).
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(f"{name} must be a whole number, not {value!r}")
    if value < minimum:
        raise OptionError(f"{name} must be at least {minimum}, not {value}")
    if value > maximum:
        raise OptionError(f"{name} must be at most {maximum}, not {value}")
    return value
