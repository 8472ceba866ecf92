"""What ``geoseg homogenise`` says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoseg.compositing.homogenise.settings import HomogeniseResult

_MOST_LINES = 20


def summary(result: HomogeniseResult) -> dict[str, object]:
    """Return what came of a run as plain JSON objects."""
    return {
        "output": str(result.folder),
        "method": result.standard.method,
        "reference": result.standard.reference,
        "bands": list(result.standard.names),
        "colour": result.standard.digest,
        "kept": result.kept,
        "relative_before": result.relative_before,
        "relative_after": result.relative_after,
        "median_before": result.median_before,
        "median_after": result.median_after,
        "images": [
            {
                "name": image.name,
                "output": str(image.output),
                "gains": image.gains,
                "offsets": image.offsets,
                "clipped": image.clipped,
                "readings": image.readings,
            }
            for image in result.images
        ],
        "seams": [
            {
                "first": result.names[before.pair.first],
                "second": result.names[before.pair.second],
                "kind": before.pair.kind,
                "pixels": before.pixels,
                "difference_before": before.difference,
                "difference_after": after.difference,
                "absolute_before": before.absolute,
                "absolute_after": after.absolute,
                "relative_before": before.relative,
                "relative_after": after.relative,
                "median_before": before.median,
                "median_after": after.median,
            }
            for before, after in zip(result.before, result.after, strict=True)
        ],
        "notes": list(result.notes),
        "seconds": round(result.seconds, 3),
    }


def text(result: HomogeniseResult) -> str:
    """Lay out what came of a run for people."""
    count = len(result.images)
    lines = [
        str(result.folder),
        f"  {count} image{'' if count == 1 else 's'}; {result.standard.text}",
        f"  {', '.join(result.standard.names)}",
    ]
    if not math.isnan(result.relative_before):
        lines.append(
            f"  where they meet they differ by {result.relative_before:.3g} standard deviations"
            f" before, {result.relative_after:.3g} after"
        )
        lines.append(
            f"  in the middle (median: clouds hardly count) by {result.median_before:.3g} before,"
            f" {result.median_after:.3g} after"
        )
        width = max(len(_pair(result, k)) for k in range(min(_MOST_LINES, len(result.before))))
        measured = list(zip(result.before, result.after, strict=True))
        for k, (before, after) in enumerate(measured[:_MOST_LINES]):
            if before.pixels:
                one, two = (sum(s.relative) / len(s.relative) for s in (before, after))
                lines.append(f"    {_pair(result, k):<{width}}  {one:8.3g}  {two:8.3g}")
        if len(measured) > _MOST_LINES:
            lines.append(f"    and {len(measured) - _MOST_LINES} pairs more, in seams.csv")
    return "\n".join(lines)


def _pair(result: HomogeniseResult, number: int) -> str:
    pair = result.before[number].pair
    return f"{result.names[pair.first]} – {result.names[pair.second]}"
