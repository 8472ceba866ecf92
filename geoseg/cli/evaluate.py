"""``geoseg evaluate``: predictions against labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
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


def _of_maps(settings: Mapping[str, Any], **more: str | None) -> list[str]:
    """Names of the options given that go with maps alone."""
    given = [name for name in settings if name not in ("leave-out", "unpredicted")]
    given += [name for name, value in more.items() if value is not None]
    return given + (["unpredicted"] if settings["unpredicted"] == "wrong" else [])


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
    "resamples",
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
    help="Side of the blocks that --bootstrap draws: 64px, 2km.",
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
    help="Compare stages of coverage as well, cell by cell; see geoseg coverage.",
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
    "--cell", metavar="SIZE", help="Side of the cells of --stages: 300m, 10px. A photograph is one."
)
@click.option(
    "--errors",
    type=click.Path(),
    metavar="RASTER",
    help="Write a raster of what is right and what is wrong as what, with a legend for QGIS.",
)
@click.option(
    "--scene", metavar="SCENE", help="Show this scene beside the worst patches of the page."
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
    rasters: tuple[str, ...],
    classes: str | None,
    ignore: tuple[int | str, ...],
    leave_out: tuple[int | str, ...],
    unpredicted: str,
    region: str | None,
    assume_aligned: bool,
    strict_grid: bool,
    resamples: int,
    block: str,
    seed: int,
    boundary: str | None,
    seams: int | None,
    stages: str | None,
    target: tuple[int | str, ...],
    exclude: tuple[int | str, ...],
    cell: str | None,
    errors: str | None,
    scene: str | None,
    field: str | None,
    split: str | None,
    device: str,
    matrix: bool,
    output: str | None,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Measure class maps against labels.

    Accuracy, precision, IoU and F1 of each class, their means, pixel accuracy and kappa. Labels on
    another grid or in another coordinate system are brought to the prediction's, nearest pixel.
    Nodata in the labels is not scored. Several predictions are compared on the pixels of the first;
    the labels are always the last. Labels may be polygons; outside of them nothing is scored.
    Folders of maps of photographs go with a folder of masks, paired by name.

    \b
    Examples:
      geoseg evaluate map.tif labels.tif
      geoseg evaluate map.tif nlcd.tif --classes classes.csv --ignore 0 -o scores.json
      geoseg evaluate map.tif labels.tif -o evaluation --errors errors.tif --scene scene.tif
      geoseg evaluate old.tif new.tif labels.tif --bootstrap 1000 --block 2km
      geoseg evaluate map.tif labels.tif --stages agde --target grass --cell 300m
      geoseg evaluate map.tif plots.gpkg --field crop
      geoseg evaluate maps/ masks/ --scene images/ -o evaluation
      geoseg evaluate model.safetensors set --split test

    where classes.csv says which label values mean a class:

    \b
      id,name,values
      1,water,11
      2,developed,21;22;23;24
    """
    from geoseg.assessment.evaluating import Job, Reports  # noqa: PLC0415 — pixels cost imports
    from geoseg.assessment.findings import StagesWanted, Wanted  # noqa: PLC0415
    from geoseg.assessment.findings_text import words  # noqa: PLC0415
    from geoseg.assessment.folders import (  # noqa: PLC0415
        FolderJob,
        are_folders,
        compare_folders,
    )
    from geoseg.assessment.polygonlabels import open_labels  # noqa: PLC0415
    from geoseg.assessment.sides import compare_sides  # noqa: PLC0415
    from geoseg.assessment.splits import SplitJob, check_split  # noqa: PLC0415
    from geoseg.assessment.stages import StageTable  # noqa: PLC0415
    from geoseg.raster.cells import CellSize  # noqa: PLC0415

    if len(rasters) < 2:
        raise click.UsageError("Give a prediction (or several) and, last, the labels.")
    if stages is None and (target or exclude or cell):
        raise click.UsageError("--target, --exclude and --cell go with --stages.")
    photographs = split is None and are_folders(rasters)
    if stages is not None and (not target or (cell is None and not photographs)):
        raise click.UsageError("--stages needs --target and --cell.")
    reports = Reports(
        report=None if output is None else Path(output),
        errors=None if errors is None else Path(errors),
        scene=scene,
        overwrite=overwrite,
    )
    named = [given for given in (scene, classes, stages, region) if given is not None]
    reports.check([*rasters, *filter(os.path.exists, named)])
    asked = {
        "region": region,
        "ignore": list(ignore),
        "leave-out": list(leave_out),
        "unpredicted": unpredicted,
        "bootstrap": resamples,
        "block": block if resamples else None,
        "seed": seed if resamples else None,
        "boundary": boundary,
        "seams": seams,
        "stages": stages,
        "target": list(target),
        "exclude": list(exclude),
        "cell": cell,
    }
    settings = {name: value for name, value in asked.items() if value not in (None, [], 0)}
    if split is not None:
        check_split(rasters, _of_maps(settings, field=field, classes=classes))
        scored = SplitJob(
            model=rasters[0],
            dataset=rasters[1],
            split=split,
            leave_out=leave_out,
            device=device,
            reports=reports,
            settings={"split": split, **settings},
        ).run(workers=min(4, worker_count(workers)))
        emit(scored.content, words(scored, matrix=matrix), as_json=as_json)
        return
    wanted = Wanted(
        resamples=resamples,
        block=CellSize.parse(block),
        seed=seed,
        boundary=None if boundary is None else CellSize.parse(boundary),
        seams=seams,
        stages=None
        if stages is None
        else StagesWanted(
            table=StageTable.parse(stages),
            target=target,
            excluded=exclude,
            cell=None if cell is None else CellSize.parse(cell),
        ),
    )
    labels = click.get_current_context().with_resource(
        open_labels(
            rasters[-1],
            rasters[0],
            field=field,
            classes=classes,
            workers=worker_count(workers),
        )
    )
    job: Job | FolderJob
    if photographs:
        if region is not None:
            raise click.UsageError("Photographs have no place on Earth, so there is no --region.")
        job = compare_folders(
            rasters,
            wanted=wanted,
            reports=reports,
            settings=settings,
            classes=labels.classes,
            ignore=ignore,
            leave_out=leave_out,
            unpredicted_is_wrong=unpredicted == "wrong",
        )
        notes = list(job.notes)
    else:
        sides = compare_sides(
            rasters[:-1],
            labels.path,
            classes=labels.classes,
            labels_name=labels.name,
            ignore=ignore,
            leave_out=leave_out,
            region=region,
            assume_aligned=assume_aligned,
            strict_grid=strict_grid,
            unpredicted_is_wrong=unpredicted == "wrong",
        )
        job = Job(sides=sides, wanted=wanted, reports=reports, settings=settings)
        notes = [*labels.notes, *(said for one in sides.comparisons for said in one.notes)]
    job.check()
    for said in dict.fromkeys(notes):
        note(said)
    with progress(job.work, "evaluating") as bar:
        result = job.run(workers=worker_count(workers), progress=bar.update)
    emit(result.content, words(result, matrix=matrix), as_json=as_json)
