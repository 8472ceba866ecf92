"""``geoseg cam``."""

from __future__ import annotations

from typing import Any

import click

from geoseg.cli.cam_text import summary, text
from geoseg.cli.options import (
    bands_option,
    batch_size_option,
    blend_option,
    common_options,
    device_option,
    emit,
    json_option,
    min_area_option,
    model_colour_option,
    output_option,
    overwrite_option,
    precision_option,
    region_option,
    remark,
    seed_option,
    spelled,
    tta_option,
    workers_option,
)
from geoseg.cli.progress import progress


def _scales(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"'{value}' is no list of sizes; write 1,1.5") from None


@click.command()
@click.argument("scene", nargs=-1, required=True)
@output_option("the activation maps, a raster with a band a class")
@click.option(
    "-m",
    "--model",
    required=True,
    metavar="FILE",
    help="Model of whole patches, a file or an address: from geoseg train --model shallow-cnn"
    " or resnet50-cam.",
)
@click.option("--weak-labels", type=click.Path(), metavar="PATH", help="Also write a class raster.")
@click.option(
    "--confidence",
    type=click.Path(),
    metavar="PATH",
    help="Also write by how much the class chosen (before --min-area) stands out, from 0 to 1: for"
    " geoseg tile --confidence.",
)
@click.option(
    "--combine",
    type=click.Choice(["argmax", "zscore", "median", "logistic"]),
    default="argmax",
    show_default=True,
    help="How maps become classes: the highest; the highest after each map was standardised by its"
    " mean and deviation, or its median taken off; or multinomial logistic regression.",
)
@click.option(
    "--refine",
    is_flag=True,
    help="Let labels follow what looks alike in the scene (PAMR): better, slower.",
)
@click.option(
    "--known",
    type=click.Path(),
    metavar="DIR",
    help="Data set of patches cut from this scene: where they lie, only classes that their labels"
    " name are given.",
)
@click.option(
    "--reference",
    metavar="RASTER",
    help="Class codes of pixels, of part of the scene at least: to fit --combine logistic on, and"
    " to measure weak labels by.",
)
@click.option(
    "--assume-aligned",
    is_flag=True,
    help="Take a reference without georeference as lying on the scene pixel by pixel.",
)
@click.option(
    "--patches",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    metavar="N",
    help="Patches of the reference that logistic is fitted on; not used to measure.",
)
@click.option(
    "--fitted-model",
    type=click.Path(),
    metavar="PATH",
    help="Also write the model with the regression in it, which needs no --reference then.",
)
@click.option(
    "--report",
    type=click.Path(),
    metavar="PATH",
    help="Also write a page for a browser (.html), and its numbers beside it (.json).",
)
@click.option(
    "--tile",
    type=click.IntRange(1),
    metavar="PX",
    help="Side of a tile, px [default: as the model learned].",
)
@click.option(
    "--stride",
    type=click.IntRange(1),
    metavar="PX",
    help="Distance between tiles, px; the side of a tile for patches side by side"
    " [default: about half a tile].",
)
@blend_option
@click.option(
    "--upsampling",
    type=click.Choice(["bilinear", "repeat"]),
    default="bilinear",
    show_default=True,
    help="From the network's small maps to pixels: between the places that they see, or each value"
    " several times.",
)
@click.option("--bias", is_flag=True, help="Add the bias of the network's last layer to the maps.")
@tta_option
@click.option(
    "--scales",
    default="1",
    show_default=True,
    callback=_scales,
    metavar="S,…",
    help="See each tile in several sizes, 1,1.5 say, and average the maps.",
)
@min_area_option
@model_colour_option
@bands_option
@region_option
@batch_size_option
@precision_option
@seed_option
@device_option
@workers_option
@overwrite_option
@json_option
@common_options
def command(*, as_json: bool, **given: Any) -> None:
    """Find out where in a scene the classes are, with a model that learned from whole patches.

    The model knows which classes a patch holds. Its class activation maps show from where the
    evidence came: a band a class, on the scene's grid. --weak-labels makes a class raster of them,
    which a network of pixels can learn from (geoseg tile --labels WEAK.tif).

    \b
    Examples:
      geoseg cam scene.tif --model presence.safetensors -o cam.tif
      geoseg cam scene.tif --model presence.safetensors --known patches --refine --tta \\
        --weak-labels weak.tif --confidence sure.tif -o cam.tif
      geoseg cam scene.tif --model presence.safetensors --combine logistic --reference labels.tif \\
        --weak-labels weak.tif --report report.html -o cam.tif
    """
    from geoseg.inference.cam.asked import CamAsked  # noqa: PLC0415 — pixels cost imports

    asked = CamAsked(spelled=spelled, **given)
    with asked.job() as job, progress(job.work, "cam") as bar:
        result = job.run(progress=bar.update)
    for said in result.notes:
        remark(said)
    emit(summary(result, job.pixels), text(result, job.pixels), as_json=as_json)
