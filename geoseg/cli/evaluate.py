"""``geoseg evaluate``: a prediction against labels."""

from __future__ import annotations

import click

from geoseg.cli.options import (
    common_options,
    emit,
    json_option,
    note,
    output_option,
    overwrite_option,
    region_option,
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
@click.argument("prediction", metavar="PREDICTION")
@click.argument("labels", metavar="LABELS")
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
@click.option("--matrix", is_flag=True, help="Print the confusion in pixels as well.")
@output_option("the scores and the confusion as JSON", required=False)
@overwrite_option
@workers_option
@json_option
@common_options
def command(
    prediction: str,
    labels: str,
    classes: str | None,
    ignore: tuple[int | str, ...],
    leave_out: tuple[int | str, ...],
    unpredicted: str,
    region: str | None,
    assume_aligned: bool,
    matrix: bool,
    output: str | None,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Measure a class map against labels.

    Accuracy, precision, IoU and F1 of each class, their means, pixel accuracy and kappa. Labels on
    another grid or in another coordinate system are brought to the prediction's, nearest pixel.
    Nodata in the labels is not scored.

    \b
    Examples:
      geoseg evaluate map.tif labels.tif
      geoseg evaluate map.tif nlcd.tif --classes classes.csv --ignore 0 -o scores.json

    where classes.csv says which label values mean a class:

    \b
      id,name,values
      1,water,11
      2,developed,21;22;23;24
    """
    from geoseg.assessment.evaluate import compare  # noqa: PLC0415
    from geoseg.assessment.report import summary, text, write_json  # noqa: PLC0415
    from geoseg.raster.legend import Legend  # noqa: PLC0415
    from geoseg.raster.output import check_output, refuse_inputs  # noqa: PLC0415

    if output is not None:
        check_output(output, overwrite=overwrite)
        refuse_inputs([output], [prediction, labels])
    comparison = compare(
        prediction,
        labels,
        classes=None if classes is None else Legend.parse(classes),
        ignore=ignore,
        leave_out=leave_out,
        region=region,
        assume_aligned=assume_aligned,
        unpredicted_is_wrong=unpredicted == "wrong",
    )
    for said in comparison.notes:
        note(said)
    with progress(comparison.window.area, "evaluating") as bar:
        found = comparison.run(workers=worker_count(workers), progress=bar.update)
    if output is not None:
        write_json(found, output, overwrite=overwrite)
    emit(summary(found), text(found, matrix=matrix), as_json=as_json)
