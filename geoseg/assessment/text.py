"""Numbers and tables for people, in plain text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath
from unicodedata import combining, east_asian_width

from geoseg.report import numbers
from geoseg.report.numbers import NONE, count, counted

__all__ = [
    "NONE",
    "count",
    "counted",
    "display_width",
    "file_name",
    "file_size",
    "number",
    "pad",
    "pairs",
    "percent",
    "score",
    "signed",
    "table",
]


def display_width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    return sum((2 if east_asian_width(c) in "WF" else 1) for c in text if not combining(c))


def pad(text: str, width: int, *, right: bool) -> str:
    """Fill a text up with spaces to a width; `right` puts it to the right."""
    space = " " * max(0, width - display_width(text))
    return space + text if right else text + space


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[bool], indent: int = 2
) -> list[str]:
    """Lines of a table with aligned columns.

    Parameters
    ----------
    header, rows
        Cells; every row as many as the header.
    right
        Whether each column is aligned to the right.
    indent
        Spaces before every line.
    """
    lines = [header, *rows]
    widths = [max(display_width(line[i]) for line in lines) for i in range(len(header))]
    return [
        (
            " " * indent
            + "  ".join(
                pad(cell, w, right=r) for cell, w, r in zip(line, widths, right, strict=True)
            )
        ).rstrip()
        for line in lines
    ]


def pairs(rows: Sequence[tuple[str, str]], *, indent: int = 2) -> list[str]:
    """Lines "what  value", values aligned; a value of several lines keeps its column."""
    width = max((display_width(what) for what, _ in rows), default=0)
    lines: list[str] = []
    for what, value in rows:
        first, *rest = value.split("\n")
        lines.append((" " * indent + pad(what, width, right=False) + "  " + first).rstrip())
        lines += [" " * (indent + width + 2) + line for line in rest]
    return lines


def score(value: float | None) -> str:
    """Write a score between −1 and 1: four decimals, rounded; "–" where it is undefined."""
    return numbers.score(value, places=4)


def signed(value: float | None) -> str:
    """Write a difference of scores with its sign, four decimals: "+0.0124", "0.0000"."""
    return numbers.signed(value, places=4)


def percent(share: float | None) -> str:
    """Write a share: "12.3 %"; only nothing is written as 0, and only all as 100."""
    # A terminal may break a line where it likes; programs look for plain spaces.
    return numbers.percent(share).replace("\N{NO-BREAK SPACE}", " ")


def number(value: float) -> str:
    """Write a reading: six significant digits at most, no exponent where it can be helped."""
    if not math.isfinite(value):
        return NONE if math.isnan(value) else f"{value}"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value)}"
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:.6g}"
    return f"{value:.3e}"


def file_size(size: int) -> str:
    """Write a number of bytes: "2.9 MB" (of 10⁶ bytes)."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"


def file_name(source: str) -> str:
    """Name of a file without its folders, and of a URL without its query, which may hold a key."""
    return PurePath(source.split("?", maxsplit=1)[0]).name or source
