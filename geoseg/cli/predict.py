"""``geoseg predict``."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from geoseg.cli.cluster_option import cluster_option
from geoseg.cli.options import (
    bands_option,
    batch_size_option,
    blend_option,
    class_lines,
    common_options,
    compile_option,
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
    tta_option,
    worker_count,
    workers_option,
)
from geoseg.cli.predict_given import Given
from geoseg.cli.progress import progress
from geoseg.cli.stopped import stopped_in_words
from geoseg.errors import OptionError

if TYPE_CHECKING:
    from geoseg.inference.predict import Prediction
    from geoseg.raster.photographs import Photographs


def _scale(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    match = re.fullmatch(r"1:(\d{1,3})", value.strip())
    if match is None or int(match[1]) == 0:
        raise click.BadParameter(f"'{value}' is no scale; write 1:1, 1:2, 1:4 …")
    return int(match[1])


@click.command()
@click.argument("scene", nargs=-1, required=True)
@output_option("the class raster", required=False)
@click.option(
    "--output-dir",
    type=click.Path(),
    metavar="FOLDER",
    help="Instead: a map of each scene, FOLDER/NAME.tif. --probabilities and --confidence name"
    " folders then, too.",
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="FILE",
    help="Model to use (*.safetensors, *.onnx); given several times, the models' probabilities are"
    " averaged. Without it: the one that GEOSEG_MODEL names, else the built-in one.",
)
@click.option(
    "--tile", type=click.IntRange(1), default=288, show_default=True, help="Side of a tile, px."
)
@click.option(
    "--stride", type=click.IntRange(1), help="Distance between tiles, px [default: half a tile]."
)
@click.option(
    "--overlap",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of a tile that its neighbour covers again, instead of --stride. 0.25 needs half as"
    " many tiles as the default's 0.5, with --blend hann mostly to the same score.",
)
@blend_option
@tta_option
@click.option(
    "--scale",
    callback=_scale,
    metavar="1:N",
    help="Predict the scene N times smaller and bring the probabilities back up [default: as the"
    " model learned, mostly 1:1].",
)
@min_area_option
@click.option(
    "--probabilities", type=click.Path(), metavar="PATH", help="Also write a band a class."
)
@click.option(
    "--confidence",
    type=click.Path(),
    metavar="PATH",
    help="Also write the chosen class's probability.",
)
@model_colour_option
@bands_option
@region_option
@batch_size_option
@precision_option
@compile_option
@device_option
@workers_option
@cluster_option
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from what a run of the same scene, models and options left when it was stopped.",
)
@overwrite_option
@json_option
@common_options
def command(
    scene: tuple[str, ...],
    output: str | None,
    output_dir: str | None,
    models: tuple[str, ...],
    tile: int,
    stride: int | None,
    overlap: float | None,
    blend: str,
    tta: bool,
    scale: int | None,
    min_area: str | None,
    probabilities: str | None,
    confidence: str | None,
    homogenise: str,
    bands: tuple[str, ...] | None,
    band_names: tuple[str, ...] | None,
    region: str | None,
    batch_size: int | None,
    precision: str,
    compile: bool,  # noqa: A002 — the option's name
    device: str,
    workers: int | None,
    cluster: str | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Predict a scene: a map with a class for every valid pixel.

    SCENE is anything GDAL reads. Several files, or a folder, are one scene: its bands in separate
    files, or the tiles of one export. The map has the scene's grid and opens in QGIS with its
    classes' names and colours.

    Photographs (JPEG, PNG without georeference) are one scene each where the output is no *.tif: it
    is a folder, then, with a map for each of them. With --output-dir, scenes are told apart as by
    geoseg tile, and each gets a map; one that fails does not keep the others from theirs.

    With --cluster one scene is cut into blocks of rows, a worker computes one at a time, and the
    map is written here. Of --output-dir's scenes workers are given whole ones and write their maps
    themselves, if there are two at least for each worker; else blocks of one scene after the other.
    --device is each worker's. Without --cluster, cuda:0,1 shares a scene among these cards.

    A run that is stopped, even killed, keeps its finished rows beside the map, in a hidden folder;
    the same command with --resume goes on from there to the same map.

    \b
    Examples:
      geoseg predict scene.tif --model model.safetensors --min-area 0.5ha -o map.tif
      geoseg predict photographs/ --model model.safetensors -o maps
      geoseg predict 'scenes/*.tif' --model model.safetensors --output-dir maps --resume
      geoseg predict scene.tif --model model.safetensors --cluster local -o fast.tif
    """
    if stride is not None and overlap is not None:
        raise OptionError("--stride and --overlap say the same thing; give one of them")
    if overlap is not None:
        stride = max(1, round(tile * (1 - overlap)))

    if (output is None) == (output_dir is None):
        raise OptionError(
            "say where to write: -o for one map, or --output-dir for one of each scene"
        )

    from geoseg.inference.settings import PredictSettings  # noqa: PLC0415 — pixels cost imports

    settings = PredictSettings(
        tile=tile,
        stride=stride,
        blend=blend,
        tta=tta,
        scale=scale,
        batch=batch_size,
        precision=precision,
        compile=compile,
        homogenise=homogenise,
    )
    given = Given(
        models=models,
        band_names=band_names,
        bands=bands,
        settings=settings,
        min_area=min_area,
        probabilities=probabilities,
        confidence=confidence,
        region=region,
        device=device,
        workers=worker_count(workers),
        cluster=cluster,
        cluster_workers=workers,
        resume=resume,
        overwrite=overwrite,
        as_json=as_json,
    )
    if output_dir is not None:
        from geoseg.cli.predict_many import predict_each  # noqa: PLC0415

        predict_each(scene, output_dir, given)
        return
    output = str(output)
    from geoseg.raster.photographs import photographs_to_map  # noqa: PLC0415

    many = photographs_to_map(scene, output)
    if many is None:
        _predict_scene(scene, output, given)
        return
    if resume:
        raise OptionError(
            "--resume is for one scene, or for --output-dir: a folder of photographs is made whole"
        )
    if cluster is not None:
        raise OptionError(
            "--cluster is for one scene, or for --output-dir: photographs are predicted here"
        )
    if probabilities is not None or confidence is not None or region is not None:
        raise OptionError(
            "--probabilities, --confidence and --region are for one scene; give one photograph"
            " and an output that ends in .tif"
        )
    _predict_photographs(many, output, given)


