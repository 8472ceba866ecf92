"""``geoseg homogenise``."""

from __future__ import annotations

import click

from geoseg.cli.homogenise_text import summary, text
from geoseg.cli.options import (
    bands_option,
    common_options,
    detail,
    emit,
    json_option,
    note,
    output_option,
    overwrite_option,
    worker_count,
    workers_option,
)
from geoseg.cli.progress import progress


@click.command(no_args_is_help=True)
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE…")
@output_option("the images, a folder")
@click.option(
    "--method",
    type=click.Choice(["moments", "histogram", "overlap"]),
    help="By mean and deviation, by histograms, or by gains and offsets of all images at once that"
    " make them agree where they overlap [default: overlap where images overlap, else moments].",
)
@click.option(
    "--reference",
    metavar="RASTER",
    help="Bring all images to the colour of this one, which may be one of them [default: what all"
    " have in common].",
)
@click.option(
    "--outliers",
    type=float,
    metavar="SHARE",
    help="Cut outliers first: of each band of each image, this share of the readings at each end is"
    " moved to the last reading before it, 0.001 for example [default: none].",
)
@click.option(
    "--haze",
    type=click.Choice(["dark-object"]),
    help="Take haze off before: what the darkest pixels of a band still read.",
)
@click.option(
    "--cast",
    type=click.Choice(["grey-world"]),
    help="Take a colour cast off before: the bands blue, green and red get one mean.",
)
@click.option(
    "--dodge", is_flag=True, help="Even out brightness and contrast within images after (Wallis)."
)
@click.option(
    "--dodge-cell",
    type=click.IntRange(8, 65536),
    metavar="PX",
    help="Side of the squares over which --dodge takes means and deviations [default: 256].",
)
@click.option(
    "--dodge-brightness",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="How far --dodge makes brightness the same everywhere [default: 0.8].",
)
@click.option(
    "--dodge-contrast",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="How far --dodge makes contrast the same everywhere [default: 0.8].",
)
@click.option(
    "--apply",
    "saved",
    metavar="FILE",
    help="Bring the images to the colour of an earlier run: its colour.json. Images of that run get"
    " what was found for them; others are brought there by mean and deviation (or histograms),"
    " which takes other ground for another colour: better homogenise all images together.",
)
@bands_option
@workers_option
@overwrite_option
@json_option
@common_options
def command(
    scenes: tuple[str, ...],
    output: str,
    method: str | None,
    reference: str | None,
    outliers: float | None,
    haze: str | None,
    cast: str | None,
    dodge: bool,
    dodge_cell: int | None,
    dodge_brightness: float | None,
    dodge_contrast: float | None,
    saved: str | None,
    bands: tuple[str, ...] | None,
    band_names: tuple[str, ...] | None,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Bring many images to one colour.

    SCENE is anything GDAL reads: files, folders, patterns in quotes. Bands in separate files make
    one image. Every image is written to the folder under its own name, on its own grid and in its
    own type; nodata stays nodata and takes no part. Where nothing makes images agree better than
    they do, they stay as they are.

    Beside the images the folder holds a style for each (.qml), by which QGIS draws all with one
    stretch; colour.json (the colour, for --apply, geoseg tile and geoseg predict), seams.csv (how
    much images differ where they meet, before and after), seams.png (both as pictures) and
    report.html.

    \b
    Examples:
      geoseg homogenise 'flights/*.tif' -o even
      geoseg homogenise a.tif b.tif c.tif --method histogram --reference b.tif -o even
      geoseg homogenise 'flights/*.tif' --outliers 0.001 -o even
      geoseg homogenise 'flights/*.tif' --haze dark-object --dodge -o even
      geoseg homogenise new.tif --apply even/colour.json -o even-new
    """
    from geoseg.compositing.homogenise.images import dodge_of, open_images  # noqa: PLC0415
    from geoseg.compositing.homogenise.run import homogenise  # noqa: PLC0415
    from geoseg.compositing.homogenise.settings import HomogeniseSettings  # noqa: PLC0415
    from geoseg.compositing.homogenise.standard import read_standard  # noqa: PLC0415

    settings = HomogeniseSettings(
        method=method,  # type: ignore[arg-type]
        haze=haze,  # type: ignore[arg-type]
        cast=cast,  # type: ignore[arg-type]
        outliers=outliers,
        dodge=dodge_of(
            on=dodge, cell=dodge_cell, brightness=dodge_brightness, contrast=dodge_contrast
        ),
    )
    standard = None if saved is None else read_standard(saved)
    images = open_images(
        scenes, reference=reference, bands=bands, band_names=band_names, standard=standard
    )
    with progress(images.work, "homogenise") as bar:
        result = homogenise(
            images,
            output,
            settings=settings,
            standard=standard,
            workers=worker_count(workers),
            overwrite=overwrite,
            say=detail,
            progress=bar.update,
        )
    for said in result.notes:
        note(f"Note: {said}.")
    emit(summary(result), text(result), as_json=as_json)
