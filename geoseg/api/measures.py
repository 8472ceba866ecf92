"""What maps say: scores against labels, shares of the ground, polygons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from geoseg.api.common import PathLike, threads

if TYPE_CHECKING:
    from geoseg.assessment.coverage.result import Result
    from geoseg.assessment.evaluate import Evaluation
    from geoseg.assessment.vectorise import Vectorised

Progress = Callable[[int], None]


def evaluate(
    prediction: PathLike,
    labels: PathLike,
    *,
    classes: str | None = None,
    ignore: Sequence[int | str] = (),
    leave_out: Sequence[int | str] = (),
    unpredicted: Literal["ignore", "wrong"] = "ignore",
    region: PathLike | None = None,
    assume_aligned: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a class map against labels.

    Parameters
    ----------
    prediction
        Class raster.
    labels
        Raster of label values; on another grid they are brought to the prediction's, nearest.
    classes
        Classes and the label values that mean them: "1=water,2=forest", or a file.
    ignore, leave_out
        Label values (or names of classes) that are not scored, and classes that enter no mean.
    unpredicted
        What a labelled pixel without a prediction is: not scored, or an error.
    region
        Score inside these polygons, or inside "xmin,ymin,xmax,ymax", only.
    assume_aligned
        Take pixels of the same row and column as the same where one raster has no place on Earth.
    workers, progress
        Threads, one a processor by default; called with numbers of finished pixels.

    Returns
    -------
    Its `scores` hold ``pixel_accuracy`` and other means and, a number a class, ``recall``,
    ``precision``, ``iou`` and ``f1``; its `confusion` the counts, a row a true class.

    Raises
    ------
    InputError, OptionError
        The two cannot be laid on each other, a class is none, or nothing can be scored.
    """
    from geoseg.assessment.evaluate import compare  # noqa: PLC0415 — pixels cost imports
    from geoseg.errors import OptionError  # noqa: PLC0415
    from geoseg.raster.legend import Legend  # noqa: PLC0415

    if unpredicted not in ("ignore", "wrong"):
        raise OptionError(f"unpredicted is ignore or wrong, not {unpredicted!r}")
    return compare(
        prediction,
        labels,
        classes=None if classes is None else Legend.parse(classes),
        ignore=ignore,
        leave_out=leave_out,
        region=region,
        assume_aligned=assume_aligned,
        unpredicted_is_wrong=unpredicted == "wrong",
    ).run(workers=threads(workers), progress=progress)


def coverage(
    classes: PathLike,
    output: PathLike,
    *,
    target: Sequence[str],
    exclude: Sequence[str] = (),
    cell: str | None = None,
    like: PathLike | None = None,
    zones: PathLike | None = None,
    zone_field: str | None = None,
    stages: str | None = None,
    hectares: bool = False,
    legend: str | None = None,
    from_probabilities: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Measure which share of the ground is of some classes, in percent.

    Parameters
    ----------
    classes
        Class raster; with `from_probabilities` a raster of a band a class, named by it.
    output
        ``.tif`` for cells, ``.gpkg`` for zones (with a table, ``.csv``, beside it).
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
    legend
        What values mean where the raster does not say: "1=water,2=forest", or a file.
    from_probabilities
        Whether pixels hold probabilities.
    workers, overwrite, progress
        Threads; whether files may be replaced; called with numbers of finished pixels.

    Raises
    ------
    InputError, OptionError, OutputError
        A file cannot be read, a class is none, options do not go together, or a file cannot be
        written.
    """
    from geoseg.assessment.coverage.cells import (  # noqa: PLC0415 — pixels cost imports
        coverage_by_cell,
        grid_of_cells,
        stage_path,
    )
    from geoseg.assessment.coverage.source import open_source  # noqa: PLC0415
    from geoseg.assessment.coverage.zones import coverage_by_zone, table_path  # noqa: PLC0415
    from geoseg.assessment.stages import StageTable  # noqa: PLC0415
    from geoseg.errors import OptionError  # noqa: PLC0415
    from geoseg.raster.legend import Legend  # noqa: PLC0415
    from geoseg.raster.output import check_output, refuse_inputs  # noqa: PLC0415

    if sum(given is not None for given in (cell, like, zones)) != 1:
        raise OptionError("give one of cell, like and zones: what to measure by")
    if zones is None and zone_field is not None:
        raise OptionError("zone_field names polygons; it goes with zones")
    if zones is not None and hectares:
        raise OptionError("hectares goes with cells; zones always have them")
    suffixes = (".tif", ".tiff") if zones is None else (".gpkg",)
    check_output(output, overwrite=overwrite, suffixes=suffixes)
    table = None if stages is None else StageTable.parse(stages)
    source = open_source(
        classes,
        target=target,
        excluded=exclude,
        classes=None if legend is None else Legend.parse(legend),
        probabilities=from_probabilities,
    )
    if zones is not None:
        read = [*source.scene.files, str(zones).partition("|layername=")[0]]
        refuse_inputs([output, table_path(output)], read)
        return coverage_by_zone(
            source,
            output,
            zones,
            name_field=zone_field,
            stages=table,
            workers=threads(workers),
            overwrite=overwrite,
            progress=progress,
        )
    template = None if like is None else str(like)
    refuse_inputs(
        [output, stage_path(output)], [*source.scene.files, *([template] if template else [])]
    )
    return coverage_by_cell(
        source,
        output,
        grid_of_cells(source, size=cell, like=template),
        how={"cell": cell} if cell is not None else {"like": str(like)},
        stages=table,
        hectares=hectares,
        workers=threads(workers),
        overwrite=overwrite,
        progress=progress,
    )


def vectorise(
    classes: PathLike,
    output: PathLike,
    *,
    only: Sequence[int | str] = (),
    min_area: str | None = None,
    simplify: str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Vectorised:
    """Write a class raster as polygons with class, name, pixels and hectares.

    Parameters
    ----------
    classes
        Class raster of one band; nodata makes no polygon.
    output
        ``.gpkg``, ``.geojson`` or ``.parquet``.
    only
        Ids or names of the classes that are wanted; all by default.
    min_area
        Polygons smaller than this are left out: "100px", "0.5ha", "450m2".
    simplify
        How far borders may move: "2px", "15m"; neighbours keep the same border.
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

    settings = VectoriseSettings(
        classes=tuple(only),
        min_area=None if min_area is None else Measure.area(min_area),
        simplify=None if simplify is None else Measure.length(simplify),
    )
    return make(
        classes,
        output,
        settings=settings,
        workers=threads(workers),
        overwrite=overwrite,
        progress=progress,
    )
