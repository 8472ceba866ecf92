"""Runs of jobs → a table with medians, spread and ratios, as Markdown and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parts.measure import Run, megabytes
from parts.part import Part

Runs = Mapping[str, Sequence[Run | None]]
"""A job's runs, a round each; None where a round left it out."""


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the least and the most."""
    return {
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
        "runs": len(values),
    }


def figures(part: Part, runs: Runs, same: Mapping[str, float]) -> dict[str, Any]:
    """Return everything that a table says, as JSON can hold it.

    Ratios are of seconds to those of the job `part.beside` in the same round, then their median.
    """
    beside = runs.get(part.beside, ())
    rows = []
    for job in part.jobs:
        done = [run for run in runs[job.name] if run is not None and not run.failed]
        failed = next((run.failed for run in runs[job.name] if run is not None and run.failed), "")
        if not done:
            rows.append({"name": job.name, "ours": job.ours, "failed": failed or "not run"})
            continue
        row: dict[str, Any] = {"name": job.name, "ours": job.ours}
        take: dict[str, Callable[[Run], float]] = {
            "seconds": lambda run: run.seconds,
            "process_seconds": lambda run: run.wall,
            "cpu_seconds": lambda run: run.cpu,
            "peak_mb": lambda run: run.peak_mb,
        }
        for key, of in take.items():
            row[key] = spread([of(run) for run in done])
        ratios = [
            run.seconds / other.seconds
            for run, other in zip(runs[job.name], beside, strict=False)
            if run is not None and not run.failed and other is not None and not other.failed
        ]
        if ratios:
            row["ratio"] = spread(ratios)
        if part.megapixels is not None:
            row["mpx_s"] = part.megapixels / row["seconds"]["median"]
        if part.many is not None:
            row["patches_s"] = part.many / row["seconds"]["median"]
        if job.out is not None and job.out.exists():
            row["out_mb"] = megabytes(job.out)
        if job.name in same:
            row["same"] = same[job.name]
        more = {k: v for run in done[:1] for k, v in run.told.items() if k != "seconds"}
        if more:
            row["told"] = more
        rows.append(row)
    found: dict[str, Any] = {
        "name": part.name, "title": part.title, "about": part.about, "beside": part.beside,
        "megapixels": part.megapixels, "rows": rows,
    }  # fmt: skip
    if part.scene is not None:
        found["scene_mb"] = megabytes(part.scene)
    return found


def table(found: Mapping[str, Any]) -> list[str]:
    """Return a table's lines in Markdown, with its heading."""
    rows = found["rows"]
    rate = next((key for key in ("mpx_s", "patches_s") if any(key in row for row in rows)), None)
    same = any("same" in row for row in rows)
    heads = ["", "seconds", "whole process, s", "processor s", "peak MB", f"× {found['beside']}"]
    if rate is not None:
        heads.append("Mpx/s" if rate == "mpx_s" else "patches/s")
    if same:
        heads.append("same classes")
    lines = [f"## {found['title']}", "", found["about"], ""]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        name = f"**{row['name']}**" if row["ours"] else row["name"]
        if "failed" in row:
            lines.append(f"| {name} | failed: {_plain(row['failed'])} |" + " |" * (len(heads) - 2))
            continue
        cells = [name, shown(row["seconds"]), shown(row["process_seconds"])]
        cells += [shown(row["cpu_seconds"]), f"{row['peak_mb']['median']:,.0f}"]
        cells.append(shown(row["ratio"]) if "ratio" in row else "–")
        if rate is not None:
            cells.append(number(row[rate]) if rate in row else "–")
        if same:
            cells.append(f"{100 * row['same']:.3f} %" if "same" in row else "–")
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def shown(of: Mapping[str, float]) -> str:
    """Return a median, and its least and most where there was more than one run."""
    text = number(of["median"])
    if of["runs"] > 1:
        text += f" ({number(of['least'])}–{number(of['most'])})"
    return text


def number(value: float) -> str:
    """Return a number in three significant digits or so."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def _plain(text: str) -> str:
    return text.replace("|", "/")[:120]
