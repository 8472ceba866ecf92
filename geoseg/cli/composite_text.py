"""What ``geoseg composite`` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoseg.compositing.settings import CompositeResult


_LARGE = 0.05
"""Share of the readings from which on it is told what hides them."""
_USELESS = ("cloud", "shadow")
"""What hides the ground, so that keeping it is no advice."""


def summary(result: CompositeResult) -> dict[str, object]:
    """Return what came of a run as plain JSON objects."""
    pixels = int(result.counts.sum())
    return {
        "outputs": [str(path) for path in result.outputs],
        "grid": result.grid.describe(),
        "bands": list(result.bands),
        "dates": list(result.dates),
        "outside": list(result.outside),
        "left_out_bands": list(result.left_out),
        "unmasked": list(result.unmasked),
        "pixels": pixels,
        "pixels_by_clear_dates": [int(count) for count in result.counts],
        "mean_clear_dates": _mean(result),
        "clipped": None if result.whole else result.clipped,
        "rows_from_before": _rows_from_before(result),
        "hidden_by": dict(result.hidden_by),
        "seconds": round(result.seconds, 3),
        "megapixels_per_second": round(
            (result.grid.window.area - result.taken_over) / 1e6 / result.seconds, 3
        ),
    }


def text(result: CompositeResult) -> str:
    """Lay out what came of a run for people."""
    pixels = max(1, int(result.counts.sum()))
    lines = [str(path) for path in result.outputs]
    lines += [
        f"  {result.grid.describe()}",
        f"  {', '.join(result.bands)}",
        f"  {_plural(len(result.dates), 'date')}; of a pixel {_mean(result):.1f} clear on average",
        f"  {100 * int(result.counts[0]) / pixels:.2f} % of the pixels have no clear date",
    ]
    if result.taken_over:
        rows = f"{_rows_from_before(result):,} of {result.grid.height:,}"
        lines.append(f"  {rows} rows were there from before")
    return "\n".join(lines)


def notes(result: CompositeResult, left_out: float) -> list[str]:
    """Return what a user should know, a sentence each without its full stop."""
    found: list[str] = []
    if result.outside:
        found.append(f"left out, for lying off the composite's grid: {_some(result.outside)}")
    if left_out > 0.01:
        found.append(
            f"the composite covers the first scene, {100 * (1 - left_out):.2g} % of the rectangle "
            "around all; --extent union covers all"
        )
    if result.left_out:
        found.append(f"left out, for not all scenes have it: {_some(result.left_out)}")
    if not result.counts[1:].any():
        found.append(f"no pixel is clear on any date: {_why(result)}")
    if result.unmasked:
        found.append(
            f"without a cloud mask, so that every reading counts as clear: {_some(result.unmasked)}"
        )
    if result.clipped:
        found.append(
            f"{_plural(result.clipped, 'value')} did not fit the type of the pixels and became the "
            "nearest that does; --dtype float32 holds all"
        )
    return found


def _why(result: CompositeResult) -> str:
    large = {name: share for name, share in result.hidden_by.items() if share > _LARGE}
    if not large:
        return "check --keep and --quality"
    shares = ", ".join(f"{100 * share:.0f} % {name}" for name, share in large.items())
    usable = [name for name in large if name not in _USELESS]
    advice = "give other dates"
    if usable:
        kept = ",".join(sorted({*result.keep, usable[0]}))
        advice = f"--keep {kept} uses {usable[0]}, else give other dates"
    return f"by the quality bands the readings are {shares}; {advice}"


def _rows_from_before(result: CompositeResult) -> int:
    return result.taken_over // result.grid.width


def _mean(result: CompositeResult) -> float:
    total = sum(number * int(count) for number, count in enumerate(result.counts))
    return total / max(1, int(result.counts.sum()))


def _plural(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
