"""What maps say: shares of the ground, polygons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geoseg.api.arguments import checked
from geoseg.api.common import Listed, PathLike, Progress, area_text, as_text, text_of, threads

if TYPE_CHECKING:
    from geoseg.assessment.coverage.photographs import PhotographCoverage
    from geoseg.assessment.coverage.result import Result
    from geoseg.assessment.vectorise import Vectorised


@checked()
def coverage(
    raster: PathLike,
    output: PathLike,
    *,
    target: Sequence[int | str],
    exclude: Sequence[int | str] = (),
    cell: str | None = None,
    like: PathLike | None = None,
    zones: PathLike | None = None,
    zone_field: str | None = None,
    stages: str | None = None,
    hectares: bool = False,
    classes: Listed | None = None,
    from_probabilities: bool = False,
    images: PathLike | None = None,
    previews: PathLike | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Result | PhotographCoverage:
    """Measure which share of the ground, or of photographs, is of some classes, in percent.

    Parameters
    ----------
    raster
        Class raster; with `from_probabilities` a raster of a band a class, named by it; or a folder
        of maps of photographs.
    output
        ``.tif`` for cells; ``.gpkg`` for zones (with a table, ``.csv``, beside it), which
        geopandas.read_file opens; ``.csv`` for photographs, a line each.
    target, exclude
        Classes by name or id whose share is wanted, and those that count for nothing.
    cell, like, zones
        One of them: side of the cells ("300m", "10px"), a raster whose pixels are the cells, or
        polygons.
    zone_field
        Column that names the zones.
    stages
        "agde", or a table of one's own: a stage by percent.
    hectares
        Write areas on the ellipsoid beside the percents of cells; zones always have them.
    classes
        What values mean where the raster does not say: "1=water,2=forest", a list or dictionary of
        that, or a file.
    from_probabilities
        Whether pixels hold probabilities.
    images, previews
        Of photographs: their folder, so that those that know where they were taken go to a
        ``.gpkg`` beside the table, and a folder to make with each drawn with its classes.
    workers, overwrite, progress
        Threads; whether files may be replaced; called with numbers of finished pixels (of
        photographs, of finished maps).

    Returns
    -------
    `outputs` names the files; `coverage` of `total`, or of photographs `coverage`, is that of all
    together, `stages` how many cells, zones or photographs are in each stage, and `zones` or
    `photographs` hold each of them.

    Raises
    ------
    InputError, OptionError, OutputError
        A file cannot be read, a class is none, options do not go together, or a file cannot be
        written.
    """
    from geoseg.assessment.coverage.asked import CoverageAsked  # noqa: PLC0415 — pixels cost imports

    asked = CoverageAsked(
        raster=str(raster),
        output=str(output),
        target=[str(item) for item in target],
        exclude=[str(item) for item in exclude],
        cell=cell,
        like=text_of(like),
        zones=text_of(zones),
        zone_field=zone_field,
        stages=stages,
        hectares=hectares,
        classes=as_text(classes),
        from_probabilities=from_probabilities,
        images=text_of(images),
        previews=text_of(previews),
        workers=workers,
        overwrite=overwrite,
    )
    if asked.of_photographs:
        return asked.measure_photographs(progress=progress)
    return asked.job().run(progress=progress)


@checked()
def vectorise(
    raster: PathLike,
    output: PathLike,
    *,
    only: Sequence[int | str] = (),
    min_area: str | int | None = None,
    simplify: str | None = None,
    dissolve: bool = False,
    zones: PathLike | None = None,
    zone_field: str | None = None,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Vectorised:
    """Write a class raster as polygons with class, name, pixels and hectares.

    Parameters
    ----------
    raster
        Class raster of one band; nodata makes no polygon.
    output
        ``.gpkg``, ``.geojson`` or ``.parquet``.
    only
        Ids or names of the classes that are wanted; all by default.
    min_area
        Polygons smaller than this are left out: pixels, or "100px", "0.5ha", "450m2".
    simplify
        How far borders may move: "2px", "15m"; neighbours keep the same border.
    dissolve
        Make one feature for each class, of all its polygons; with `zones` one for each class and
        zone.
    zones, zone_field
        Polygons inside each of which the ground of every class is measured, exactly: a layer
        ``zones``, or a file ``NAME_zones`` beside; and the column that names them.
    resume
        Go on from what a stopped run with the same arguments left, and leave the same if stopped.
    workers, overwrite, progress
        Threads; whether a file may be replaced; called with numbers of finished pixels.

    Raises
    ------
    InputError, OptionError, OutputError
        The raster cannot be read or holds no such class, or the file cannot be written.
    """
    from geoseg.assessment.measure import Measure  # noqa: PLC0415 — pixels cost imports
    from geoseg.assessment.vectorise import VectoriseSettings  # noqa: PLC0415
    from geoseg.assessment.vectorise import vectorise as make  # noqa: PLC0415

    area = area_text(min_area)
    settings = VectoriseSettings(
        classes=tuple(only),
        min_area=None if area is None else Measure.area(area),
        simplify=None if simplify is None else Measure.length(simplify),
        dissolve=dissolve,
        zones=text_of(zones),
        zone_field=zone_field,
    )
    return make(
        raster,
        output,
        settings=settings,
        workers=threads(workers),
        overwrite=overwrite,
        keep=resume,
        resume=resume,
        progress=progress,
    )
