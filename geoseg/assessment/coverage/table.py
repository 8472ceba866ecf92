"""Columns of what was measured: their names, and how they are written and coloured."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from geoseg.assessment.stages import StageTable
from geoseg.raster.legend.palette import Ramp
from geoseg.raster.legend.style import Symbol, category_qml

_STEPS = 5
"""Classes of coverage that a style tells apart."""
_FILL = 200


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name that no column has, in upper or lower case."""
    used = {one.casefold() for one in taken}
    found = name
    while found.casefold() in used:
        found += "_"
    return found


def csv_of(columns: Mapping[str, Any]) -> str:
    """Write columns of one length as CSV with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    cells = [
        [cell_text(v) for v in np.asarray(values, dtype=object)] for values in columns.values()
    ]
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue()


def cell_text(value: Any) -> str:
    """Write a value of a table: at most six decimals, nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, float | np.floating):
        text = "" if np.isnan(value) else f"{value:.6f}".rstrip("0").rstrip(".")
        return "0" if text == "-0" else text
    return "" if isinstance(value, np.datetime64) and np.isnat(value) else str(value)


def style_of(stages: StageTable | None, symbol: Symbol = "fill") -> str:
    """QGIS style by stage, else by steps of coverage."""
    if stages is not None:
        legend = stages.legend()
        rows = {
            name: (name, color) for name, color in zip(legend.names, legend.colors, strict=True)
        }
        return category_qml("stage", rows, alpha=_FILL, symbol=symbol)
    step = 100 // _STEPS
    ramp = Ramp(name="coverage", minimum=0, maximum=_STEPS).items()
    rows = {str(i): (f"{i * step}–{(i + 1) * step} %", ramp[i + 1][1]) for i in range(_STEPS)}
    expression = f'min(floor("coverage" / {step}), {_STEPS - 1})'
    return category_qml(expression, rows, expression=True, alpha=_FILL, symbol=symbol)
