"""Many maps against labels of the same names: which go together, laid on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geoseg.assessment.evaluating import Reports
from geoseg.assessment.findings import Wanted
from geoseg.assessment.folderjob import FolderJob
from geoseg.assessment.mapfiles import are_folders, common_legend, lacks_place, pair_maps
from geoseg.assessment.sides import compare_sides
from geoseg.errors import GridError, OptionError, VectorError
from geoseg.raster.legend import Legend
from geoseg.raster.pairing import file_names

__all__ = ["FolderJob", "are_folders", "compare_folders"]


def compare_folders(
    folders: Sequence[str],
    *,
    wanted: Wanted,
    reports: Reports | None = None,
    settings: Mapping[str, Any] | None = None,
    classes: Legend | None = None,
    ignore: Sequence[int | str] = (),
    leave_out: Sequence[int | str] = (),
    region: str | Path | None = None,
    assume_aligned: bool = False,
    strict_grid: bool = False,
    unpredicted_is_wrong: bool = False,
    labels_name: str | None = None,
) -> FolderJob:
    """Pair maps with labels by their names without ending, and lay them on each other.

    Maps of which nothing lies in the region, or on labels that all share, are left out and told.

    Parameters
    ----------
    folders
        Of maps, one or several, that of the labels last; or patterns. Georeferenced maps may have
        one raster of labels together.
    wanted, reports, settings
        As `FolderJob`.
    classes, ignore, leave_out, region, assume_aligned, strict_grid, unpredicted_is_wrong
        As `geoseg.assessment.evaluate.compare`; photographs are always taken as aligned.
    labels_name
        What the labels are called, if not by their path.

    Raises
    ------
    InputError
        No map has labels of its name.
    GridError
        A map and its labels do not lie on each other.
    LabelError
        Maps name their classes differently, or no file names any.
    OptionError
        A region of photographs.
    """
    names = [path.rstrip("/") for path in folders]
    many = pair_maps(names)
    if many.photographs and region is not None:
        raise OptionError("photographs have no place on Earth, so there is no region of them")
    said: tuple[str, ...] = ()
    legend = classes
    if legend is None:
        legend, said = common_legend(many.files)
    sides, stems, off = [], [], []
    error: GridError | VectorError | None = None
    for one in many.files:
        try:
            sides.append(
                compare_sides(
                    one.maps,
                    one.labels,
                    classes=legend,
                    ignore=ignore,
                    leave_out=leave_out,
                    region=region,
                    assume_aligned=assume_aligned or many.photographs,
                    strict_grid=strict_grid,
                    unpredicted_is_wrong=unpredicted_is_wrong,
                )
            )
        except (GridError, VectorError) as found:
            # Where all share a region or labels, some maps may lie off; otherwise it is a mistake.
            off_region = region is not None and isinstance(found, VectorError)
            # Strictly, another grid is refused as well, by the same class of error.
            off_labels = many.one_labels and not strict_grid and isinstance(found, GridError)
            lost = lacks_place(one.maps[0], [other.maps[0] for other in many.files])
            if lost or not (off_region or off_labels):
                raise
            error = error or found
            off.append(one.name)
            continue
        stems.append(one.name)
    if not sides and error is not None:
        raise error
    left = [f"{len(off):,} maps lie off the labels or the region: {file_names(off)}"] if off else []
    job = FolderJob(
        names=(*names[:-1], labels_name or names[-1]),
        stems=tuple(stems),
        sides=tuple(sides),
        photographs=many.photographs,
        wanted=wanted,
        reports=reports or Reports(),
        settings=dict(settings or {}),
        notes=(*many.notes, *said, *left),
    )
    _ = job.legend
    return job
