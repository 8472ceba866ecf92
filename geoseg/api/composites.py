"""Many dates to one scene, from files or from Google Earth Engine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

from geoseg.api.arguments import checked
from geoseg.api.common import PathLike, Progress, area_of, names, text_of, texts, threads

if TYPE_CHECKING:
    from datetime import date

    from geoseg.compositing.earthengine.settings import EarthEngineResult
    from geoseg.compositing.settings import CompositeResult


@checked()
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
    cluster: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
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
    cluster
        Address of a dask scheduler, "tcp://HOST:PORT", whose workers do the work, `workers` threads
        each; or "local" for processes of this machine (in a script, below
        ``if __name__ == "__main__"``). The file does not depend on it.
    overwrite
        Whether files may be replaced.
    resume
        Whether finished pixels are kept while the file is made, and those of a call that was
        stopped are taken over if it is of the same scenes, settings and grid.
    progress
        Called with numbers of finished pixels.

    Raises
    ------
    InputError, OptionError, OutputError
        Scenes cannot be read or do not lie to each other, settings do not go together, or a file
        cannot be written.
    ClusterError
        The workers cannot be reached, or are gone.
    """
    from geoseg.cluster.cluster import Cluster  # noqa: PLC0415
    from geoseg.compositing.composite import composite as make  # noqa: PLC0415
    from geoseg.compositing.dates import shared_bands  # noqa: PLC0415
    from geoseg.compositing.masks import ClearRule  # noqa: PLC0415
    from geoseg.compositing.opening import open_products  # noqa: PLC0415
    from geoseg.compositing.reduce import Reduction  # noqa: PLC0415
    from geoseg.compositing.settings import CompositeSettings  # noqa: PLC0415
    from geoseg.compositing.target import target_grid  # noqa: PLC0415
    from geoseg.raster.opening.heads import heads_kept  # noqa: PLC0415
    from geoseg.raster.outputs.checks import check_output  # noqa: PLC0415
    from geoseg.raster.provenance import SAME_PACKAGES  # noqa: PLC0415

    for path in (output, counts):
        if path is not None:
            check_output(path, overwrite=overwrite or resume, suffixes=(".tif", ".tiff"))
    settings = CompositeSettings(
        bands=names(bands),
        reduction=Reduction(method=method, percentile=percentile),
        rule=ClearRule(keep=frozenset(keep), dilate=dilate, confidence=confidence),
        resampling=resampling,
        dtype=dtype,
        asked={
            "start": start,
            "end": end,
            "sensor": sensor,
            "band-names": None if band_names is None else ",".join(band_names),
            "quality": quality,
            "like": text_of(like),
            "crs": crs,
            "resolution": None if resolution is None else f"{resolution:.15g}",
            "extent": extent,
            "counts": text_of(counts),
        },
    )
    with heads_kept():
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
            like=text_of(like),
            crs=crs,
            resolution=resolution,
            extent=extent,
        )
        with (
            nullcontext()
            if cluster is None
            else Cluster.open(cluster, workers=workers, packages=SAME_PACKAGES)
        ) as others:
            return make(
                products,
                output,
                target.grid,
                settings=settings,
                counts=counts,
                area=area_of(region, target.grid),
                area_name=text_of(region),
                workers=threads(workers),
                overwrite=overwrite,
                keep=resume,
                resume=resume,
                cluster=others,
                progress=progress,
            )


@checked()
def composite_earth_engine(
    collections: str | Sequence[str],
    output: PathLike,
    *,
    start: date,
    end: date,
    region: PathLike | None = None,
    bands: Sequence[str] | None = None,
    method: Literal["median", "mean", "percentile"] = "median",
    percentile: float | None = None,
    keep: Sequence[str] = ("water",),
    dilate: int = 0,
    confidence: Literal["medium", "high"] = "high",
    like: PathLike | None = None,
    crs: str | None = None,
    scale: float | None = None,
    counts: PathLike | None = None,
    dtype: Literal["float32", "uint16", "int16"] = "float32",
    labels_collection: str | None = None,
    labels_band: str | None = None,
    labels_method: Literal["latest", "mode"] | None = None,
    labels_output: PathLike | None = None,
    project: str | None = None,
    url: str | None = None,
    resume: bool = False,
    request_size: int | None = None,
    workers: int = 8,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EarthEngineResult:
    """Let Google Earth Engine make one cloud-free scene of a collection, and fetch it in parts.

    ``earthengine authenticate`` is to be run once before. Batch tasks to Drive or Cloud Storage are
    started by the command, ``geoseg composite --earth-engine --export``.

    Parameters
    ----------
    collections
        Ids, "LANDSAT/LC08/C02/T1_L2" or "COPERNICUS/S2_SR_HARMONIZED".
    output
        GeoTIFF to write, as `composite` writes it.
    start, end
        First day of images wanted (UTC), and the day after the last.
    region
        Polygons to cover; everything else is nodata.
    bands, method, percentile, keep, dilate, confidence, counts, dtype
        As for `composite`.
    like, crs, scale
        The grid: that of a raster, or the UTM zone of `region` or another coordinate system, with
        this side of a pixel in its units; by default the collection's.
    labels_collection, labels_band, labels_method, labels_output
        Labels of the same ground ("USDA/NASS/CDL"), their band, what of several images ("latest" by
        default), and the class raster to write.
    project, url
        Google Cloud project that is counted, and another server than Google's.
    resume
        Go on from what an interrupted run of this output left.
    request_size
        Most rows and columns of a request; 1024 by default.
    workers
        Requests at once.
    overwrite, progress
        Whether files may be replaced; called with numbers of finished pixels.

    Raises
    ------
    EarthEngineError
        The server knows nobody, cannot be reached, has no image, or refuses.
    InputError, OptionError, OutputError
        What is asked for makes no sense, or a file cannot be read or written.
    """
    from geoseg.compositing.earthengine.collections import collection  # noqa: PLC0415
    from geoseg.compositing.earthengine.download import download  # noqa: PLC0415 — imports ee
    from geoseg.compositing.earthengine.settings import (  # noqa: PLC0415
        EarthEngineSettings,
        Labels,
        Period,
        Place,
    )
    from geoseg.compositing.masks import ClearRule  # noqa: PLC0415
    from geoseg.compositing.reduce import Reduction  # noqa: PLC0415
    from geoseg.errors import OptionError  # noqa: PLC0415

    if labels_collection is None and (labels_band is not None or labels_method is not None):
        raise OptionError("labels_band and labels_method go with labels_collection")
    labels = None
    if labels_collection is not None:
        labels = Labels(
            collection=labels_collection, band=labels_band, choice=labels_method or "latest"
        )
    settings = EarthEngineSettings(
        collections=tuple(collection(name) for name in texts(collections)),
        period=Period.of(start, end),
        bands=names(bands),
        reduction=Reduction(method=method, percentile=percentile),
        rule=ClearRule(keep=frozenset(keep), dilate=dilate, confidence=confidence),
        dtype=dtype,
        labels=labels,
        project=project,
        url=url,
        workers=workers,
        side=request_size,
    )
    place = Place.choose(
        settings.chosen[0], region=text_of(region), like=text_of(like), crs=crs, scale=scale
    )
    return download(
        settings,
        place,
        output,
        counts=counts,
        labels_output=labels_output,
        resume=resume,
        overwrite=overwrite,
        progress=progress,
    )
