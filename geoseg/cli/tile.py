"""``geoseg tile``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.cluster_option import cluster_option, opened_cluster
from geoseg.cli.options import (
    bands_option,
    common_options,
    emit,
    homogenise_option,
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
from geoseg.cli.stopped import stopped_patches


@click.command()
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE…")
@output_option("the data set, a folder")
@click.option(
    "--labels",
    multiple=True,
    metavar="RASTER",
    help="Class codes: one raster for each scene, in their order (repeat the option, or give a"
    " pattern in quotes), or one for all. Labels of photographs: a folder of rasters of the same"
    " names.",
)
@click.option(
    "--confidence",
    multiple=True,
    metavar="RASTER",
    help="How sure labels are, from 0 to 1: a raster for each of --labels, in their order. Kept for"
    " training; where it is empty, the label does not count.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Take labels of a lower --confidence as unlabelled.",
)
@click.option(
    "--label-table",
    metavar="FILE",
    help="Which classes whole patches hold, in place of --labels: a CSV file with a column 'patch'"
    " (or 'scene', 'row', 'col'), or polygons (GeoPackage, GeoJSON, shapefile).",
)
@click.option(
    "--label-field",
    metavar="NAME",
    help="Column of --label-table that lists the classes: 'water; forest', '-' for none of them,"
    " empty where nobody knows [default: 'classes' or 'class', else a column a class with 0 and"
    " 1].",
)
@click.option(
    "--present",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.05,
    show_default=True,
    metavar="SHARE",
    help="A patch holds a class that covers more than this share of it.",
)
@click.option(
    "--size",
    type=click.IntRange(1, 16384),
    default=256,
    show_default=True,
    metavar="PX",
    help="Side of a patch.",
)
@click.option(
    "--stride",
    type=click.IntRange(1),
    metavar="PX",
    help="From one patch to the next; below --size they overlap [default: --size].",
)
@bands_option
@click.option(
    "--max-nodata",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="SHARE",
    help="Drop patches with more than this share of invalid readings.",
)
@click.option(
    "--min-labelled",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="Drop patches of which less is labelled [default: those with no label].",
)
@click.option(
    "--fill",
    type=float,
    default=0.0,
    show_default=True,
    metavar="VALUE",
    help="What invalid readings become.",
)
@click.option(
    "--split",
    default="0.8,0.1,0.1",
    show_default=True,
    metavar="TRAIN,VAL,TEST",
    help="Shares of training, validation and test patches; they share no ground.",
)
@click.option(
    "--split-block",
    type=click.IntRange(1),
    metavar="N",
    help="Give blocks of N × N patches to one split each [default: what loses few patches].",
)
@click.option(
    "--classes",
    metavar="CLASSES",
    help="What label values mean: '1=water,2=forest:#1a9641', or a CSV, JSON or QGIS style file"
    " [default: as the labels say, else each value is a class].",
)
@click.option(
    "--assume-aligned",
    is_flag=True,
    help="Take labels without georeference as lying on the scene pixel by pixel.",
)
@click.option(
    "--fit-labels",
    is_flag=True,
    help="Bring photographs that are 2, 3, … times as large as their labels to the labels' pixels,"
    " by means; models remember the scale.",
)
@region_option
@click.option("--mosaic", is_flag=True, help="Take all scenes as tiles of one.")
@homogenise_option(
    metavar="moments|histogram|overlap|FILE",
    help="Bring the scenes to one colour first: each other's, by mean and deviation, histogram or"
    " what they share; or that of a colour.json from geoseg homogenise. The data set and its models"
    " keep it, and other scenes are brought to it.",
)
@click.option(
    "--format",
    "storage",
    type=click.Choice(["npy", "geotiff"]),
    default="npy",
    show_default=True,
    help="Arrays, which train fast, or a GeoTIFF a patch, for other programs.",
)
@seed_option
@workers_option
@cluster_option
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from what a run of the same scenes, labels and options left when it was stopped.",
)
@overwrite_option
@json_option
@common_options
def command(
    scenes: tuple[str, ...],
    output: str,
    labels: tuple[str, ...],
    confidence: tuple[str, ...],
    label_table: str | None,
    as_json: bool,
    overwrite: bool,
    resume: bool,
    workers: int | None,
    cluster: str | None,
    **options: Any,
) -> None:
    """Cut scenes and their labels into patches to train on.

    SCENE is anything GDAL reads: files, folders, patterns in quotes, addresses. Bands in separate
    files make one scene, and so do the parts of one Earth Engine export. Labels on another grid are
    brought to the scene's (nearest).

    The folder holds index.gpkg (open it in QGIS: a footprint for each patch, with its split, class
    shares, the classes it holds and, where it was dropped, the reason), dataset.json (bands,
    classes, statistics) and the pixels of each split. Pixels are invalid where any band has nodata.
    The band of a composite that counts clear dates is left out, unless --bands names it.

    Photographs (JPEG, PNG without georeference) may differ in size: each gives one patch or more,
    smaller ones are padded on the right and below, and the padding counts for nothing. Each is
    turned as its EXIF orientation says, paired with its labels by name, and kept in one split.
    Names may end in a word for what they are: 7_sat.jpg has the label 7_mask.png. Those that cannot
    be read, are black, or are of another size than their labels are left out and listed.

    Labels may be of whole patches, to train networks of image-level labels: --label-table says
    which classes each holds. Tile without labels first, open index.gpkg in QGIS, add a text field
    'classes', fill it in ('water; forest', '-' for none of the classes) and give that file. Patches
    that are left empty are left out.

    A run that is stopped, even killed, keeps its finished patches beside the folder, in a hidden
    one; the same command with --resume goes on from there to the same data set. With --cluster
    workers cut rows of patches, and the data set is written here.

    \b
    Examples:
      geoseg tile scene.tif --labels labels.tif -o patches
      geoseg tile scene.tif --labels labels.tif --size 128 --stride 64 \\
        --classes '1=water,2=built-up:#d7191c,3=forest:#1a9641' -o patches
      geoseg tile 'scenes/*.tif' --bands nir,red,green --split 1,0,0 -o patches
      geoseg tile 'scenes/*.tif' --labels 'labels/*.tif' --homogenise overlap -o patches
      geoseg tile scene.tif --label-table fields.gpkg --label-field crop --size 50 -o patches
      geoseg tile scene.tif --labels weak.tif --confidence sure.tif --min-confidence 0.3 -o patches
      geoseg tile photographs/ --labels masks/ --size 512 -o patches
      geoseg tile 'train/*_sat.jpg' --labels masks/ --size 512 -o patches
      geoseg tile images/ --labels labels-of-half-the-size/ --fit-labels --size 200 -o patches
      geoseg tile 'scenes/*.tif' --labels 'labels/*.tif' --cluster local --resume -o patches
    """
    from geoseg.patches.plan import plan_patches  # noqa: PLC0415
    from geoseg.patches.tile import cut_patches  # noqa: PLC0415
    from geoseg.patches.unfinished import KIND  # noqa: PLC0415
    from geoseg.raster.outputs.unfinished import finished_parts  # noqa: PLC0415

    if resume and not finished_parts(output, KIND) and not Path(output).exists():
        note(f"Note: nothing is kept of {output}; it begins with the first patch.")
    plan = plan_patches(
        list(scenes),
        output,
        labels=list(labels),
        confidence=list(confidence),
        label_table=label_table,
        overwrite=overwrite,
        resume=resume,
        say=note,
        workers=worker_count(workers),
        **options,
    )
    with (
        stopped_patches(output),
        opened_cluster(cluster, workers) as elsewhere,
        progress(plan.pixels, "cutting") as bar,
    ):
        result = cut_patches(plan, keep=True, cluster=elsewhere, progress=bar.update)
    emit(result.summary, result.text, as_json=as_json)
