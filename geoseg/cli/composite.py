"""``geoseg composite``."""

from __future__ import annotations

from typing import Any

import click

from geoseg.cli.cluster_option import cluster_option
from geoseg.cli.composite_text import notes, summary, text
from geoseg.cli.earthengine_options import (
    EarthEngineOptions,
    earthengine_as_one,
    earthengine_options,
)
from geoseg.cli.options import (
    bands_option,
    common_options,
    emit,
    json_option,
    output_option,
    overwrite_option,
    region_option,
    remark,
    workers_option,
)
from geoseg.cli.progress import progress
from geoseg.cli.stopped import stopped_composite


@click.command(no_args_is_help=True)
@click.argument("scene", metavar="SCENE…", nargs=-1)
@output_option("the composite (.tif)", required=False)
@click.option(
    "--method",
    type=click.Choice(["median", "mean", "percentile", "medoid"]),
    default="median",
    show_default=True,
    help="How the clear dates of a pixel become one. medoid: all bands of the date that is nearest"
    " to all others.",
)
@click.option(
    "--percentile",
    type=float,
    metavar="P",
    help="From 0 to 100, for --method percentile.",
)
@click.option(
    "--keep",
    default="water",
    show_default=True,
    metavar="NAME,…",
    help="What counts as clear besides clear land: water, snow, cirrus, dilated, shadow, cloud,"
    " dark, unclassified, saturated, occluded; or none.",
)
@click.option(
    "--dilate",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    metavar="PX",
    help="Grow what is masked by so many pixels of the composite.",
)
@click.option(
    "--confidence",
    type=click.Choice(["medium", "high"]),
    default="high",
    show_default=True,
    help="From which confidence on Landsat's clouds count; the others know low and high alone.",
)
@click.option(
    "--quality",
    metavar="none|KIND=BAND",
    help="none: no mask but fill. KIND=BAND, fmask=8 say: the band of a plain raster, by number or"
    " name, that holds the mask [default: what the product has].",
)
@click.option(
    "--sensor",
    metavar="NAME",
    help="What took plain rasters, landsat-8-c2-l2 say: gives their bands names and scales.",
)
@bands_option
@click.option("--like", metavar="RASTER", help="Take the grid of this raster.")
@click.option(
    "--crs", metavar="CODE", help="Coordinate system, EPSG:32633 say [default: the first scene's]."
)
@click.option(
    "--resolution",
    type=float,
    metavar="SIZE",
    help="Side of a pixel in units of the coordinate system [default: the first scene's].",
)
@click.option(
    "--extent",
    type=click.Choice(["first", "union"]),
    help="Cover the first scene, or all scenes [default: first].",
)
@click.option(
    "--resampling",
    type=click.Choice(["nearest", "bilinear", "cubic"]),
    default="nearest",
    show_default=True,
    help="How readings of other grids come to the composite's; between pixels only clear ones"
    " count.",
)
@region_option
@click.option(
    "--counts",
    type=click.Path(),
    metavar="PATH",
    help="Write the numbers of clear dates to a raster of their own, not as the last band.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "uint16", "int16"]),
    default="float32",
    show_default=True,
    help="Type of the pixels; whole numbers are stored with the first scene's scale and offset.",
)
@earthengine_options
@cluster_option
@workers_option
@overwrite_option
@json_option
@common_options
@earthengine_as_one
def command(
    *, scene: tuple[str, ...], earthengine: EarthEngineOptions, as_json: bool, **given: Any
) -> None:
    """Make one cloud-free scene of many dates.

    Each SCENE is one date: a Landsat or Sentinel-2 product folder, its MTL file, its STAC item, or
    any raster; or many: a STAC catalog, or a folder of product folders. Clouds, shadows and snow
    are masked by the product's quality bands, readings are brought to one grid pixel by pixel
    (nearest), and each pixel becomes the median of its clear dates: reflectance where the product
    says how. A pixel counts where all bands have a reading. The last band, "clear", is the number
    of clear dates. Name the others with --bands when you cut patches of it, or write the numbers
    elsewhere (--counts).

    \b
    Examples:
      geoseg composite LC08_* -o 2018.tif --bands blue,green,red,nir,swir1,swir2
      geoseg composite LC08_* LC09_* --keep water,snow --dilate 3 --extent union -o year.tif
      geoseg composite may.tif june.tif july.tif --quality fmask=8 --counts clear.tif -o summer.tif
      geoseg composite LC08_* -o 2018.tif --bands blue,green,red,nir,swir1,swir2 --resume
      geoseg composite LC08_* -o fast.tif --cluster local

    A run that is stopped, killed even, keeps what it has finished in a hidden folder beside the
    output: the same command with --resume goes on from there to the same file.

    With --earth-engine, Google's servers compute the same of a collection's images, and the result
    is fetched in parts that --resume does not fetch again. Run "earthengine authenticate" before.
    (Tested by the form of Google's API against a server of the tests, not on Google's servers.)

    \b
      geoseg composite --earth-engine LANDSAT/LC08/C02/T1_L2 --start 2018-04-01 --end 2018-10-01 \\
        --region county.geojson --bands blue,green,red,nir -o county.tif
    """
    if earthengine.asked:
        from geoseg.cli.earthengine import run  # noqa: PLC0415 — other settings, another way

        run(earthengine, scenes=scene, as_json=as_json, **given)
        return
    earthengine.check_unused()
    if not scene:
        raise click.UsageError("Missing argument 'SCENE…'; or name a collection: --earth-engine.")
    output = given["output"]
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    from geoseg.compositing.asked import CompositeAsked  # noqa: PLC0415 — pixels cost imports

    asked = CompositeAsked(scenes=scene, resume=earthengine.resume, **given)
    with asked.job(say=remark) as job:
        window = job.window
        with (
            job.elsewhere() as cluster,
            stopped_composite(output, window.height, window.width),
            progress(window.area, "composite") as bar,
        ):
            result = job.run(cluster=cluster, keep=True, progress=bar.update)
    for said in (*job.notes, *notes(result, job.left_out)):
        remark(said)
    emit(summary(result), text(result), as_json=as_json)