def _predict_scene(scene: tuple[str, ...], output: str, given: Given) -> None:
    """Predict one scene, and say what came out."""
    from geoseg.inference.engines import engine_of  # noqa: PLC0415 — pixels cost imports
    from geoseg.inference.outputs import Outputs  # noqa: PLC0415
    from geoseg.inference.predict import predict  # noqa: PLC0415
    from geoseg.inference.settings import parse_area  # noqa: PLC0415
    from geoseg.inference.unfinished import check_leftover, kept_rows  # noqa: PLC0415
    from geoseg.models.builtin import choose_models  # noqa: PLC0415
    from geoseg.raster.scene import Scene  # noqa: PLC0415

    wanted = Outputs.of(output, given.probabilities, given.confidence)
    # With --resume, what is there is looked at when it is known what is to be there.
    wanted.check(overwrite=given.overwrite or given.resume)
    check_leftover(wanted.paths, resume=given.resume, overwrite=given.overwrite)
    if given.resume and not kept_rows(output) and not wanted.classes.exists():
        note(f"Note: nothing is kept of {output}; it begins with the first row.")
    source = scene if len(scene) > 1 else scene[0]
    with Scene.open(source, band_names=given.band_names) as opened:
        grid = opened.grid
        if given.bands is not None:
            opened = opened.select(given.bands)  # noqa: PLW2901
        bundles = choose_models(given.models, opened)
        settings = given.settings
        if given.min_area is not None:
            settings = replace(settings, min_area=parse_area(given.min_area, grid))
        area = None
        if given.region is not None:
            from geoseg.raster.vector import read_region  # noqa: PLC0415 — imports geopandas

            area = read_region(given.region, grid)
        with (
            stopped_in_words(output, grid.height),
            engine_of(
                bundles, settings, given.device, given.cluster, given.cluster_workers
            ) as engine,
            progress(grid.height * grid.width, "predict") as bar,
        ):
            result = predict(
                opened,
                output,
                models=bundles,
                settings=settings,
                probabilities=given.probabilities,
                confidence=given.confidence,
                area=area,
                area_name=given.region,
                engine=engine,
                device=given.device,
                workers=given.workers,
                overwrite=given.overwrite,
                keep=True,
                resume=given.resume,
                progress=bar.update,
            )
    for text in result.notes:
        note(f"Note: {text}.")
    speed = (grid.height - result.taken_over) * grid.width / 1e6 / result.seconds
    emit(_summary(result, speed), _text(result, grid.height, speed), as_json=given.as_json)


