"""Numbers as a page writes them. Units never part from their numbers at the end of a line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NONE = "–"
"""What stands where there is no number."""

_SPACE = "\N{NO-BREAK SPACE}"


def score(value: float | None, *, places: int = 3) -> str:
    """Write a score from 0 to 1: three decimals, "–" where it is undefined (None or NaN)."""
    return NONE if value is None or math.isnan(value) else f"{value:.{places}f}"


def signed(value: float | None, *, places: int = 3) -> str:
    """Write a difference of scores with its sign: "+0.012", "−0.003", "0.000"."""
    if value is None or math.isnan(value):
        return NONE
    text = f"{abs(value):.{places}f}"
    if not text.strip("0."):
        return text
    return ("+" if value > 0 else "−") + text


def percent(share: float | None) -> str:
    """Write a share: "12.3 %"; only nothing is written as 0, and only all as 100."""
    if share is None or math.isnan(share):
        return NONE
    if 0 < share < 0.0005:
        return f"<0.1{_SPACE}%"
    if 0.9995 <= share < 1:
        return f">99.9{_SPACE}%"
    return f"{100 * share:.1f}{_SPACE}%"


def count(number: int) -> str:
    """Write a number of things with thousands apart: "1,234,567"."""
    return f"{number:,}"


def short_count(number: int) -> str:
    """Write a number of things in four characters at most: "987", "9.9k", "300k", "1.2M"."""
    if number < 1000:
        return f"{number}"
    value, unit = float(number), ""
    for larger in ("k", "M", "G", "T"):
        # 999.5 of a unit would be written with four digits.
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"


def duration(seconds: float) -> str:
    """Write a time in its two largest units: "3 h 05 min", "4 min 18 s", "12 s", "0.4 s"."""
    if seconds < 9.95:
        return f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_SPACE}s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s".replace(" ", _SPACE)
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min".replace(" ", _SPACE)


def setting(value: Any) -> str:
    """Write the value of a setting, as JSON holds it; "–" for nothing."""
    if value is None or value in ({}, [], (), ""):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={setting(v)}" for key, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def counted(number: int, noun: str) -> str:
    """Write how many there are of something: "1 map", "1,204 maps"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
