"""``geoseg coverage`` of photographs."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.cli.options import emit, note
from geoseg.cli.progress import progress

if TYPE_CHECKING:
    from geoseg.assessment.coverage.photographs import PhotographCoverage

_LISTED = 20


def measure_photographs(
    maps: str,
    output: str,
    *,
    target: tuple[str, ...],
    exclude: tuple[str, ...],
    stages: str | None,
    classes: str | None,
    images: str | None,
    previews: str | None,
    workers: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Measure each map of a folder, and say what came out."""
    from geoseg.assessment.coverage.photographs import (  # noqa: PLC0415 — pixels cost imports
        coverage_of_photographs,
    )
    from geoseg.assessment.stages import StageTable  # noqa: PLC0415
    from geoseg.raster.outputs.checks import refuse_inputs  # noqa: PLC0415

    tables = [given for given in (stages, classes) if given is not None and os.path.isfile(given)]
    refuse_inputs([output], tables)
    with progress(None, "coverage") as bar:
        found = coverage_of_photographs(
            maps,
            output,
            target=target,
            excluded=exclude,
            classes=classes,
            stages=None if stages is None else StageTable.parse(stages),
            images=images,
            previews=previews,
            workers=workers,
            overwrite=overwrite,
            progress=bar.update,
        )
    for said in found.notes:
        note(f"Note: {said}.")
    if images is not None and all(one.place is None for one in found.photographs):
        note(f"Note: no photograph of {Path(images).name} says where it was taken: no points.")
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
