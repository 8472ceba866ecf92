"""Words that descriptions (`geoseg.assessment.describe`) of any kind are told in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.assessment.text import number

MOST_LISTED = 12
"""Scenes, problems and the like beyond this many are counted only."""


def joined(*parts: str | None) -> str:
    """Join what there is, with commas."""
    return ", ".join(part for part in parts if part)


def date_row(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Row of the file's own date, where it has one."""
    written = found.get("written")
    return [("written", written.replace("T", " ").replace("Z", " UTC"))] if written else []


def maker_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of what made an output: in the same words whatever it is."""
    made = found.get("made_by") or {}
    lines = [str(made["command"])] if made.get("command") else []
    if made.get("version"):
        versions = made.get("versions")
        used = versions if isinstance(versions, Mapping) else {}
        lines.append(joined(f"geoseg {made['version']}", *(f"{k} {v}" for k, v in used.items())))
    if made.get("date"):
        lines.append(f"dated {made['date']}")
    model = made.get("model")
    lines += [
        "model " + ", ".join(f"{key} {plain(value)}" for key, value in item.items())
        for item in (model if isinstance(model, list) else [model])
        if isinstance(item, Mapping)
    ]
    rows = [("made by", "\n".join(lines))] if lines else []
    inputs = made.get("inputs")
    if isinstance(inputs, Mapping) and inputs:
        rows.append(("made of", listed([f"{name} {mark}" for name, mark in inputs.items()])))
    if found.get("said_by"):
        rows.append(("said by", f"{found['said_by']}, which goes with it"))
    return rows


def length(x: float, y: float, units: str | None) -> str:
    """Write the sides of a pixel: one number where they are equal."""
    unit = {None: "", "metre": " m", "degree": "°"}.get(units, f" {units}")
    square = math.isclose(x, y, rel_tol=1e-9)
    return f"{x:.6g}{unit}" if square else f"{x:.6g} × {y:.6g}{unit}"


def maybe(value: float | None) -> str:
    """Write a number that may be none."""
    return "–" if value is None else "NaN" if math.isnan(value) else number(value)


def listed(items: Sequence[str]) -> str:
    """Write a line an item, and how many more there are beyond `MOST_LISTED`."""
    shown = "\n".join(items[:MOST_LISTED])
    more = len(items) - MOST_LISTED
    return f"{shown}\n… and {more} more" if more > 0 else shown


def plain(value: object) -> str:
    """Write a value of JSON in few words."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        if len(value) > MOST_LISTED or any(isinstance(v, list | Mapping) for v in value):
            return f"({len(value)} entries, see --json)"
        return ", ".join(plain(v) for v in value)
    return str(value)
