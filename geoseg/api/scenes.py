"""Scenes: looked at, opened, sharpened, brought to one colour; polygons as labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geoseg.api.arguments import checked
from geoseg.api.common import Listed, PathLike, Progress, as_text, text_of, texts, threads

if TYPE_CHECKING:
    from geoseg.compositing.homogenise.settings import HomogeniseResult
    from geoseg.compositing.pansharpen import PansharpenResult
    from geoseg.raster.labels.rasterise import Rasterised
    from geoseg.raster.scene import Scene


@checked()
def open_scene(
    source: PathLike | Sequence[PathLike],
    *,
    bands: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
) -> Scene:
    """Open a scene, to read it by window or to give it to other functions.

    Parameters
    ----------
    source
        A file that GDAL reads, a folder, a pattern, or several files that are one scene.
    bands
        Bands to use, by name and in this order; all by default.
    band_names
        What the bands are called where the files do not say.

    Returns
    -------
    A `geoseg.raster.scene.Scene`, a context manager. Its `read` gives (bands, rows, cols) as in the
    file, and (rows, cols) that is True where all bands have a reading.

    Raises
    ------
    RasterReadError, BandError, GridError
        A file cannot be opened, a band is not there, or files are not of one scene.
    """
    from geoseg.raster.scene import Scene  # noqa: PLC0415 — pixels cost imports

    scene = Scene.open(source, band_names=band_names)
    return scene if bands is None else scene.select(bands)


@checked()
def info(source: PathLike) -> list[dict[str, Any]]:
    """Say what geoseg sees of a scene, a class map, a data set or a model.

    Parameters
    ----------
    source
        A raster, a folder or pattern of rasters, a Landsat or Sentinel-2 product by its folder, its
        metadata or its STAC item, a folder that geoseg made, or a model file.

    Returns
    -------
    A dictionary a thing found, as ``geoseg info --json`` prints it: its ``kind`` ("scene",
    "class raster", "data set", "model", "folder", or what else geoseg wrote) and what there is to
    say of that. In a folder, what cannot be read is of the kind "problem", with its ``error``.

    Raises
    ------
    InputError
        There is nothing that geoseg knows, or it is damaged.
    """
    from geoseg.assessment.describe import describe  # noqa: PLC0415 — pixels cost imports
    from geoseg.errors import InputError  # noqa: PLC0415

    found = list(describe(str(source)))
    if len(found) == 1 and isinstance(found[0], InputError):
        raise found[0]
    return [
        {"kind": "problem", "error": str(one)} if isinstance(one, InputError) else one
        for one in found
    ]


@checked()
def pansharpen(
    multispectral: PathLike,
    output: PathLike,
    *,
    panchromatic: PathLike | None = None,
    sensor: str | None = None,
    bands: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
    pan_band: str | None = None,
    resampling: Literal["cubic", "bilinear"] = "cubic",
    dtype: str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PansharpenResult:
    """Write the bands of a scene at the pixels of its panchromatic one, by adaptive Gram–Schmidt.

    Parameters
    ----------
    multispectral, panchromatic
        Rasters in one coordinate system; of a Landsat product of level 1 the second is left out.
    output
        GeoTIFF to write, with the panchromatic pixels and the bands' names, type and nodata.
    sensor, bands, band_names, pan_band
        What took a raster, which bands to sharpen, what they are called, and which band of
        `panchromatic` is the panchromatic one.
    resampling, dtype
        How bands come to the finer pixels, and the type in the file (that of the bands by default).
    workers, overwrite, progress
        Threads, one a processor by default; whether files may be replaced; called with numbers of
        finished pixels.

    Raises
    ------
    InputError, OptionError, OutputError
        The two do not belong together, settings mean nothing, or the file cannot be written.
    """
    from geoseg.compositing.pair import open_pair  # noqa: PLC0415
    from geoseg.compositing.pansharpen import PansharpenSettings  # noqa: PLC0415
    from geoseg.compositing.pansharpen import pansharpen as make  # noqa: PLC0415
    from geoseg.raster.outputs.checks import check_output  # noqa: PLC0415

    check_output(output, overwrite=overwrite, suffixes=(".tif", ".tiff"))
    settings = PansharpenSettings(resampling=resampling, dtype=dtype)
    pair = open_pair(
        str(multispectral),
        text_of(panchromatic),
        sensor_name=sensor,
        band_names=band_names,
        bands=bands,
        pan_band=pan_band,
    )
    return make(
        pair,
        output,
        settings=settings,
        workers=threads(workers),
        overwrite=overwrite,
        progress=progress,
    )


@checked()
def homogenise(
    scenes: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    method: Literal["moments", "histogram", "overlap"] | None = None,
    reference: PathLike | None = None,
    outliers: float | None = None,
    haze: Literal["dark-object"] | None = None,
    cast: Literal["grey-world"] | None = None,
    dodge: bool = False,
    dodge_cell: int | None = None,
    dodge_brightness: float | None = None,
    dodge_contrast: float | None = None,
    apply: PathLike | None = None,
    bands: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> HomogeniseResult:
    """Bring many images to one colour.

    Parameters
    ----------
    scenes
        Files, folders or patterns; an image each, bands in separate files being one image.
    output
        Folder to make: the images under their names, colour.json, seams.csv, seams.png and
        report.html.
    method
        None for "overlap" where images overlap, else "moments".
    reference
        An image whose colour is wanted; by default that of all of them.
    outliers
        Share of the readings at each end of each band of each image that is cut first, such as
        0.001; None for none.
    haze, cast, dodge
        What is taken off or balanced before, and whether uneven light is evened out after.
    dodge_cell, dodge_brightness, dodge_contrast
        With `dodge`: side in px of the squares over which means and deviations are taken (256), and
        how far, from 0 to 1, brightness and contrast are made the same everywhere (0.8).
    apply
        A colour.json of an earlier run, in place of a colour found for these images.
    bands, band_names
        Bands to use, and what they are called where files do not say.
    workers, overwrite, progress
        As for `pansharpen`.

    Raises
    ------
    InputError, OptionError, OutputError
        Images do not fit each other or the colour, settings contradict each other, or the folder
        cannot be written.
    """
    from geoseg.compositing.homogenise.images import dodge_of, open_images  # noqa: PLC0415
    from geoseg.compositing.homogenise.run import homogenise as make  # noqa: PLC0415
    from geoseg.compositing.homogenise.settings import HomogeniseSettings  # noqa: PLC0415
    from geoseg.compositing.homogenise.standard import read_standard  # noqa: PLC0415

    settings = HomogeniseSettings(
        method=method,
        haze=haze,
        cast=cast,
        outliers=outliers,
        dodge=dodge_of(
            on=dodge, cell=dodge_cell, brightness=dodge_brightness, contrast=dodge_contrast
        ),
    )
    standard = None if apply is None else read_standard(apply)
    images = open_images(
        texts(scenes), reference=reference, bands=bands, band_names=band_names, standard=standard
    )
    return make(
        images,
        output,
        settings=settings,
        standard=standard,
        workers=threads(workers),
        overwrite=overwrite,
        progress=progress,
    )


@checked()
def rasterise(
    labels: PathLike,
    output: PathLike,
    *,
    like: PathLike,
    field: str | None = None,
    classes: Listed | None = None,
    background: str | None = None,
    overlap: Literal["last", "first", "smallest", "largest", "ignore"] = "last",
    all_touched: bool = False,
    ignore_border: str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
) -> Rasterised:
    """Turn drawn polygons into a class raster on a scene's grid.

    Parameters
    ----------
    labels
        A vector file, an annotation of LabelMe, or a folder of such annotations.
    output
        Class raster: uint8, 255 for unlabelled; of a folder, a folder of them.
    like
        The scene whose pixels are labelled; of a folder of annotations, that of their pictures.
    field, classes, background
        Attribute that says the class, what values mean ("1=crop,2=weed", a list or
        dictionary of that, or a file), and the class of pixels in no polygon.
    overlap, all_touched, ignore_border
        Which of several polygons has a pixel, whether it has all that it touches, and how near to
        a border ("2px", "1.5m") pixels are left unlabelled.
    workers, overwrite
        As for `pansharpen`.

    Raises
    ------
    InputError, OptionError, OutputError
        Polygons cannot be read or mean no class, lie elsewhere, or the raster cannot be written.
    """
    from geoseg.raster.labels.rasterise import RasteriseSettings, rasterise_folder  # noqa: PLC0415
    from geoseg.raster.labels.rasterise import rasterise as make  # noqa: PLC0415

    settings = RasteriseSettings(
        field=field,
        classes=as_text(classes),
        background=background,
        overlap=overlap,
        all_touched=all_touched,
        ignore_border=ignore_border,
    )
    run = rasterise_folder if Path(labels).is_dir() else make
    return run(
        labels,
        str(like),
        output,
        settings=settings,
        overwrite=overwrite,
        workers=threads(workers),
    )
