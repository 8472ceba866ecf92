"""Many maps against labels of the same names: which go together, laid on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from geoseg.assessment.evaluating import Reports
from geoseg.assessment.findings import Wanted
from geoseg.assessment.folderjob import FolderJob
from geoseg.assessment.mapfiles import (
    ManyMaps,
    are_folders,
    common_legend,
    lacks_place,
    pair_maps,
)
from geoseg.assessment.scoring import Scoring
from geoseg.assessment.sides import Sides, compare_sides
from geoseg.assessment.text import counted
from geoseg.errors import GridError, OptionError, VectorError
from geoseg.raster.pairing import file_names

__all__ = ["FolderJob", "are_folders", "compare_folders"]


def compare_folders(
    folders: Sequence[str],
    scoring: Scoring | None = None,
    *,
    wanted: Wanted,
    reports: Reports | None = None,
    settings: Mapping[str, Any] | None = None,
    labels_name: str | None = None,
) -> FolderJob:
    """Pair maps with labels by their names without ending, and lay them on each other.

    Maps of which nothing lies in the region, or on labels that all share, are left out and told.
    Where folders hold different maps, those of all are compared, and each folder is scored on all
    of its own.

    Parameters
    ----------
    folders
        Of maps, one or several, that of the labels last; or patterns. Georeferenced maps may have
        one raster of labels together.
    scoring
        What is scored, and how; photographs are always taken as aligned. None for the defaults.
    wanted, reports, settings
        As `FolderJob`.
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
    apart = [pair_maps([name, names[-1]]) for name in names[:-1]] if many.uneven else []
    scoring, said = _of_all(scoring or Scoring(), many, apart)
    sides, stems, off = _laid(many, scoring)
    left = []
    if off:
        lie = "lies" if len(off) == 1 else "lie"
        left = [f"{counted(len(off), 'map')} {lie} off the labels or the region: {file_names(off)}"]
    job = FolderJob(
        names=(*names[:-1], labels_name or names[-1]),
        stems=tuple(stems),
        sides=tuple(sides),
        photographs=many.photographs,
        wanted=wanted,
        reports=reports or Reports(),
        settings=dict(settings or {}),
        notes=(*many.notes, *said, *left, *overlaps(sides, stems)),
        alone=tuple(
            compare_folders([name, names[-1]], scoring, wanted=wanted, labels_name=labels_name)
            for name in names[: len(apart)]
        ),
    )
    _ = job.legend
    return job


def _of_all(
    scoring: Scoring, many: ManyMaps, apart: Sequence[ManyMaps]
) -> tuple[Scoring, tuple[str, ...]]:
    """Say once for all maps how they are scored; and what was done to their classes, in words."""
    if many.photographs:
        if scoring.region is not None:
            raise OptionError("photographs have no place on Earth, so there is no region of them")
        scoring = replace(scoring, assume_aligned=True)
    if scoring.classes is not None:
        return scoring, ()
    files = dict.fromkeys((*many.files, *(one for each in apart for one in each.files)))
    legend, said = common_legend(list(files))
    return replace(scoring, classes=legend), said


def _laid(many: ManyMaps, scoring: Scoring) -> tuple[list[Sides], list[str], list[str]]:
    """Lay maps on their labels; return these, their names, and the names of maps that lie off."""
    sides, stems, off = [], [], []
    error: GridError | VectorError | None = None
    for one in many.files:
        try:
            sides.append(compare_sides(one.maps, one.labels, scoring))
        except (GridError, VectorError) as found:
            # Where all share a region or labels, some maps may lie off; otherwise it is a mistake.
            off_region = scoring.region is not None and isinstance(found, VectorError)
            # Strictly, another grid is refused as well, by the same class of error.
            may_lie_off = many.one_labels and not scoring.strict_grid
            off_labels = may_lie_off and isinstance(found, GridError)
            lost = lacks_place(one.maps[0], [other.maps[0] for other in many.files])
            if lost or not (off_region or off_labels):
                raise
            error = error or found
            off.append(one.name)
            continue
        stems.append(one.name)
    if not sides and error is not None:
        raise error
    return sides, stems, off


def overlaps(sides: Sequence[Sides], stems: Sequence[str]) -> tuple[str, ...]:
    """Tell of georeferenced maps that share ground, by their bounds, if there are any."""
    grids = [side.comparisons[0].prediction.grid for side in sides]
    found = []
    systems = [None if grid.crs is None else grid.crs.to_wkt() for grid in grids]
    for system in dict.fromkeys(systems):
        here = [i for i, other in enumerate(systems) if other == system and other is not None]
        if len(here) < 2:
            continue
        left, bottom, right, top = np.array([grids[i].bounds() for i in here]).T
        # Edges that are the same but for rounding share no ground.
        slack = 0.01 * np.array([min(map(abs, grids[i].resolution)) for i in here])
        for place, i in enumerate(here):
            shared = (left[place] < right - slack) & (right[place] > left + slack)
            shared &= (bottom[place] < top - slack) & (top[place] > bottom + slack)
            if np.count_nonzero(shared) > 1:
                found.append(stems[i])
    if not found:
        return ()
    return (
        f"{counted(len(found), 'map')} overlap others, and what two of them hold counts in both:"
        f" {file_names(found)}",
    )
