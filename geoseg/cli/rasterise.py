"""``geoseg rasterise``: drawn polygons as a class raster."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from geoseg.raster.labels.rasterise import Rasterised


@click.command("rasterise", no_args_is_help=True)
@click.argument("labels", metavar="LABELS")
@click.option(
    "--like",
    required=True,
    metavar="SCENE",
    help="The scene whose pixels are labelled; for a folder of annotations, that of pictures.",
)
@output_option("the class raster (*.tif); for a folder of annotations, a folder of them")
@click.option("--field", metavar="NAME", help="Attribute that says the class of a polygon.")
@click.option(
    "--classes",
    metavar="CLASSES",
    help="Classes: '1=crop,2=weed:#d7191c', or a CSV, JSON or QGIS style file. With a single one"
    " beside the background, all polygons are of it, without --field [default: those that a"
    " file of geoseg vectorise names, else the values, numbered by name].",
)
@click.option(
    "--background",
    metavar="CLASS",
    help="Class of the pixels in no polygon [default: they are unlabelled].",
)
@click.option(
    "--overlap",
    type=click.Choice(["last", "first", "smallest", "largest", "ignore"]),
    default="last",
    show_default=True,
    help="Which of several polygons has a pixel, by their order in the file or their area; ignore:"
    " none where their classes differ.",
)
@click.option(
    "--all-touched",
    is_flag=True,
    help="A polygon has every pixel that it has a part of, not only those with their centre in it.",
)
@click.option(
    "--ignore-border",
    metavar="WIDTH",
    help="Leave pixels unlabelled whose centres are so near to a border of a polygon, on either"
    " side (2px, 1.5m).",
)
@workers_option
@overwrite_option
@json_option
@common_options
def command(
    labels: str,
    like: str,
    output: str,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Turn drawn polygons into a class raster on a scene's grid.

    LABELS is a vector file in any coordinate system, an annotation of LabelMe (JSON), or a folder
    of such annotations, each paired with the picture of its name. A pixel is of the polygon that
    its centre lies in. Values and labels that mean no class make their pixels unlabelled, and are
    listed. LabelMe's _background_ is what is in no polygon; what lies in an __ignore__ is
    unlabelled, whatever else has it and whichever --overlap. A file of geoseg vectorise knows its
    classes: it needs neither --field nor --classes.

    \b
    Examples:
      geoseg rasterise plots.gpkg --like scene.tif --field crop -o labels.tif
      geoseg rasterise plots.gpkg --like scene.tif --classes '0=other,1=cane' --background other \\
        -o labels.tif
      geoseg rasterise annotations/ --like images/ --classes '0=soil,1=crop,2=weed' \\
        --background soil -o masks
    """
    from pathlib import Path  # noqa: PLC0415

    from geoseg.raster.labels.rasterise import (  # noqa: PLC0415 — pixels cost imports
        RasteriseSettings,
        rasterise,
        rasterise_folder,
    )

    run = rasterise_folder if Path(labels).is_dir() else rasterise
    found = run(
        labels,
        like,
        output,
        settings=RasteriseSettings(**options),
        overwrite=overwrite,
        workers=worker_count(workers),
    )
    for said in found.notes:
        note(f"Note: {said}.")
    emit(_summary(found), _text(found), as_json=as_json)


def _summary(found: Rasterised) -> dict[str, Any]:
    return {
        "output": str(found.output),
        "rasters": found.files,
        "classes": [
            {
                "id": c.id,
                "name": c.name,
                "polygons": found.polygons[c.name],
                "pixels": found.pixels[c.name],
            }
            for c in found.legend.classes
        ],
        "unlabelled": found.unlabelled,
        "no_class": dict(found.no_class),
        "seconds": round(found.seconds, 3),
        "notes": list(found.notes),
    }


def _text(found: Rasterised) -> str:
    many = (
        f", {found.files:,} rasters" if found.output.suffix.lower() not in (".tif", ".tiff") else ""
    )
    lines = [f"{found.output}{many}"]
    total = max(1, sum(found.pixels.values()) + found.unlabelled)
    width = max(len(name) for name in (*found.pixels, "unlabelled"))
    for name, pixels in found.pixels.items():
        polygons = f"{found.polygons[name]:10,} polygons"
        lines.append(f"  {name:<{width}}  {100 * pixels / total:6.2f} % {polygons}")
    lines.append(f"  {'unlabelled':<{width}}  {100 * found.unlabelled / total:6.2f} %")
    return "\n".join(lines)
