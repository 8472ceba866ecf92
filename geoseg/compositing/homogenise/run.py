"""Images in, images of one colour out: a folder of rasters, with what was found beside them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from geoseg.compositing.homogenise.bring import carries, strange
from geoseg.compositing.homogenise.colour import Colour
from geoseg.compositing.homogenise.fit import recognise
from geoseg.compositing.homogenise.group import FittedGroup, fit_group, seams_after
from geoseg.compositing.homogenise.images import Images, unplaced
from geoseg.compositing.homogenise.pairs import find_pairs
from geoseg.compositing.homogenise.seams import read_pairs
from geoseg.compositing.homogenise.settings import HomogeniseResult, HomogeniseSettings
from geoseg.compositing.homogenise.standard import Standard
from geoseg.compositing.homogenise.writing import RECORDS, Writing
from geoseg.errors import OptionError, OutputError
from geoseg.raster.allocator import give_back, keep_large_blocks
from geoseg.raster.outputs.checks import check_folder_place, refuse_holding
from geoseg.raster.outputs.whole import whole_folder
from geoseg.raster.scene import Scene

__all__ = ["homogenise"]

_RASTER_PARTS = (".tif", ".tif.aux.xml", ".tif.ovr", ".qml")


def homogenise(
    images: Images,
    output: str | Path,
    *,
    settings: HomogeniseSettings | None = None,
    standard: Standard | None = None,
    workers: int = 4,
    overwrite: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> HomogeniseResult:
    """Write images of one colour.

    Parameters
    ----------
    images
        Of `geoseg.compositing.homogenise.images.open_images`.
    output
        Folder to make. Nothing is there until all of it is: a raster for each image, on the same
        grid and in the same type, with a style by which QGIS draws all alike; colour.json,
        seams.csv, seams.png and report.html.
    settings
        How; by default as good as it goes.
    standard
        The colour of an earlier run, in place of one that is found for these images.
    workers
        Threads; no file depends on it.
    overwrite
        Whether a folder that is there may be replaced, if it is one of this function's.
    say, progress
        Told what is being done, and with numbers of pixels how much.

    Raises
    ------
    InputError
        Images do not fit each other or the colour, or cannot be read.
    OptionError
        Options that contradict each other, or a single image.
    OutputError
        The folder cannot be written.
    """
    began = time.perf_counter()
    settings = settings or HomogeniseSettings()
    target = _check_folder(Path(output), images, overwrite=overwrite)
    tell, count = say or (lambda _: None), progress or (lambda _: None)
    options: dict[str, Any] = settings.words()
    if images.reference is not None:
        options["reference"] = images.reference.name
    if standard is not None:
        if options:
            raise OptionError(
                "--apply brings images to a colour that is there, with all that it says: leave out "
                f"{', '.join('--' + name for name in options)}"
            )
        options["apply"] = "colour.json"
    keep_large_blocks()  # else memory grows with every strip that some thread held
    try:
        if standard is not None:
            fitted = _applied(images.scenes, standard, workers, count)
        else:
            fitted = fit_group(
                images.scenes,
                settings=settings,
                reference=images.reference,
                workers=workers,
                say=say,
                progress=count,
            )
        options["bands"] = ",".join(fitted.standard.names)
        if images.band_names:
            options["band-names"] = ",".join(images.band_names)
        tell("writing the images")
        result = _written(images, fitted, options, target, overwrite, workers, count)
    finally:
        give_back()
    return replace(result, seconds=time.perf_counter() - began)


def _written(
    images: Images,
    fitted: FittedGroup,
    options: dict[str, Any],
    target: Path,
    overwrite: bool,
    workers: int,
    count: Callable[[int], None],
) -> HomogeniseResult:
    """Write all files, and give them their folder."""
    with whole_folder(target, overwrite=overwrite) as folder:
        job = Writing(images.scenes, fitted, options, folder, workers, count)
        made, notes = job.write_all()
        result = HomogeniseResult(
            folder=target,
            standard=fitted.standard,
            images=tuple(replace(one, output=target / one.output.name) for one in made),
            names=fitted.names,
            before=fitted.seams_before,
            after=fitted.seams_after,
            kept=fitted.kept,
            notes=(*fitted.notes, *notes),
            options=options,
            seconds=0.0,
        )
        job.write_records(result)
    return result


def _check_folder(target: Path, images: Images, *, overwrite: bool) -> Path:
    """Tell early whether the folder can be made."""
    check_folder_place(target)
    if os.path.lexists(target):
        if not overwrite:
            raise OutputError(f"{target} is there already; replace it with --overwrite")
        if not (target / "colour.json").is_file():
            raise OutputError(
                f"{target} is there and holds no images of one colour, so it is not replaced; "
                "remove it or choose another folder"
            )
        if more := [path.name for path in sorted(target.iterdir()) if not _is_made(path)]:
            raise OutputError(
                f"{target} holds something else beside images of one colour ({more[0]}), so it is "
                "not replaced; move that away or choose another folder"
            )
    given = (*images.scenes, *([] if images.reference is None else [images.reference]))
    refuse_holding(target, (file for scene in given for file in scene.files))
    return target


def _is_made(path: Path) -> bool:
    """Tell whether a file is one of those that make up such a folder, or beside one of them."""
    return path.is_file() and (path.name in RECORDS or path.name.casefold().endswith(_RASTER_PARTS))


def _applied(
    scenes: Sequence[Scene], standard: Standard, workers: int, count: Callable[[int], None]
) -> FittedGroup:
    """Bring images to a colour that is there."""
    standard = standard.select(scenes[0].band_names)
    notes, unknown = [], []
    colours = []
    for scene in scenes:
        if carries(scene, standard):
            colours.append(Colour.identity(scene))
            notes.append(f"{scene.name} has this colour already, and stays as it is")
        else:
            colour, known = recognise(standard, scene, workers=workers)
            colours.append(colour)
            unknown += [] if known else [scene.name]
        count(scene.grid.window.area)
    pairs = find_pairs([scene.grid for scene in scenes])
    before, _ = read_pairs(scenes, pairs, workers=workers, progress=count)
    return FittedGroup(
        standard=standard,
        colours=tuple(colours),
        names=tuple(scene.name for scene in scenes),
        seams_before=tuple(before),
        seams_after=tuple(seams_after(scenes, colours, before, workers=workers, progress=count)),
        kept=False,
        notes=(*notes, *strange(unknown, standard), *unplaced(scenes)),
    )
