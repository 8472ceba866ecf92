"""``geoseg coverage``."""

from __future__ import annotations

from typing import Any

import click

from geoseg.cli.coverage_photographs import emit_photographs
from geoseg.cli.coverage_text import notes, summary, text
from geoseg.cli.options import (
    common_options,
    emit,
    json_option,
    note,
    output_option,
    overwrite_option,
    spelled,
    usage,
    workers_option,
)
from geoseg.cli.progress import progress


@click.command("coverage", no_args_is_help=True)
@click.argument("classes_raster", metavar="CLASSES")
@output_option("the coverage: .tif by cell, .gpkg by zone (.csv beside it), .csv of photographs")
@click.option(
    "--target",
    multiple=True,
    required=True,
    metavar="CLASS,…",
    help="Classes, by name or id, whose share is wanted.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="CLASS,…",
    help="Classes that count for nothing: sky or water, say.",
)
@click.option(
    "--cell",
    metavar="SIZE",
    help="Side of a cell: 300m, 0.01deg, 10px. Borders lie at multiples of it from the origin of"
    " the coordinate system; cells in px begin at the raster's first corner.",
)
@click.option("--like", metavar="RASTER", help="Take the pixels of this raster as cells.")
@click.option(
    "--zones", metavar="POLYGONS", help="Measure inside each of these polygons; they may overlap."
)
@click.option("--zone-field", metavar="NAME", help="Attribute that names the zones.")
@click.option(
    "--stages",
    metavar="agde|TABLE.csv",
    help="Add stages of coverage: those of agde (I 0–19 %, II 20–39, III 40–59, IV 60–79, V"
    " 80–95), or of a table with name, low, high and perhaps color.",
)
@click.option(
    "--hectares", is_flag=True, help="Add the hectares of the target to the cells, as a band."
)
@click.option(
    "--classes",
    metavar="CLASSES",
    help="Classes and the values that mean them: 1=water,2=forest, or a CSV or JSON file with id,"
    " name, values [default: as the raster's legend says].",
)
@click.option(
    "--from-probabilities",
    is_flag=True,
    help="CLASSES has a band of probabilities for each class, named by it: expected coverage.",
)
@click.option(
    "--images",
    metavar="DIR",
    help="The photographs of the maps, by name: those that know where they were taken go to a"
    " .gpkg beside the table.",
)
@click.option(
    "--previews", type=click.Path(), metavar="DIR", help="Draw each photograph with its classes."
)
@workers_option
@overwrite_option
@json_option
@common_options
def command(*, classes_raster: str, as_json: bool, **given: Any) -> None:
    """Measure which share of the ground is of some classes.

    The share of --target among all pixels with a class but those of --exclude, in percent, by cell
    (a raster) or by zone (polygons and a table, areas in hectares on the ellipsoid). Pixels that a
    border cuts count by the part that lies inside. Where nothing counts there is no coverage.

    With an output that ends in .csv, CLASSES is a folder of maps of photographs, and the table has
    a line for each of them.

    \b
    Examples:
      geoseg coverage map.tif -o forest.tif --target forest --cell 300m
      geoseg coverage map.tif -o grass.tif --target grass --exclude water --cell 1km --stages agde
      geoseg coverage maps/ -o coverage.csv --target plant --exclude sky,road --stages agde \\
        --images photographs/ --previews previews
      geoseg coverage map.tif -o parishes.gpkg --target forest,shrub --zones parishes.shp
    """
    from geoseg.assessment.coverage.asked import CoverageAsked  # noqa: PLC0415 — pixels cost imports

    with usage():
        asked = CoverageAsked(raster=classes_raster, spelled=spelled, **given)
    if asked.of_photographs:
        with progress(None, "coverage") as bar:
            found = asked.measure_photographs(progress=bar.update)
        emit_photographs(found, asked.images, as_json=as_json)
        return
    job = asked.job()
    with progress(job.work, "coverage") as bar:
        result = job.run(progress=bar.update)
    for said in notes(result):
        note(said)
    emit(summary(result), text(result), as_json=as_json)