def _predict_photographs(many: Photographs, output: str, given: Given) -> None:
    """Predict each photograph, and say what came out of all of them."""
    from geoseg.inference.photographs import predict_photographs  # noqa: PLC0415
    from geoseg.inference.settings import parse_area  # noqa: PLC0415
    from geoseg.models.builtin import choose_models  # noqa: PLC0415
    from geoseg.raster.legend.style import is_folder_of_maps  # noqa: PLC0415
    from geoseg.raster.outputs.checks import check_output_folder  # noqa: PLC0415
    from geoseg.raster.scene import Scene  # noqa: PLC0415

    check_output_folder(
        output, overwrite=given.overwrite, holds=is_folder_of_maps, what="class rasters"
    )
    settings = given.settings
    with Scene.open(many.paths[0], band_names=given.band_names) as first:
        bundles = choose_models(given.models, first)
        if given.min_area is not None:
            settings = replace(settings, min_area=parse_area(given.min_area, first.grid))
    count = len(many.paths)
    note(f"Note: {count:,} photograph{'s' * (count != 1)}, a scene each.")
    with progress(many.pixels, "predict") as bar:
        result = predict_photographs(
            many,
            output,
            models=bundles,
            settings=settings,
            band_names=given.band_names,
            bands=given.bands,
            device=given.device,
            workers=given.workers,
            overwrite=given.overwrite,
            progress=bar.update,
        )
    for text in result.notes:
        note(f"Note: {text}.")
    for problem in result.problems:
        note(f"Note: left out: {problem.reason}.")
    summary = {
        "output": str(result.output),
        "maps": list(result.maps),
        "pixels": result.pixels,
        "nodata": result.nodata,
        "problems": [{"path": p.path, "reason": p.reason} for p in result.problems],
        "tiles": result.tiles,
        "seconds": round(result.seconds, 3),
        "notes": list(result.notes),
    }
    lines = [f"{result.output}, {len(result.maps):,} maps", *class_lines(result.pixels, None)]
    lines.append(
        f"{result.tiles:,} tiles computed, {result.seconds:.1f} s,"
        f" {many.pixels / 1e6 / result.seconds:.2f} Mpx/s"
    )
    emit(summary, "\n".join(lines), as_json=given.as_json)


def _summary(result: Prediction, speed: float) -> dict[str, object]:
    return {
        "outputs": [str(path) for path in result.outputs],
        "pixels": result.pixels,
        "hectares": result.hectares,
        "nodata": result.nodata,
        "tiles": result.tiles,
        "skipped_tiles": result.skipped,
        "rows_from_before": result.taken_over,
        "seconds": round(result.seconds, 3),
        "megapixels_per_second": round(speed, 3),
        "notes": list(result.notes),
    }


def _text(result: Prediction, height: int, speed: float) -> str:
    lines = [f"{path}" for path in result.outputs]
    width = max(len(name) for name in result.pixels)
    lines += class_lines(result.pixels, result.hectares)
    lines.append(f"  {'no class':<{width}}  {result.nodata:,} px")
    if result.taken_over:
        lines.append(f"{result.taken_over:,} of {height:,} rows were there from before")
    lines.append(
        f"{result.tiles:,} {'tile' if result.tiles == 1 else 'tiles'} computed,"
        f" {result.skipped:,} empty skipped, {result.seconds:.1f} s, {speed:.2f} Mpx/s"
    )
    return "\n".join(lines)
