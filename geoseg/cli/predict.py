"""``geoseg predict``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

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
    output_option,
    overwrite_option,
    precision_option,
    region_option,
    remark,
    spelled,
    tta_option,
    workers_option,
)
from geoseg.cli.progress import progress
from geoseg.cli.stopped import stopped_in_words
from geoseg.errors import OptionError

if TYPE_CHECKING:
    from geoseg.inference.asked import PhotographsJob, PredictAsked
    from geoseg.inference.predict import Prediction


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
    help="Model to use (*.safetensors, *.onnx), a file or an address (https://, s3://); given"
    " several times, the models' probabilities are averaged. Without it: the one that GEOSEG_MODEL"
    " names, else the built-in one.",
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
def command(*, output: str | None, output_dir: str | None, as_json: bool, **given: Any) -> None:
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
    from geoseg.inference.asked import PredictAsked  # noqa: PLC0415 — pixels cost imports

    many = ", or for --output-dir"
    asked = PredictAsked(output=output or "", spelled=spelled, or_many=many, **given)
    if (output is None) == (output_dir is None):
        raise OptionError(
            "say where to write: -o for one map, or --output-dir for one of each scene"
        )
    if output_dir is not None:
        from geoseg.cli.predict_many import predict_each  # noqa: PLC0415

        predict_each(asked, output_dir, as_json=as_json)
        return
    photographs = asked.photographs()
    if photographs is None:
        _predict_scene(asked, as_json=as_json)
    else:
        _predict_photographs(photographs, as_json=as_json)


def _predict_scene(asked: PredictAsked, *, as_json: bool) -> None:
    """Predict one scene, and say what came out."""
    with asked.job(say=remark) as job:
        grid = job.scene.grid
        with (
            stopped_in_words(asked.output, grid.height),
            job.engine() as engine,
            progress(grid.window.area, "predict") as bar,
        ):
            result = job.run(engine=engine, keep=True, progress=bar.update)
    for said in result.notes:
        remark(said)
    speed = (grid.height - result.taken_over) * grid.width / 1e6 / result.seconds
    emit(_summary(result, speed), _text(result, grid.height, speed), as_json=as_json)


def _predict_photographs(job: PhotographsJob, *, as_json: bool) -> None:
    """Predict each photograph, and say what came out of all of them."""
    many = job.photographs
    count = len(many.paths)
    remark(f"{count:,} photograph{'s' * (count != 1)}, a scene each")
    with progress(many.pixels, "predict") as bar:
        result = job.run(progress=bar.update)
    for said in result.notes:
        remark(said)
    for problem in result.problems:
        remark(f"left out: {problem.reason}")
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
    emit(summary, "\n".join(lines), as_json=as_json)


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
