"""``geoseg coverage``."""

from __future__ import annotations

import os

import click

from geoseg.cli.coverage_photographs import measure_photographs
from geoseg.cli.coverage_text import notes, summary, text
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
def command(
    classes_raster: str,
    output: str,
    target: tuple[str, ...],
    exclude: tuple[str, ...],
    cell: str | None,
    like: str | None,
    zones: str | None,
    zone_field: str | None,
    stages: str | None,
    hectares: bool,
    classes: str | None,
    from_probabilities: bool,
    images: str | None,
    previews: str | None,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
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
    from geoseg.assessment.coverage.source import open_source  # noqa: PLC0415 — pixels cost imports
    from geoseg.assessment.stages import StageTable  # noqa: PLC0415
    from geoseg.raster.outputs.checks import check_output, refuse_inputs  # noqa: PLC0415

    if output.lower().endswith(".csv"):
        if any((cell, like, zones, zone_field, hectares, from_probabilities)):
            raise click.UsageError(
                "A table (.csv) is of photographs, each measured whole: no cells, zones, hectares"
                " or probabilities."
            )
        measure_photographs(
            classes_raster,
            output,
            target=target,
            exclude=exclude,
            stages=stages,
            classes=classes,
            images=images,
            previews=previews,
            workers=worker_count(workers),
            overwrite=overwrite,
            as_json=as_json,
        )
        return
    if images is not None or previews is not None:
        raise click.UsageError("--images and --previews go with an output that ends in .csv.")
    if sum(given is not None for given in (cell, like, zones)) != 1:
        raise click.UsageError(
            "Give one of --cell, --like and --zones: what to measure by; or, for maps of"
            " photographs, an output that ends in .csv."
        )
    if zones is None and zone_field is not None:
        raise click.UsageError("--zone-field names polygons; it goes with --zones.")
    if zones is not None and hectares:
        raise click.UsageError("--hectares goes with cells; zones always have them.")
    check_output(
        output, overwrite=overwrite, suffixes=(".tif", ".tiff") if zones is None else (".gpkg",)
    )
    table = None if stages is None else StageTable.parse(stages)
    source = open_source(
        classes_raster,
        target=target,
        excluded=exclude,
        classes=classes,
        probabilities=from_probabilities,
    )
    threads = worker_count(workers)
    tables = [given for given in (stages, classes) if given is not None and os.path.isfile(given)]
    read = [*source.scene.files, *tables, *([zones.partition("|layername=")[0]] if zones else [])]
    if zones is not None:
        from geoseg.assessment.coverage.zones import (  # noqa: PLC0415
            coverage_by_zone,
            table_path,
        )

        refuse_inputs([output, table_path(output)], read)
        with progress(source.scene.grid.window.area, "coverage") as bar:
            result = coverage_by_zone(
                source,
                output,
                zones,
                name_field=zone_field,
                stages=table,
                workers=threads,
                overwrite=overwrite,
                progress=bar.update,
            )
    else:
        from geoseg.assessment.coverage.cells import (  # noqa: PLC0415
            coverage_by_cell,
            grid_of_cells,
            stage_path,
        )

        refuse_inputs([output, stage_path(output)], [*read, *([like] if like else [])])
        cells = grid_of_cells(source, size=cell, like=like)
        with progress(source.scene.grid.window.area, "coverage") as bar:
            result = coverage_by_cell(
                source,
                output,
                cells,
                how={"cell": cell} if cell is not None else {"like": str(like)},
                stages=table,
                hectares=hectares,
                workers=threads,
                overwrite=overwrite,
                progress=bar.update,
            )
    for said in notes(result):
        note(said)
    emit(summary(result), text(result), as_json=as_json)
