"""From what a person names to scenes that can be cut, each with its labels and its region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from geoseg.errors import BandError, GridError, OptionError, RasterReadError
from geoseg.patches.countband import without_counts
from geoseg.patches.fitting import fit_to_labels
from geoseg.patches.gathered import Inputs, Say, Source, nothing_left
from geoseg.patches.imagelabels import lay_label_table
from geoseg.patches.job import Job
from geoseg.patches.pixellabels import add_labels, label_files
from geoseg.patches.settings import TileSettings
from geoseg.patches.table import PatchTable
from geoseg.raster.grouping import group_scenes
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.opening.heads import expand
from geoseg.raster.scene import Scene


def open_inputs(
    scenes: Sequence[Source],
    labels: Sequence[Source],
    settings: TileSettings,
    say: Say,
    *,
    confidence: Sequence[Source] = (),
    label_table: Source | None = None,
) -> Inputs:
    """Open scenes, labels and regions, and lay patches over the scenes.

    Parameters
    ----------
    scenes, labels, confidence, label_table
        As for `geoseg.patches.tile.tile`.
    settings
        What was asked for.
    say
        Told what a person should know.

    Raises
    ------
    RasterReadError
        No scene can be used.
    BandError
        Scenes have different bands.
    GridError
        Some scenes have a coordinate system and some none; labels lie elsewhere.
    LabelError, VectorError
        Labels cannot be laid on the scenes.
    OptionError
        The fill value does not fit the readings, or options speak of labels that are not there.
    """
    if not scenes:
        raise OptionError("no scene was given")
    _check_labels(labels, confidence, label_table, settings)
    found, problems = group_scenes(scenes, band_names=settings.band_names, mosaic=settings.mosaic)
    if not found:
        raise nothing_left(problems)
    if settings.bands is None:
        found = without_counts(found, say)
    opened = _same_bands(found, settings.bands)
    with_crs = [scene for scene in opened if scene.grid.crs is not None]
    if 0 < len(with_crs) < len(opened):
        without = next(scene for scene in opened if scene.grid.crs is None)
        raise GridError(
            f"{without.paths[0]} has no coordinate system and {with_crs[0].paths[0]} has one: tile "
            "them one after the other, or assign one (gdal_edit -a_srs)"
        )
    scale = 1
    if settings.fit_labels:
        opened, scale = fit_to_labels(opened, label_files(labels, ()), say)
    dtype = np.dtype(np.result_type(*(scene.dtype for scene in opened)))
    _check_fill(settings.fill, dtype)
    inputs = Inputs(
        jobs=[],
        problems=list(problems),
        bands=_names(opened[0], settings.bands),
        dtype=dtype,
        legend=None,
        scale=scale,
    )
    names = _unique([scene.name for scene in opened])
    for scene, name in zip(opened, names, strict=True):
        table = PatchTable.over(scene.grid.window, size=settings.size, stride=settings.stride)
        inputs.jobs.append(Job(scene=scene, window=scene.grid.window, table=table, name=name))
    if settings.classes is not None:
        inputs.legend = parse_legend(settings.classes)
    if settings.region is not None:
        _add_regions(inputs, settings.region, settings)
    if labels:
        named = [str(path) for source in scenes for path in _expanded(source)]
        add_labels(inputs, opened, named, labels, confidence, settings, say)
    if label_table is not None:
        inputs.label_table = str(label_table)
        inputs.legend = lay_label_table(
            inputs.jobs, inputs.label_table, inputs.legend, settings, say
        )
    return inputs


def _check_labels(
    labels: Sequence[Source],
    confidence: Sequence[Source],
    label_table: Source | None,
    settings: TileSettings,
) -> None:
    """Refuse options that speak of labels that are not there."""
    if labels and label_table is not None:
        raise OptionError(
            "--labels gives each pixel a label and --label-table whole patches: a data set has one "
            "of the two"
        )
    if settings.classes is not None and not labels and label_table is None:
        raise OptionError(
            "--classes says what labels mean, and neither --labels nor --label-table are given"
        )
    if settings.label_field is not None and label_table is None:
        raise OptionError("--label-field names a column of a --label-table, and none is given")
    if settings.fit_labels and not labels:
        raise OptionError("--fit-labels is about --labels, and none are given")
    if confidence and not labels:
        raise OptionError("--confidence is of the labels of pixels, and no --labels are given")
    if settings.min_confidence is not None and not confidence:
        raise OptionError("--min-confidence needs the confidences: name them with --confidence")


def _expanded(source: Source) -> list[str]:
    """Files that are meant; none where that is a problem, which has been noted already."""
    try:
        return expand([source])
    except RasterReadError:
        return []


def _same_bands(scenes: Sequence[Scene], wanted: Sequence[str] | None) -> list[Scene]:
    """Select the bands of every scene, the first one's by default."""
    if wanted is not None:
        chosen = [scene.select(wanted) for scene in scenes]
    else:
        chosen = [scenes[0]]
        first = scenes[0].band_names
        for scene in scenes[1:]:
            if scene.band_names == first:
                chosen.append(scene)
            elif sorted(scene.band_names) == sorted(first):
                chosen.append(scene.select(first))
            else:
                labels = len(scene.bands) == 1 and not set(scene.band_names) & set(first)
                raise BandError(
                    f"{scene.paths[0]} has the bands {', '.join(scene.band_names)} and "
                    f"{scenes[0].paths[0]} has {', '.join(first)}: choose with --bands those that "
                    "all scenes have, or name them with --band-names"
                    + ("; labels are named by --labels" if labels else "")
                )
    return chosen


