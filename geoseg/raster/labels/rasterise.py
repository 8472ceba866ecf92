"""Polygons that people drew to class rasters: vector files, or annotations of LabelMe."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError, InputError, LabelError
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.fingerprint import fingerprint_files
from geoseg.raster.grid import Grid
from geoseg.raster.labels.burn import BACKGROUND, Painter, Reach
from geoseg.raster.labels.drawn import (
    Count,
    Drawn,
    RasteriseSettings,
    codes_of,
    left_out,
    legend_of,
    no_field,
    of_labelme,
    of_vector,
    other_pictures,
    refuse_none,
    said_by,
    values_text,
)
from geoseg.raster.labels.labelme import annotations_in, is_labelme, read_labelme
from geoseg.raster.legend import NODATA, Legend
from geoseg.raster.legend.style import is_folder_of_maps
from geoseg.raster.opening.heads import rasters_in
from geoseg.raster.outputs.checks import check_output, check_output_folder, refuse_inputs
from geoseg.raster.outputs.whole import whole_folder
from geoseg.raster.pairing import file_names, pair_by_stem
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.scene import Scene

__all__ = ["RasteriseSettings", "Rasterised", "rasterise", "rasterise_folder"]

_ROWS = 512


@dataclass(frozen=True, kw_only=True)
class Rasterised:
    """What was written."""

    output: Path
    """The class raster, or the folder of them."""
    legend: Legend
    """The classes."""
    files: int
    """Rasters written."""
    polygons: Mapping[str, int]
    """Polygons by class; those that lie off the grid too."""
    no_class: Mapping[str, int]
    """Polygons by value that means no class; "" for none."""
    pixels: Mapping[str, int]
    """Pixels by class."""
    unlabelled: int
    """Pixels without a class."""
    seconds: float
    """Time that it took."""
    notes: tuple[str, ...]
    """What a user should know, a sentence each without its full stop."""


def rasterise(
    labels: str | Path,
    like: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    settings: RasteriseSettings | None = None,
    overwrite: bool = False,
    workers: int = 4,
) -> Rasterised:
    """Paint polygons on the grid of a scene.

    Parameters
    ----------
    labels
        A vector file of polygons (``FILE|layername=NAME`` for one of several layers) in any
        coordinate system, or an annotation of LabelMe.
    like
        The scene, as for `Scene.open`; only its grid matters.
    output
        Class raster: uint8, 255 for unlabelled.
    settings
        What polygons mean, and how they become pixels.
    overwrite
        Whether a raster that is there may be replaced.
    workers
        Threads that compress.

    Raises
    ------
    VectorError, LabelError
        Polygons cannot be read, or mean no class.
    RasterReadError, GridError
        The scene cannot be opened, or lies elsewhere.
    OptionError
        Settings that do not go together.
    OutputError
        The raster cannot be written.
    """
    began = time.perf_counter()
    settings = settings or RasteriseSettings()
    target = check_output(output, overwrite=overwrite, suffixes=(".tif", ".tiff"))
    source = str(labels)
    files = [source.partition("|layername=")[0]]
    with Scene.open(like if isinstance(like, str | Path) else list(like)) as scene:
        named = [c for c in (settings.classes,) if c is not None and os.path.isfile(c)]
        refuse_inputs([target], [*scene.files, *files, *named])
        grid, name = scene.grid, Path(scene.paths[0]).name
    if is_labelme(source):
        no_field(settings)
        annotation = read_labelme(source)
        annotation.check(grid, name)
        drawn = of_labelme(annotation)
        notes = [*other_pictures([(annotation, name)]), *left_out([annotation])]
    else:
        drawn = of_vector(source, grid, settings)
        notes = list(drawn.notes)
    legend, more = legend_of(settings, drawn.values, drawn.legend)
    count = Count()
    codes = codes_of(drawn.values, legend, _ground(legend, settings), count)
    refuse_none(count, legend)
    tags = _tags([source], files, name, settings)
    _write(target, name, grid, drawn, codes, legend, settings, count, tags, overwrite, workers)
    return _result(target, legend, count, 1, began, [*notes, *more])


def rasterise_folder(
    annotations: str | Path,
    pictures: str | Path,
    output: str | Path,
    *,
    settings: RasteriseSettings | None = None,
    overwrite: bool = False,
    workers: int = 4,
) -> Rasterised:
    """Make a class raster of each annotation of LabelMe in a folder, on the grid of its picture.

    Parameters
    ----------
    annotations
        Folder of JSON files.
    pictures
        Folder of the pictures, each of the name of its annotation but for the ending.
    output
        Folder to make: ``NAME.tif`` for each pair. Nothing is there until all of it is.
    settings, overwrite, workers
        As for `rasterise`; the classes are those of all annotations together.

    Raises
    ------
    LabelError, GridError, RasterReadError, OptionError, OutputError
        As for `rasterise`.
    """
    began = time.perf_counter()
    settings = settings or RasteriseSettings()
    target = check_output_folder(
        output, overwrite=overwrite, holds=is_folder_of_maps, what="class rasters"
    )
    drawn_on = annotations_in(annotations)
    if not drawn_on:
        raise InputError(
            f"{annotations}: holds no annotation of LabelMe (*.json); of a vector file, name the"
            " file"
        )
    no_field(settings)
    pairs, notes = _pairs(drawn_on, rasters_in(Path(pictures)), pictures)
    read = []
    for path, picture in pairs:
        with Scene.open(picture) as scene:
            annotation = read_labelme(path)
            annotation.check(scene.grid, Path(picture).name)
            read.append((annotation, picture, scene.grid))
    legend, more = legend_of(settings, [label for a, _, _ in read for label in said_by(a)])
    count, ground = Count(), _ground(legend, settings)
    with whole_folder(target, overwrite=overwrite) as folder:
        for annotation, picture, grid in read:
            place = folder / f"{annotation.path.stem}.tif"
            files = [str(annotation.path)]
            name = Path(picture).name
            tags = _tags(files, files, name, settings)
            drawn = of_labelme(annotation)
            codes = codes_of(drawn.values, legend, ground, count)
            _write(
                place, name, grid, drawn, codes, legend, settings, count, tags, overwrite, workers
            )
        refuse_none(count, legend)
    notes += other_pictures([(a, Path(picture).name) for a, picture, _ in read])
    notes += left_out([a for a, _, _ in read])
    return _result(target, legend, count, len(read), began, [*notes, *more])


def _pairs(
    annotations: Sequence[Path], pictures: Sequence[str], folder: str | Path
) -> tuple[list[tuple[Path, str]], list[str]]:
    """Pair annotations with pictures by their names without ending."""
    found = pair_by_stem([str(path) for path in annotations], pictures)
    if not found.pairs:
        raise InputError(
            f"{folder}: holds no picture of the name of an annotation ({annotations[0].name}, say)"
        )
    notes = [] if found.note is None else [f"annotations are {found.note}"]
    for paths, what in (
        (found.first_alone, "annotations without a picture of their name are left out"),
        (found.second_alone, "pictures without an annotation get no raster"),
    ):
        if paths:
            notes.append(f"{len(paths):,} {what}: {file_names(paths)}")
    return [(Path(one), other) for one, other in found.pairs], notes


def _ground(legend: Legend, settings: RasteriseSettings) -> int:
    """Index of the class of what is in no polygon; `BACKGROUND` for none."""
    if settings.background is None:
        return BACKGROUND
    index = legend.find(settings.background)
    if index is None:
        names = ", ".join(f"{c.id} {c.name}" for c in legend.classes[:12])
        raise LabelError(f"--background {settings.background}: no such class; there is {names}")
    return index


# -- writing --------------------------------------------------------------------------------------


def _write(
    target: Path,
    like: str,
    grid: Grid,
    drawn: Drawn,
    codes: NDArray[np.int16],
    legend: Legend,
    settings: RasteriseSettings,
    count: Count,
    tags: Mapping[str, str],
    overwrite: bool,
    workers: int,
) -> None:
    """Paint one raster."""
    ground = _ground(legend, settings)
    reach = None
    if settings.ignore_border is not None:
        reach = Reach.parse(settings.ignore_border, grid)
    painter = Painter(
        drawn.shapes,
        codes,
        height=grid.height,
        width=grid.width,
        overlap=settings.overlap,
        all_touched=settings.all_touched,
        reach=reach,
    )
    if not painter.any_on_grid and (drawn.placed or len(drawn.shapes)):
        raise GridError(f"{like}: no polygon lies on it ({grid.describe()})")
    lut = np.full(len(legend) + 2, NODATA, np.uint8)  # the last two are IGNORED and BACKGROUND
    lut[: len(legend)] = legend.ids
    if ground >= 0:
        lut[BACKGROUND] = legend.ids[ground]
    with RasterWriter(
        target,
        grid,
        band_names=["class"],
        dtype="uint8",
        nodata=NODATA,
        legend=Legend(tuple(replace(c, values=()) for c in legend.classes)),
        tags=tags,
        overwrite=overwrite,
        workers=workers,
    ) as writer:
        for row, painted in painter.strips(_ROWS):
            ids = lut[painted]
            count.pixels += np.bincount(ids.ravel(), minlength=256)
            writer.write_rows(row, ids)


def _tags(
    sources: Sequence[str], files: Sequence[str], like: str, settings: RasteriseSettings
) -> dict[str, str]:
    options = {"like": like, **settings.words()}
    digests = {path: fingerprint_files([path]) for path in files if os.path.isfile(path)}
    command = ["geoseg", "rasterise", *sources, *option_words(options)]
    return provenance(command, digests, options=options)


def _result(
    target: Path,
    legend: Legend,
    count: Count,
    files: int,
    began: float,
    notes: Sequence[str],
) -> Rasterised:
    said = list(notes)
    if count.no_class:
        lost = sum(count.no_class.values())
        said.append(
            f"{lost:,} {'polygon has' if lost == 1 else 'polygons have'} a value that is no class"
            f" ({values_text(count, 8)});"
            " their pixels are unlabelled"
        )
    return Rasterised(
        output=target,
        legend=legend,
        files=files,
        polygons={name: count.polygons[name] for name in legend.names},
        no_class=dict(count.no_class),
        pixels={c.name: int(count.pixels[c.id]) for c in legend.classes},
        unlabelled=int(count.pixels[NODATA]),
        seconds=time.perf_counter() - began,
        notes=tuple(said),
    )
