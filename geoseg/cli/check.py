"""``geoseg check``: what is wrong with images and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import (
    common_options,
    emit,
    json_option,
    note,
    output_option,
    overwrite_option,
    worker_count,
    workers_option,
)
from geoseg.cli.progress import progress

if TYPE_CHECKING:
    from geoseg.raster.labels.checking import Checked

_NAMED = 3


@click.command("check", no_args_is_help=True)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE…")
@click.option(
    "--labels",
    multiple=True,
    metavar="RASTER",
    help="Their class rasters: a folder or pattern of the same names for photographs; else one for"
    " each image, in their order, or one for all.",
)
@click.option(
    "--classes",
    metavar="CLASSES",
    help="Classes that labels may have: '1=water,2=forest', or a CSV, JSON or QGIS style file"
    " [default: those that the first label names, else any value].",
)
@output_option("the problems, all of them (*.csv)", required=False)
@click.option("--strict", is_flag=True, help="Fail (exit 1) if there is any problem.")
@workers_option
@overwrite_option
@json_option
@common_options
def command(
    images: tuple[str, ...],
    labels: tuple[str, ...],
    classes: str | None,
    output: str | None,
    strict: bool,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Look for what is wrong with images and labels.

    All of them are read. Told are images that cannot be read, hold nothing but nodata, 0 or one
    value, have other bands or another type than most, or are copies of others; labels that are
    missing, cannot be read, have no image, differ from it in size or lie elsewhere, hold no label,
    or values that are no class. Problems are a result and no failure;
    a path that is not there is one.

    Beside OUTPUT appears OUTPUT-metadata.json: what made it.

    \b
    Examples:
      geoseg check images/ --labels masks/ -o problems.csv
      geoseg check 'train/*_sat.jpg' --labels 'train/*_mask.png'
      geoseg check scene.tif --labels labels.tif --classes '1=water,2=forest' --strict
    """
    from geoseg.errors import InputError  # noqa: PLC0415
    from geoseg.raster.labels.checking import check, plan_check  # noqa: PLC0415 — pixels cost imports

    plan = plan_check(images, labels=labels, classes=classes, output=output, overwrite=overwrite)
    with progress(plan.pixels, "looking") as bar:
        found = check(plan, workers=worker_count(workers), progress=bar.update)
    for said in found.notes:
        note(f"Note: {said}.")
    emit(_summary(found), _text(found), as_json=as_json)
    if strict and found.findings:
        count = len(found.findings)
        were = "problem was" if count == 1 else "problems were"
        raise InputError(f"{count:,} {were} found: mend them, or leave out --strict")


def _summary(found: Checked) -> dict[str, Any]:
    return {
        "images": found.images,
        "labels": found.labels,
        "counts": found.counts,
        "problems": [
            {"image": f.image, "label": f.label, "problem": f.kind, "detail": f.detail}
            for f in found.findings
        ],
        "notes": list(found.notes),
        "output": None if found.output is None else str(found.output),
        "seconds": round(found.seconds, 3),
    }


def _text(found: Checked) -> str:
    from geoseg.raster.labels.sanity import KINDS  # noqa: PLC0415

    images = f"{found.images:,} {'image' if found.images == 1 else 'images'}"
    labels = ""
    if found.labels is not None:
        labels = f", {found.labels:,} {'label' if found.labels == 1 else 'labels'}"
    count = len(found.findings)
    said = "nothing wrong" if not count else f"{count:,} problem{'s' if count > 1 else ''}"
    lines = [f"{images}{labels}: {said}"]
    width = max((len(KINDS[kind]) for kind in found.counts), default=0)
    for kind, number in found.counts.items():
        of_kind = [f for f in found.findings if f.kind == kind]
        named = [Path(f.image or f.label).name for f in of_kind[:_NAMED]]
        detail = f" ({of_kind[0].detail})" if number == 1 and of_kind[0].detail else ""
        more = ", …" if number > _NAMED else ""
        lines.append(f"  {KINDS[kind]:<{width}}  {number:7,}  {', '.join(named)}{more}{detail}")
    if found.output is not None:
        lines.append(str(found.output))
    return "\n".join(lines)
