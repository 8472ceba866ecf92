"""``geoseg coverage`` of photographs."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.cli.options import emit, remark

if TYPE_CHECKING:
    from geoseg.assessment.coverage.photographs import PhotographCoverage

_LISTED = 20


def emit_photographs(found: PhotographCoverage, images: str | None, *, as_json: bool) -> None:
    """Say what came out of the maps of a folder.

    Parameters
    ----------
    images
        Folder of the photographs, where it was named.
    """
    for said in found.notes:
        remark(said)
    if images is not None and all(one.place is None for one in found.photographs):
        remark(f"no photograph of {Path(images).name} says where it was taken: no points")
    emit(_summary(found), _text(found), as_json=as_json)


def _summary(found: PhotographCoverage) -> dict[str, Any]:
    return {
        "outputs": [str(path) for path in found.outputs],
        "target": list(found.target),
        "excluded": list(found.excluded),
        "coverage": found.coverage,
        "stages": dict(found.stages),
        "photographs": [asdict(one) for one in found.photographs],
        "notes": list(found.notes),
    }


def _text(found: PhotographCoverage) -> str:
    from geoseg.assessment.text import table  # noqa: PLC0415 — below the fence of what help loads

    among = f" among all but {', '.join(found.excluded)}" if found.excluded else ""
    lines = [str(path) for path in found.outputs]
    lines.append(f"  {', '.join(found.target)}{among}: {_percent(found.coverage)} of all pixels")
    if found.stages:
        shown = ", ".join(f"{name} {count:,}" for name, count in found.stages.items())
        lines.append(f"  photographs by stage: {shown}")
    staged = bool(found.stages)
    header = ["photograph", "coverage", *["stage"] * staged, "without class"]
    rows = [
        [one.name, _percent(one.coverage), *[one.stage or ""] * staged, f"{one.nodata_px:,} px"]
        for one in found.photographs[:_LISTED]
    ]
    lines += table(header, rows, right=[False, True, *[False] * staged, True])
    if len(found.photographs) > _LISTED:
        lines.append(f"  and {len(found.photographs) - _LISTED:,} more, in {found.outputs[0]}")
    return "\n".join(lines)


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f} %"
