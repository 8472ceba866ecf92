"""``geoseg evaluate``: predictions against labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import (
    common_options,
    device_option,
    emit,
    json_option,
    note,
    output_option,
    overwrite_option,
    region_option,
    seed_option,
    worker_count,
    workers_option,
)
from geoseg.cli.progress import progress


def _items(
    _ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]
) -> tuple[int | str, ...]:
    """Split at commas; what is a whole number becomes one."""
    items: list[int | str] = []
    for text in ",".join(value).split(",") if value else ():
        item = text.strip()
        if not item:
            raise click.BadParameter(f"'{','.join(value)}' holds an empty name")
        try:
            items.append(int(item))
        except ValueError:
            items.append(item)
    return tuple(items)


@click.command("evaluate", no_args_is_help=True)
@click.argument("rasters", nargs=-1, required=True, metavar="PREDICTION… LABELS")
@click.option(
    "--classes",
    metavar="CLASSES",
    help="Classes and the label values that mean them: 1=water,2=forest, or a CSV or JSON file with"
    " id, name, values [default: as the prediction's legend says].",
)
@click.option(
    "--ignore",
    multiple=True,
    callback=_items,
    metavar="VALUE,…",
    help="Label values (or names of classes) that are not scored, besides nodata.",
)
@click.option(
    "--leave-out",
    multiple=True,
    callback=_items,
    metavar="CLASS,…",
    help="Classes, by id or name, that do not enter the means over classes.",
)
@click.option(
    "--unpredicted",
    type=click.Choice(["ignore", "wrong"]),
    default="ignore",
    show_default=True,
    help="What a labelled pixel without a prediction is: not scored, or an error.",
)
@region_option
@click.option(
    "--assume-aligned",
    is_flag=True,
    help="Take labels without a place on Earth to lie on the prediction, if their sizes agree.",
)
@click.option(
    "--strict-grid", is_flag=True, help="Refuse labels on another grid instead of resampling them."
)
@click.option(
    "--bootstrap",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="95 % intervals of all scores from N draws of blocks of ground, 1000 say.",
)
@click.option(
    "--block",
    default="64px",
    show_default=True,
    metavar="SIZE",
    help="Side of the blocks that --bootstrap draws: 64px, 2km; whole pixels from a map's first.",
)
@seed_option
@click.option(
    "--boundary",
    metavar="DISTANCE",
    help="Compare borders within this distance as well: 2px, 30m.",
)
@click.option(
    "--seams",
    type=click.IntRange(min=2),
    metavar="PX",
    help="Tell whether classes change more often across lines that lie so many pixels apart.",
)
@click.option(
    "--stages",
    metavar="agde|TABLE.csv",
    help="Compare stages of coverage as well, cell by cell. Both count the pixels that are scored"
    " alone, so a cell at the edge of the map may differ from that of geoseg coverage.",
)
@click.option(
    "--target",
    multiple=True,
    callback=_items,
    metavar="CLASS,…",
    help="Classes whose coverage --stages takes.",
)
@click.option(
    "--exclude",
    multiple=True,
    callback=_items,
    metavar="CLASS,…",
    help="Classes that count for nothing in --stages.",
)
@click.option(
    "--cell",
    metavar="SIZE",
    help="Side of the cells of --stages: 300m, 10px; the cells of geoseg coverage --cell. A"
    " photograph is one. Of many maps each has cells of its own: one on the border of two is two.",
)
@click.option(
    "--errors",
    type=click.Path(),
    metavar="RASTER",
    help="Write a raster of what is right and what is wrong as what, with a legend for QGIS; a"
    " folder of them of many maps.",
)
@click.option(
    "--scene",
    metavar="SCENE",
    help="Show this scene beside the worst patches of the page; of many maps, a folder of theirs.",
)
@click.option(
    "--field",
    metavar="NAME",
    help="LABELS are polygons, and this attribute says their class: by name or id.",
)
@click.option(
    "--split",
    metavar="NAME",
    help="Score a model on this split of a data set: geoseg evaluate MODEL DATASET --split test.",
)
@device_option
@click.option("--matrix", is_flag=True, help="Print the confusion in pixels as well.")
@output_option(
    "scores: *.json, a page *.html, or a folder for both and tables as CSV", required=False
)
@overwrite_option
@workers_option
@json_option
@common_options
def command(
    *,
    rasters: tuple[str, ...],
    matrix: bool,
    output: str | None,
    errors: str | None,
    scene: str | None,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Measure class maps against labels.

    Accuracy, precision, IoU and F1 of each class, their means, pixel accuracy and kappa. Labels on
    another grid or in another coordinate system are brought to the prediction's, nearest pixel.
    Nodata in the labels is not scored. The labels are always the last, and may be polygons; outside
    of them nothing is scored.

    Several predictions are brought to the grid of the first. Side by side, with their differences
    and the intervals of these, they stand on the pixels that all of them have; beside that, each is
    scored on all of its own.

    Folders of maps, or patterns in quotes, go with labels of the same names, and are scored each
    and all together, whatever their grids. Georeferenced maps may share one raster of labels. Of
    several folders the maps that all have are compared, and each is scored on all of its own.

    With --split a pixel that several patches hold counts once.

    \b
    Examples:
      geoseg evaluate map.tif labels.tif
      geoseg evaluate map.tif nlcd.tif --classes classes.csv --ignore 0 -o scores.json
      geoseg evaluate map.tif labels.tif -o evaluation --errors errors.tif --scene scene.tif
      geoseg evaluate old.tif new.tif labels.tif --bootstrap 1000 --block 2km
      geoseg evaluate map.tif labels.tif --stages agde --target grass --cell 300m
      geoseg evaluate map.tif plots.gpkg --field crop
      geoseg evaluate maps/ labels/ --scene images/ --errors errors -o evaluation
      geoseg evaluate model.safetensors set --split test

    where classes.csv says which label values mean a class:

    \b
      id,name,values
      1,water,11
      2,developed,21;22;23;24
    """
    from geoseg.assessment.asked import Asked  # noqa: PLC0415 — pixels cost imports
    from geoseg.assessment.evaluating import Reports  # noqa: PLC0415
    from geoseg.assessment.findings_text import words  # noqa: PLC0415

    reports = Reports(
        report=None if output is None else Path(output),
        errors=None if errors is None else Path(errors),
        scene=scene,
        overwrite=overwrite,
    )
    asked = Asked(reports=reports, **given)
    count = worker_count(workers)
    with asked.job(rasters, workers=count) as (job, notes):
        for said in notes:
            note(said)
        with progress(job.work, "evaluating") as bar:
            result = job.run(workers=count, progress=bar.update)
    emit(result.content, words(result, matrix=matrix), as_json=as_json)
