"""``geoseg cam``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

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
    note,
    output_option,
    overwrite_option,
    precision_option,
    region_option,
    seed_option,
    tta_option,
    worker_count,
    workers_option,
)
from geoseg.cli.progress import progress
from geoseg.errors import OptionError


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
    help="Model of whole patches: from geoseg train --model shallow-cnn or resnet50-cam.",
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
def command(
    scene: tuple[str, ...],
    output: str,
    model: str,
    weak_labels: str | None,
    confidence: str | None,
    combine: str,
    refine: bool,
    known: str | None,
    reference: str | None,
    assume_aligned: bool,
    patches: int,
    fitted_model: str | None,
    report: str | None,
    tile: int | None,
    stride: int | None,
    blend: str,
    upsampling: str,
    bias: bool,
    tta: bool,
    scales: tuple[float, ...],
    min_area: str | None,
    homogenise: str,
    bands: tuple[str, ...] | None,
    band_names: tuple[str, ...] | None,
    region: str | None,
    batch_size: int | None,
    precision: str,
    seed: int,
    device: str,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
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
    from geoseg.inference.cam.files import CamOutputs  # noqa: PLC0415 — pixels cost imports
    from geoseg.inference.cam.known import known_classes  # noqa: PLC0415
    from geoseg.inference.cam.making import Guides  # noqa: PLC0415
    from geoseg.inference.cam.page import cam_page  # noqa: PLC0415
    from geoseg.inference.cam.run import make_cam  # noqa: PLC0415
    from geoseg.inference.cam.settings import LabelSettings, MapSettings  # noqa: PLC0415
    from geoseg.inference.settings import parse_area  # noqa: PLC0415
    from geoseg.models.bundle import load_bundle  # noqa: PLC0415
    from geoseg.raster.outputs.checks import refuse_inputs, refuse_inside  # noqa: PLC0415
    from geoseg.raster.scene import Scene  # noqa: PLC0415

    if weak_labels is None and reference is None and (refine or combine != "argmax"):
        raise OptionError("--combine and --refine are about weak labels: give --weak-labels too")
    if weak_labels is None and min_area is not None:
        raise OptionError("--min-area is about weak labels: give --weak-labels too")
    outputs = CamOutputs(
        maps=Path(output),
        weak_labels=None if weak_labels is None else Path(weak_labels),
        confidence=None if confidence is None else Path(confidence),
        report=None if report is None else Path(report),
        fitted_model=None if fitted_model is None else Path(fitted_model),
    )
    outputs.check(overwrite=overwrite, reference=reference is not None)
    refuse_inputs(outputs.paths, [path for path in (model, region) if path is not None])
    if known is not None:
        refuse_inside(outputs.paths, known)
    bundle = load_bundle(model)
    card = bundle.card
    with ExitStack() as stack:
        opened = stack.enter_context(
            Scene.open(scene if len(scene) > 1 else scene[0], band_names=band_names)
        )
        if bands is not None:
            opened = opened.select(bands)
        maps = MapSettings(
            tile=card.tile if tile is None else tile,
            stride=stride,
            blend=blend,
            upsampling=upsampling,
            bias=bias,
            tta=tta,
            scales=scales,
            batch=batch_size,
            precision=precision,
            homogenise=homogenise,
        )
        labels = LabelSettings(
            combine=combine,  # type: ignore[arg-type]
            refine=refine,
            patches=patches,
            seed=seed,
            min_area=0 if min_area is None else parse_area(min_area, opened.grid),
        )
        area = None
        if region is not None:
            from geoseg.raster.vector import read_region  # noqa: PLC0415 — imports geopandas

            area = read_region(region, opened.grid)
        guides = Guides(
            area=area,
            area_name=region,
            reference=None if reference is None else stack.enter_context(Scene.open(reference)),
            assume_aligned=assume_aligned,
            known=None if known is None else known_classes(known, opened.grid, card.legend),
            known_name=None if known is None else Path(known).name,
        )
        total = opened.grid.height * opened.grid.width
        twice = weak_labels is not None or reference is not None
        with progress(total * (2 if twice else 1), "cam") as bar:
            result = make_cam(
                opened,
                outputs,
                model=bundle,
                maps=maps,
                labels=labels,
                guides=guides,
                page=None
                if report is None
                else lambda made: cam_page(
                    made,
                    legend=card.legend,
                    scene=opened.name,
                    model=card.name,
                    bands=card.bands,
                    settings=made.settings,
                ),
                device=device,
                workers=worker_count(workers),
                overwrite=overwrite,
                progress=bar.update,
            )
    for said in result.notes:
        note(f"Note: {said}.")
    emit(summary(result, total), text(result, total), as_json=as_json)
