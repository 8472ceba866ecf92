"""What ``geoseg cam`` says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from geoseg.cli.options import class_lines

if TYPE_CHECKING:
    from geoseg.inference.cam.result import CamResult, CamScores


def summary(result: CamResult, total: int) -> dict[str, object]:
    """Return what came of a run as plain JSON objects."""
    told: dict[str, object] = {
        "outputs": [str(path) for path in result.outputs],
        "combine": result.combine,
        "pixels": dict(result.pixels),
        "hectares": result.hectares,
        "nodata": result.nodata,
        "seam_ratio": result.seams.ratio,
        "seam_lattice_ratio": result.seams.lattice_ratio,
        "tiles": result.tiles,
        "skipped_tiles": result.skipped,
        "seconds": round(result.seconds, 3),
        "megapixels_per_second": round(total / 1e6 / result.seconds, 3),
        "notes": list(result.notes),
    }
    if result.scores is not None:
        from geoseg.inference.cam.document import scores_document  # noqa: PLC0415 — imports torch

        told["scores"] = scores_document(result.scores)
    return told


def text(result: CamResult, total: int) -> str:
    """Lay out what came of a run for people."""
    lines = [f"{path}" for path in result.outputs]
    lines += class_lines(result.pixels, result.hectares)
    from geoseg.inference.cam.remarks import seam_words  # noqa: PLC0415 — imports torch

    lines.append(f"nodata {result.nodata:,} px; seams {_seam(result)} ({seam_words(result.seams)})")
    if result.scores is not None:
        lines += _score_lines(result.scores)
    lines.append(
        f"{result.tiles:,} {'tile' if result.tiles == 1 else 'tiles'} computed,"
        f" {result.skipped:,} empty skipped,"
        f" {result.seconds:.1f} s, {total / 1e6 / result.seconds:.2f} Mpx/s"
    )
    return "\n".join(lines)


def _seam(result: CamResult) -> str:
    ratio = result.seams.ratio
    if math.isnan(ratio):
        return "not measured"
    return f"{ratio:.2f}"


def _score_lines(scores: CamScores) -> list[str]:
    from geoseg.inference.cam.remarks import way_name, ways_of  # noqa: PLC0415 — imports torch

    lines = [""]
    task = scores.presence
    if task is not None:
        lines.append(
            f"patches: task accuracy {task.accuracy:.4f}, majority guess {task.majority:.4f}"
        )
    lines.append(f"pixels: the most frequent class everywhere {scores.pixel_majority:.4f}")
    ways = ways_of(scores)
    width = max(len(way_name(way)) for way in ways)
    lines += [
        f"  {way_name(way):<{width}}  accuracy {scores.of(way).accuracy:.4f}"
        f"  mIoU {scores.of(way).mean_iou:.4f}"
        for way in ways
    ]
    if scores.patches:
        patches = "patch" if scores.patches == 1 else f"{scores.patches:,} patches"
        lines.append(f"measured apart from the {patches} fitted on")
    return [*lines, ""]
