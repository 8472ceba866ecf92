"""What ``geoseg coverage`` says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoseg.assessment.coverage.result import Result

_LISTED = 20


def summary(result: Result) -> dict[str, object]:
    """Return what was found as plain JSON objects; shares in percent."""
    return {
        "outputs": [str(path) for path in result.outputs],
        "source": result.source,
        "target": list(result.target),
        "excluded": list(result.excluded),
        "places": result.places,
        "count": result.count,
        "counted": result.counted,
        **asdict(result.total),
        "stages": dict(result.stages),
        "zones": [asdict(zone) for zone in result.zones],
    }


def text(result: Result) -> str:
    """Lay out what was found for people."""
    from geoseg.assessment.text import table  # noqa: PLC0415 — below the fence of what help loads

    total = result.total
    what = "zones" if result.zones else "cells"
    among = f" among all but {', '.join(result.excluded)}" if result.excluded else ""
    stage = "" if total.stage is None else f", stage {total.stage}"
    lines = [str(path) for path in result.outputs]
    lines += [
        f"  {result.places}",
        f"  {', '.join(result.target)}{among}: {_percent(total.coverage)}{stage}",
    ]
    if total.target_ha is not None:
        excluded = "" if not result.excluded else f"; {total.excluded_ha:,.1f} ha excluded"
        lines.append(f"  {total.target_ha:,.1f} of {total.counted_ha:,.1f} ha{excluded}")
    lines.append(f"  without data: {_percent(total.nodata_share)}")
    lines.append(f"  {result.counted:,} of {result.count:,} {what} have a coverage")
    if result.stages:
        shown = ", ".join(f"{name} {count:,}" for name, count in result.stages.items())
        lines.append(f"  {what} by stage: {shown}")
    if result.zones:
        header, right = ["zone", "coverage"], [False, True]
        staged, placed = bool(result.stages), total.target_ha is not None
        header += ["stage"] * staged + ["target ha"] * placed + ["without data"]
        right += [False] * staged + [True] * placed + [True]
        rows = [
            [zone.name, _percent(zone.coverage)]
            + [zone.stage or ""] * staged
            + [f"{zone.target_ha or 0:,.1f}"] * placed
            + [_percent(zone.nodata_share)]
            for zone in result.zones[:_LISTED]
        ]
        lines += table(header, rows, right=right)
        if len(result.zones) > _LISTED:
            lines.append(f"  and {len(result.zones) - _LISTED:,} more, in {result.outputs[-1]}")
    return "\n".join(lines)


def notes(result: Result) -> Sequence[str]:
    """Return what a user should know, a sentence each."""
    found = list(result.notes)
    if result.counted == 0:
        found.append("nothing counts anywhere: check --exclude, and where the raster has data")
    elif result.total.coverage == 0:
        found.append(f"there is no {' or '.join(result.target)} anywhere")
    return [f"Note: {said}." for said in found]


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f} %"