def _names(scene: Scene, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Names for the bands of the set: as they were asked for, else as the first scene has them.

    "blue" that found "blue B2" stays "blue", so that a model trained on it takes other scenes as
    well; a number is no name.
    """
    if wanted is None:
        return scene.band_names
    return tuple(
        own if name.isdecimal() else name
        for name, own in zip(wanted, scene.band_names, strict=True)
    )


def _check_fill(fill: float, dtype: np.dtype[Any]) -> None:
    """Refuse a fill value that readings cannot hold."""
    if dtype.kind == "f":
        if abs(fill) > float(np.finfo(dtype).max):
            raise OptionError(f"--fill {fill:g} does not fit into readings of type {dtype}")
        return
    if dtype.kind not in "iu":
        raise BandError(f"readings of type {dtype} cannot be cut into patches")
    info = np.iinfo(dtype)
    if fill != math.floor(fill) or not info.min <= fill <= info.max:
        raise OptionError(
            f"--fill {fill:g} does not fit into readings of type {dtype} ({info.min} to {info.max})"
        )


def _unique(names: Sequence[str]) -> list[str]:
    """Make names different, by numbers behind those that come again."""
    taken: set[str] = set()
    out = []
    for name in names:
        number, candidate = 1, name
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        out.append(candidate)
    return out


def _add_regions(inputs: Inputs, source: str, settings: TileSettings) -> None:
    """Read the region for each scene, and lay patches over it alone."""
    # Imported here: it brings geopandas, which takes a second.
    from geoseg.errors import VectorError  # noqa: PLC0415
    from geoseg.raster.vector import read_region  # noqa: PLC0415

    missed: list[tuple[Job, VectorError]] = []
    for job in inputs.jobs:
        try:
            region = read_region(source, job.scene.grid)
            inside = region.window.intersection(job.scene.grid.window)
            if inside is None:
                raise VectorError(f"{source} and {job.scene.paths[0]} do not overlap")
        except VectorError as error:
            missed.append((job, error))
            continue
        job.region, job.window = region, inside
        job.table = PatchTable.over(inside, size=settings.size, stride=settings.stride)
        inputs.region_fingerprints[job.name] = region.fingerprint()
    if len(missed) == len(inputs.jobs):
        raise missed[0][1]
    for job, _ in missed:
        inputs.drop(job, "does not overlap the region")
