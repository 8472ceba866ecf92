"""Scenes: opened, made of many dates, sharpened, brought to one colour; polygons as labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from geoseg.api.common import PathLike, area_of, names, texts, threads

if TYPE_CHECKING:
    from datetime import date

    from geoseg.compositing.homogenise.settings import HomogeniseResult
    from geoseg.compositing.pansharpen import PansharpenResult
    from geoseg.compositing.settings import CompositeResult
    from geoseg.raster.rasterise import Rasterised
    from geoseg.raster.scene import Scene

Progress = Callable[[int], None]
"""Called with the number of pixels done since the last call."""


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


def composite(
    scenes: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    bands: Sequence[str] | None = None,
    method: Literal["median", "mean", "percentile", "medoid"] = "median",
    percentile: float | None = None,
    keep: Sequence[str] = ("water",),
    dilate: int = 0,
    confidence: Literal["medium", "high"] = "high",
    start: date | None = None,
    end: date | None = None,
    sensor: str | None = None,
    quality: str | None = None,
    band_names: Sequence[str] | None = None,
    like: PathLike | None = None,
    crs: str | None = None,
    resolution: float | None = None,
    extent: Literal["first", "union"] | None = None,
    resampling: Literal["nearest", "bilinear", "cubic"] = "nearest",
    region: PathLike | None = None,
    counts: PathLike | None = None,
    dtype: Literal["float32", "uint16", "int16"] = "float32",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> CompositeResult:
    """Make one cloud-free scene of many dates.

    Parameters
    ----------
    scenes
        Landsat or Sentinel-2 product folders, MTL files, STAC items or catalogs, or any rasters; a
        date each.
    output
        GeoTIFF to write: the bands, float32 reflectance with nodata NaN by default, and a last band
        "clear", the number of clear dates, unless `counts` is given.
    bands
        Common names; by default those that all scenes have.
    method, percentile
        How the clear dates of a pixel become one; `percentile` is from 0 to 100.
    keep, dilate, confidence
        Classes that count though they are not clear land ("water", "snow" …), pixels by which what
        is masked grows, and from which confidence of the quality bits on a pixel is masked.
    start, end
        First day wanted, and the day after the last.
    sensor, quality, band_names
        What took plain rasters, what masks them, and what their bands are called.
    like, crs, resolution, extent
        The grid: that of a raster, or the first scene's with another coordinate system, side of a
        pixel in its units, or ground.
    resampling
        How readings of other grids come to it.
    region
        Polygons, or "xmin,ymin,xmax,ymax" in the grid's coordinates; outside is nodata.
    counts
        GeoTIFF for the numbers of clear dates, uint16.
    dtype
        Type in the file; whole numbers are stored with scale and offset.
    workers
        Threads; one a processor by default. The file does not depend on it.
    overwrite
        Whether files may be replaced.
    progress
        Called with numbers of finished pixels.

    Raises
    ------
    InputError, OptionError, OutputError
        Scenes cannot be read or do not lie to each other, settings do not go together, or a file
        cannot be written.
    """
    from geoseg.compositing.composite import composite as make  # noqa: PLC0415
    from geoseg.compositing.dates import shared_bands  # noqa: PLC0415
    from geoseg.compositing.masks import ClearRule  # noqa: PLC0415
    from geoseg.compositing.opening import open_products  # noqa: PLC0415
    from geoseg.compositing.reduce import Reduction  # noqa: PLC0415
    from geoseg.compositing.settings import CompositeSettings  # noqa: PLC0415
    from geoseg.compositing.target import target_grid  # noqa: PLC0415
    from geoseg.raster.output import check_output  # noqa: PLC0415

    for path in (output, counts):
        if path is not None:
            check_output(path, overwrite=overwrite, suffixes=(".tif", ".tiff"))
    settings = CompositeSettings(
        bands=names(bands),
        reduction=Reduction(method=method, percentile=percentile),
        rule=ClearRule(keep=frozenset(keep), dilate=dilate, confidence=confidence),
        resampling=resampling,
        dtype=dtype,
    )
    products = open_products(
        texts(scenes),
        sensor=sensor,
        band_names=band_names,
        quality=quality,
        start=start,
        end=end,
    ).products
    target = target_grid(
        products,
        shared_bands(products) if bands is None else tuple(bands),
        like=None if like is None else str(like),
        crs=crs,
        resolution=resolution,
        extent=extent,
    )
    return make(
        products,
        output,
        target.grid,
        settings=settings,
        counts=counts,
        area=area_of(region, target.grid),
        area_name=None if region is None else str(region),
        workers=threads(workers),
        overwrite=overwrite,
        progress=progress,
    )


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
        As for `composite`.

    Raises
    ------
    InputError, OptionError, OutputError
        The two do not belong together, settings mean nothing, or the file cannot be written.
    """
    from geoseg.compositing.pair import open_pair  # noqa: PLC0415
    from geoseg.compositing.pansharpen import PansharpenSettings  # noqa: PLC0415
    from geoseg.compositing.pansharpen import pansharpen as make  # noqa: PLC0415
    from geoseg.raster.output import check_output  # noqa: PLC0415

    check_output(output, overwrite=overwrite, suffixes=(".tif", ".tiff"))
    settings = PansharpenSettings(resampling=resampling, dtype=dtype)
    pair = open_pair(
        str(multispectral),
        None if panchromatic is None else str(panchromatic),
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


def homogenise(
    scenes: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    method: Literal["moments", "histogram", "overlap"] | None = None,
    reference: PathLike | None = None,
    haze: Literal["dark-object"] | None = None,
    cast: Literal["grey-world"] | None = None,
    dodge: bool = False,
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
    haze, cast, dodge
        What is taken off or balanced before, and whether uneven light is evened out after.
    apply
        A colour.json of an earlier run, in place of a colour found for these images.
    bands, band_names
        Bands to use, and what they are called where files do not say.
    workers, overwrite, progress
        As for `composite`.

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

    settings = HomogeniseSettings(method=method, haze=haze, cast=cast, dodge=dodge_of(on=dodge))
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


def rasterise(
    labels: PathLike,
    output: PathLike,
    *,
    like: PathLike,
    field: str | None = None,
    classes: str | None = None,
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
        Attribute that says the class, what values mean ("1=crop,2=weed", or a file), and the class
        of pixels in no polygon.
    overlap, all_touched, ignore_border
        Which of several polygons has a pixel, whether it has all that it touches, and how near to
        a border ("2px", "1.5m") pixels are left unlabelled.
    workers, overwrite
        As for `composite`.

    Raises
    ------
    InputError, OptionError, OutputError
        Polygons cannot be read or mean no class, lie elsewhere, or the raster cannot be written.
    """
    from geoseg.raster.rasterise import RasteriseSettings, rasterise_folder  # noqa: PLC0415
    from geoseg.raster.rasterise import rasterise as make  # noqa: PLC0415

    settings = RasteriseSettings(
        field=field,
        classes=classes,
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
