"""Many dates to one scene, from files or from Google Earth Engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from geoseg.api.arguments import checked
from geoseg.api.common import PathLike, Progress, names, text_of, texts

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
    from geoseg.compositing.asked import CompositeAsked  # noqa: PLC0415 — pixels cost imports

    asked = CompositeAsked(
        scenes=tuple(texts(scenes)),
        output=str(output),
        bands=names(bands),
        method=method,
        percentile=percentile,
        keep=",".join(keep),
        dilate=dilate,
        confidence=confidence,
        start=start,
        end=end,
        sensor=sensor,
        quality=quality,
        band_names=names(band_names),
        like=text_of(like),
        crs=crs,
        resolution=resolution,
        extent=extent,
        resampling=resampling,
        region=text_of(region),
        counts=text_of(counts),
        dtype=dtype,
        workers=workers,
        cluster=cluster,
        overwrite=overwrite,
        resume=resume,
    )
    with asked.job() as job, job.elsewhere() as others:
        return job.run(cluster=others, keep=resume, progress=progress)


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
    from geoseg.compositing.earthengine.wanted import EarthEngineWanted  # noqa: PLC0415

    wanted = EarthEngineWanted(
        collections=tuple(texts(collections)),
        output=str(output),
        start=start,
        end=end,
        region=text_of(region),
        bands=names(bands),
        method=method,
        percentile=percentile,
        keep=",".join(keep),
        dilate=dilate,
        confidence=confidence,
        like=text_of(like),
        crs=crs,
        scale=scale,
        counts=text_of(counts),
        dtype=dtype,
        labels_collection=labels_collection,
        labels_band=labels_band,
        labels_method=labels_method,
        labels_output=text_of(labels_output),
        project=project,
        url=url,
        request_size=request_size,
        workers=workers,
        overwrite=overwrite,
        resume=resume,
    )
    return wanted.job().download(progress=progress)
