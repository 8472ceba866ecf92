"""What was asked for, as the table of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.report.numbers import setting
from geoseg.report.page import Row, Table


def settings_table(settings: Mapping[str, Any], more: Sequence[tuple[str, str]] = ()) -> Table:
    """Return a row a setting, in order, and further ones that are words already."""
    rows: tuple[Row, ...] = tuple(
        (name.replace("_", " "), setting(value)) for name, value in settings.items()
    )
    return Table(("setting", "value"), (*rows, *more), (False, False))
