"""What ``geoseg composite --earth-engine`` says."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from geoseg.cli import composite_text
from geoseg.cli.options import class_lines

if TYPE_CHECKING:
    from geoseg.compositing.earthengine.settings import EarthEngineResult, ExportResult


def summary(result: EarthEngineResult) -> dict[str, object]:
    """Return what came of a download as plain JSON objects."""
    return composite_text.summary(result.composite) | {
        "images": dict(result.images),
        "requests": result.requests,
        "labels": None if result.labels is None else str(result.labels),
        "label_pixels": dict(result.classes),
    }


def text(result: EarthEngineResult) -> str:
    """Lay out what came of a download for people."""
    lines = [composite_text.text(result.composite)]
    lines += [f"  {name}: {_images(number)}" for name, number in result.images.items()]
    if result.labels is not None:
        lines += [f"{result.labels}", *class_lines(result.classes, None)]
    return "\n".join(lines)


def export_summary(result: ExportResult) -> dict[str, object]:
    """Return what came of an export as plain JSON objects."""
    return {
        "tasks": dict(result.tasks),
        "state": result.state,
        "where": result.where,
        "grid": result.grid.describe(),
        "bands": list(result.bands),
    }


def export_text(result: ExportResult) -> str:
    """Say what to download, and how to read it."""
    done = result.state == "COMPLETED"
    lines = []
    for name, task in result.tasks.items():
        lines.append(f"{name}: {'done' if done else 'started'}, task {task}, in {result.where}")
    lines.append(f"  {result.grid.describe()}")
    lines.append(f"  {', '.join(result.bands)}")
    first = next(iter(result.tasks))
    when = "Download" if done else "When the task is done, download"
    lines.append(
        f"{when} {first}.tif, or {first}-*.tif where there are several; those read as one scene: "
        f"geoseg info '{first}*.tif'"
    )
    return "\n".join(lines)


def above(text: str) -> None:
    """Say something on standard error from any thread, above a progress bar if there is one."""
    if not sys.stderr.isatty():
        click.echo(text, err=True)
        return
    from tqdm import tqdm  # noqa: PLC0415 — only where a bar is drawn

    tqdm.write(text, file=sys.stderr)


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"
